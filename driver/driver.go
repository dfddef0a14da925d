// Package driver is the seam between a dabchick.Queue and what stores its
// messages. Programs use the dabchick package; this one is for those who put a
// backend under it: a database, a broker, a cloud service.
//
// A backend implements [Queue], a handful of methods in bytes and batches, and
// is judged by the suite in driver/drivertest. The shell above it validates,
// encodes, applies the dead-letter policy, calls hooks and offers iterators, so
// none of that is repeated here.
package driver

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// A Queue is one queue of a backend. Its methods may be called concurrently.
//
// A method that returns an error has done nothing, or, where a network hides
// the outcome, may have done all of it. Errors of one entry of a batch are
// returned in the entry's place, beside a nil error. Errors are, or wrap, the
// ones of this package where one of them says it; an error that is the
// context's own is returned as it is.
//
// A backend may be a FIFO queue: then messages of one group are delivered as
// dabchick.Options.FIFO says, an entry that repeats a deduplication id is answered
// with the id of the first one and stored no second time, and a delete after the
// visibility timeout is refused with ErrReceiptExpired. The suite has cases for
// that, too.
type Queue interface {
	// Send stores messages in the order given, so that each is deliverable
	// after its delay. It returns a result for each entry.
	// It keeps neither the slice nor anything in it after it has returned.
	Send(ctx context.Context, batch []Outgoing) ([]Sent, error)

	// Receive returns between one and r.Max messages, hidden from others for
	// r.Visibility, as soon as there is at least one. When there is none
	// within r.Wait it returns an empty slice and no error. It returns the
	// context's error when ctx ends first; then no message is hidden. ctx ends
	// also when the dabchick.Queue is paused or closed.
	//
	// It should wait for all of r.Wait, or for as long as the backend can, and is
	// asked again for what is left. If it comes back empty in less than 25 ms, and
	// that was too early, it is asked again only when these have passed, or the wait
	// is over: so a message may be late by as much, and a driver that never waits is
	// asked 40 times a second for each receive.
	Receive(ctx context.Context, r Receive) ([]Message, error)

	// Delete removes the messages that handles name, for good. The result has
	// an entry for each handle: nil also if the message is gone already, or, on
	// a standard queue, came up again and nobody has received it since. A handle that a later
	// receive superseded gives ErrReceiptSuperseded, and the message stays.
	Delete(ctx context.Context, handles []string) ([]error, error)

	// ChangeVisibility hides messages that are in flight for a new time that
	// starts now, or makes them visible if it is 0. The result has an entry
	// for each change: ErrReceiptExpired, ErrReceiptSuperseded,
	// ErrReceiptInvalid or ErrMessageGone if the message is not in the
	// handle's hands any more, and then nothing has changed.
	ChangeVisibility(ctx context.Context, changes []Change) ([]error, error)

	// Purge removes all messages, in flight and delayed ones too.
	Purge(ctx context.Context) error

	// Stats counts the messages.
	Stats(ctx context.Context) (Stats, error)

	// Close releases what the backend holds. Receives under way, and later
	// calls, return ErrClosed. A second Close does nothing.
	Close() error

	// Features says what the backend cannot do, or does in a weaker way, with
	// the reason for each. An empty map claims everything.
	Features() map[Feature]string
}

// An Outgoing is a message to send.
type Outgoing struct {
	Body       []byte
	Delay      time.Duration // from the send until it is deliverable; at least 0
	Group      string        // empty for none
	DedupID    string        // deduplication id of a FIFO backend; empty for none
	Attributes map[string]Attribute
	Trace      string  // X-Ray trace header; empty for none
	Origin     *Origin // set on a dead letter only
}

// Sent is the outcome of sending one message.
type Sent struct {
	ID  ID
	Err error
}

// A Receive says what to receive.
type Receive struct {
	Max        int           // at least 1
	Wait       time.Duration // how long to wait for the first message; 0 for not at all
	Visibility time.Duration // how long the messages are hidden; 0 for not at all
	Attempt    string        // receive attempt id of a FIFO backend; empty for none
}

// A Message is a delivery.
type Message struct {
	ID              ID
	Handle          string // names this delivery; not empty
	Body            []byte // belongs to the receiver
	Receives        int    // deliveries so far, this one included
	SentAt          time.Time
	FirstReceivedAt time.Time
	VisibleAt       time.Time // end of the visibility timeout
	Group           string
	DedupID         string // of a FIFO backend
	Sequence        string // number in decimal digits, of a FIFO backend
	Attributes      map[string]Attribute
	Trace           string
	Origin          *Origin
}

// A Change is a new visibility timeout for one delivery.
type Change struct {
	Handle  string
	Timeout time.Duration // from now; 0 makes the message visible
}

// Stats counts messages by state.
type Stats struct {
	Visible, InFlight, Delayed int
}

// An ID names a message for as long as it lives. It has the form of a UUID. A
// backend whose own ids are of another form derives these from them.
type ID [16]byte

// String returns the id as UUID text.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return string(b[:])
}

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("driver: message id %q is not a UUID", clip(s))
	}
	digits := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, fmt.Errorf("driver: message id %q is not a UUID", clip(s))
	}
	return id, nil
}

// clip keeps a text from outside short enough for an error message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

// MarshalText and UnmarshalText make an ID a UUID in JSON and the like.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// An Attribute is metadata that travels beside the body of a message.
type Attribute struct {
	// Type is String, Number or Binary, with any suffix behind a period:
	// Number.float, say. The suffix is carried and not interpreted.
	Type string
	// Text is the value of a String or Number.
	Text string
	// Data is the value of a Binary.
	Data []byte
}

// An Origin is what a dead letter tells of its past.
type Origin struct {
	ID       ID        // of the message in that queue
	Queue    string    // name of the queue that gave up on it
	Reason   string    // why
	Receives int       // deliveries before it was moved
	SentAt   time.Time // first send
	MovedAt  time.Time
}

// A Feature is something that the suite asks of a backend unless it is declared
// absent.
type Feature string

// The features that a backend may lack.
const (
	// ArrivalOrder: messages are delivered in the order in which they became
	// visible.
	ArrivalOrder Feature = "arrival order"
	// ExactDeadlines: a message comes up at its deadline and wakes a waiting
	// receive for it, not a moment earlier or later.
	ExactDeadlines Feature = "exact deadlines"
	// ExactStats: Stats is exact at once after a call has returned.
	ExactStats Feature = "exact stats"
	// MessageDelay: each message can have a delay of its own.
	MessageDelay Feature = "message delay"
	// StaleReceipts: a superseded handle is told apart from a good one.
	StaleReceipts Feature = "stale receipts"
	// ExpiredReceipts: a change of visibility by a handle whose timeout has
	// passed is refused with ErrReceiptExpired.
	ExpiredReceipts Feature = "expired receipts"
	// ForgedReceipts: a handle that the queue never gave out is refused with
	// ErrReceiptInvalid.
	ForgedReceipts Feature = "forged receipts"
	// Metadata: group, trace header and attributes come back as sent.
	Metadata Feature = "metadata"
	// Origins: a dead letter keeps its Origin.
	Origins Feature = "origins"
	// Purging: Purge works at once.
	Purging Feature = "purging"
	// NoTimeout: a receive with a visibility of 0 leaves the message visible.
	NoTimeout Feature = "no timeout"
)

// The errors that backends and the built-in engine share. They are matched
// with errors.Is.
var (
	// ErrClosed: the queue is closed.
	ErrClosed = errors.New("queue closed")
	// ErrReceiptExpired: the visibility timeout of the delivery has passed.
	ErrReceiptExpired = errors.New("receipt expired")
	// ErrReceiptSuperseded: the message was received again since.
	ErrReceiptSuperseded = errors.New("receipt superseded by a later receive")
	// ErrReceiptInvalid: the queue never gave out such a receipt.
	ErrReceiptInvalid = errors.New("receipt invalid")
	// ErrMessageGone: the message was deleted, moved or purged, or it expired.
	ErrMessageGone = errors.New("message gone")
)
