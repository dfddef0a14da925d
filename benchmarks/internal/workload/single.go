package workload

import (
	"fmt"
	"math"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// cycle is one message at a time on an empty queue.
func (r *run[R]) cycle() error {
	q, err := r.open(entry.Setup{Capacity: 1})
	if err != nil {
		return err
	}
	defer q.Close()
	s, err := r.repeat(func(n int) error { return r.cycles(q, n) })
	if err != nil {
		return err
	}
	r.set("cycle", s.ns)
	// To a tenth: now and then the runtime allocates something, too.
	r.set("bytes", math.Round(s.bytes*10)/10)
	r.set("allocs", math.Round(s.allocs*10)/10)
	return nil
}

// backlog is the same while many messages wait, so that the one that is received is
// the one that has waited for longest, where there is an order.
func (r *run[R]) backlog() error {
	q, err := r.open(entry.Setup{Capacity: r.cell.Param + 1})
	if err != nil {
		return err
	}
	defer q.Close()
	if err := r.fill(q, r.cell.Param); err != nil {
		return err
	}
	s, err := r.repeat(func(n int) error { return r.cycles(q, n) })
	if err != nil {
		return err
	}
	r.set("cycle", s.ns)
	return nil
}

// batch fills a queue and then drains it, with a number of messages in a call.
func (r *run[R]) batch() error {
	q, err := r.open(entry.Setup{Capacity: r.cell.N})
	if err != nil {
		return err
	}
	defer q.Close()
	n, err := r.affordable(q)
	if err != nil {
		return err
	}
	size := r.cell.Param
	n = max(n/size, 1) * size
	send := func() error { return r.sendAll(q, n) }
	take := func() error { return r.drain(q, n) }
	if size > 1 {
		batcher, ok := q.(entry.Batcher[R])
		if !ok {
			return fmt.Errorf("%s has no batches", r.entry.Name)
		}
		send = func() error { return r.sendBatches(batcher, n, size) }
		take = func() error { return r.drainBatches(batcher, n, size) }
	}
	began := time.Now()
	if err := send(); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	full := time.Now()
	if err := take(); err != nil {
		return fmt.Errorf("receiving and deleting: %w", err)
	}
	r.set("send", float64(full.Sub(began))/float64(n))
	r.set("take", float64(time.Since(full))/float64(n))
	return nil
}

func (r *run[R]) sendAll(q entry.Queue[R], n int) error {
	for range n {
		if err := q.Send(r.ctx, r.body); err != nil {
			return err
		}
	}
	return nil
}

func (r *run[R]) drain(q entry.Queue[R], n int) error {
	for range n {
		_, receipt, err := q.Receive(r.ctx)
		if err != nil {
			return err
		}
		if err := q.Delete(r.ctx, receipt); err != nil {
			return err
		}
	}
	return nil
}

func (r *run[R]) sendBatches(q entry.Batcher[R], n, size int) error {
	bodies := make([][]byte, size)
	for i := range bodies {
		bodies[i] = r.body
	}
	for range n / size {
		if err := q.SendBatch(r.ctx, bodies); err != nil {
			return err
		}
	}
	return nil
}

func (r *run[R]) drainBatches(q entry.Batcher[R], n, size int) error {
	receipts := make([]R, 0, size)
	for n > 0 {
		var err error
		if receipts, err = q.ReceiveBatch(r.ctx, min(size, n), receipts[:0]); err != nil {
			return err
		}
		if err := q.DeleteBatch(r.ctx, receipts); err != nil {
			return err
		}
		n -= len(receipts)
	}
	return nil
}
