package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A BatchHandler works on several messages at once: rows for one insert, say. There
// are from 1 to Options.BatchSize of them, in the order of their receive; the slice
// is the handler's own. What it returns is the verdict on all of them, as that of a
// [Handler] is on one, or, if it is an [Each], on each of them. An Each that is the reason
// of another verdict, or of a panic, is only that.
//
// Its context ends when the lease of one of them is lost: they are renewed
// together.
type BatchHandler[T any] func(ctx context.Context, ms []dabchick.Message[T]) error

// Each is the verdicts of a batch handler, one for each message, in their order;
// nil says that it is done. A message beyond its end has failed.
type Each []error

func (e Each) Error() string {
	n := 0
	for _, err := range e {
		if err != nil {
			n++
		}
	}
	return fmt.Sprintf("worker: %d of a batch not done: %v", n, errors.Join(e...))
}

// errNoVerdict is that on a message beyond the end of an Each.
var errNoVerdict = errors.New("worker: the handler gave no verdict on this message")

// on returns the verdict on the i-th message of a batch. An error whose methods
// panic, as those of a nil pointer may, counts as a panic of the handler: what
// settles the message can look at what is returned as often as it likes.
func on(i int, verdict error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	each, ok := errors.AsType[Each](verdict)
	switch {
	case !ok || isOnAll(verdict):
		err = verdict
	case i < len(each):
		err = each[i]
	default:
		err = errNoVerdict
	}
	if err != nil {
		deletes(err)
		hasPanicked(err)
		_ = err.Error()
	}
	return err
}

// isOnAll says whether an error is a verdict of its own, whatever its reason is.
func isOnAll(err error) bool {
	_, told := errors.AsType[*verdict](err)
	return told || hasPanicked(err)
}

// NewBatch is [New] for a batch handler.
func NewBatch[T any](q Queue[T], handle BatchHandler[T], o Options) (*Pool[T], error) {
	if handle == nil {
		return nil, errNilHandler
	}
	p, err := newPool(q, o, true)
	if err != nil {
		return nil, err
	}
	p.take = p.takeBatch
	p.handle = func(ctx context.Context, ms []dabchick.Message[T]) error {
		return handle(ctx, slices.Clone(ms))
	}
	return p, nil
}

// RunBatch is [Run] for a batch handler.
func RunBatch[T any](ctx context.Context, q Queue[T], handle BatchHandler[T], o Options) error {
	p, err := NewBatch(q, handle, o)
	if err != nil {
		return err
	}
	return p.Run(ctx)
}

// takeBatch receives the messages of a batch, and holds those that are there while
// it waits for more. If it must stop then, it gives them back: no handler has seen
// them. It waits for half of the time at most that their lease can last, as otherwise
// no handler would ever see them.
func (p *Pool[T]) takeBatch(receiving context.Context, l *lease[T], wait time.Duration) (bool, error) {
	size := p.o.BatchSize
	ms, err := p.queue.ReceiveBatch(receiving, dabchick.ReceiveOptions{Max: size, Wait: wait})
	if err != nil || len(ms) == 0 {
		return false, err
	}
	l.begin(ms...)
	lasts := l.timeout
	if p.o.Renew < 1 {
		lasts = max(lasts, p.o.MaxLease)
	}
	full := l.began.Add(min(p.o.BatchWait, lasts/2))
	for n := len(ms); n < size; n += len(ms) {
		left := time.Until(full)
		if left <= 0 || l.ctx.Err() != nil {
			break
		}
		ms, err = p.queue.ReceiveBatch(receiving, dabchick.ReceiveOptions{Max: size - n, Wait: left})
		passed := p.undecoded(l, err)
		if receiving.Err() != nil {
			p.unhand(l, ms)
			return false, receiving.Err()
		}
		if err != nil && !passed {
			break // the next receive meets it again, if it lasts
		}
		l.join(ms...)
	}
	if errors.Is(context.Cause(l.ctx), ErrLeaseLost) {
		p.unhand(l, nil) // somebody else may have some of them
		return false, errBatchLost
	}
	l.filled()
	return true, nil
}

// errBatchLost says that the lease of a batch was lost while it was filling.
var errBatchLost = errors.New("worker: batch lost")

// unhand gives back the messages of a lease that no handler has got, and more
// that have come.
func (p *Pool[T]) unhand(l *lease[T], more []dabchick.Message[T]) {
	if _, held := l.end(); held {
		more = append(more, l.messages...)
		clear(l.messages)
	}
	if len(more) > 0 {
		p.giveBack(p.base, more)
	}
}
