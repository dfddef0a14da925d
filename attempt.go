package dabchick

import "time"

// attemptWindow is how long a receive can be repeated, by SQS's rule.
const attemptWindow = 5 * time.Minute

// An attempt is one message of a receive that can be repeated. place is drawn
// anew whenever something happens to the message.
type attempt struct {
	receipt Receipt
	place   uint64
}

// remember notes what a receive with an attempt id has got. It needs the lock.
func (q *Queue[T]) remember(now int64, id string, got []Message[T]) {
	if id == "" || len(got) == 0 {
		return
	}
	a := make([]attempt, len(got))
	for i := range got {
		a[i] = attempt{got[i].Receipt, q.core.slab.at(got[i].Receipt.slot).place}
	}
	q.attempts.drop(id)
	q.attempts.put(now, id, a)
}

// repeat returns once more what a receive with the same attempt id has got, with
// the same receipts and a visibility timeout that starts anew. It returns nil if
// there was none, or if anything has happened to one of its messages since: they
// were settled, or came up. It needs the lock.
func (q *Queue[T]) repeat(now int64, o *ReceiveOptions) ([]Message[T], error) {
	if o.AttemptID == "" {
		return nil, nil
	}
	switch {
	case !q.core.fifo:
		return nil, &InvalidError{"AttemptID", o.AttemptID, "none, unless the queue is FIFO"}
	case q.closed:
		return nil, ErrClosed
	}
	attempts, ok := q.attempts.get(now, attemptWindow, o.AttemptID)
	if !ok || q.paused {
		return nil, nil
	}
	c := &q.core
	for i := range attempts {
		a := &attempts[i]
		m, standing := c.find(&a.receipt)
		if standing != newest || m.place != a.place || !m.held(now) {
			q.attempts.drop(o.AttemptID)
			return nil, nil
		}
	}
	ms := make([]Message[T], len(attempts))
	for i, a := range attempts {
		slot := a.receipt.slot
		m := c.slab.at(slot)
		c.lift(slot, m)
		c.hold(now, slot, m, o.Visibility)
		attempts[i].place = m.place
		m.flags |= repeated
		q.fill(&ms[i], slot, m)
		if q.listening() {
			q.note(now, Extended, slot, m)
		}
	}
	return ms, nil
}
