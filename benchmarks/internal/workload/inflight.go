package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// inFlight measures what it costs that many messages are in flight, and then, on
// another queue, what it costs when they come up again all at once.
func (r *run[R]) inFlight() error {
	taking, err := r.inHand()
	if err != nil {
		return err
	}
	return r.expiry(taking)
}

// inHand measures cycles while n messages are in flight, and then deletes those in
// random order. It returns how long it took to receive them.
func (r *run[R]) inHand() (taking time.Duration, err error) {
	n := r.cell.Param
	q, err := r.open(entry.Setup{Capacity: n + 1, Visibility: time.Hour})
	if err != nil {
		return 0, err
	}
	defer q.Close()
	if err := r.fill(q, n); err != nil {
		return 0, err
	}
	began := time.Now()
	receipts, err := r.take(q, n, make([]R, 0, n))
	if err != nil {
		return 0, err
	}
	taking = time.Since(began)
	s, err := r.repeat(func(n int) error { return r.cycles(q, n) })
	if err != nil {
		return 0, err
	}
	r.set("cycle", s.ns)
	rand.Shuffle(n, func(i, j int) { receipts[i], receipts[j] = receipts[j], receipts[i] })
	began = time.Now()
	for _, receipt := range receipts {
		if err := q.Delete(r.ctx, receipt); err != nil {
			return 0, fmt.Errorf("deleting: %w", err)
		}
	}
	r.set("delete", float64(time.Since(began))/float64(n))
	return taking, nil
}

var errShort = errors.New("it takes longer to receive all than they stay hidden")

// expiry has all messages expire twice: to measure what they cost together, and then
// to time every call.
func (r *run[R]) expiry(taking time.Duration) error {
	n := r.cell.Param
	visibility := max(3*taking, r.cell.Time, r.entry.Unit)
	if unit := r.entry.Unit; unit > 0 {
		visibility = (visibility + unit - 1) / unit * unit
	}
	if 2*visibility > r.preparation() {
		return fmt.Errorf("waiting until they expire would take too long (%v)", (2 * visibility).Round(time.Second))
	}
	q, err := r.open(entry.Setup{Capacity: n, Visibility: visibility})
	if err != nil {
		return err
	}
	defer q.Close()
	if err := r.fill(q, n); err != nil {
		return err
	}
	took := make([]time.Duration, n)
	runtime.GC()

	visibleAgain, err := r.receiveTimed(q, took, visibility)
	if err != nil {
		return err
	}
	r.set("usual", micros(slices.Max(took)))

	time.Sleep(time.Until(visibleAgain))
	began := time.Now()
	for range n {
		if _, _, err := q.Receive(r.ctx); err != nil {
			return fmt.Errorf("receiving: %w", err)
		}
	}
	end := time.Now()
	if end.Sub(began) > visibility {
		return errShort
	}
	r.set("again", float64(end.Sub(visibleAgain))/float64(n))

	time.Sleep(time.Until(end.Add(visibility)))
	if _, err := r.receiveTimed(q, took, visibility); err != nil {
		return err
	}
	r.set("longest", micros(slices.Max(took)))
	return nil
}

// receiveTimed receives as many messages as took has room for, and says when the last
// of them is visible again.
func (r *run[R]) receiveTimed(q entry.Queue[R], took []time.Duration, visibility time.Duration) (time.Time, error) {
	began := time.Now()
	last := time.Duration(0)
	for i := range took {
		if _, _, err := q.Receive(r.ctx); err != nil {
			return began, fmt.Errorf("receiving: %w", err)
		}
		now := time.Since(began)
		took[i], last = now-last, now
	}
	if last > visibility {
		return began, errShort
	}
	return began.Add(last + visibility), nil
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }
