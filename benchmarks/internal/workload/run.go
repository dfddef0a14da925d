package workload

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

const bodySize = 256

// A run carries out a cell with an entry.
type run[R any] struct {
	ctx    context.Context
	entry  entry.Entry[R]
	cell   Cell
	result *Result
	body   []byte
}

func (r *run[R]) measure() error {
	switch r.cell.Workload {
	case "cycle":
		return r.cycle()
	case "backlog":
		return r.backlog()
	case "inflight":
		return r.inFlight()
	case "throughput":
		return r.throughput()
	case "heap":
		return r.heap()
	case "trace":
		return r.trace()
	case "wake":
		return r.wake()
	case "batch":
		return r.batch()
	case "fifo":
		return r.fifo()
	case "pool":
		return r.pool()
	}
	return fmt.Errorf("workload %s is not carried out", r.cell.Workload)
}

func (r *run[R]) set(key string, value float64) { r.result.Values[key] = value }

func (r *run[R]) open(s entry.Setup) (entry.Queue[R], error) {
	q, err := r.entry.Open(s)
	if err != nil {
		return nil, fmt.Errorf("it does not start: %w", err)
	}
	return q, nil
}

// preparation is how long it may take to fill a queue.
func (r *run[R]) preparation() time.Duration { return Preparation * r.cell.Budget }

// fill sends n messages, in batches if there are any. It gives up when it is clear
// that it would take too long.
func (r *run[R]) fill(q entry.Queue[R], n int) error {
	size := 1
	batcher, ok := q.(entry.Batcher[R])
	if ok && r.entry.Batches > 0 {
		size = min(10, r.entry.Batches)
	}
	bodies := make([][]byte, size)
	for i := range bodies {
		bodies[i] = r.body
	}
	patience := patience{limit: r.preparation(), began: time.Now(), n: n}
	for done := 0; done < n; {
		if n-done < size {
			bodies = bodies[:n-done]
		}
		var err error
		if size > 1 {
			err = batcher.SendBatch(r.ctx, bodies)
		} else {
			err = q.Send(r.ctx, r.body)
		}
		if err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		done += len(bodies)
		if err := patience.check("filling", done); err != nil {
			return err
		}
	}
	return nil
}

// take receives n messages, one by one, and appends their receipts.
func (r *run[R]) take(q entry.Queue[R], n int, receipts []R) ([]R, error) {
	patience := patience{limit: r.preparation(), began: time.Now(), n: n}
	for i := range n {
		_, receipt, err := q.Receive(r.ctx)
		if err != nil {
			return receipts, fmt.Errorf("receiving: %w", err)
		}
		receipts = append(receipts, receipt)
		if err := patience.check("receiving", i+1); err != nil {
			return receipts, err
		}
	}
	return receipts, nil
}

// A patience knows early that something would take longer than its limit.
type patience struct {
	limit time.Duration
	began time.Time
	n     int
	next  int // to look at the clock again
}

func (p *patience) check(what string, done int) error {
	if done < p.next || done == p.n {
		return nil
	}
	p.next = done + max(1, min(done/4, 10_000))
	passed := time.Since(p.began)
	if passed < p.limit/20 {
		return nil
	}
	if whole := time.Duration(float64(passed) / float64(done) * float64(p.n)); whole > p.limit {
		return fmt.Errorf("%s would take too long (%v)", what, whole.Round(time.Second))
	}
	return nil
}

// cycles sends, receives and deletes n messages, one after the other.
func (r *run[R]) cycles(q entry.Queue[R], n int) error {
	for range n {
		if err := q.Send(r.ctx, r.body); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		_, receipt, err := q.Receive(r.ctx)
		if err != nil {
			return fmt.Errorf("receiving: %w", err)
		}
		if err := q.Delete(r.ctx, receipt); err != nil {
			return fmt.Errorf("deleting: %w", err)
		}
	}
	return nil
}

// A steady is what a repeated action costs.
type steady struct{ ns, bytes, allocs float64 }

// repeat repeats an action until the cell's time is over, after it has done so for a
// part of that time to get warm.
func (r *run[R]) repeat(action func(n int) error) (steady, error) {
	n := 1
	for warm := time.Now(); ; n *= 2 {
		began := time.Now()
		if err := action(n); err != nil {
			return steady{}, err
		}
		if once := time.Since(began); once > r.cell.Time/20 || time.Since(warm) > r.cell.Time/2 {
			break
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ops := 0
	began := time.Now()
	for time.Since(began) < r.cell.Time {
		if err := action(n); err != nil {
			return steady{}, err
		}
		ops += n
	}
	passed := time.Since(began)
	runtime.ReadMemStats(&after)
	each := func(x float64) float64 { return x / float64(ops) }
	return steady{each(float64(passed)), each(float64(after.TotalAlloc - before.TotalAlloc)), each(float64(after.Mallocs - before.Mallocs))}, nil
}

// affordable returns how many of the cell's messages there is time for, going by what
// a few cost. It leaves the queue empty.
func (r *run[R]) affordable(q entry.Queue[R]) (int, error) {
	var each time.Duration
	most := min(r.cell.N, 512) // for which there is room, in a short channel too
	for n := min(10, most); ; n *= 2 {
		began := time.Now()
		if err := r.sendAll(q, n); err != nil {
			return 0, fmt.Errorf("sending: %w", err)
		}
		if err := r.drain(q, n); err != nil {
			return 0, fmt.Errorf("receiving and deleting: %w", err)
		}
		passed := time.Since(began)
		each = max(1, passed/time.Duration(n))
		if passed > r.cell.Budget/100 || 2*n > most {
			break
		}
	}
	return r.fewer(int(r.cell.Budget / each)), nil
}

// fewer is round, and notes when it is less than was asked for.
func (r *run[R]) fewer(affordable int) int {
	n := r.round(affordable)
	if n < r.cell.N {
		r.result.Messages = n
	}
	return n
}

// round returns the number of messages of the cell, or a round number that is less if only
// so many are affordable.
func (r *run[R]) round(affordable int) int {
	if affordable >= r.cell.N {
		return r.cell.N
	}
	n := 1
	for n*10 <= affordable {
		n *= 10
	}
	n *= max(1, affordable/n)
	return max(n, min(100, r.cell.N))
}
