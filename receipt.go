package dabchick

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"unique"
)

// A Receipt names one delivery of one message by one queue. It is small and
// comparable: equal receipts name the same delivery. Only the queue that gave
// it out accepts it, and it outlives neither the queue nor the process.
type Receipt struct {
	// Four fields in 32 bytes: what is larger in either way the compiler keeps in
	// memory and copies in pieces other than it was written in, which stalls.
	issuer *issuer
	seq    uint64 // the message
	delivery
	handle unique.Handle[string] // instead of the two above, when the messages lie in a backend
}

type delivery struct {
	nth  uint32 // which one of the message, modulo 2^32
	slot uint32 // where the message lies
}

// An issuer is what binds receipts to one queue.
type issuer struct {
	key    []byte
	block  cipher.Block
	opaque bool // handles are a backend's
}

// newIssuer returns an issuer with a key of 32 bytes.
func newIssuer(key []byte, opaque bool) issuer {
	block, err := aes.NewCipher(key[:receiptBody])
	if err != nil {
		panic(err) // the length of the key is right
	}
	return issuer{key: key[receiptBody:], block: block, opaque: opaque}
}

const (
	receiptBody = aes.BlockSize // 8 + 4 + 4
	receiptMAC  = 16
)

// String returns the receipt handle, a text that [Queue.ParseReceipt] reads. It
// carries a keyed hash of 128 bits, so that none can be made up, is bound to its
// queue, and shows nothing of what is in it. The zero Receipt gives "".
func (r Receipt) String() string {
	if r.issuer == nil {
		return ""
	}
	if r.issuer.opaque {
		return r.handle.Value()
	}
	var b [receiptBody + sha256.Size]byte
	binary.BigEndian.PutUint64(b[0:], r.seq)
	binary.BigEndian.PutUint32(b[8:], r.nth)
	binary.BigEndian.PutUint32(b[12:], r.slot)
	r.issuer.block.Encrypt(b[:receiptBody], b[:receiptBody])
	r.issuer.sum(b[:receiptBody])
	return base64.RawURLEncoding.EncodeToString(b[:receiptBody+receiptMAC])
}

// sum appends the keyed hash of body in place: body has room for it.
func (i *issuer) sum(body []byte) []byte {
	h := hmac.New(sha256.New, i.key)
	h.Write(body)
	return h.Sum(body)
}

func (i *issuer) parse(s string) (Receipt, bool) {
	if i.opaque {
		return Receipt{issuer: i, handle: unique.Make(s)}, s != ""
	}
	var b [receiptBody + receiptMAC]byte
	if len(s) != base64.RawURLEncoding.EncodedLen(len(b)) {
		return Receipt{}, false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || n < len(b) { // line breaks are skipped
		return Receipt{}, false
	}
	var body [receiptBody + sha256.Size]byte
	copy(body[:], b[:receiptBody])
	if !hmac.Equal(i.sum(body[:receiptBody])[receiptBody:receiptBody+receiptMAC], b[receiptBody:]) {
		return Receipt{}, false
	}
	i.block.Decrypt(body[:receiptBody], body[:receiptBody])
	return Receipt{
		issuer:   i,
		seq:      binary.BigEndian.Uint64(body[0:]),
		delivery: delivery{nth: binary.BigEndian.Uint32(body[8:]), slot: binary.BigEndian.Uint32(body[12:])},
	}, true
}

// A standing is what a receipt is worth.
type standing uint8

const (
	newest     standing = iota // names the latest delivery of a message that is here
	leaving                    // the same, but the message is on its way to another queue
	superseded                 // the message was delivered again since
	gone                       // the message is not here any more
	unknown                    // no such delivery was ever made
)

// find returns what a receipt is worth, and its message if it is the newest or leaving.
func (c *core[T]) find(r *Receipt) (*meta, standing) {
	given := c.drawn
	if r.seq%2 == 1 {
		given = 2 * c.backlog.taken
	}
	if r.seq == 0 || r.seq > given {
		return nil, unknown
	}
	m := c.slab.lookup(r.slot)
	switch {
	case m == nil || m.seq != r.seq:
		return nil, gone
	case uint32(m.receives) == r.nth:
		if m.isUnderWay() {
			return m, leaving
		}
		return m, newest
	case uint32(m.receives) < r.nth:
		return nil, unknown
	case m.is(unwanted):
		return nil, gone
	}
	return nil, superseded
}

// held says whether a message is in flight now: what a receipt is good for
// beyond deleting.
func (m *meta) held(now int64) bool { return m.state == inFlight && m.at > now }
