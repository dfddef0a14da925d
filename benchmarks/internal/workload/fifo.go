package workload

import (
	"fmt"
	"strconv"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// fifo does the same with a FIFO queue and with a standard one: fill it, its groups in
// turn; cycles over the backlog; drain it.
func (r *run[R]) fifo() error {
	groups := make([]string, r.cell.Param)
	for i := range groups {
		groups[i] = strconv.Itoa(i)
	}
	standard := func(q entry.Queue[R], _ string) error { return q.Send(r.ctx, r.body) }
	if err := r.ordered("standard ", entry.Setup{Capacity: r.cell.N + 1}, groups, standard); err != nil {
		return fmt.Errorf("standard queue: %w", err)
	}
	grouped := func(q entry.Queue[R], group string) error {
		return q.(entry.Grouper).SendGroup(r.ctx, group, r.body)
	}
	return r.ordered("", entry.Setup{Capacity: r.cell.N + 1, FIFO: true}, groups, grouped)
}

func (r *run[R]) ordered(prefix string, s entry.Setup, groups []string, send func(entry.Queue[R], string) error) error {
	q, err := r.open(s)
	if err != nil {
		return err
	}
	defer q.Close()
	sent := 0
	next := func() error {
		sent++
		return send(q, groups[sent%len(groups)])
	}
	n, began := r.cell.N, time.Now()
	for sent < n {
		if err := next(); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
		if sent&(sent-1) == 0 && sent >= 64 {
			// Now and then, and each time anew: the first messages find no memory, and take
			// longer than those after them.
			n = r.round(int(r.cell.Budget / 2 / max(1, time.Since(began)/time.Duration(sent))))
		}
	}
	if n = sent; n < r.cell.N {
		r.result.Messages = n
	}
	r.set(prefix+"send", float64(time.Since(began))/float64(n))
	steady, err := r.repeat(func(n int) error {
		for range n {
			if err := next(); err != nil {
				return fmt.Errorf("sending: %w", err)
			}
			if err := r.drain(q, 1); err != nil {
				return fmt.Errorf("receiving and deleting: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.set(prefix+"cycle", steady.ns)
	began = time.Now()
	if err := r.drain(q, n); err != nil {
		return fmt.Errorf("receiving and deleting: %w", err)
	}
	r.set(prefix+"take", float64(time.Since(began))/float64(n))
	return nil
}
