package worker_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

var (
	simulations = flag.Int("worker.simulations", 2000, "runs of TestSimulation")
	seed        = flag.Uint64("worker.seed", 0, "the one seed that TestSimulation runs; 0 for many")
)

// Pools, some of changing size, whose handlers fail, hang, panic and end their
// goroutines, stopped at random instants, one after the other: each message ends as exactly one of
// done, dead-lettered and still queued; no two handlers hold one at a time; and
// no lease is renewed after its handler has returned.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		simulate(t, *seed)
		return
	}
	first := rand.Uint64() | 1
	running := first
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("replay: go test -run TestSimulation ./worker -worker.seed %d", running)
		}
	})
	for i := range *simulations {
		running = first + uint64(i)
		if simulate(t, running); t.Failed() {
			return
		}
	}
}

// world is the queue of a simulation, and what is known of its handlers.
type world struct {
	*dabchick.Queue[string]
	t  *testing.T
	mu sync.Mutex
	r  *rand.Rand

	holding  map[dabchick.ID]context.Context // of the handler that has begun last
	returned map[dabchick.Receipt]bool       // from their handlers
	done     map[dabchick.ID]bool            // a handler said so
	last     map[delivery]worker.EventKind
}

// odd marks the times of verdicts, so that they are told from renewals.
const odd = 7 * time.Nanosecond

func (w *world) pick(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.r.IntN(n)
}

func (w *world) ChangeVisibility(ctx context.Context, d time.Duration, receipts ...dabchick.Receipt) error {
	w.mu.Lock()
	for _, r := range receipts {
		if d%time.Millisecond != odd && w.returned[r] {
			w.t.Errorf("a lease was renewed for %v after its handler had returned", d)
		}
	}
	w.mu.Unlock()
	return w.Queue.ChangeVisibility(ctx, d, receipts...)
}

func (w *world) handle(ctx context.Context, m dabchick.Message[string]) error {
	defer w.returns(m)
	return w.work(ctx, m)
}

func (w *world) returns(ms ...dabchick.Message[string]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range ms {
		w.returned[m.Receipt] = true
	}
}

func (w *world) work(ctx context.Context, m dabchick.Message[string]) error {
	w.mu.Lock()
	other := w.holding[m.ID]
	w.holding[m.ID] = ctx
	w.mu.Unlock()
	time.Sleep(ns) // a lease that ends at this instant may be told after the next has begun
	if other != nil && other.Err() == nil && ctx.Err() == nil {
		w.t.Errorf("message %s has two handlers", m.Body)
	}

	work := time.Duration(1+w.pick(20_000)) * time.Millisecond
	switch w.pick(10) {
	case 0: // does not listen
		time.Sleep(5 * work)
	default:
		select {
		case <-time.After(work):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch w.pick(12) {
	case 0:
		return errors.New("failed")
	case 1:
		panic("failed")
	case 2:
		runtime.Goexit()
	case 3:
		return worker.RetryAfter(work.Truncate(time.Millisecond)+odd, nil)
	case 4:
		return worker.DeadLetter(nil)
	case 5:
		w.finish(m.ID)
		return worker.Discard(nil)
	}
	w.finish(m.ID)
	return nil
}

// handleBatch handles messages side by side. It ends as the first that does not
// return ends.
func (w *world) handleBatch(ctx context.Context, ms []dabchick.Message[string]) error {
	defer w.returns(ms...)
	each := make(worker.Each, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					each[i] = fmt.Errorf("panicked: %v", v)
				}
			}()
			each[i] = errors.New("did not return")
			each[i] = w.work(ctx, m)
		})
	}
	wg.Wait()
	switch w.pick(20) {
	case 0:
		panic("failed")
	case 1:
		runtime.Goexit()
	}
	return each
}

// observe holds the events of each delivery against what may follow what.
func (w *world) observe(e worker.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := delivery{e.Message, e.Receives}
	switch last := w.last[key]; {
	case e.Kind == worker.Stuck && last != 0:
		return
	case e.Kind == worker.Ended && e.Outcome == worker.Abandoned:
	case e.Kind == worker.Began && last == worker.Began,
		e.Kind == worker.Ended && (last == 0 || last == worker.Ended),
		e.Kind == worker.Stuck:
		w.t.Errorf("%v after %v of %v", e.Kind, last, key)
	}
	w.last[key] = e.Kind
}

// delivery is the n-th of a message.
type delivery struct {
	id dabchick.ID
	n  int
}

func (w *world) finish(id dabchick.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[id] = true
}

func simulate(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		r := rand.New(rand.NewPCG(seed, 0))
		ms := func(n int) time.Duration { return time.Duration(1+r.IntN(n)) * time.Millisecond }
		o := dabchick.Options[string]{VisibilityTimeout: ms(20_000), FIFO: r.IntN(2) == 0}
		dead, err := dabchick.New("dead", dabchick.Options[string]{FIFO: o.FIFO})
		require.NoError(t, err)
		if r.IntN(4) > 0 {
			o.DeadLetter, o.MaxReceives = dead, 1+r.IntN(4)
		}
		q, err := dabchick.New("jobs", o)
		require.NoError(t, err)
		w := &world{Queue: q, t: t, r: rand.New(rand.NewPCG(seed, 1)), holding: map[dabchick.ID]context.Context{},
			returned: map[dabchick.Receipt]bool{}, done: map[dabchick.ID]bool{}, last: map[delivery]worker.EventKind{}}
		sent := map[dabchick.ID]bool{}
		for n := range 1 + r.IntN(30) {
			so := dabchick.SendOptions{Group: fmt.Sprint("group", r.IntN(5))}
			id, err := q.SendWith(ctx, fmt.Sprint(n), so)
			require.NoError(t, err)
			sent[id] = true
		}
		for range 1 + r.IntN(3) {
			wo := worker.Options{
				Workers: 1 + r.IntN(6), MaxLease: ms(60_000), Grace: ms(10_000), Patience: ms(3_000),
				Backoff: func(n int) time.Duration { return time.Duration(n)*time.Second + odd },
			}
			if r.IntN(2) == 0 {
				wo.Scale = &worker.Scale{Min: r.IntN(wo.Workers + 1), Backlog: float64(r.IntN(4)), Wait: ms(20_000),
					Every: ms(3_000), CoolDown: ms(10_000)}
			}
			wo.OnEvent = w.observe
			if r.IntN(3) == 0 {
				wo.StuckAfter = ms(30_000)
			}
			p, err := worker.New(w, w.handle, wo)
			if r.IntN(3) == 0 {
				wo.BatchSize, wo.BatchWait = 1+r.IntN(5), ms(10_000)
				p, err = worker.NewBatch(w, w.handleBatch, wo)
			}
			require.NoError(t, err)
			running, stop := context.WithTimeout(ctx, ms(200_000))
			err = p.Run(running)
			stop()
			if !errors.As(err, new(*worker.AbandonedError)) {
				require.NoError(t, err)
			}
			s := p.Stats()
			require.Zero(t, s.Running)
			if err == nil {
				require.Zero(t, s.Workers)
			}
			require.LessOrEqual(t, s.Panicked, s.Failed)
		}
		time.Sleep(time.Hour) // abandoned handlers return
		queued, buried := peek(t, q), peek(t, dead)
		w.mu.Lock()
		defer w.mu.Unlock()
		for id := range sent {
			gone := !queued[id] && !buried[id]
			switch {
			case queued[id] && buried[id]:
				t.Errorf("message %v is in both queues", id)
			case gone && !w.done[id]:
				t.Errorf("message %v is lost", id)
			}
		}
		st, err := q.Stats(ctx)
		require.NoError(t, err)
		require.EqualValues(t, len(sent), st.Deleted+uint64(len(queued)+len(buried)))
		require.Zero(t, st.InFlight, "leases end")
	})
}

func peek(t *testing.T, q *dabchick.Queue[string]) map[dabchick.ID]bool {
	ms, err := q.Peek(context.Background(), 1000)
	require.NoError(t, err)
	ids := map[dabchick.ID]bool{}
	for _, m := range ms {
		ids[m.ID] = true
	}
	return ids
}
