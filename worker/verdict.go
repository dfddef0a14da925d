package worker

import (
	"context"
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
// lost it at the last moment: then the queue refuses. What is to be deleted goes
// in one call.
func (p *Pool[T]) settle(l *lease[T], verdict error, took time.Duration) {
	took /= time.Duration(len(l.messages))
	done := l.receipts[:0]
	for i := range l.messages {
		if _, ok := deletes(on(i, verdict)); ok {
			done = append(done, l.messages[i].Receipt)
		}
	}
	var deleted error
	if len(done) > 0 {
		deleted = p.queue.Delete(p.base, done...) // the work is done, whoever ends meanwhile
	}
	n := 0
	for i := range l.messages {
		m, err := &l.messages[i], on(i, verdict)
		var failed error
		outcome, ok := deletes(err)
		if ok {
			failed = failureOf(deleted, n)
			n++
		} else {
			outcome, failed = p.keep(m, err)
		}
		p.tell(m, err)
		if failed != nil {
			// The message is somebody else's, or comes up by itself.
			p.log.Error("verdict not carried out", "message", m.ID, "error", failed)
			outcome = Lost
		}
		l.count(outcome, err, took)
		p.report(m, Event{Kind: Ended, Outcome: outcome, Err: err, Took: took})
	}
	clear(l.messages) // what they hold is not the worker's any more
}

// deletes says whether a verdict is that a message shall be deleted.
func deletes(err error) (Outcome, bool) {
	if err == nil {
		return Handled, true
	}
	v, told := errors.AsType[*verdict](err)
	return Discarded, told && v.kind == discard
}

// keep carries out a verdict that is not to delete the message. It returns what
// has become of it, and an error if it was not possible.
func (p *Pool[T]) keep(m *dabchick.Message[T], err error) (Outcome, error) {
	v, told := errors.AsType[*verdict](err)
	switch {
	case told && v.kind == retryAfter:
		return Retried, p.queue.ChangeVisibility(p.base, v.after, m.Receipt)
	case told: // dead letter
		refused := m.DeadLetter(p.base, err.Error())
		if refused == nil || gone(refused) {
			return DeadLettered, refused
		}
		p.log.Error("dead letter refused", "message", m.ID, "error", refused)
	case p.stop.Err() != nil && !hasPanicked(err):
		return Returned, p.queue.Return(p.base, m.Receipt)
	}
	return Retried, p.queue.ChangeVisibility(p.base, max(p.o.Backoff(m.Receives), 0), m.Receipt)
}

// undecoded deals with a message whose body cannot be decoded, as with one whose handler
// failed, and says whether that is what a receive has returned.
func (p *Pool[T]) undecoded(l *lease[T], received error) bool {
	e, ok := errors.AsType[*dabchick.DecodeError](received)
	if !ok {
		return false
	}
	p.log.Warn("message not decoded", "message", e.ID, "receives", e.Receives, "error", e.Err)
	outcome := Retried
	if err := p.queue.ChangeVisibility(p.base, max(p.o.Backoff(e.Receives), 0), e.Receipt); err != nil {
		p.log.Error("verdict not carried out", "message", e.ID, "error", err)
		outcome = Lost
	}
	l.count(outcome, errNotDecoded, 0) // of e, what the codec said is not safe to look at
	p.emit(Event{Kind: Ended, Message: e.ID, Group: e.Group, Receives: e.Receives, Outcome: outcome, Err: e})
	return true
}

// errNotDecoded is what Stats count.
var errNotDecoded = errors.New("worker: not decoded")

// failureOf returns what a call with several receipts says about the n-th.
func failureOf(err error, n int) error {
	batch, ok := errors.AsType[*dabchick.BatchError](err)
	if !ok {
		return err
	}
	for _, f := range batch.Failed {
		if f.Index == n {
			return f.Err
		}
	}
	return nil
}

// giveBack returns messages that were not finished. If that fails, they come up
// when their timeouts end.
func (p *Pool[T]) giveBack(ctx context.Context, ms []dabchick.Message[T]) {
	receipts := make([]dabchick.Receipt, len(ms))
	for i := range ms {
		receipts[i] = ms[i].Receipt
	}
	if err := p.queue.Return(ctx, receipts...); err != nil {
		p.log.Error("message not given back", "message", ms[0].ID, "messages", len(ms), "error", err)
	}
}

// gone says whether a settling failed because the message is not held any more.
func gone(err error) bool {
	return errors.Is(err, dabchick.ErrReceiptExpired) || errors.Is(err, dabchick.ErrReceiptSuperseded) ||
		errors.Is(err, dabchick.ErrReceiptInvalid) || errors.Is(err, dabchick.ErrMessageGone)
}

// tell logs a failure.
func (p *Pool[T]) tell(m *dabchick.Message[T], err error) {
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
