package dabchick

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dabchickmq/dabchick/driver"
)

// Errors that a call returns for the state that it met. They come wrapped with
// the operation and the name of the queue: match them with errors.Is.
// The error of a context that ended comes back as it is.
var (
	// ErrClosed: the queue is closed, or was closed while the call waited.
	ErrClosed = driver.ErrClosed
	// ErrFull: MaxMessages or MaxBytes is reached, and the queue's options
	// have FailFast.
	ErrFull = errors.New("queue full")
	// ErrInFlightLimit: MaxInFlight is reached, and the queue's options have
	// FailFast.
	ErrInFlightLimit = errors.New("too many messages in flight")
	// ErrNoDeadLetterQueue: there is no dead-letter queue to move to.
	ErrNoDeadLetterQueue = errors.New("no dead-letter queue")
	// ErrNoOrigin: the message to redrive did not come from another queue, or
	// that queue is not known, and no destination is given.
	ErrNoOrigin = errors.New("queue of origin not known")
)

// Errors of a settling call, of what its receipt is worth. In each case the
// message, if it is still there, is as it was.
var (
	// ErrReceiptExpired: the visibility timeout has passed, or the message was
	// released, and nobody has received it since. It can still be deleted, but
	// not extended or released: it is visible already.
	ErrReceiptExpired = driver.ErrReceiptExpired
	// ErrReceiptSuperseded: the message was received again since; it is in the
	// hands of a later receipt.
	ErrReceiptSuperseded = driver.ErrReceiptSuperseded
	// ErrReceiptInvalid: this queue never gave out such a receipt. It is forged
	// or damaged, belongs to another queue, or is the zero Receipt.
	ErrReceiptInvalid = driver.ErrReceiptInvalid
	// ErrMessageGone: the message was deleted, dead-lettered, redriven or
	// purged, or its retention has passed. Deleting it once more is no error.
	ErrMessageGone = driver.ErrMessageGone
)

// An InvalidError says that a value given to a call or in an option is out of
// range. Find it with errors.As.
type InvalidError struct {
	Field   string // name of the option, field or parameter
	Value   any    // what was given
	Allowed string // what would have been accepted, in words
}

func (e *InvalidError) Error() string {
	v := fmt.Sprintf("%v", e.Value)
	if s, ok := e.Value.(string); ok {
		v = fmt.Sprintf("%q", s)
	}
	if len(v) > 100 {
		v = strings.ToValidUTF8(v[:100], "") + "..."
	}
	return fmt.Sprintf("%s is %s, allowed: %s", e.Field, v, e.Allowed)
}

// A DecodeError is a message on a backend whose body the codec cannot decode. Find it with
// errors.As: in an error of Receive, ReceiveBatch and ReceiveInto; in that of Messages, which
// ends with it; and in that of Redrive, which stops there. TryReceive takes it for "none". It
// says nothing about the queue, so go on receiving.
//
// One error is about one message. Those that can be decoded are returned without an error;
// what came beside them, and cannot, is told by the next receives, one each, at once. By then
// the delivery may be over, as the receipt tells who uses it.
//
// The message is in flight: hidden until its visibility timeout ends, which
// ChangeVisibility may change; on a FIFO backend it holds back its group, but for those of
// the same receive. Then it comes up and is received again, as long as it is there:
// Options.MaxReceives does not end that, since a dead-letter queue of T's could not hold it,
// but Delete does, and a redrive policy that the backend has of its own.
type DecodeError struct {
	ID       ID
	Group    string  // message group, or ""
	Receives int     // deliveries so far, this one included
	Receipt  Receipt // of this delivery: for Delete and ChangeVisibility. Redrive has released it
	Body     []byte  // as the codec left it; a copy, which is the caller's
	Err      error   // what the codec said
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode body of message %v: %v", e.ID, e.Err)
}

// Unwrap returns what the codec said.
func (e *DecodeError) Unwrap() error { return e.Err }

// A BatchError lists the entries of a batch that failed. All others were
// carried out. Find it with errors.As; errors.Is looks into every entry.
type BatchError struct {
	Failed []EntryError // in order of Index
}

// An EntryError is the failure of one entry of a batch.
type EntryError struct {
	Index int // of the entry in the call
	Err   error
}

func (e *BatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d failed", len(e.Failed))
	for i, f := range e.Failed {
		if i == 3 {
			b.WriteString("; ...")
			break
		}
		fmt.Fprintf(&b, "; entry %d: %v", f.Index, f.Err)
	}
	return b.String()
}

// Unwrap returns the errors of all entries.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}

// add records a failure. It works on a nil *BatchError, as append does.
func (e *BatchError) add(index int, err error) *BatchError {
	if err == nil {
		return e
	}
	if e == nil {
		e = &BatchError{}
	}
	e.Failed = append(e.Failed, EntryError{index, err})
	return e
}

// first returns the first failure recorded, if there is one.
func (e *BatchError) first() error {
	if e == nil {
		return nil
	}
	return e.Failed[0].Err
}

// An opError puts the operation and the queue before an error.
type opError struct {
	op, queue string
	err       error
}

func (e *opError) Error() string { return fmt.Sprintf("dabchick: %s %q: %v", e.op, e.queue, e.err) }
func (e *opError) Unwrap() error { return e.err }

// fail puts the operation and the queue before an error. The error of a
// context stays bare.
func (q *Queue[T]) fail(op string, err error) error {
	if err == nil || err == context.Canceled || err == context.DeadlineExceeded {
		return err
	}
	return &opError{op, q.name, err}
}

func (q *Queue[T]) failBatch(op string, err *BatchError) error {
	if err == nil {
		return nil
	}
	slices.SortFunc(err.Failed, func(a, b EntryError) int { return a.Index - b.Index })
	return q.fail(op, err)
}
