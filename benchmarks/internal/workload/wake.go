package workload

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// wake measures from just before a send until the receiver that waits for it runs. A
// producer that parks leaves its processor to the receiver; one that keeps running, here
// for 5 ms at most, makes another thread take it.
func (r *run[R]) wake() error {
	q, err := r.open(entry.Setup{Capacity: 1})
	if err != nil {
		return err
	}
	defer q.Close()
	producer, err := entry.Session(q)
	if err != nil {
		return err
	}
	consumer, err := entry.Session(q)
	if err != nil {
		return err
	}
	gap, err := r.gap(q)
	if err != nil {
		return err
	}
	const patience = 5 * time.Millisecond
	start := time.Now()
	ready := make(chan struct{})    // the receiver is about to wait
	var sent, received atomic.Int64 // since start
	var stopped atomic.Bool
	g, ctx := errgroup.WithContext(r.ctx)
	took := make([]time.Duration, 0, r.cell.N)
	g.Go(func() error {
		defer close(ready)
		for !stopped.Load() {
			select {
			case ready <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			_, receipt, err := consumer.Receive(ctx)
			now := int64(time.Since(start))
			if err != nil {
				return fmt.Errorf("receiving: %w", err)
			}
			took = append(took, time.Duration(now-sent.Load()))
			received.Store(now)
			if err := consumer.Delete(ctx, receipt); err != nil {
				return fmt.Errorf("deleting: %w", err)
			}
		}
		return nil
	})
	g.Go(func() error {
		for i := range r.cell.N {
			if _, ok := <-ready; !ok {
				return nil
			}
			time.Sleep(gap)
			if i+1 == r.cell.N || time.Since(start) > 3*r.cell.Budget { // some need 250 ms for each
				stopped.Store(true)
			}
			last := received.Load()
			sent.Store(int64(time.Since(start)))
			if err := producer.Send(ctx, r.body); err != nil {
				return fmt.Errorf("sending: %w", err)
			}
			if r.cell.Param == Runs {
				for began := time.Now(); received.Load() == last && time.Since(began) < patience; {
				}
			}
			if stopped.Load() {
				return nil
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if len(took) < r.cell.N {
		r.result.Messages = len(took)
	}
	slices.Sort(took)
	at := func(percent float64) time.Duration {
		return took[min(len(took)-1, int(math.Ceil(percent/100*float64(len(took)))))]
	}
	r.set("p50", micros(at(50)))
	r.set("p99", micros(at(99)))
	for percent := range 101 {
		r.result.Quantiles = append(r.result.Quantiles, float64(at(float64(percent))))
	}
	return nil
}

// gap returns how long to sleep until a receiver is where it waits. As in a program that
// has nothing to do, the processors are then idle.
func (r *run[R]) gap(q entry.Queue[R]) (time.Duration, error) {
	const few = 10
	best := time.Hour
	for range 3 {
		began := time.Now()
		if err := r.cycles(q, few); err != nil {
			return 0, err
		}
		best = min(best, time.Since(began))
	}
	if best/few > 5*time.Microsecond {
		return time.Millisecond, nil
	}
	return 50 * time.Microsecond, nil
}
