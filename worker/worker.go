// Package worker runs handlers for the messages of a queue: so many at a time,
// with their leases renewed while they run, and with an orderly end.
//
//	err := worker.Run(ctx, q, func(ctx context.Context, m dabchick.Message[Job]) error {
//		return resize(ctx, m.Body) // nil deletes the message, an error retries it later
//	}, worker.Options{Workers: 8})
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A Queue is what a pool works on: a *dabchick.Queue, or something around one.
type Queue[T any] interface {
	Receive(ctx context.Context) (dabchick.Message[T], error)
	ReceiveBatch(ctx context.Context, o dabchick.ReceiveOptions) ([]dabchick.Message[T], error)
	Delete(ctx context.Context, receipts ...dabchick.Receipt) error
	ChangeVisibility(ctx context.Context, d time.Duration, receipts ...dabchick.Receipt) error
	Return(ctx context.Context, receipts ...dabchick.Receipt) error
}

// A Handler works on one message. What it returns is the verdict on it:
//
//   - nil: the work is done, and the message is deleted;
//   - an error: it comes up again after Options.Backoff;
//   - [RetryAfter], [Discard] or [DeadLetter], wrapped or not: what they say.
//
// A message of a backend whose body cannot be decoded never gets here. It counts as
// failed: it is hidden for the backoff, logged and told to Options.OnEvent, with a
// *dabchick.DecodeError; what ends that is told there.
//
// A panic counts as an error, a *PanicError, and so does runtime.Goexit. A panic in a
// method of the error that it returns, a nil pointer, say, is one of the handler.
//
// Its context ends, with a cause that says why, when the lease is lost
// (ErrLeaseLost) or the pool stops (ErrStopping). It also ends when the handler
// has returned. The handler must not settle the message itself.
type Handler[T any] func(ctx context.Context, m dabchick.Message[T]) error

// Chain returns a handler that runs the middlewares around h, the first one
// outermost: for logs, traces, or what all handlers have in common.
func Chain[T any](h Handler[T], middlewares ...func(next Handler[T]) Handler[T]) Handler[T] {
	for i := len(middlewares) - 1; i >= 0; i-- {
		h = middlewares[i](h)
	}
	return h
}

// Causes for the end of a handler's context: see context.Cause.
var (
	// ErrLeaseLost: the message is not the handler's any more. Its visibility
	// timeout has ended, Options.MaxLease was reached, or somebody removed it.
	// Another worker may have it already, so it is time to stop.
	ErrLeaseLost = errors.New("worker: lease lost")
	// ErrStopping: the pool stops, and the grace period is over.
	ErrStopping = errors.New("worker: pool is stopping")
)

// Errors of a pool.
var (
	// ErrRunning: the pool runs already, or has run. A pool runs once.
	ErrRunning = errors.New("worker: the pool has been started before")
	// errGoexit is the verdict of a handler that has ended its goroutine.
	errGoexit = errors.New("worker: the handler called runtime.Goexit")

	errNilHandler = &dabchick.InvalidError{Field: "handle", Value: "nil", Allowed: "a function"}
	errNilQueue   = &dabchick.InvalidError{Field: "q", Value: "nil", Allowed: "a queue"}
)

// A Pool receives messages and runs a handler for each. Make one with [New], or
// with [NewBatch].
type Pool[T any] struct {
	queue Queue[T]
	o     Options
	log   *slog.Logger
	// take receives what a handler gets, and begins its lease. It says false if
	// nothing came.
	take   func(receiving context.Context, l *lease[T], wait time.Duration) (bool, error)
	handle func(ctx context.Context, ms []dabchick.Message[T]) error

	working   sync.WaitGroup
	receiving context.Context // of all workers; each has one below it
	base      context.Context // the values of Run's context, and no end
	stop      context.Context // of handlers
	kill      context.CancelCauseFunc

	mu      sync.Mutex
	started bool
	broken  error                  // why no more is received, if not because ctx ended
	ended   func()                 // ends the receives
	leases  map[*lease[T]]struct{} // one for each worker
	retired Stats                  // of workers that have ended
}

// Run works on the messages of a queue until ctx ends or the queue is closed. It
// is New and then Pool.Run.
func Run[T any](ctx context.Context, q Queue[T], handle Handler[T], o Options) error {
	p, err := New(q, handle, o)
	if err != nil {
		return err
	}
	return p.Run(ctx)
}

// New returns a pool that does not run yet. Options out of range give a
// *dabchick.InvalidError.
func New[T any](q Queue[T], handle Handler[T], o Options) (*Pool[T], error) {
	if handle == nil {
		return nil, errNilHandler
	}
	p, err := newPool(q, o, false)
	if err != nil {
		return nil, err
	}
	p.take = p.takeOne
	p.handle = func(ctx context.Context, ms []dabchick.Message[T]) error { return handle(ctx, ms[0]) }
	return p, nil
}

func newPool[T any](q Queue[T], o Options, batches bool) (*Pool[T], error) {
	o, err := o.settled(batches)
	if err != nil {
		return nil, err
	}
	// A nil *dabchick.Queue comes from a New whose error was not looked at.
	if own, ok := q.(*dabchick.Queue[T]); q == nil || ok && own == nil {
		return nil, errNilQueue
	}
	if _, ok := q.(statser); o.Scale != nil && !ok {
		return nil, &dabchick.InvalidError{Field: "Scale", Value: "set", Allowed: "nil, unless the queue has a method Stats"}
	}
	return &Pool[T]{queue: q, o: o, log: o.Logger, leases: map[*lease[T]]struct{}{}}, nil
}

// Run works until ctx ends or the queue is closed, and then stops in steps.
// Without Scale, that the queue is closed is found out by the next worker that asks
// for a message: while all are busy, only the end of ctx stops the pool.
//
//  1. No more messages are received. None is lost: one that is being handed over
//     goes back.
//  2. Handlers that run have Options.Grace to finish; their verdicts count.
//  3. Their contexts end, with ErrStopping. What they return an error for now is
//     given back at once, without spending an attempt.
//  4. Those that have not returned after Options.Patience are abandoned: their
//     messages are given back at once, for which a backend has 5 s, and whatever they
//     return later is ignored.
//
// It returns nil after an end by ctx, dabchick.ErrClosed after the end of the
// queue, and an *AbandonedError if it came to step 4. When it has returned, no
// goroutine of the pool is left unless handlers were abandoned, or a call of the
// queue is still under way; then all are gone when the last of these returns. A
// second call returns ErrRunning.
func (p *Pool[T]) Run(ctx context.Context) error {
	receiving, ended := context.WithCancel(ctx)
	defer ended()
	if err := p.open(ctx, ended); err != nil {
		return err
	}
	defer p.kill(ErrStopping)
	p.receiving = receiving
	if p.o.Scale != nil {
		p.resize(receiving, 0, p.o.Scale.Min)
		p.working.Go(func() { p.scale(receiving) })
	} else {
		p.resize(receiving, 0, p.o.Workers)
	}
	<-receiving.Done()
	err := p.wind()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.broken, err)
}

// Drain handles what the queue has to deliver now, and what comes meanwhile, one
// message or batch after the other in the calling goroutine, until there is
// nothing left that can be delivered. What failed is hidden for its backoff, and
// waits for another Drain or pool. It returns the context's error if that ended
// first, or that of a receive or of the Limiter. A handler that runs when the context
// ends has Options.Grace to finish, then its context ends, with ErrStopping, and Drain
// waits for it. As with Run, a pool does this once.
//
// For programs that run now and then, and for tests.
func (p *Pool[T]) Drain(ctx context.Context) error {
	if err := p.open(ctx, func() {}); err != nil {
		return err
	}
	defer p.kill(ErrStopping)
	done := make(chan struct{})
	defer close(done)
	defer context.AfterFunc(ctx, func() {
		if !within(done, p.o.Grace) {
			p.kill(ErrStopping)
		}
	})()
	l := newLease(p, func() {})
	defer p.retire(l)
	l.settleIn()
	for {
		if err := p.o.Limiter.Wait(ctx); err != nil {
			return err
		}
		switch ok, err := p.take(ctx, l, dabchick.Immediately); {
		case ok:
			p.do(l)
		case err != errBatchLost && !p.undecoded(l, err):
			return err
		}
	}
}

// open makes the pool ready for work, once.
func (p *Pool[T]) open(ctx context.Context, ended func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started {
		return ErrRunning
	}
	p.started, p.ended = true, ended
	p.base = context.WithoutCancel(ctx) // handlers outlive ctx
	p.stop, p.kill = context.WithCancelCause(p.base)
	return nil
}

// start adds a worker.
func (p *Pool[T]) start(receiving context.Context) {
	receiving, quit := context.WithCancel(receiving)
	p.run(receiving, newLease(p, quit))
}

// run lets a worker work in a goroutine of its own.
func (p *Pool[T]) run(receiving context.Context, l *lease[T]) {
	p.working.Go(func() {
		finished := false
		defer func() {
			if finished {
				p.retire(l)
			} else { // the handler has ended this goroutine
				p.run(receiving, l)
			}
		}()
		p.work(receiving, l)
		finished = true
	})
}

// work receives and handles one message after the other. An idle worker is a
// receive that waits, so nothing is claimed that cannot be started at once.
func (p *Pool[T]) work(receiving context.Context, l *lease[T]) {
	l.settleIn()
	for n := 0; ; {
		// The contexts of the workers end one after the other, and this one may be
		// the last: by then others may have been told to stop already.
		if p.receiving.Err() != nil {
			return
		}
		err := p.o.Limiter.Wait(receiving)
		var ok bool
		if err == nil {
			ok, err = p.take(receiving, l, dabchick.Forever)
		}
		switch {
		case ok && p.receiving.Err() != nil: // it came too late
			p.unhand(l, nil)
		case ok:
			n = 0
			p.do(l)
		case p.undecoded(l, err): // the queue works
			n = 0
		case receiving.Err() != nil:
			return
		case errors.Is(err, dabchick.ErrClosed):
			p.fail(err)
			return
		case err != nil && err != errBatchLost: // of a backend or the limiter, say
			n++
			p.log.Error("receive failed", "error", err, "failures", n)
			if within(receiving.Done(), p.o.Backoff(n)) {
				return
			}
		}
	}
}

// takeOne receives a message.
func (p *Pool[T]) takeOne(receiving context.Context, l *lease[T], wait time.Duration) (bool, error) {
	if wait == dabchick.Forever {
		m, err := p.queue.Receive(receiving)
		if err != nil {
			return false, err
		}
		l.begin(m)
		return true, nil
	}
	ms, err := p.queue.ReceiveBatch(receiving, dabchick.ReceiveOptions{Max: 1, Wait: wait})
	if err != nil || len(ms) == 0 {
		return false, err
	}
	l.begin(ms...)
	return true, nil
}

// retire keeps the figures of a worker that ends.
func (p *Pool[T]) retire(l *lease[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.quit()
	l.release()
	l.mu.Lock()
	defer l.mu.Unlock()
	p.retired.add(&l.stats)
	delete(p.leases, l)
}

// fail ends the receives for a reason.
func (p *Pool[T]) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = err
	}
	p.ended()
}

// do lets the handler work, and carries out the verdict, however it ends.
func (p *Pool[T]) do(l *lease[T]) {
	verdict := errGoexit
	defer func() {
		if v := recover(); v != nil {
			verdict = &PanicError{Value: v, Stack: debug.Stack()}
		}
		if took, held := l.end(); held {
			p.settle(l, verdict, took)
		}
	}()
	l.tellBegan()
	verdict = p.handle(l.ctx, l.messages)
}

// returnTimeout is how long a pool that stops waits for a backend to take back messages.
const returnTimeout = 5 * time.Second

// wind waits for the handlers that run, in the steps that Run tells of.
func (p *Pool[T]) wind() error {
	done := make(chan struct{})
	go func() {
		p.working.Wait()
		close(done)
	}()
	if within(done, p.o.Grace) {
		return nil
	}
	p.kill(ErrStopping)
	if within(done, p.o.Patience) {
		return nil
	}
	p.mu.Lock()
	var left []*lease[T]
	for l := range p.leases {
		left = append(left, l)
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.base, returnTimeout)
	defer cancel()
	var e AbandonedError
	for _, l := range left {
		ms, took := l.abandon()
		if len(ms) == 0 {
			continue
		}
		p.giveBack(ctx, ms)
		took /= time.Duration(len(ms))
		for i := range ms {
			e.Messages = append(e.Messages, ms[i].ID)
			l.count(Abandoned, nil, took)
			p.report(&ms[i], Event{Kind: Ended, Outcome: Abandoned, Took: took})
		}
	}
	if len(e.Messages) == 0 {
		return nil
	}
	p.log.Error("handlers abandoned", "messages", e.Messages)
	return &e
}

// within says whether done is closed before d has passed.
func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// An AbandonedError names the messages whose handlers had not returned when the
// pool stopped.
type AbandonedError struct {
	Messages []dabchick.ID
}

func (e *AbandonedError) Error() string {
	return fmt.Sprintf("worker: handlers of %d messages abandoned: %v", len(e.Messages), e.Messages)
}
