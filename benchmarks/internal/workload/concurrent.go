package workload

import (
	"fmt"
	"hash/crc32"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// throughput has as many producers as consumers, who share the messages evenly: so
// nothing is counted while they run.
func (r *run[R]) throughput() error {
	p := r.cell.Param
	rate, err := r.endToEnd(p, p, nil)
	if err != nil {
		return err
	}
	r.set("rate", rate)
	return nil
}

// pool has one producer and workers for whom a message is 10 µs of work.
func (r *run[R]) pool() error {
	workers := r.cell.Param
	steps := calibrate(10 * time.Microsecond)
	work := func() { spin(steps) }
	rate, err := r.endToEnd(1, workers, work)
	if err != nil {
		return err
	}
	n := r.cell.N
	if r.result.Messages > 0 {
		n = r.result.Messages
	}
	began := time.Now()
	var g errgroup.Group
	for range workers {
		g.Go(func() error {
			for range n / workers {
				work()
			}
			return nil
		})
	}
	g.Wait()
	alone := float64(n/workers*workers) / time.Since(began).Seconds()
	r.set("rate", rate)
	r.set("efficiency", 100*rate/alone)
	return nil
}

// endToEnd returns the messages a second that go from producers to consumers.
func (r *run[R]) endToEnd(producers, consumers int, work func()) (float64, error) {
	q, err := r.open(entry.Setup{Capacity: r.cell.N, Consumers: consumers})
	if err != nil {
		return 0, err
	}
	defer q.Close()
	n, err := r.affordable(q)
	if err != nil {
		return 0, err
	}
	shares := producers * consumers
	if producers == consumers {
		shares = producers
	}
	n = max(n/shares, 1) * shares
	sessions := make([]entry.Queue[R], producers+consumers)
	for i := range sessions {
		if sessions[i], err = entry.Session(q); err != nil {
			return 0, err
		}
	}
	runtime.GC()
	g, ctx := errgroup.WithContext(r.ctx)
	began := time.Now()
	for _, s := range sessions[:producers] {
		g.Go(func() error {
			for range n / producers {
				if err := s.Send(ctx, r.body); err != nil {
					return fmt.Errorf("sending: %w", err)
				}
			}
			return nil
		})
	}
	for _, s := range sessions[producers:] {
		g.Go(func() error {
			for range n / consumers {
				_, receipt, err := s.Receive(ctx)
				if err != nil {
					return fmt.Errorf("receiving: %w", err)
				}
				if work != nil {
					work()
				}
				if err := s.Delete(ctx, receipt); err != nil {
					return fmt.Errorf("deleting: %w", err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// spin is work for the CPU that cannot be left out.
func spin(steps int) {
	sum := uint32(0)
	for range steps {
		sum = crc32.Update(sum, crc32.IEEETable, spinning[:])
	}
	if sum == 1 {
		runtime.Gosched()
	}
}

var spinning [64]byte

// calibrate returns how many steps take so long, when nothing disturbs them.
func calibrate(d time.Duration) int {
	const steps = 1000
	best := time.Hour
	for range 20 {
		began := time.Now()
		spin(steps)
		best = min(best, time.Since(began))
	}
	return max(1, int(steps*d/best))
}
