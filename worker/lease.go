package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A lease is a worker's hold on the messages that it handles: one, or those of a
// batch. It is renewed by a timer while the handler runs, and never after: end
// waits for a renewal that is under way. A worker uses one lease for all its
// messages, one after the other.
type lease[T any] struct {
	pool      *Pool[T]
	timer     *time.Timer
	stuck     *time.Timer     // nil without Options.StuckAfter
	goroutine []byte          // the worker's, for its stack
	stop      context.Context // the pool's, for this worker alone: a parent shared by all is a lock shared by all
	release   func()          // of stop, when the worker has ended
	quit      func()          // ends the worker when it is idle
	leaving   bool            // quit was called to have fewer workers; guarded by the pool's mu

	renewing turn // held during a renewal and what is told of it; taken before mu

	mu       sync.Mutex
	held     bool // the handler runs, and has not been abandoned
	messages []dabchick.Message[T]
	receipts []dabchick.Receipt // of the messages
	ctx      context.Context    // the handler's
	cancel   context.CancelCauseFunc
	began    time.Time     // the messages were received
	called   time.Time     // the handler was; zero while a batch fills
	deadline time.Time     // the visibility timeout ends
	timeout  time.Duration // of the receive
	stats    Stats         // of the worker
}

// A turn is a lock that is held while a backend works. In a synctest bubble time goes on
// while somebody waits for it, which it does not for a sync.Mutex.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

func newLease[T any](p *Pool[T], quit func()) *lease[T] {
	stop, release := context.WithCancel(p.stop)
	l := &lease[T]{pool: p, stop: stop, release: release, quit: quit, renewing: make(turn, 1)}
	l.timer = time.AfterFunc(time.Hour, l.renew)
	l.timer.Stop()
	if p.o.StuckAfter > 0 {
		l.stuck = time.AfterFunc(time.Hour, l.watch)
		l.stuck.Stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leases[l] = struct{}{}
	return l
}

// settleIn is called by the goroutine that the worker runs in.
func (l *lease[T]) settleIn() {
	if l.stuck != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.goroutine = self()
	}
}

// begin starts the lease of messages that were just received together.
func (l *lease[T]) begin(ms ...dabchick.Message[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.messages, l.receipts = true, l.messages[:0], l.receipts[:0]
	l.add(ms)
	l.ctx, l.cancel = context.WithCancelCause(l.stop)
	l.began, l.called = time.Now(), time.Time{}
	l.deadline = ms[0].VisibleAt()
	l.timeout = l.deadline.Sub(l.began)
	l.schedule(l.began)
	if l.pool.o.BatchWait == 0 {
		l.start(l.began)
	}
}

// start notes when the handler is called. The caller holds mu.
func (l *lease[T]) start(now time.Time) {
	l.called = now
	if l.stuck != nil {
		l.stuck.Reset(l.pool.o.StuckAfter)
	}
}

// join adds messages that were received later. Their timeouts end later, too.
func (l *lease[T]) join(ms ...dabchick.Message[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(ms)
}

func (l *lease[T]) add(ms []dabchick.Message[T]) {
	l.messages = append(l.messages, ms...)
	for i := range ms {
		l.receipts = append(l.receipts, ms[i].Receipt)
	}
}

// filled is told that no more messages join.
func (l *lease[T]) filled() {
	if l.pool.o.BatchWait > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.start(time.Now())
	}
}

// took is for how long the handler has run. The caller holds mu.
func (l *lease[T]) took() time.Duration {
	if l.called.IsZero() {
		return 0
	}
	return time.Since(l.called)
}

// end ends the lease when the handler has returned. It says how long that took,
// and false if the lease was taken away before.
func (l *lease[T]) end() (took time.Duration, held bool) {
	l.cancel(errReturned)
	l.renewing.Lock()
	defer l.renewing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopTimers()
	held, l.held = l.held, false
	return l.took(), held
}

func (l *lease[T]) stopTimers() {
	l.timer.Stop()
	if l.stuck != nil {
		l.stuck.Stop()
	}
}

// count notes what has become of a message.
func (l *lease[T]) count(o Outcome, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.count(o, err, took)
}

// abandon takes the lease away from a handler that does not return, also while a
// renewal is under way. It returns the messages.
func (l *lease[T]) abandon() (ms []dabchick.Message[T], took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		return nil, 0
	}
	l.held = false
	l.stopTimers()
	return l.messages, l.took()
}

func (l *lease[T]) isHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// schedule sets the timer for the next renewal, or for the end of the lease if
// there is to be none.
func (l *lease[T]) schedule(now time.Time) {
	next := now.Add(max(time.Duration(float64(l.timeout)*l.pool.o.Renew), 1))
	if !next.Before(l.deadline) || !l.deadline.Before(l.limit()) {
		next = l.deadline
	}
	l.timer.Reset(next.Sub(now))
}

// limit is the instant beyond which the lease is not renewed.
func (l *lease[T]) limit() time.Time { return l.began.Add(l.pool.o.MaxLease) }

// renew runs when the timer goes off. Messages whose lease cannot be renewed are
// lost when their timeout ends; until then renewing is tried again.
func (l *lease[T]) renew() {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	l.mu.Lock()
	now, ctx, deadline, ms, receipts := time.Now(), l.ctx, l.deadline, l.messages, l.receipts
	over := !l.held || ctx.Err() != nil && context.Cause(ctx) != ErrStopping
	d := min(l.timeout, l.limit().Sub(now))
	l.mu.Unlock()
	switch {
	case over: // it was too late to stop the timer
		return
	case !now.Before(deadline):
		l.lose(ms, nil)
		return
	}
	err := l.extend(ctx, d, deadline, receipts)
	switch {
	case gone(err):
		l.lose(ms, err)
	case l.extended(now, d, err):
		l.each(ms, Event{Kind: Renewed})
	}
}

// extended takes note of how an attempt to renew ended, and says whether the lease
// was renewed.
func (l *lease[T]) extended(now time.Time, d time.Duration, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.held || context.Cause(l.ctx) == errReturned:
		return false
	case err == nil:
		l.deadline = now.Add(d)
		l.schedule(now)
		return true
	}
	l.pool.log.Warn("lease not renewed", "message", l.messages[0].ID, "messages", len(l.messages), "error", err)
	left := time.Until(l.deadline)
	l.timer.Reset(max(left/2, min(left, time.Millisecond)))
	return false
}

// errReturned ends the context of a handler that has returned.
var errReturned = errors.New("worker: the handler has returned")

// extend hides messages for d from now. It gives up waiting for a backend when
// the handler returns, or when the timeout ends.
func (l *lease[T]) extend(handling context.Context, d time.Duration, deadline time.Time, receipts []dabchick.Receipt) error {
	ctx, cancel := context.WithDeadline(l.pool.base, deadline)
	defer cancel()
	stop := context.AfterFunc(handling, func() {
		if context.Cause(handling) == errReturned {
			cancel()
		}
	})
	defer stop()
	return l.pool.queue.ChangeVisibility(ctx, d, receipts...)
}

// lose tells the handler that a message is not its own any more.
func (l *lease[T]) lose(ms []dabchick.Message[T], err error) {
	cause := ErrLeaseLost
	if err != nil {
		cause = fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	l.pool.log.Error("lease lost", "message", ms[0].ID, "messages", len(ms), "error", cause,
		"after", time.Since(l.began))
	l.cancel(cause)
	l.each(ms, Event{Kind: LeaseLost, Err: cause})
}

// tellBegan reports that the handler is about to be called.
func (l *lease[T]) tellBegan() {
	if l.pool.o.OnEvent == nil {
		return
	}
	l.renewing.Lock() // so that what follows is told later
	defer l.renewing.Unlock()
	for i := range l.messages {
		l.pool.report(&l.messages[i], Event{Kind: Began})
	}
}

// each reports an event of messages. The caller holds renewing.
func (l *lease[T]) each(ms []dabchick.Message[T], e Event) {
	if l.pool.o.OnEvent == nil {
		return
	}
	l.mu.Lock()
	e.Took = l.took()
	l.mu.Unlock()
	for i := range ms {
		l.pool.report(&ms[i], e)
	}
}
