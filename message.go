package dabchick

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unique"

	"github.com/dabchickmq/dabchick/driver"
)

// A Message is one delivery of a message: its contents, and the right to
// settle it until somebody else receives it. It is a plain value; copies name
// the same delivery.
//
// Body and attributes are those that were sent, not copies of them. A receiver
// that changes what Body points to changes it for the next delivery too.
type Message[T any] struct {
	// ID names the message. It stays the same over all deliveries and in a
	// dead-letter queue; a redrive gives a new one.
	ID ID
	// Body is what was sent.
	Body T
	// Receives counts the deliveries of this message, this one included, and
	// those by queues that it came from as a dead letter.
	Receives int
	// Receipt names this delivery. It is zero in a message from Peek or in an
	// Event, which cannot be settled.
	Receipt Receipt
	// State is InFlight in a received message, also if it was received with a
	// visibility timeout of zero. In a message from Peek or in an Event it tells
	// where the message stands.
	State State

	queue                   *Queue[T]
	more                    *details[T]
	group                   string
	sentAt, firstAt, comeAt int64
}

// A State tells where a message stands.
type State uint8

// The states of a message in a queue, as SQS counts them.
const (
	Visible  State = iota + 1 // waiting to be received
	InFlight                  // received, and hidden until its visibility timeout ends
	Delayed                   // sent with a delay that has not passed
)

func (s State) String() string {
	switch s {
	case Visible:
		return "visible"
	case InFlight:
		return "in flight"
	case Delayed:
		return "delayed"
	}
	return "state " + strconv.Itoa(int(s))
}

// An ID names a message. Its text form is a UUID.
type ID = driver.ID

// ParseID reads the text form of an ID. Another text gives an error.
func ParseID(s string) (ID, error) { return driver.ParseID(s) }

// An Attribute is metadata that travels beside the body of a message, as SQS's
// message attributes do.
type Attribute = driver.Attribute

// StringAttribute returns an attribute of type String. An empty text is refused
// when it is sent, as by SQS.
func StringAttribute(text string) Attribute { return Attribute{Type: "String", Text: text} }

// NumberAttribute returns an attribute of type Number. The text is a decimal
// number from -1.79e308 to 1.79e308, with any number of digits; it is carried as it
// is written. Another text is refused when it is sent.
func NumberAttribute(text string) Attribute { return Attribute{Type: "Number", Text: text} }

// BinaryAttribute returns an attribute of type Binary. An empty value is
// refused when it is sent, as by SQS.
func BinaryAttribute(data []byte) Attribute { return Attribute{Type: "Binary", Data: data} }

// An Origin is what a dead letter tells of its past.
type Origin = driver.Origin

// An Outgoing is a message to send in a batch.
type Outgoing[T any] struct {
	Body T
	SendOptions
}

// SentAt returns when the message was sent. In a dead-letter queue that is
// still the first send, as on SQS standard queues. It is zero in a Message that
// does not come from a queue.
func (m Message[T]) SentAt() time.Time { return m.instant(m.sentAt) }

// FirstReceivedAt returns when the message was first received, or the zero Time
// if it never was.
func (m Message[T]) FirstReceivedAt() time.Time {
	if m.firstAt == never {
		return time.Time{}
	}
	return m.instant(m.firstAt)
}

// VisibleAt returns when this delivery's visibility timeout ends, as it was
// when the message was received: a later Extend does not show here. In a
// message from Peek it is when the message comes up, or when it did.
func (m Message[T]) VisibleAt() time.Time { return m.instant(m.comeAt) }

func (m Message[T]) instant(at int64) time.Time {
	if m.queue == nil {
		return time.Time{}
	}
	return m.queue.time(at)
}

// Group returns the message group that the sender named, or "".
func (m Message[T]) Group() string { return m.group }

// DedupID returns the deduplication id of a message of a FIFO queue: the one
// that the sender gave, or else the one computed from the body, or "". For a
// dead letter it is the text of its ID, as on SQS.
func (m Message[T]) DedupID() string {
	if m.more == nil {
		return ""
	}
	return m.more.dedup
}

// SequenceNumber returns the number of a message of a FIFO queue, or "". It is
// 20 digits; later messages have larger ones, in the order of texts too. A dead
// letter has a number of its dead-letter queue.
func (m Message[T]) SequenceNumber() string {
	switch q := m.queue; {
	case m.more != nil && m.more.sequence != "":
		return m.more.sequence
	case q == nil || !q.fifo:
		return ""
	case m.more.isDeadLetter():
		return fmt.Sprintf("%020d", m.more.number)
	}
	return fmt.Sprintf("%020d", numberIn(m.ID))
}

// TraceHeader returns the AWS X-Ray trace header that came with the message, or
// "".
func (m Message[T]) TraceHeader() string {
	if m.more == nil {
		return ""
	}
	return m.more.trace
}

// Attribute returns the attribute of that name, and whether there is one. It
// does not allocate; Data belongs to the queue and must not be changed.
func (m Message[T]) Attribute(name string) (Attribute, bool) {
	if m.more == nil {
		return Attribute{}, false
	}
	a, ok := m.more.attributes[name]
	return a, ok
}

// Attributes returns a copy of the message's attributes, or nil if it has none.
// The bytes of binary ones belong to the queue and must not be changed.
func (m Message[T]) Attributes() map[string]Attribute {
	if m.more == nil || len(m.more.attributes) == 0 {
		return nil
	}
	return maps.Clone(m.more.attributes)
}

// Origin returns where a dead letter came from and why, and whether the
// message is one.
func (m Message[T]) Origin() (Origin, bool) {
	if !m.more.isDeadLetter() {
		return Origin{}, false
	}
	return *m.more.origin, true
}

// Delete says that the work is done: the message is gone for good. See
// [Queue.Delete] for what a receipt that is not the newest gets.
func (m Message[T]) Delete(ctx context.Context) error {
	if m.queue == nil {
		return ErrReceiptInvalid
	}
	return m.queue.deleteOne(ctx, &m.Receipt)
}

// Extend hides the message for d from now, whatever was left before. d may be
// shorter than what was left; 0 is Release. See [Queue.ChangeVisibility].
func (m Message[T]) Extend(ctx context.Context, d time.Duration) error {
	if m.queue == nil {
		return ErrReceiptInvalid
	}
	return m.queue.settleOne(ctx, opChange, &m.Receipt, d)
}

// Release makes the message visible now, for others or the same receiver to
// receive. The delivery still counts in Receives. See [Queue.ChangeVisibility].
func (m Message[T]) Release(ctx context.Context) error {
	if m.queue == nil {
		return ErrReceiptInvalid
	}
	return m.queue.settleOne(ctx, opRelease, &m.Receipt, 0)
}

// Return gives back a message that nobody has worked on: it is visible now, as
// after Release, and this delivery does not count in Receives. A pool that stops
// returns what it holds. See [Queue.Return].
func (m Message[T]) Return(ctx context.Context) error {
	if m.queue == nil {
		return ErrReceiptInvalid
	}
	return m.queue.settleOne(ctx, opReturn, &m.Receipt, 0)
}

// DeadLetter moves the message to the queue's dead-letter queue now, however
// many deliveries it has had. The reason is for a person to read, and arrives in
// the Origin of the dead letter.
//
// Errors are those of ChangeVisibility, ErrNoDeadLetterQueue, and what the
// dead-letter queue answers, such as ErrClosed; the message is in flight as
// before then. On a backend it is hidden anew before the move, for what was left of
// its timeout when it was received, a minute at least; if it cannot be deleted then,
// it is in both queues, and the error says so.
func (m Message[T]) DeadLetter(ctx context.Context, reason string) error {
	if m.queue == nil {
		return ErrReceiptInvalid
	}
	return m.queue.deadLetter(ctx, &m, reason)
}

// checkAttributes holds attributes against SQS's rules of form. Its limits on
// how many and how long are the network service's, and do not apply.
func checkAttributes(attributes map[string]Attribute) error {
	for name, a := range attributes {
		field := "Attributes[" + strconv.Quote(name) + "]"
		lower := strings.ToLower(name)
		switch {
		case name == "" || !utf8.ValidString(name):
			return &InvalidError{field, name, "a name that is not empty, in UTF-8"}
		case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
			return &InvalidError{field, name, `a name that does not start with "AWS." or "Amazon."`}
		case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
			return &InvalidError{field, name, "a name without a period at either end or two in a row"}
		}
		base, _, _ := strings.Cut(a.Type, ".")
		switch base {
		case "String":
			if a.Text == "" {
				return &InvalidError{field + ".Text", a.Text, "a text that is not empty"}
			}
		case "Number":
			if !isDecimal(a.Text) {
				return &InvalidError{field + ".Text", a.Text, "a decimal number from -1.79e308 to 1.79e308"}
			}
		case "Binary":
			if len(a.Data) == 0 {
				return &InvalidError{field + ".Data", a.Data, "at least one byte"}
			}
		default:
			return &InvalidError{field + ".Type", a.Type, "String, Number or Binary, or one of them with a suffix behind a period"}
		}
		if base == "Binary" && a.Text != "" {
			return &InvalidError{field + ".Text", a.Text, "nothing, in a Binary attribute"}
		}
		if base != "Binary" && len(a.Data) > 0 {
			return &InvalidError{field + ".Data", a.Data, "nothing, in a String or Number attribute"}
		}
	}
	return nil
}

// isDecimal refuses what else ParseFloat reads: hexadecimal, Inf and NaN.
func isDecimal(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.Trim(s, "0123456789+-.eE") == ""
}

// attributesSize is what attributes count by SQS's rule: name, type and value.
func attributesSize(attributes map[string]Attribute) (size int64) {
	for name, a := range attributes {
		size += int64(len(name) + len(a.Type) + len(a.Text) + len(a.Data))
	}
	return size
}

// fill makes dst the latest delivery of the message in slot, whatever dst was. It
// needs the lock.
func (q *Queue[T]) fill(dst *Message[T], slot uint32, m *meta) {
	e := q.core.cell(slot)
	q.setID(&dst.ID, slot, m)
	dst.Body = e.body
	dst.Receives = int(q.receives(slot, m))
	r := &dst.Receipt
	r.issuer, r.seq, r.nth, r.slot, r.handle = &q.issuer, m.seq, uint32(m.receives), slot, unique.Handle[string]{}
	dst.State = InFlight
	dst.queue = q
	dst.more = e.more
	dst.group = ""
	if m.group != 0 {
		dst.group = q.core.groupName(m)
	}
	dst.sentAt, dst.firstAt, dst.comeAt = m.sentAt, m.firstAt, m.at
}

// show makes dst the message in slot as those see it who have not received it. It needs
// the lock.
func (q *Queue[T]) show(now int64, dst *Message[T], slot uint32, m *meta) {
	q.fill(dst, slot, m)
	dst.Receipt = Receipt{}
	switch {
	case m.state == visible || m.at <= now:
		dst.State = Visible
	case m.state == delayed:
		dst.State = Delayed
	}
}

// showReserved is show for a message in reserve.
func (q *Queue[T]) showReserved(n uint32) Message[T] {
	c := &q.core
	e := c.reserve.at(n)
	g := c.groups.at(e.group)
	m := Message[T]{State: Visible, queue: q, group: g.name, sentAt: e.sentAt, firstAt: never, comeAt: e.sentAt}
	m.Body, m.more = c.reserve.contents(n)
	if g.first() == n {
		m.comeAt = c.groups.turn(e.group).at
	}
	if m.more.isDeadLetter() {
		m.ID, m.Receives, m.firstAt = m.more.id, int(m.more.earlier), m.more.firstAt
	} else {
		q.putID(&m.ID, e.seq)
	}
	return m
}

// setID sets id to that of a message: the one that it brought along, or the
// queue's random half and its number here. (An array that is returned is written
// in two halves and then copied whole, which stalls.)
func (q *Queue[T]) setID(id *ID, slot uint32, m *meta) {
	if m.is(moved) {
		*id = q.core.cell(slot).more.id
		return
	}
	q.putID(id, m.seq)
}

func (q *Queue[T]) putID(id *ID, number uint64) {
	binary.BigEndian.PutUint64(id[:8], q.idBase)
	binary.BigEndian.PutUint64(id[8:], number|1<<63) // the variant bits of a UUID
}

// numberIn returns the number that putID has put in.
func numberIn(id ID) uint64 { return binary.BigEndian.Uint64(id[8:]) &^ (1 << 63) }

// receives counts all deliveries of a message, those by other queues too.
func (q *Queue[T]) receives(slot uint32, m *meta) int64 {
	if m.is(moved) {
		return m.counted() + q.core.cell(slot).more.earlier
	}
	return m.counted()
}

// size returns what a message counts in bytes.
func (q *Queue[T]) size(body T, more *details[T]) int64 {
	var n int64
	if f := q.sizer; f != nil {
		n = max(int64(f(body)), 0)
	} else if length, ok := lengthOf(&body); ok {
		n = int64(length)
	}
	if more != nil {
		n += min(attributesSize(more.attributes), math.MaxInt64-n)
	}
	return n
}
