package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// A batch does not wait to be full until its lease is lost: no handler would ever see
// its messages, and they would end as dead letters.
func TestBatchFillsNoLongerThanItsLeaseLasts(t *testing.T) {
	for name, c := range map[string]struct {
		o     worker.Options
		after time.Duration
	}{
		"to its limit":          {worker.Options{MaxLease: 40 * time.Second}, 20 * time.Second},
		"to one timeout":        {worker.Options{Renew: 1}, 5 * time.Second},
		"to the first timeout":  {worker.Options{MaxLease: time.Second}, 5 * time.Second},
		"as long as it is told": {worker.Options{}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "1")
				began := time.Now()
				var after time.Duration
				c.o.BatchWait = time.Minute
				r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error {
					after = time.Since(began)
					return nil
				}, c.o)
				time.Sleep(time.Hour)
				require.NoError(t, r.stop())
				require.Equal(t, c.after, after)
				require.EqualValues(t, 1, r.Stats().Handled)
			})
		})
	}
}

// A drain goes on when somebody takes away what it holds.
func TestDrainGoesOnAfterALostBatch(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "1")
		p, err := worker.NewBatch(q, func(context.Context, []dabchick.Message[string]) error { return nil },
			worker.Options{BatchSize: 2, BatchWait: time.Minute})
		require.NoError(t, err)
		go func() {
			time.Sleep(time.Second)
			q.Purge(context.Background())
			time.Sleep(5 * time.Second) // the renewal after 5 has told so, and the batch has not heard of it
			for _, body := range []string{"2", "3", "4"} {
				q.Send(context.Background(), body)
			}
		}()
		require.NoError(t, p.Drain(t.Context()))
		counts(t, q, 0, 0, 0)
	})
}

// A timeout of which the half is nothing is not renewed all the time.
func TestShortestTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: ns}, "1")
		events := map[worker.EventKind]int{}
		r := run(t, q, func(ctx context.Context, _ dabchick.Message[string]) error {
			<-ctx.Done()
			return nil
		}, worker.Options{OnEvent: func(e worker.Event) {
			if events[e.Kind]++; events[e.Kind] > 1000 {
				panic("renewed at one instant")
			}
		}})
		time.Sleep(time.Second)
		require.NoError(t, r.stop())
		require.Equal(t, map[worker.EventKind]int{worker.Began: 1, worker.LeaseLost: 1, worker.Ended: 1}, events)
	})
}

// An Each that is the reason of another verdict, or of a panic, says nothing of each.
func TestEachAsAReason(t *testing.T) {
	each := worker.Each{nil, errors.New("again")}
	for name, c := range map[string]struct {
		verdict func() error
		stats   worker.Stats
	}{
		"retry": {func() error { return worker.RetryAfter(time.Hour, each) }, worker.Stats{Retried: 2, Failed: 2}},
		"panic": {func() error { panic(each) }, worker.Stats{Retried: 2, Failed: 2, Panicked: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				q := newQueue(t, dabchick.Options[string]{}, "1", "2")
				r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error { return c.verdict() },
					worker.Options{Backoff: func(int) time.Duration { return time.Hour }})
				require.NoError(t, r.stop())
				require.Equal(t, c.stats, r.Stats())
				counts(t, q, 0, 2, 0)
			})
		})
	}
}
