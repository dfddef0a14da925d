package dabchick_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dabchickmq/dabchick"
)

// BenchmarkFloor is what three calls cannot avoid: three uncontended locks and
// two readings of the clock.
func BenchmarkFloor(b *testing.B) {
	var mu sync.Mutex
	var reading time.Duration
	start := time.Now()
	set := func(d time.Duration) {
		mu.Lock()
		reading = d
		mu.Unlock()
	}
	for b.Loop() {
		set(time.Since(start))
		set(time.Since(start))
		set(reading)
	}
}

// BenchmarkChannel is a send and a receive on a buffered channel, which keeps
// nothing once a message is taken.
func BenchmarkChannel(b *testing.B) {
	c := make(chan []byte, 1)
	body := make([]byte, 256)
	for b.Loop() {
		c <- body
		<-c
	}
}

// BenchmarkCycle is one message sent, received and deleted on an empty queue.
func BenchmarkCycle(b *testing.B) {
	q := mustNew(b, dabchick.Options[[]byte]{})
	cycle(b, q)
}

// BenchmarkDeep is the same over a standing backlog of n visible messages.
func BenchmarkDeep(b *testing.B) {
	for _, n := range []int{1e3, 1e5, 1e6, 1e7} {
		b.Run(fmt.Sprintf("n=%.0e", float64(n)), func(b *testing.B) {
			q := mustNew(b, dabchick.Options[[]byte]{Retention: dabchick.Forever})
			fillUp(b, q, n)
			cycle(b, q)
		})
	}
}

// BenchmarkInFlight is the cycle while n messages are in flight, with the
// queue's own timeout, or each with one of its own.
func BenchmarkInFlight(b *testing.B) {
	for _, n := range []int{1e3, 1e5, 1e6} {
		for _, own := range []bool{false, true} {
			name := fmt.Sprintf("n=%.0e", float64(n))
			if own {
				name += "/scattered"
			}
			b.Run(name, func(b *testing.B) {
				ctx := context.Background()
				q := mustNew(b, dabchick.Options[[]byte]{VisibilityTimeout: time.Hour, Retention: dabchick.Forever})
				fillUp(b, q, n)
				for i := range n {
					o := dabchick.ReceiveOptions{}
					if own {
						o.Visibility = time.Hour + time.Duration(i*7919%n)*time.Microsecond
					}
					if _, err := q.ReceiveBatch(ctx, o); err != nil {
						b.Fatal(err)
					}
				}
				cycle(b, q)
			})
		}
	}
}

func fillUp(b *testing.B, q *dabchick.Queue[[]byte], n int) {
	b.Helper()
	body := make([]byte, 256)
	for range n {
		if _, err := q.Send(context.Background(), body); err != nil {
			b.Fatal(err)
		}
	}
}

func cycle(b *testing.B, q *dabchick.Queue[[]byte]) {
	ctx := context.Background()
	body := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Send(ctx, body); err != nil {
			b.Fatal(err)
		}
		m, err := q.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Delete(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
