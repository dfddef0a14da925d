package main

import (
	"context"
	"fmt"
	"math/bits"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick/examples/internal/chart"
)

// A sample is what was seen at a moment.
type sample struct {
	at                       time.Duration
	heap                     uint64 // bytes that the last collection has left
	visible, inFlight, dead  int
	operations, redeliveries int64
	perSecond, again         float64
}

// observe takes samples until ctx ends, and says now and then how far things are.
func (s *soak) observe(ctx context.Context, length time.Duration) {
	every := max(length/600, 200*time.Millisecond)
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	told := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		x := s.sample()
		if n := len(s.samples); n > 0 {
			last := s.samples[n-1]
			seconds := (x.at - last.at).Seconds()
			x.perSecond = float64(x.operations-last.operations) / seconds
			x.again = float64(x.redeliveries-last.redeliveries) / seconds
		}
		s.samples = append(s.samples, x)
		if time.Since(told) >= 10*time.Second {
			told = time.Now()
			faults, _ := s.faulty()
			fmt.Printf("%v of %v: %d operations, %.0f a second, %d visible, %d in flight, %d dead, heap %.1f MB, %d faults\n",
				x.at.Round(time.Second), length, x.operations, x.perSecond, x.visible, x.inFlight, x.dead, megabytes(x.heap), faults)
		}
	}
}

func (s *soak) sample() sample {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	x := sample{at: time.Since(s.began), heap: live[0].Value.Uint64(),
		operations: s.operations.Load(), redeliveries: s.redeliveries.Load()}
	for _, q := range s.queues() {
		st, err := q.Stats(context.Background())
		s.check(err)
		if q == s.dead || q == s.deadOrders {
			x.dead += st.Visible + st.InFlight
			continue
		}
		x.visible += st.Visible
		x.inFlight += st.InFlight
	}
	return x
}

func megabytes(n uint64) float64 { return float64(n) / 1e6 }

func (s *soak) draw(path string, length time.Duration) error {
	line := func(name string, value func(sample) float64) chart.Line {
		l := chart.Line{Name: name}
		for _, x := range s.samples {
			l.Points = append(l.Points, chart.Point{At: x.at, Value: value(x)})
		}
		return l
	}
	return chart.Draw(path, length,
		chart.Panel{Title: "Throughput", Unit: "thousand a second", Lines: []chart.Line{
			line("operations", func(x sample) float64 { return x.perSecond / 1000 }),
			line("redeliveries", func(x sample) float64 { return x.again / 1000 }),
		}},
		chart.Panel{Title: "Messages", Unit: "messages", Lines: []chart.Line{
			line("visible", func(x sample) float64 { return float64(x.visible) }),
			line("in flight", func(x sample) float64 { return float64(x.inFlight) }),
			line("dead letters", func(x sample) float64 { return float64(x.dead) }),
		}},
		chart.Panel{Title: "Heap after collection", Unit: "MB", Lines: []chart.Line{
			line("heap", func(x sample) float64 { return megabytes(x.heap) }),
		}},
	)
}

// report says what was done and found, and counts leftover goroutines as a fault.
func (s *soak) report() string {
	left := runtime.NumGoroutine()
	for range 100 { // those that have just ended may be counted for a moment
		if left <= s.goroutines {
			break
		}
		time.Sleep(10 * time.Millisecond)
		left = runtime.NumGoroutine()
	}
	if left > s.goroutines {
		s.fault("%d goroutines at the end, %d at the start", left, s.goroutines)
	}
	var early, late uint64
	for i, x := range s.samples {
		if i < len(s.samples)/2 {
			early = max(early, x.heap)
		} else {
			late = max(late, x.heap)
		}
	}
	took := s.samples[len(s.samples)-1].at
	result := "Everything added up."
	if n, first := s.faulty(); n > 0 {
		result = fmt.Sprintf("**%d faults**, the first: %s", n, first)
	}
	race := ""
	if raceEnabled {
		race = ", with the race detector"
	}
	return fmt.Sprintf(`# Soak

%s, %v on %d cores, %s%s. %s

| | |
|---|---|
| operations | %d, %.0f a second |
| sent, or refused for want of room | %d |
| deletes | %d |
| redeliveries | %d |
| crashed, cancelled receives, buried by hand | %d, %d, %d |
| redriven, purged | %d, %d |
| heap after collection: most in the first half, most in the second | %.1f MB, %.1f MB |
| goroutines at the start, at the end | %d, %d |
| a waiting receiver runs after a send: median, 99.9 %%, longest | %v, %v, %v of %d |

![Throughput, messages and heap over time](soak.png)
`, s.began.Format(time.DateOnly), took.Round(time.Second), runtime.GOMAXPROCS(0), runtime.Version(), race, result,
		s.operations.Load(), float64(s.operations.Load())/took.Seconds(), s.body.Load(), s.deleted.Load(), s.redeliveries.Load(),
		s.crashed.Load(), s.canceled.Load(), s.buried.Load(), s.redriven.Load(), s.purged.Load(),
		megabytes(early), megabytes(late), s.goroutines, left,
		s.wakeUps.quantile(0.5), s.wakeUps.quantile(0.999), s.wakeUps.quantile(1), s.wakeUps.n)
}

// A histogram counts durations in steps of an eighth of each power of two.
type histogram struct {
	mu     sync.Mutex
	counts [64 * 8]int
	n      int
}

func (h *histogram) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[step(uint64(max(d, 1)))]++
	h.n++
}

func step(d uint64) int {
	top := bits.Len64(d) - 1
	return top*8 + int(d<<(63-top)>>60&7)
}

// quantile returns the upper end of the step in which the share q of all is
// reached.
func (h *histogram) quantile(q float64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := int(q * float64(h.n))
	for i, n := range h.counts {
		if rest -= n; rest <= 0 && n > 0 {
			return time.Duration(1) << (i / 8) * time.Duration(9+i%8) / 8
		}
	}
	return 0
}
