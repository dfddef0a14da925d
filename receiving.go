package dabchick

import (
	"cmp"
	"context"
	"iter"
	"math"
	"time"
)

// Receive returns the next message, hidden from others for the queue's
// visibility timeout. It waits for one, behind those that wait already, until
// ctx ends or the queue is closed; while the queue is paused or MaxInFlight is
// reached it waits as well.
//
// Errors: the context's own, ErrClosed, with FailFast ErrInFlightLimit, and on a
// backend what that answers, and a *DecodeError, which is about one message only.
// After any other error no message was taken: one that was being handed over when
// ctx ended is back in its place, and the delivery does not count. For that moment
// it was hidden from others.
//
// It takes O(1) while timeouts are the queue's own, or else O(log n) in the
// messages hidden for others. It does not allocate, even when it waits.
func (q *Queue[T]) Receive(ctx context.Context) (m Message[T], err error) {
	err = q.receiveOne(ctx, &m) // as this is inlined, the message is copied once less
	return m, err
}

func (q *Queue[T]) receiveOne(ctx context.Context, m *Message[T]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.backend != nil {
		ms, err := q.backend.receive(ctx, ReceiveOptions{Max: 1, Wait: Forever})
		if err == nil {
			*m = ms[0]
		}
		return err
	}
	for {
		reading := q.clock()
		if !q.mu.TryLock() {
			q.mu.wait()
		}
		now := q.core.advance(reading)
		if q.quick(now, m, 0) {
			q.mu.Unlock()
			return nil
		}
		now = q.timed(now)
		if q.orderOnly && q.takeInOrder(now, m) {
			return nil
		}
		switch err := q.takeNext(now, m); err {
		case nil:
			q.leave(now)
			return nil
		case errAgain:
			q.leave(now)
		case errWait:
			w := q.newWaiter()
			err := q.await(ctx, now, &q.receivers, w, Forever)
			if err == nil {
				*m = w.got[0]
			}
			q.doneWaiting(w)
			return q.fail("receive", err)
		default:
			q.leave(now)
			return q.fail("receive", err)
		}
	}
}

// TryReceive returns the next message if there is one that can be delivered
// now, and whether there was. It never waits, except for the answer of a
// backend, whose errors it takes for "none", a *DecodeError too: there may be
// other messages then.
func (q *Queue[T]) TryReceive() (m Message[T], ok bool) {
	if q.backend != nil {
		ms, err := q.backend.ask(context.Background(), ReceiveOptions{Max: 1, Wait: Immediately})
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
// what lies behind them is as it was, unless there is an error. At most o.Max messages
// are received, and never more than the slice has places, which is also what a Max of 0
// means.
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
				err = q.await(ctx, now, &q.receivers, w, wait)
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

// take delivers the next message into m, and returns where it was. Messages
// that were placed after the number last do not count. On a FIFO queue it goes
// on with the group of prev, the message delivered before it in the same
// receive. It needs the lock.
func (q *Queue[T]) take(now int64, m *Message[T], d time.Duration, last uint64, prev uint32) (seen, error) {
	c := &q.core
	if err := q.checkInFlight(now); err != nil {
		return seen{}, err
	}
	for {
		if len(q.moves) == noticed {
			return seen{}, errAgain
		}
		slot := uint32(0)
		if prev != 0 && c.fifo {
			slot = c.follower(now, prev)
		}
		if slot == 0 {
			slot = c.next(now, last)
		}
		if slot == 0 {
			if len(q.moves) > 0 {
				return seen{}, errAgain // one of them may come back
			}
			return seen{}, errWait
		}
		e := c.slab.at(slot)
		if !c.spent(e) {
			was := c.deliver(now, slot, e, d)
			q.fill(m, slot, e)
			q.totals.Received++
			if q.listening() {
				q.note(now, Received, slot, e)
			}
			return was, nil
		}
		q.moveOut(now, slot, e)
	}
}

// checkInFlight returns what keeps a receive from messages while MaxInFlight is reached.
func (q *Queue[T]) checkInFlight(now int64) error {
	switch most := q.opts.MaxInFlight; {
	case most == 0 || q.below(now, most):
		return nil
	case q.opts.FailFast:
		return ErrInFlightLimit
	}
	return errWait
}

// below says whether fewer than n messages are in flight.
func (q *Queue[T]) below(now int64, n int) bool {
	c := &q.core
	for c.counts[inFlight] >= n {
		if !q.surface(now) {
			return false
		}
	}
	return true
}

// takeFrom appends up to most messages to got, and where they were to was if that is
// not nil. It returns an error only if there was none. It needs the lock.
func (q *Queue[T]) takeFrom(now int64, got []Message[T], was *[]seen, most int, d time.Duration) ([]Message[T], error) {
	c := &q.core
	if likely := min(most, c.counts[visible]+c.backlog.len()); cap(got) < likely {
		got = make([]Message[T], 0, likely)
	}
	last, prev := c.drawn, uint32(0)
	if was == nil {
		got = q.quickBatch(now, got, most, d)
	}
	for len(got) < most {
		if len(got) < cap(got) {
			got = got[:len(got)+1]
		} else {
			got = append(got, Message[T]{})
		}
		m := &got[len(got)-1]
		if was == nil && q.quick(now, m, d) {
			continue
		}
		s, err := q.take(now, m, d, last, prev)
		if err != nil {
			got = got[:len(got)-1]
			if len(got) > 0 {
				break
			}
			return got, err
		}
		if was != nil {
			*was = append(*was, s)
		}
		prev = m.Receipt.slot
	}
	return got, nil
}

// mayTake says whether a receiver that comes now may take messages, after those
// who came before it had what there is.
func (q *Queue[T]) mayTake(now int64) error {
	switch {
	case q.closed:
		return ErrClosed
	case q.paused:
		return errWait
	case q.receivers.n > 0:
		q.serve(now)
		if q.receivers.n > 0 {
			return cmp.Or(q.checkInFlight(now), errWait)
		}
	}
	return nil
}

// takeNext delivers the next message into m, if a receiver that comes now may have it.
func (q *Queue[T]) takeNext(now int64, m *Message[T]) error {
	err := q.mayTake(now)
	if err == nil {
		_, err = q.take(now, m, 0, math.MaxUint64, 0)
	}
	return err
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
// once, with a zero Message, and ends. After a *DecodeError a new one goes on.
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
