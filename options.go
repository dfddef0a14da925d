package dabchick

import (
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dabchickmq/dabchick/driver"
)

// Durations with a meaning of their own, for options in which 0 stands for the
// default.
const (
	// Immediately is a real zero: a visibility timeout, a delay or a wait of
	// no time at all.
	Immediately time.Duration = -1
	// Forever never passes.
	Forever time.Duration = math.MaxInt64
)

// The defaults of SQS.
const (
	DefaultVisibilityTimeout = 30 * time.Second
	DefaultRetention         = 4 * 24 * time.Hour
)

// Options are the settings of a queue. The zero Options are SQS's defaults.
// They are a plain value: read them with [Queue.Options], change what you like,
// and give them back to [Queue.SetOptions].
//
// SQS's limits on time, size and number are those of a network service. They
// do not apply here: durations go from a nanosecond to Forever. What is below 0 is
// out of range, but for Immediately as a visibility timeout, a delay or a wait.
type Options[T any] struct {
	// VisibilityTimeout is how long a received message is hidden from others
	// unless the receive says otherwise. 0 means 30 s; Immediately leaves it
	// visible.
	VisibilityTimeout time.Duration

	// Delay is how long a message is hidden after it was sent, unless the send
	// says otherwise. 0, the default, means not at all. A change applies to
	// later sends, as on SQS standard queues.
	Delay time.Duration

	// Retention is how long a message is kept, counted from its send and in
	// whatever state, in flight too. 0 means 4 days; Forever keeps it until it
	// is deleted. A change applies to the messages that are there.
	Retention time.Duration

	// ReceiveWait is how long ReceiveBatch waits for a first message, unless
	// the call says otherwise. 0, the default, means not at all; Forever waits
	// until the call's context ends. (Receive always waits that long, and
	// TryReceive never waits.)
	ReceiveWait time.Duration

	// DeadLetter is the queue for messages that were received MaxReceives
	// times from this queue and not deleted. They are moved when a receive
	// comes upon them once more, as on SQS. It must be another queue, and may
	// serve many. nil, the default, keeps them here for ever new attempts.
	// A dead letter is taken whatever limits its queue has. While that queue
	// is closed or fails, messages stay and go on being delivered. So do those
	// of a backend that cannot be decoded: see DecodeError.
	DeadLetter *Queue[T]
	// MaxReceives is how many deliveries a message gets before it is moved to
	// DeadLetter: at least 1 with DeadLetter, 0 without.
	MaxReceives int

	// MaxMessages bounds the number of messages in the queue, in whatever
	// state. When it is reached, senders wait in order of arrival until there
	// is room or their context ends. 0, the default, means no bound.
	MaxMessages int

	// MaxBytes bounds the sum of the sizes of messages in the same way. The
	// size of a message is that of its body (see Size) and its attributes. 0,
	// the default, means no bound.
	MaxBytes int64

	// MaxInFlight bounds the number of messages in flight. When it is reached,
	// receivers wait in order of arrival until one is settled or comes up. One
	// that its receiver moves to the dead-letter queue counts until the move has
	// ended. 0, the default, means no bound. (SQS has about 120,000.)
	MaxInFlight int

	// MaxInFlightPerGroup bounds the number of messages of one group in flight, on
	// a standard queue: how many consumers work for one tenant at a time. When a
	// group has reached it, its other messages are passed over, and those of
	// other groups are delivered meanwhile. 0, the default, means no bound. Other
	// than MaxInFlight it lets no receive fail, and messages without a group do
	// not count. (SQS has nothing like it.)
	MaxInFlightPerGroup int

	// FailFast makes calls that meet one of the first three bounds fail at once with
	// ErrFull or ErrInFlightLimit, rather than wait. A receive that waits for a message
	// when MaxInFlight is reached goes on waiting.
	FailFast bool

	// FIFO makes the queue a FIFO queue: each message names a group, and those
	// of a group are delivered in the order in which they were sent. A message
	// is deliverable when it is visible and no earlier message of its group is
	// in flight or delayed; messages of one receive do not hold each other
	// back. Groups do not either: they take turns, in the order in which they
	// have something deliverable. DeadLetter must be a FIFO queue then; a
	// message that is moved there keeps its group and lets the next one of the
	// group follow. It cannot be changed later.
	FIFO bool

	// DedupKey gives messages of a FIFO queue, or of a FIFO backend, a
	// deduplication id if their sender does not: ContentKey, say, for bytes and
	// texts. It is called by the sender, before the message is stored; "" is no
	// id. nil, the default, leaves such messages without. It cannot be changed
	// later.
	DedupKey func(T) string
	// DedupWindow is how long a deduplication id is remembered, from the send
	// that it came with, whatever becomes of the message. 0 means 5 minutes. A
	// change applies to ids that are remembered.
	DedupWindow time.Duration
	// DedupScope says whether an id is good for the queue or for each group
	// by itself. A change applies to later sends.
	DedupScope DedupScope
	// MessageDelays allows messages of a FIFO queue a Delay of their own, which
	// SQS does not. Order is that of sending: a delayed message holds back the
	// later ones of its group, however short their delays.
	MessageDelays bool

	// Fairness says when a group of a standard queue is noisy, so that those of
	// others go first.
	Fairness Fairness

	// Size returns the size of a body in bytes, at least 0, for MaxBytes and
	// Stats.Bytes. It is called by the sender, before the message is stored.
	// nil means the length if T is []byte or string, and 0 otherwise; MaxBytes
	// needs it then. It cannot be changed later.
	Size func(T) int

	// OnEvent, if not nil, is called for everything that happens to a message.
	// See [Event] for when and in which order.
	OnEvent func(Event[T])

	// Driver stores the messages in a backend rather than in the process. nil,
	// the default, is the built-in engine. The queue owns the driver and closes
	// it. A backend sets its own Retention, MaxMessages, MaxBytes, MaxInFlight,
	// MaxInFlightPerGroup, Fairness, and whether it is FIFO, so these must be zero with it. It cannot
	// be changed later.
	Driver driver.Queue

	// Codec turns bodies into bytes and back for a Driver. nil means the bytes
	// themselves if T is []byte or string, and JSON otherwise. It cannot be
	// changed later.
	Codec Codec[T]
}

// A Codec turns bodies into bytes and back, where they leave the process. Its
// methods may be called concurrently.
type Codec[T any] interface {
	// Encode returns the bytes of a body. They may share memory with it.
	Encode(T) ([]byte, error)
	// Decode returns the body. It may keep the bytes. Its error is told by a receive,
	// as a *DecodeError; the message comes up again, and is not dead-lettered, whatever
	// MaxReceives is. A panic goes to the receive; all messages that it had come up
	// again when their timeouts end.
	Decode([]byte) (T, error)
}

// SendOptions are the settings of one message.
type SendOptions struct {
	// Delay hides the message for so long after it was sent. 0 means the
	// queue's Delay; Immediately means not at all. On a FIFO queue it must be 0
	// unless the queue's options have MessageDelays.
	Delay time.Duration
	// Group names the message group: on a FIFO queue, whose messages all have
	// one, what is kept in order; on a standard queue a tenant, who should not
	// crowd out others. See Options.FIFO and Options.Fairness. It is UTF-8 of any
	// length; "" means none.
	Group string
	// DedupID names what is sent, on a FIFO queue: a second send with the same
	// id stores nothing while the first is remembered. It is UTF-8 of any length; ""
	// leaves it to the queue's DedupKey. A standard queue refuses any other.
	DedupID string
	// Attributes travel beside the body. The map is copied; the bytes of
	// binary values are not, and must not be changed any more. Names and values
	// have the form that SQS asks for: no name is empty, starts with "AWS." or
	// "Amazon.", or has a period at an end or two in a row, and no value is empty.
	Attributes map[string]Attribute
	// TraceHeader is an AWS X-Ray trace header, which travels beside the body
	// and does not count as an attribute.
	TraceHeader string
}

// ReceiveOptions are the settings of one receive.
type ReceiveOptions struct {
	// Max is the most messages to return. 0 means 1, as on SQS.
	Max int
	// Wait is how long to wait for the first message. 0 means the queue's
	// ReceiveWait; Immediately means not at all, Forever until the context
	// ends. There is no waiting for more messages once there is one.
	Wait time.Duration
	// Visibility is the visibility timeout of the messages received. 0 means
	// the queue's VisibilityTimeout; Immediately leaves them visible.
	Visibility time.Duration
	// AttemptID names this receive, on a FIFO queue, so that it can be repeated
	// if its answer was lost: a receive with the same id, within 5 minutes and
	// while the messages are in flight and nothing was done to them, returns
	// the same messages with the same receipts, hidden anew, and counts as the
	// same delivery. Else it is a receive like any other. "" means none; a standard
	// queue refuses any other.
	AttemptID string
}

// settled returns the options with defaults filled in, or an *InvalidError.
func (o Options[T]) settled() (Options[T], error) {
	if err := firstError(
		checkDuration("VisibilityTimeout", o.VisibilityTimeout, true),
		checkDuration("Delay", o.Delay, true),
		checkDuration("Retention", o.Retention, false),
		checkDuration("ReceiveWait", o.ReceiveWait, true),
		checkCount("MaxMessages", int64(o.MaxMessages)),
		checkCount("MaxBytes", o.MaxBytes),
		checkCount("MaxInFlight", int64(o.MaxInFlight)),
		checkCount("MaxInFlightPerGroup", int64(o.MaxInFlightPerGroup)),
		o.checkFIFO(),
		o.checkDeadLetter(),
		o.checkDriver(),
	); err != nil {
		return o, err
	}
	if o.VisibilityTimeout == 0 {
		o.VisibilityTimeout = DefaultVisibilityTimeout
	}
	if o.Delay == Immediately {
		o.Delay = 0
	}
	if o.Retention == 0 && o.Driver == nil {
		o.Retention = DefaultRetention
	}
	if o.ReceiveWait == Immediately {
		o.ReceiveWait = 0
	}
	if _, ok := lengthOf(new(T)); ok && o.Size == nil {
		o.Size = func(body T) int { n, _ := lengthOf(&body); return n }
	}
	if o.Size == nil && o.MaxBytes > 0 {
		return o, &InvalidError{"MaxBytes", o.MaxBytes, "0 unless T is []byte or string, or Size is set"}
	}
	if o.FIFO && o.DedupWindow == 0 {
		o.DedupWindow = DefaultDedupWindow
	}
	if o.Driver == nil && !o.FIFO {
		fair, err := o.Fairness.settled()
		if err != nil {
			return o, err
		}
		o.Fairness = fair
	}
	if o.Driver != nil && o.Codec == nil {
		o.Codec = defaultCodec[T]()
	}
	return o, nil
}

func (o Options[T]) checkFIFO() error {
	const allowed = "unset, unless the queue is FIFO"
	switch {
	case o.DedupScope > DedupGroup:
		return &InvalidError{"DedupScope", o.DedupScope, "DedupQueue or DedupGroup"}
	case o.FIFO && o.MaxInFlightPerGroup > 0:
		return &InvalidError{"MaxInFlightPerGroup", o.MaxInFlightPerGroup, "0 on a FIFO queue, whose groups are delivered one at a time"}
	case o.FIFO && o.Fairness != (Fairness{}):
		return &InvalidError{"Fairness", o.Fairness, "unset on a FIFO queue"}
	case o.FIFO:
		return checkDuration("DedupWindow", o.DedupWindow, false)
	case o.DedupKey != nil && o.Driver == nil:
		return &InvalidError{"DedupKey", "a function", allowed}
	case o.DedupWindow != 0:
		return &InvalidError{"DedupWindow", o.DedupWindow, allowed}
	case o.DedupScope != DedupQueue:
		return &InvalidError{"DedupScope", o.DedupScope, allowed}
	case o.MessageDelays:
		return &InvalidError{"MessageDelays", o.MessageDelays, allowed}
	}
	return nil
}

func (o Options[T]) checkDeadLetter() error {
	switch {
	case o.MaxReceives < 0 || o.MaxReceives == 0 && o.DeadLetter != nil:
		return &InvalidError{"MaxReceives", o.MaxReceives, "at least 1 with DeadLetter"}
	case o.MaxReceives > 0 && o.DeadLetter == nil:
		return &InvalidError{"MaxReceives", o.MaxReceives, "0 without DeadLetter"}
	}
	return nil
}

func (o Options[T]) checkDriver() error {
	const allowed = "0 with Driver: the backend sets it"
	switch {
	case o.Driver == nil && o.Codec != nil:
		return &InvalidError{"Codec", o.Codec, "nil without Driver: bodies stay in the process as they are"}
	case o.Driver == nil:
		return nil
	case o.Retention != 0:
		return &InvalidError{"Retention", o.Retention, allowed}
	case o.MaxMessages != 0:
		return &InvalidError{"MaxMessages", o.MaxMessages, allowed}
	case o.MaxBytes != 0:
		return &InvalidError{"MaxBytes", o.MaxBytes, allowed}
	case o.MaxInFlight != 0:
		return &InvalidError{"MaxInFlight", o.MaxInFlight, allowed}
	case o.MaxInFlightPerGroup != 0:
		return &InvalidError{"MaxInFlightPerGroup", o.MaxInFlightPerGroup, allowed}
	case o.FIFO:
		return &InvalidError{"FIFO", o.FIFO, "false with Driver: the backend sets it"}
	case o.Fairness != (Fairness{}):
		return &InvalidError{"Fairness", o.Fairness, "unset with Driver: the backend sets it"}
	}
	return nil
}

func (o *SendOptions) isZero() bool {
	return o.Delay == 0 && o.Group == "" && o.DedupID == "" && len(o.Attributes) == 0 && o.TraceHeader == ""
}

func (o SendOptions) check() error {
	if err := checkDuration("Delay", o.Delay, true); err != nil {
		return err
	}
	if err := checkText("Group", o.Group); err != nil {
		return err
	}
	if err := checkText("DedupID", o.DedupID); err != nil {
		return err
	}
	return checkAttributes(o.Attributes)
}

func checkText(field, text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	return &InvalidError{field, text, "UTF-8"}
}

func (o ReceiveOptions) check() error {
	if o.Max < 0 {
		return &InvalidError{"Max", o.Max, "at least 1, or 0 for 1"}
	}
	return firstError(
		checkDuration("Wait", o.Wait, true),
		checkDuration("Visibility", o.Visibility, true),
	)
}

func checkDuration(field string, d time.Duration, immediately bool) error {
	switch {
	case d >= 0, d == Immediately && immediately:
		return nil
	case immediately:
		return &InvalidError{field, d, "0 or more, or Immediately"}
	}
	return &InvalidError{field, d, "0 or more"}
}

func checkCount(field string, n int64) error {
	if n < 0 {
		return &InvalidError{field, n, "0 or more"}
	}
	return nil
}

// checkName holds the name of a queue against what can be printed in one line
// of a log. SQS's own rules, which are narrower, are for the wire.
func checkName(name string) error {
	const allowed = "1 to 255 bytes of UTF-8 without control characters"
	if name == "" || len(name) > 255 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return &InvalidError{"name", name, allowed}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// lengthOf returns the length of a []byte or a string, and whether it is one. A type with
// one of them under it, but of its own name, is neither.
func lengthOf[T any](body *T) (n int, ok bool) {
	switch b := any(body).(type) {
	case *[]byte:
		return len(*b), true
	case *string:
		return len(*b), true
	}
	return 0, false
}

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Encode(v T) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec[T]) Decode(b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}

type bytesCodec struct{}

func (bytesCodec) Encode(b []byte) ([]byte, error) { return b, nil }
func (bytesCodec) Decode(b []byte) ([]byte, error) { return b, nil }

type stringCodec struct{}

func (stringCodec) Encode(s string) ([]byte, error) { return []byte(s), nil }
func (stringCodec) Decode(b []byte) (string, error) { return string(b), nil }

func defaultCodec[T any]() Codec[T] {
	for _, c := range []any{bytesCodec{}, stringCodec{}} {
		if c, ok := c.(Codec[T]); ok {
			return c
		}
	}
	return jsonCodec[T]{}
}
