package dabchick

import (
	"context"
	"iter"
	"time"
)

// Receive returns the next message, hidden from others for the queue's
// visibility timeout. It waits for one, behind those that wait already, until
// ctx ends or the queue is closed; while the queue is paused or MaxInFlight is
// reached it waits as well.
//
// Errors: the context's own, ErrClosed, and with FailFast ErrInFlightLimit.
// After an error no message was taken: one that was being handed over when ctx
// ended is back in its place, and the delivery does not count. For that moment
// it was hidden from others.
//
// It takes O(1) while timeouts are the queue's own, or else O(log n) in the
// messages hidden for others. It does not allocate, even when it waits.
func (q *Queue[T]) Receive(ctx context.Context) (m Message[T], err error) {
	if err := ctx.Err(); err != nil {
		return m, err
	}
	if q.backend != nil {
		ms, err := q.backend.receive(ctx, ReceiveOptions{Max: 1, Wait: Forever})
		if err == nil {
			m = ms[0]
		}
		return m, err
	}
	for {
		reading := q.clock()
		if !q.mu.TryLock() {
			q.mu.wait()
		}
		now := q.core.advance(reading)
		if q.quick(now, &m, 0) {
			q.mu.Unlock()
			return m, nil
		}
		now = q.timed(now)
		if q.orderOnly && q.takeInOrder(now, &m) {
			return m, nil
		}
		switch err := q.takeNext(now, &m); err {
		case nil:
			q.leave(now)
			return m, nil
		case errAgain:
			q.leave(now)
		case errWait:
			w := q.newWaiter()
			err := q.awaitMessages(ctx, now, w, Forever)
			if err == nil {
				m = w.got[0]
			}
			q.doneWaiting(w)
			return m, q.fail("receive", err)
		default:
			q.leave(now)
			return m, q.fail("receive", err)
		}
	}
}

// TryReceive returns the next message if there is one that can be delivered
// now, and whether there was. It never waits, except for the answer of a
// backend, whose errors it takes for "none".
func (q *Queue[T]) TryReceive() (m Message[T], ok bool) {
	if q.backend != nil {
		ms, err := q.backend.receive(context.Background(), ReceiveOptions{Max: 1, Wait: Immediately})
		if err != nil || len(ms) == 0 {
			return m, false
		}
		return ms[0], true
	}
	for {
		now := q.enter(q.clock())
		if q.quick(now, &m, 0) {
			q.leave(now)
			return m, true
		}
		if q.orderOnly && q.takeInOrder(now, &m) {
			return m, true
		}
		err := q.takeNext(now, &m)
		if err == errWait {
			q.totals.EmptyReceives++
		}
		q.leave(now)
		if err != errAgain {
			return m, err == nil
		}
	}
}

// ReceiveBatch returns up to o.Max messages as soon as there is one, waiting
// for it no longer than o.Wait. It does not wait for a batch to fill. When
// nothing came it returns an empty slice and no error. Messages that need not
// be waited for are taken under one lock, so they are next to each other.
//
// From a FIFO queue they are as many of one group as may be delivered, in order,
// then those of the next group.
//
// Errors are those of Receive, and an *InvalidError for options out of range. It
// takes the time of so many Receives, less what they spend on locking.
func (q *Queue[T]) ReceiveBatch(ctx context.Context, o ReceiveOptions) ([]Message[T], error) {
	return q.receive(ctx, nil, o)
}

// ReceiveInto is ReceiveBatch into a slice of the caller's, which can be used again
// and again: it allocates nothing. It returns how many messages there are in it now;
// what lies behind them is as it was. At most o.Max messages are received, or as many
// as the slice has places if that is 0 or more.
//
// Errors are those of ReceiveBatch, and an *InvalidError for a slice without a place,
// or for an AttemptID. The slice is the queue's until the call returns.
func (q *Queue[T]) ReceiveInto(ctx context.Context, into []Message[T], o ReceiveOptions) (int, error) {
	switch {
	case len(into) == 0:
		return 0, q.fail("receive", &InvalidError{"length of the slice", 0, "at least 1"})
	case o.AttemptID != "":
		return 0, q.fail("receive", &InvalidError{"AttemptID", o.AttemptID, "none, with ReceiveInto"})
	case o.Max == 0 || o.Max > len(into):
		o.Max = len(into)
	}
	ms, err := q.receive(ctx, into[:0:len(into)], o)
	return copy(into, ms), err // it is there already, but from a backend
}

// receive receives a batch, into got if that has room for it.
func (q *Queue[T]) receive(ctx context.Context, got []Message[T], o ReceiveOptions) ([]Message[T], error) {
	if err := o.check(); err != nil {
		return nil, q.fail("receive", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Max == 0 {
		o.Max = 1
	}
	if q.backend != nil {
		return q.backend.receive(ctx, o)
	}
	for {
		now := q.enter(q.clock())
		ms, err := q.repeat(now, &o)
		if err == nil && ms == nil {
			err = q.mayTake(now)
		}
		if err == nil && ms == nil {
			ms, err = q.takeFrom(now, got, nil, o.Max, o.Visibility)
			q.remember(now, o.AttemptID, ms)
		}
		switch err {
		case errAgain:
			q.leave(now)
			continue
		case errWait:
			err = nil
			if wait := q.wait(o); wait > 0 {
				w := q.newWaiter()
				w.most, w.visibility, w.attempt, w.got, w.was = o.Max, o.Visibility, o.AttemptID, got, nil
				err = q.awaitMessages(ctx, now, w, wait)
				ms = w.got
				q.doneWaiting(w)
				return ms, q.fail("receive", err)
			}
			q.totals.EmptyReceives++
		}
		q.leave(now)
		return ms, q.fail("receive", err)
	}
}

// wait returns how long a receive waits. It needs the lock.
func (q *Queue[T]) wait(o ReceiveOptions) time.Duration {
	if o.Wait == 0 {
		return q.opts.ReceiveWait
	}
	return max(o.Wait, 0)
}

// Messages returns an iterator that receives one message after the other, each
// when the loop asks for it. Breaking out of the loop loses nothing, since
// nothing is fetched ahead. When Receive fails, the iterator yields its error
// once, with a zero Message, and ends.
func (q *Queue[T]) Messages(ctx context.Context) iter.Seq2[Message[T], error] {
	return func(yield func(Message[T], error) bool) {
		for {
			m, err := q.Receive(ctx)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}
