package dabchick

import (
	"context"
	"errors"
	"math"
	"time"
)

// A waiter is a call that waits: a receive for messages, or a send for room.
// Somebody else does its work under the lock, then wakes it, so that order of
// arrival is kept and nobody is woken for nothing.
type waiter[T any] struct {
	prev, next *waiter[T]
	waiting    bool          // stands in a line
	woken      chan struct{} // gets one value when it left the line by another's hand
	err        error         // why nothing came

	// A receive.
	most       int
	visibility time.Duration
	attempt    string
	got        []Message[T]
	was        []seen // where each of got was before
	oneGot     [1]Message[T]
	oneWas     [1]seen

	// A send.
	sending *sending[T]
}

// A line is waiters in order of arrival.
type line[T any] struct {
	head, tail *waiter[T]
	n          int
}

func (l *line[T]) join(w *waiter[T]) {
	w.waiting = true
	w.prev, w.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = w
	} else {
		l.head = w
	}
	l.tail = w
	l.n++
}

func (l *line[T]) quit(w *waiter[T]) {
	w.waiting = false
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.tail = w.prev
	}
	w.prev, w.next = nil, nil
	l.n--
}

// wake takes the first of a line out of it and lets it run. It needs the lock.
func (q *Queue[T]) wake(l *line[T], err error) {
	w := l.head
	l.quit(w)
	w.err = err
	w.woken <- struct{}{}
}

// newWaiter returns a waiter for one message with the queue's own timeout.
func (q *Queue[T]) newWaiter() *waiter[T] {
	w, _ := q.spares.waiters.Get().(*waiter[T])
	if w == nil {
		w = &waiter[T]{woken: make(chan struct{}, 1)}
	}
	w.most, w.got, w.was = 1, w.oneGot[:0], w.oneWas[:0]
	return w
}

// doneWaiting takes back a waiter from newWaiter that has left its line. What
// it got belongs to the caller.
func (q *Queue[T]) doneWaiting(w *waiter[T]) {
	*w = waiter[T]{woken: w.woken}
	q.spares.waiters.Put(w)
}

// Reasons for not having a message or storing one.
var (
	errWait  = errors.New("has to wait")
	errAgain = errors.New("has to try again") // after leave has carried moves over
)

// enter locks the queue and brings it up to the time of the reading. It returns
// the time to go by, which is later if another call has come first.
func (q *Queue[T]) enter(reading int64) (now int64) {
	q.mu.Lock()
	return q.timed(q.core.advance(reading))
}

// relock locks the queue for what has to be done before anything that may meet a hook
// that panics: what has come up is left to timed.
func (q *Queue[T]) relock() (now int64) {
	q.mu.Lock()
	return q.core.advance(q.clock())
}

// timed brings the queue up to now. It needs the lock.
func (q *Queue[T]) timed(now int64) int64 {
	if now <= q.core.expiry && now < q.core.hidden.bound {
		return now
	}
	return q.catchUp(now)
}

// prompt says whether what comes up has to be noticed at once: because somebody
// listens, or because it matters to others of its group. It needs the lock.
func (q *Queue[T]) prompt() bool { return q.core.grouped || q.listening() }

// heed notices that there are groups from now on. It needs the lock.
func (q *Queue[T]) heed(now int64) int64 {
	if q.core.grouped {
		return now
	}
	q.shutBacklog()
	now = q.core.advance(q.clock())
	q.core.heedGroups()
	return q.catchUp(now)
}

// untimed is timed for a call whose result does not depend on time. It reads the
// clock only if somebody waits for the result or listens.
func (q *Queue[T]) untimed() (now int64) {
	if q.receivers.n+q.senders.n > 0 || q.prompt() {
		q.core.advance(q.clock())
		return q.catchUp(q.core.now)
	}
	return q.core.now
}

// catchUp drops what is past its retention, and notices what came up if that
// matters. It gives others a turn while there is much of it.
func (q *Queue[T]) catchUp(now int64) int64 {
	for n := 1; q.prompt() && q.surface(now) || q.expire(now); n++ {
		if n%noticed == 0 {
			q.unlock() // nobody is served: what holds back a message may not be noticed yet
			now = q.relock()
		}
	}
	return now
}

// expire drops one message that is past its retention.
func (q *Queue[T]) expire(now int64) bool {
	slot := q.core.expired(now)
	if slot == 0 {
		return false
	}
	m := q.core.slab.at(slot)
	if !m.isUnderWay() { // else it is counted when its move ends
		q.totals.Expired++
		if q.listening() {
			q.note(now, Expired, slot, m)
		}
	}
	q.core.drop(slot, m)
	return true
}

// surface notices one message that came up.
func (q *Queue[T]) surface(now int64) bool {
	slot, was := q.core.surface(now)
	if slot != 0 && q.listening() {
		q.noteUp(now, slot, was)
	}
	return slot != 0
}

// noteUp records that a message has come up from the state was.
func (q *Queue[T]) noteUp(now int64, slot uint32, was state) {
	switch was {
	case inFlight:
		q.note(now, Reappeared, slot, q.core.slab.at(slot))
	case delayed:
		q.note(now, Appeared, slot, q.core.slab.at(slot))
	}
}

// leave serves those who wait, unlocks, and then does what must not be done
// under the lock: it carries dead letters over and tells events.
func (q *Queue[T]) leave(now int64) {
	if q.shut {
		q.serve(now)
		for len(q.moves) > 0 {
			moves := q.moves
			q.moves = nil
			now = q.carry(moves)
			q.serve(now)
		}
		q.openBacklog()
	}
	q.unlock()
}

// leaveTimed is leave for a call that has changed something since it came up to now, as
// what had to be done first. Those who wait are served also if a hook panics before all
// that has come up is noticed.
func (q *Queue[T]) leaveTimed(now int64) {
	timed := false
	defer func() {
		if !timed {
			q.leaveTimed(q.relock())
		}
	}()
	now = q.timed(now)
	timed = true
	q.leave(now)
}

// unlock unlocks, and tells what there is to tell.
func (q *Queue[T]) unlock() {
	if len(q.events) > 0 {
		q.tell()
		return
	}
	q.mu.Unlock()
}

// serve does the work of those who wait, in order of arrival, as far as it can
// be done now, and sets the alarm for the instant when there may be more.
func (q *Queue[T]) serve(now int64) {
	for q.senders.head != nil && q.storeAll(now, q.senders.head.sending, false) {
		q.wake(&q.senders, nil)
	}
	for q.receivers.head != nil && !q.paused {
		w := q.receivers.head
		var err error
		w.got, err = q.takeFrom(now, w.got, &w.was, w.most, w.visibility)
		if err != nil {
			break
		}
		q.remember(now, w.attempt, w.got)
		q.wake(&q.receivers, nil)
	}
	next := int64(math.MaxInt64)
	receiving := q.receivers.head != nil && !q.paused
	if receiving {
		next = q.core.soonest()
	}
	// What expires may make room, or have held back what a receiver can have.
	if (q.senders.head != nil || receiving && q.holdsBack()) && q.core.expiry < next {
		next = q.core.expiry + 1
	}
	q.alarm.set(next, now)
}

// holdsBack says whether a message may be kept from receivers by another one.
func (q *Queue[T]) holdsBack() bool {
	return q.core.fifo || q.opts.MaxInFlight > 0 || q.core.groupLimit > 0
}

// ring runs when the alarm goes off.
func (q *Queue[T]) ring() {
	now := q.relock()
	q.alarm.at = never // before a hook is called: others may need an alarm while that is busy
	q.leaveTimed(now)
}

// An alarm is the queue's one timer. It is set only while somebody waits.
type alarm struct {
	ring  func()
	timer *time.Timer
	at    int64 // when it goes off, or never
}

// set makes the alarm go off at an instant; at the end of time means never.
// It may go off too early: what it was set for may not happen any more.
func (a *alarm) set(at, now int64) {
	switch {
	case at == math.MaxInt64:
		if a.at != never {
			a.at = never
			a.timer.Stop()
		}
	case a.at != never && a.at <= at:
	case a.timer == nil:
		a.at = at
		a.timer = time.AfterFunc(time.Duration(at-now), a.ring)
	default:
		a.at = at
		a.timer.Reset(time.Duration(at - now))
	}
}

// await waits in a line until what w asks for is done, or ctx ends, or wait is over, as
// that of a receive may be. It returns the error of ctx, or that of who has woken it. It
// needs the lock, and unlocks.
func (q *Queue[T]) await(ctx context.Context, now int64, l *line[T], w *waiter[T], wait time.Duration) error {
	q.shutBacklog() // what senders have put there till now is served by leave
	l.join(w)
	returned := false
	defer func() {
		if !returned { // a hook has panicked
			q.abandon(l, w)
		}
	}()
	q.leave(now)

	var over <-chan time.Time
	if wait != Forever {
		t := time.NewTimer(wait)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-w.woken:
	case <-over:
		// A message that comes up at this very instant is still in time.
		now := q.enter(q.clock())
		q.serve(now)
		if w.waiting {
			l.quit(w)
			q.totals.EmptyReceives++
		} else {
			<-w.woken
		}
		q.leave(now)
	case <-ctx.Done():
		err := ctx.Err() // without the lock, as it may be the user's code
		now := q.enter(q.clock())
		if w.waiting {
			l.quit(w)
			w.err = err
		} else {
			<-w.woken
			if w.sending == nil { // what a send has stored stays
				// Somebody has just handed over, or closed the queue. The context
				// ended first as far as the caller can see, so what was handed
				// over goes back unseen, and to whoever is next in line.
				q.handBack(now, w)
				w.err = err
			}
		}
		q.leave(now)
	}
	returned = true
	return w.err
}

// abandon takes a call that ends by a panic out of its line.
func (q *Queue[T]) abandon(l *line[T], w *waiter[T]) {
	now := q.relock()
	if w.waiting {
		l.quit(w)
	}
	q.leaveTimed(now)
}

// handBack undoes the deliveries to w, except those that another receive or a
// purge has overtaken meanwhile. The last goes first, so that each finds its place at
// the head of those that are there.
func (q *Queue[T]) handBack(now int64, w *waiter[T]) {
	for i := len(w.got) - 1; i >= 0; i-- {
		r := &w.got[i].Receipt
		m, standing := q.core.find(r)
		if standing != newest || m.is(repeated) {
			continue
		}
		q.totals.Received--
		q.core.undeliver(r.slot, m, w.was[i])
		if q.listening() {
			q.note(now, HandedBack, r.slot, m)
		}
	}
	clear(w.got)
	w.got = w.got[:0]
}
