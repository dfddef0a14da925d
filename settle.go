package dabchick

import (
	"context"
	"time"
)

// Delete removes the messages that the receipts name, for good: the work is
// done. Each receipt is good until its message is received again, also after
// its visibility timeout. Deleting a message that is gone already is no error.
// On a FIFO queue a receipt is good for its visibility timeout only, since a
// message that comes up again holds back its group again.
//
// With one receipt the error is ErrReceiptSuperseded if the message was
// received again since, or ErrReceiptInvalid if this queue never gave out the
// receipt; on a FIFO queue ErrReceiptExpired if its timeout has passed. The
// message is left alone. With several, each is carried out by
// itself, and the error is a *BatchError. A message that is on its way to another queue
// at that moment may be found there; if it is refused there, it does not come back.
//
// It takes O(1) for messages hidden with the queue's own timeout, or O(log n)
// in the messages hidden for others. The built-in engine never waits, does not
// look at ctx (work that was done should not be done again because a program
// ends), and works on a closed queue too.
func (q *Queue[T]) Delete(ctx context.Context, receipts ...Receipt) error {
	if len(receipts) == 1 {
		return q.deleteOne(ctx, &receipts[0])
	}
	return q.settle(ctx, opDelete, receipts, 0)
}

// ChangeVisibility hides the messages that the receipts name for d from now,
// whatever was left before; d may be shorter, and 0 or Immediately makes them
// visible. The new timeout is for these deliveries only, and may be changed any
// number of times.
//
// With one receipt the error is ErrReceiptExpired if the timeout has passed or
// the message was released; ErrReceiptSuperseded if the message was received
// again since; ErrMessageGone; ErrReceiptInvalid; or an *InvalidError for a
// negative d. Nothing has changed then. With several, each is carried out by
// itself, and the error is a *BatchError.
//
// It takes O(log n) in the messages that were given timeouts of their own. As
// for ctx and a closed queue, see Delete.
func (q *Queue[T]) ChangeVisibility(ctx context.Context, d time.Duration, receipts ...Receipt) error {
	return q.settle(ctx, opChange, receipts, d)
}

// Return gives back messages that nobody has worked on: they are visible now, and
// the deliveries that the receipts name do not count in Receives, so that they do
// not bring a message nearer to the dead-letter queue. A message can be returned
// 255 times; later ones count, lest it go round for ever. On a backend they always
// count.
//
// Errors and cost are those of ChangeVisibility.
func (q *Queue[T]) Return(ctx context.Context, receipts ...Receipt) error {
	return q.settle(ctx, opReturn, receipts, 0)
}

// ParseReceipt reads the text form of a receipt. A text that is not one of this
// queue's gives ErrReceiptInvalid. On a backend every text but "" is taken: it
// is the backend that knows, when the receipt is used.
func (q *Queue[T]) ParseReceipt(handle string) (Receipt, error) {
	r, ok := q.issuer.parse(handle)
	if !ok {
		return Receipt{}, q.fail("parse receipt", ErrReceiptInvalid)
	}
	return r, nil
}

// A settling is what a receiver does with a message.
type settling uint8

const (
	opDelete settling = iota
	opChange
	opRelease
	opReturn
)

func (op settling) String() string {
	return [...]string{"delete", "change visibility", "release", "return"}[op]
}

func (q *Queue[T]) settle(ctx context.Context, op settling, receipts []Receipt, d time.Duration) error {
	if len(receipts) == 1 {
		return q.settleOne(ctx, op, &receipts[0], d)
	}
	if err := checkTimeout(d); err != nil {
		return q.fail(op.String(), err)
	}
	if q.backend != nil {
		return q.backend.settle(ctx, op, receipts, d)
	}
	var failed *BatchError
	now, quick := q.enterTo(op), 0
	for i := range receipts {
		if op == opDelete && q.quickDelete(&receipts[i]) {
			quick++
			continue
		}
		failed = failed.add(i, q.settleLocked(now, op, &receipts[i], d))
	}
	q.deleted(quick)
	q.leave(now)
	return q.failBatch(op.String(), failed)
}

func (q *Queue[T]) deleteOne(ctx context.Context, r *Receipt) error {
	if q.backend != nil {
		return q.backend.settleOne(ctx, opDelete, *r, 0)
	}
	var now int64
	if q.fifo {
		reading := q.clock()
		if !q.mu.TryLock() {
			q.mu.wait()
		}
		now = q.timed(q.core.advance(reading))
		if q.orderOnly && q.deleteInOrder(now, r) {
			return nil
		}
	} else {
		if !q.mu.TryLock() {
			q.mu.wait()
		}
		if q.quickDelete(r) {
			q.deleted(1)
			q.mu.Unlock()
			return nil
		}
		now = q.untimed()
	}
	err := q.settleLocked(now, opDelete, r, 0)
	q.leave(now)
	return q.fail("delete", err)
}

func (q *Queue[T]) settleOne(ctx context.Context, op settling, r *Receipt, d time.Duration) error {
	if err := checkTimeout(d); err != nil {
		return q.fail(op.String(), err)
	}
	if q.backend != nil {
		return q.backend.settleOne(ctx, op, *r, d)
	}
	now := q.enter(q.clock())
	err := q.settleLocked(now, op, r, d)
	q.leave(now)
	return q.fail(op.String(), err)
}

// enterTo locks the queue. But for FIFO queues a delete does not depend on time, so it
// does not read the clock; it may find a message that nobody has noticed to be past its
// retention.
func (q *Queue[T]) enterTo(op settling) (now int64) {
	if op == opDelete && !q.fifo {
		q.mu.Lock()
		return q.untimed()
	}
	return q.enter(q.clock())
}

// settleLocked settles one delivery. It needs the lock.
func (q *Queue[T]) settleLocked(now int64, op settling, r *Receipt, d time.Duration) error {
	c := &q.core
	m, err := q.holding(r)
	if op == opDelete && err == ErrMessageGone {
		return q.forsake(now, m)
	}
	if err != nil {
		return err
	}
	if op == opDelete && !(c.fifo && !m.held(now)) {
		q.totals.Deleted++
		if q.listening() {
			q.note(now, Deleted, r.slot, m)
		}
		c.drop(r.slot, m)
		return nil
	}
	if !m.held(now) {
		return ErrReceiptExpired
	}
	kind := Extended
	switch {
	case op == opReturn:
		c.giveBack(now, r.slot, m)
		q.totals.Returned++
		kind = Returned
	case d > 0:
		c.lift(r.slot, m)
		c.hide(now, r.slot, m, d, inFlight, runOther)
	default:
		c.lift(r.slot, m)
		c.show(now, r.slot, m)
		kind = Released
	}
	if q.listening() {
		q.note(now, kind, r.slot, m)
	}
	return nil
}

// forsake deletes a message that is not here any more: m is nil, or on its way to another
// queue. If it is refused there, it does not come back.
func (q *Queue[T]) forsake(now int64, m *meta) error {
	if m == nil {
		return nil
	}
	if q.core.fifo && !m.held(now) {
		return ErrReceiptExpired
	}
	m.flags |= unwanted
	return nil
}

// holding returns the message of which r names the latest delivery, or what is
// wrong with r; one that is on its way to another queue is gone, and returned. It needs
// the lock.
func (q *Queue[T]) holding(r *Receipt) (*meta, error) {
	if r.issuer != &q.issuer {
		return nil, ErrReceiptInvalid
	}
	switch m, standing := q.core.find(r); standing {
	case newest:
		return m, nil
	case leaving:
		return m, ErrMessageGone
	case superseded:
		return nil, ErrReceiptSuperseded
	case gone:
		return nil, ErrMessageGone
	}
	return nil, ErrReceiptInvalid
}

func checkTimeout(d time.Duration) error { return checkDuration("visibility timeout", d, true) }
