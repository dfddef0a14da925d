package dabchick

import (
	"context"
	"fmt"
	"time"
)

// An entry is a message to store.
type entry[T any] struct {
	index int // in its batch
	body  T
	more  *details[T]
	group string
	size  int64
	delay time.Duration
	moved *parcel[T] // by a redrive, from another queue; else nil
}

// plain says whether an entry may go into the backlog.
func (e *entry[T]) plain() bool {
	return e.group == "" && e.delay == 0 && (e.more == nil || e.more.dedup == "")
}

// entry returns what a sender asks to store.
func (q *Queue[T]) entry(index int, body T, o *SendOptions) entry[T] {
	id := o.DedupID
	if id == "" && q.dedupID != nil {
		id = q.dedupID(body)
	}
	return entry[T]{index: index, body: body, more: newDetails[T](o, id), group: o.Group, delay: o.Delay}
}

// A sending is what a call has to store, one entry after the other as there is
// room.
type sending[T any] struct {
	entries []entry[T] // those that are left
	ids     []ID       // by index
	failed  *BatchError
	grouped bool // some have a group
}

// fail gives up all that is left.
func (s *sending[T]) fail(err error) {
	for _, e := range s.entries {
		s.failed = s.failed.add(e.index, err)
	}
	s.entries = nil
}

// admit stores an entry if it may be stored now, and sets its id; or it returns
// errWait, or what is wrong with the entry.
func (q *Queue[T]) admit(now int64, e *entry[T], id *ID, othersWait bool) error {
	o := &q.opts
	if q.closed {
		return ErrClosed
	}
	if q.core.len() < q.core.maxMessages { // else nobody can add anything
		q.keepRoom()
	}
	if e.more != nil || o.FIFO || o.MaxBytes > 0 { // else there is nothing to look at
		if err := q.checkEntry(e); err != nil {
			return err
		}
		if q.duplicate(now, e, id) {
			return nil
		}
	}
	switch {
	case q.core.exhausted():
		return ErrFull
	case othersWait,
		o.MaxMessages > 0 && q.core.len() >= o.MaxMessages,
		o.MaxBytes > 0 && q.core.size() > o.MaxBytes-e.size:
		if o.FailFast {
			return ErrFull
		}
		return errWait
	}
	q.totals.Sent++
	if q.core.isSetAside(e) {
		n, m := q.core.setAside(now, e.body, e.more, q.core.join(e.group), e.size)
		q.putID(id, m.seq)
		if q.listening() {
			q.note(now, Sent, 0, nil).Message = q.showReserved(n)
		}
	} else {
		slot, m := q.core.add(now, e)
		q.putID(id, m.seq)
		if q.listening() {
			q.note(now, Sent, slot, m)
		}
	}
	if e.more != nil {
		q.accept(now, e, id)
	}
	if e.moved != nil {
		e.moved.taken = true
	}
	return nil
}

var errNoGroup = &InvalidError{"Group", "", "a name, on a FIFO queue"}

// checkEntry holds an entry against what the queue takes.
func (q *Queue[T]) checkEntry(e *entry[T]) error {
	o := &q.opts
	if o.MaxBytes > 0 && e.size > o.MaxBytes {
		return &InvalidError{"size of the message", e.size, fmt.Sprintf("at most %d (MaxBytes)", o.MaxBytes)}
	}
	dedup := e.more != nil && e.more.dedup != ""
	switch {
	case o.FIFO && e.group == "":
		return errNoGroup
	case e.moved != nil:
	case o.FIFO && e.delay != 0 && !o.MessageDelays:
		return &InvalidError{"Delay", e.delay, "0 on a FIFO queue, unless it has MessageDelays"}
	case !o.FIFO && dedup:
		return &InvalidError{"DedupID", e.more.dedup, "none, unless the queue is FIFO"}
	}
	return nil
}

// storeAll stores what there is room for, and says whether nothing is left. While others
// wait there is room for nothing.
func (q *Queue[T]) storeAll(now int64, s *sending[T], othersWait bool) bool {
	for len(s.entries) > 0 {
		e := &s.entries[0]
		err := q.admit(now, e, &s.ids[e.index], othersWait)
		if err == errWait {
			return false
		}
		s.failed = s.failed.add(e.index, err)
		s.entries = s.entries[1:]
	}
	return true
}

// store stores what there is to store, and waits for room if it must.
func (q *Queue[T]) store(ctx context.Context, s *sending[T]) {
	now := q.enter(q.clock())
	if s.grouped {
		now = q.heed(now)
	}
	q.shutBacklog() // nothing comes in between
	if q.storeAll(now, s, q.senders.n > 0) {
		q.leave(now)
	} else {
		q.awaitRoom(ctx, now, s)
	}
}

// awaitRoom waits in line until all of s is stored or failed, or ctx ends. What
// is stored by then stays. It needs the lock, and unlocks.
func (q *Queue[T]) awaitRoom(ctx context.Context, now int64, s *sending[T]) {
	w := q.newWaiter()
	w.sending = s
	if err := q.await(ctx, now, &q.senders, w, Forever); err != nil {
		s.fail(err)
	}
	q.doneWaiting(w)
}
