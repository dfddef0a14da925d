package dabchick

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// deadLetter moves a message that is in flight to the dead-letter queue.
func (q *Queue[T]) deadLetter(ctx context.Context, held *Message[T], reason string) error {
	if q.backend != nil {
		return q.backend.err(ctx, "dead-letter", q.backend.deadLetter(ctx, held, reason))
	}
	r := held.Receipt
	now := q.enter(q.clock())
	m, err := q.holding(&r)
	switch {
	case err != nil:
	case !m.held(now):
		err = ErrReceiptExpired
	case q.opts.DeadLetter == nil:
		err = ErrNoDeadLetterQueue
	}
	if err != nil {
		q.leave(now)
		return q.fail("dead-letter", err)
	}
	moves := []move[T]{q.newMove(now, r.slot, m, inFlight, q.opts.DeadLetter, reason)}
	q.leave(q.carry(moves))
	return q.fail("dead-letter", moves[0].err)
}

// A parcel is a message between two queues, with instants as times because
// each queue counts its own.
type parcel[T any] struct {
	body    T
	more    *details[T] // as the receiving queue will have it
	group   string
	sentAt  time.Time
	firstAt time.Time // zero if never
	taken   bool      // the receiving queue has it
}

// A move takes a message of this queue to another. The message stays in its
// slot, detached, until the other queue has it.
type move[T any] struct {
	parcel[T]
	to   *Queue[T]
	slot uint32
	seq  uint64
	was  seen
	why  string
	err  error // why it was not taken
}

// newMove takes out a message to be carried to another queue once the lock is
// let go, as a dead letter for the reason why; s is its state meanwhile, moving or
// inFlight. It needs the lock.
func (q *Queue[T]) newMove(now int64, slot uint32, m *meta, s state, to *Queue[T], why string) move[T] {
	e := q.core.cell(slot)
	mv := move[T]{to: to, slot: slot, seq: m.seq, why: why}
	mv.body, mv.group, mv.sentAt = e.body, q.core.groupName(m), q.time(m.sentAt)
	if m.firstAt != never {
		mv.firstAt = q.time(m.firstAt)
	}
	var id ID
	q.setID(&id, slot, m)
	mv.more = q.buried(e.more, id, mv.sentAt, q.time(now), q.receives(slot, m), why)
	mv.was = q.core.detach(slot, m, s)
	return mv
}

// buried returns the details of a message as a dead letter from this queue.
func (q *Queue[T]) buried(more *details[T], id ID, sentAt, now time.Time, receives int64, why string) *details[T] {
	var d details[T]
	if more != nil {
		d = *more
	}
	d.id, d.from, d.earlier = id, q, receives
	d.sequence = "" // that of a backend; it has one of its dead-letter queue
	if d.dedup != "" || q.core.fifo {
		d.dedup = id.String() // so that it is nobody else's
	}
	d.origin = &Origin{ID: id, Queue: q.name, Reason: why, Receives: int(receives), SentAt: sentAt, MovedAt: now}
	return &d
}

// moveOut takes out a message that has had its last delivery, to be carried to
// the dead-letter queue by leave. It needs the lock.
func (q *Queue[T]) moveOut(now int64, slot uint32, m *meta) {
	why := limitReason(q.opts.MaxReceives, q.name)
	q.shutBacklog()
	q.moves = append(q.moves, q.newMove(now, slot, m, moving, q.opts.DeadLetter, why))
}

func limitReason(receives int, queue string) string {
	return fmt.Sprintf("received %d times, the limit of queue %q", receives, queue)
}

// carry hands moves to their queues, with the lock let go meanwhile. It needs
// the lock, and has it again when it returns.
func (q *Queue[T]) carry(moves []move[T]) (now int64) {
	q.mu.Unlock()
	finished, returned := false, false
	defer func() {
		switch {
		case returned:
		case finished: // a hook of this queue has panicked
			q.leaveTimed(q.relock())
		default: // one of the other queue has
			q.leaveTimed(q.finish(moves))
		}
	}()
	var hung *move[T]
	for i := range moves {
		mv := &moves[i]
		if hung != nil && mv.to == hung.to {
			mv.err = hung.err
			continue
		}
		if mv.err = mv.to.arrive(&mv.parcel); isTimeout(mv.err) {
			hung = mv
		}
	}
	now = q.finish(moves)
	finished = true
	now = q.timed(now)
	returned = true
	return now
}

// finish locks the queue and ends moves, taken or not. A message that was not
// taken comes back: to its receiver, or to its place, to be delivered once more
// before the move is tried again. What has come up is left to timed.
func (q *Queue[T]) finish(moves []move[T]) (now int64) {
	now = q.relock()
	for i := range moves {
		mv := &moves[i]
		if mv.taken {
			q.moved(now, mv, DeadLettered)
			continue
		}
		m := q.stranded(now, mv)
		switch {
		case m == nil:
		case m.state == inFlight:
			q.core.keep(now, mv.slot, m)
			if m.state == visible && q.listening() {
				q.noteUp(now, mv.slot, inFlight)
			}
		default:
			m.flags |= stay
			q.core.putBack(mv.slot, m, mv.was)
		}
	}
	return now
}

// detached returns the message of a move, or nil if it was purged or expired on
// the way.
func (q *Queue[T]) detached(mv *move[T]) *meta {
	m := q.core.slab.lookup(mv.slot)
	if m == nil || m.seq != mv.seq {
		return nil
	}
	return m
}

// moved ends a move that succeeded.
func (q *Queue[T]) moved(now int64, mv *move[T], kind EventKind) {
	if kind == DeadLettered {
		q.totals.DeadLettered++
	} else {
		q.totals.Redriven++
	}
	m := q.detached(mv)
	if q.listening() {
		e := q.note(now, kind, mv.slot, m)
		e.Message.ID = mv.more.id
		e.To, e.Reason = mv.to.name, mv.why
	}
	if m != nil {
		q.core.drop(mv.slot, m)
	}
}

// stranded returns the message of a move that failed, or nil if there is no
// place for it any more: then it was deleted on the way; or it was purged, or expired,
// and counts as purged.
func (q *Queue[T]) stranded(now int64, mv *move[T]) *meta {
	m := q.detached(mv)
	switch {
	case m == nil:
		q.totals.Purged++
		q.note(now, Purged, 0, nil).Count = 1
	case m.is(unwanted):
		q.totals.Deleted++
		q.note(now, Deleted, mv.slot, m)
		q.core.drop(mv.slot, m)
		return nil
	}
	return m
}

// arrive stores a dead letter from another queue, whatever bounds this queue
// has: a dead letter that waited would hold up the queue that it comes from.
func (q *Queue[T]) arrive(p *parcel[T]) error {
	if q.backend != nil {
		return q.backend.arrive(p)
	}
	size := q.size(p.body, p.more)
	now := q.enter(q.clock())
	if p.group != "" {
		now = q.heed(now)
	}
	var err error
	switch {
	case q.closed:
		err = ErrClosed
	case q.opts.FIFO && p.group == "": // it comes from a backend
		err = errNoGroup
	}
	if err != nil {
		q.leave(now)
		return err
	}
	q.keepRoom()
	p.more.arrivedAt = now
	q.totals.Arrived++
	p.taken = true
	if firstAt := q.instant(p.firstAt); q.fifo {
		p.more.firstAt = firstAt
		n, m := q.core.setAside(now, p.body, p.more, q.core.join(p.group), size)
		p.more.number = m.seq
		if q.listening() {
			e := q.note(now, Arrived, 0, nil)
			e.Message, e.Reason = q.showReserved(n), p.more.origin.Reason
		}
	} else {
		slot, m := q.core.transfer(now, p.body, p.more, p.group, size, q.instant(p.sentAt), firstAt)
		if q.listening() {
			q.note(now, Arrived, slot, m).Reason = p.more.origin.Reason
		}
	}
	q.leaveTimed(now) // it may be past its retention here
	return nil
}

// RedriveOptions say how to move messages out of a dead-letter queue. Its zero
// value moves all of them to where they came from, as fast as it goes.
type RedriveOptions[T any] struct {
	// To is the queue to move to. nil takes each message back to the queue that
	// it came from, if that is in this process.
	To *Queue[T]
	// Source, if not nil, finds the queue that a message goes back to when To is
	// nil, such as one that has taken over the name since. Where it returns nil, that
	// is the queue that the message came from; a backend keeps no more of it than
	// its name, and needs Source. It is called without a lock.
	Source func(Origin) *Queue[T]
	// Max is the most messages to move. 0 means all that are visible when the
	// redrive starts.
	Max int
	// Rate is the most messages to move in a second. 0 means no limit.
	Rate int
	// Progress, if not nil, is called after each message with how many have
	// been moved and how many there are to move. It is called without a lock.
	Progress func(moved, total int)
}

// checkDestination says whether messages may go to another queue: a FIFO queue takes
// those of FIFO queues, a standard queue those of standard ones. What a backend
// is, it knows itself.
func (q *Queue[T]) checkDestination(field string, to *Queue[T]) error {
	switch {
	case to == q:
		return &InvalidError{field, q.name, "another queue than this"}
	case to == nil || to.backend != nil || q.backend != nil || to.core.fifo == q.core.fifo:
		return nil
	case q.core.fifo:
		return &InvalidError{field, to.name, "a FIFO queue, as this one is"}
	}
	return &InvalidError{field, to.name, "a standard queue, as this one is"}
}

// destination returns the queue that a message of q goes to.
func (o *RedriveOptions[T]) destination(q *Queue[T], more *details[T]) (*Queue[T], error) {
	if o.To != nil {
		return o.To, nil
	}
	var to *Queue[T]
	if more.isDeadLetter() && o.Source != nil {
		to = o.Source(*more.origin)
	}
	switch {
	case to != nil:
		return to, q.checkDestination("Source", to)
	case more == nil || more.from == nil:
		return nil, ErrNoOrigin
	}
	return more.from, nil
}

// Redrive moves visible messages, oldest first, from this dead-letter queue back
// to where they came from, or to o.To, and returns how many it has moved. On a FIFO
// queue the oldest is the one that came first, of whatever group; what comes up
// meanwhile is moved last. On a standard queue it is the one that a receive would
// get. It goes on until those are moved that were visible when it started, or ctx ends:
// that cancels it between two messages. What is in flight stays.
//
// A message that is moved counts as new, as on SQS: it has a new ID and a new
// send time, no receives and no origin. Its body, group, attributes and trace
// header are kept, and it is visible at once. If its destination is full,
// Redrive waits for room.
//
// Errors: the context's own, ErrClosed, ErrNoOrigin, an *InvalidError, what the
// destination answers, and on a backend a *DecodeError. The message that it stopped at is still here then,
// in its place. It takes the time of a Receive and a Send for each message.
func (q *Queue[T]) Redrive(ctx context.Context, o RedriveOptions[T]) (int, error) {
	if err := firstError(ctx.Err(), checkCount("Max", int64(o.Max)), checkCount("Rate", int64(o.Rate))); err != nil {
		return 0, q.fail("redrive", err)
	}
	if err := q.checkDestination("To", o.To); err != nil {
		return 0, q.fail("redrive", err)
	}
	open, done := q.whileOpen(ctx)
	defer done()
	moved, err := q.redrive(open, o)
	if err != nil && context.Cause(open) == errEnded {
		err = q.fail("redrive", ErrClosed)
	}
	return moved, err
}

// errEnded is why a redrive ends whose queue was closed.
var errEnded = errors.New("the queue was closed")

// whileOpen returns a context for a redrive, which may have to wait in another queue: it
// ends also when this one is closed. done is called when it is not needed any more.
func (q *Queue[T]) whileOpen(ctx context.Context) (open context.Context, done func()) {
	open, cancel := context.WithCancelCause(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.redrives == nil {
		q.redrives = map[*context.CancelCauseFunc]struct{}{}
	}
	q.redrives[&cancel] = struct{}{}
	return open, func() {
		q.mu.Lock()
		delete(q.redrives, &cancel)
		q.mu.Unlock()
		cancel(nil)
	}
}

func (q *Queue[T]) redrive(ctx context.Context, o RedriveOptions[T]) (int, error) {
	s, err := q.Stats(ctx)
	if err == nil && s.Closed {
		err = q.fail("redrive", ErrClosed)
	}
	if err != nil {
		return 0, err
	}
	total := s.Visible
	if o.Max > 0 {
		total = min(total, o.Max)
	}
	var at passed
	one := func() (bool, error) { return q.redriveOne(ctx, &o, &at) }
	if q.backend != nil {
		one = func() (bool, error) { return q.backend.redriveOne(ctx, &o) }
	}
	moved := 0
	for moved < total {
		if moved > 0 && o.Rate > 0 {
			if err := pause(ctx, time.Second/time.Duration(o.Rate)); err != nil {
				return moved, err
			}
		}
		if err := ctx.Err(); err != nil {
			return moved, err
		}
		ok, err := one()
		if err != nil {
			return moved, q.fail("redrive", err)
		}
		if !ok {
			break
		}
		moved++
		if o.Progress != nil {
			o.Progress(moved, total)
		}
	}
	return moved, nil
}

// redriveOne moves the next visible message, and says whether there was one.
func (q *Queue[T]) redriveOne(ctx context.Context, o *RedriveOptions[T], at *passed) (bool, error) {
	now := q.enter(q.clock())
	slot, looked := uint32(0), false
	for !q.closed {
		if slot, looked = q.core.nextToMove(now, at); looked {
			break
		}
		q.leave(now)
		now = q.enter(q.clock())
	}
	if q.closed {
		q.leave(now)
		return false, ErrClosed
	}
	if slot == 0 {
		q.leave(now)
		return false, nil
	}
	m := q.core.slab.at(slot)
	more := q.core.cell(slot).more
	mv := q.newMove(now, slot, m, moving, nil, "")
	defer func() { // a hook may have panicked
		now := q.relock()
		if mv.taken {
			q.moved(now, &mv, Redriven)
		} else if m := q.stranded(now, &mv); m != nil {
			q.core.putBack(slot, m, mv.was)
		}
		q.leaveTimed(now)
	}()
	q.leave(now)
	to, err := o.destination(q, more)
	if err != nil {
		return false, err
	}
	mv.to = to
	_, err = to.send(ctx, &entry[T]{body: mv.body, more: more.fresh(), group: mv.group, delay: Immediately, moved: &mv.parcel})
	return err == nil, err
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
