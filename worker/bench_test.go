package worker_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// BenchmarkPool is what a message costs that a pool handles: received, leased,
// given a context, timed, counted, and deleted. BenchmarkLoop is the same with
// nothing but a receive and a delete. Messages are there before they start.
func BenchmarkPool(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			q := filled(b)
			ctx, cancel := context.WithCancel(context.Background())
			p, err := worker.New(q, func(ctx context.Context, m dabchick.Message[int]) error {
				if m.Body == b.N-1 {
					cancel()
				}
				return nil
			}, worker.Options{Workers: workers})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if err := p.Run(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkLoop(b *testing.B) {
	ctx := context.Background()
	q := filled(b)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		m, err := q.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := q.Delete(ctx, m.Receipt); err != nil {
			b.Fatal(err)
		}
	}
}

func filled(b *testing.B) *dabchick.Queue[int] {
	b.Helper()
	q, err := dabchick.New("jobs", dabchick.Options[int]{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		if _, err := q.Send(context.Background(), i); err != nil {
			b.Fatal(err)
		}
	}
	return q
}
