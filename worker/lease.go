package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A lease is a worker's hold on the message that it handles. It is renewed by a
// timer while the handler runs, and never after: end waits for a renewal that is
// under way. A worker uses one lease for all its messages, one after the other.
type lease[T any] struct {
	pool    *Pool[T]
	timer   *time.Timer
	quit    func() // ends the worker when it is idle
	leaving bool   // quit was called to have fewer workers; guarded by the pool's mu

	mu       sync.Mutex // held during a renewal
	held     bool       // the handler runs, and has not been abandoned
	message  dabchick.Message[T]
	ctx      context.Context // the handler's
	cancel   context.CancelCauseFunc
	began    time.Time
	deadline time.Time     // the visibility timeout ends
	timeout  time.Duration // of the receive
	stats    Stats         // of the worker
}

func newLease[T any](p *Pool[T], quit func()) *lease[T] {
	l := &lease[T]{pool: p, quit: quit}
	l.timer = time.AfterFunc(time.Hour, l.renew)
	l.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leases[l] = struct{}{}
	return l
}

// begin starts the lease of a message that was just received, and returns the
// context for its handler.
func (l *lease[T]) begin(m dabchick.Message[T]) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.message = true, m
	l.ctx, l.cancel = context.WithCancelCause(l.pool.stop)
	l.began = time.Now()
	l.deadline = m.VisibleAt()
	l.timeout = l.deadline.Sub(l.began)
	l.schedule(l.began)
	return l.ctx
}

// end ends the lease when the handler has returned. It says how long that took,
// and false if the lease was taken away before.
func (l *lease[T]) end() (took time.Duration, held bool) {
	l.cancel(errReturned)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	held, l.held = l.held, false
	return time.Since(l.began), held
}

// count notes what has become of the message.
func (l *lease[T]) count(o outcome, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.count(o, err, took)
}

// abandon takes the lease away from a handler that does not return.
func (l *lease[T]) abandon() (m dabchick.Message[T], ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok, l.held = l.held, false
	if ok {
		l.timer.Stop()
		l.stats.count(abandoned, nil, time.Since(l.began))
	}
	return l.message, ok
}

func (l *lease[T]) isHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// schedule sets the timer for the next renewal, or for the end of the lease if
// there is to be none.
func (l *lease[T]) schedule(now time.Time) {
	next := now.Add(time.Duration(float64(l.timeout) * l.pool.o.Renew))
	if !next.Before(l.deadline) || !l.deadline.Before(l.limit()) {
		next = l.deadline
	}
	l.timer.Reset(next.Sub(now))
}

// limit is the instant beyond which the lease is not renewed.
func (l *lease[T]) limit() time.Time { return l.began.Add(l.pool.o.MaxLease) }

// renew runs when the timer goes off. A message whose lease cannot be renewed is
// lost when its timeout ends; until then renewing is tried again.
func (l *lease[T]) renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case !l.held || l.ctx.Err() != nil && context.Cause(l.ctx) != ErrStopping:
		return // it was too late to stop the timer
	case !now.Before(l.deadline):
		l.lose(nil)
		return
	}
	d := min(l.timeout, l.limit().Sub(now))
	err := l.extend(d)
	switch {
	case err == nil:
		l.deadline = now.Add(d)
		l.schedule(now)
	case gone(err):
		l.lose(err)
	case context.Cause(l.ctx) != errReturned:
		l.pool.log.Warn("lease not renewed", "message", l.message.ID, "error", err)
		now = time.Now()
		l.timer.Reset(max(l.deadline.Sub(now)/2, min(l.deadline.Sub(now), time.Millisecond)))
	}
}

// errReturned ends the context of a handler that has returned.
var errReturned = errors.New("worker: the handler has returned")

// extend hides the message for d from now. It gives up waiting for a backend when
// the handler returns, or when the timeout ends.
func (l *lease[T]) extend(d time.Duration) error {
	ctx, cancel := context.WithDeadline(l.pool.base, l.deadline)
	defer cancel()
	stop := context.AfterFunc(l.ctx, func() {
		if context.Cause(l.ctx) == errReturned {
			cancel()
		}
	})
	defer stop()
	return l.pool.queue.ChangeVisibility(ctx, d, l.message.Receipt)
}

// lose tells the handler that the message is not its own any more.
func (l *lease[T]) lose(err error) {
	cause := ErrLeaseLost
	if err != nil {
		cause = fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	l.pool.log.Error("lease lost", "message", l.message.ID, "error", cause, "after", time.Since(l.began))
	l.cancel(cause)
}
