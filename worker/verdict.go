package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A verdict is an error that says what becomes of the message.
type verdict struct {
	kind  verdictKind
	after time.Duration
	err   error
}

type verdictKind uint8

const (
	retryAfter verdictKind = iota
	discard
	deadLetter
)

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// RetryAfter says that a message shall come up again after d: a service that
// has told when to ask again, say. d is at least 0. err, which may be nil, is
// the reason.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = fmt.Errorf("worker: retry after %v", d)
	}
	return &verdict{retryAfter, max(d, 0), err}
}

// Discard says that a message shall be deleted though the work was not done:
// nobody needs it any more. err, which may be nil, is the reason.
func Discard(err error) error {
	if err == nil {
		err = errors.New("worker: discarded")
	}
	return &verdict{kind: discard, err: err}
}

// DeadLetter says that a message shall go to the dead-letter queue now, with the
// text of err, which may be nil, as the reason: another attempt would fail too.
// If there is no such queue, or it does not take the message, the message is
// retried.
func DeadLetter(err error) error {
	if err == nil {
		err = errors.New("worker: dead-lettered")
	}
	return &verdict{kind: deadLetter, err: err}
}

// A PanicError is what a handler panicked with.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("worker: the handler panicked: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// settle carries out the verdict of a handler that held its lease to the end, or
// lost it at the last moment: then the queue refuses. It says what has become of
// the message.
func (p *Pool[T]) settle(m dabchick.Message[T], err error) outcome {
	ctx := p.base // the work is done or not, whoever ends meanwhile
	var outcome outcome
	var failed error
	v, told := errors.AsType[*verdict](err)
	switch {
	case err == nil:
		outcome, failed = handled, p.queue.Delete(ctx, m.Receipt)
	case told && v.kind == discard:
		outcome, failed = discarded, p.queue.Delete(ctx, m.Receipt)
	case told && v.kind == deadLetter:
		outcome, failed = deadLettered, m.DeadLetter(ctx, err.Error())
		if failed != nil && !gone(failed) {
			p.log.Error("dead letter refused", "message", m.ID, "error", failed)
			outcome, failed = retried, p.queue.ChangeVisibility(ctx, p.o.Backoff(m.Receives), m.Receipt)
		}
	case told:
		outcome, failed = retried, p.queue.ChangeVisibility(ctx, v.after, m.Receipt)
	case p.stop.Err() != nil && !hasPanicked(err):
		outcome, failed = returned, p.queue.Return(ctx, m.Receipt)
	default:
		outcome, failed = retried, p.queue.ChangeVisibility(ctx, p.o.Backoff(m.Receives), m.Receipt)
	}
	p.tell(m, err)
	if failed != nil {
		// The message is somebody else's, or comes up by itself.
		p.log.Error("verdict not carried out", "message", m.ID, "error", failed)
		return lost
	}
	return outcome
}

// giveBack returns a message that was not finished. If that fails, it comes up
// when its timeout ends.
func (p *Pool[T]) giveBack(m dabchick.Message[T]) {
	if err := p.queue.Return(p.base, m.Receipt); err != nil {
		p.log.Error("message not given back", "message", m.ID, "error", err)
	}
}

// gone says whether a settling failed because the message is not held any more.
func gone(err error) bool {
	return errors.Is(err, dabchick.ErrReceiptExpired) || errors.Is(err, dabchick.ErrReceiptSuperseded) ||
		errors.Is(err, dabchick.ErrReceiptInvalid) || errors.Is(err, dabchick.ErrMessageGone)
}

// tell logs a failure.
func (p *Pool[T]) tell(m dabchick.Message[T], err error) {
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*PanicError](err); ok {
		p.log.Error("handler panicked", "message", m.ID, "receives", m.Receives,
			"panic", e.Value, "stack", string(e.Stack))
		return
	}
	p.log.Warn("handler failed", "message", m.ID, "receives", m.Receives, "error", err)
}

func hasPanicked(err error) bool {
	_, ok := errors.AsType[*PanicError](err)
	return ok
}
