package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

func runBatch(t *testing.T, q worker.Queue[string], h worker.BatchHandler[string], o worker.Options) *running {
	t.Helper()
	p, err := worker.NewBatch(q, h, o)
	require.NoError(t, err)
	return runPool(p)
}

func bodies(ms []dabchick.Message[string]) string {
	var s []string
	for _, m := range ms {
		s = append(s, m.Body)
	}
	return strings.Join(s, " ")
}

func TestBatchIsWhatIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2", "3", "4", "5")
		var got []string
		r := runBatch(t, q, func(_ context.Context, ms []dabchick.Message[string]) error {
			got = append(got, bodies(ms))
			clear(ms) // the slice is the handler's own
			return nil
		}, worker.Options{BatchSize: 3})
		require.Equal(t, []string{"1 2 3", "4 5"}, got)
		counts(t, q, 0, 0, 0)
		require.NoError(t, r.stop())
		require.EqualValues(t, 5, r.Stats().Handled)
	})
}

func TestBatchWaitsToBeFullButNoLonger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
		var got []string
		began := time.Now()
		r := runBatch(t, q, func(_ context.Context, ms []dabchick.Message[string]) error {
			got = append(got, fmt.Sprint(bodies(ms), " after ", time.Since(began)))
			return nil
		}, worker.Options{BatchSize: 3, BatchWait: 10 * time.Second})
		for i := range 5 {
			_, err := q.Send(t.Context(), fmt.Sprint(i))
			require.NoError(t, err)
			time.Sleep(4 * time.Second) // beyond the visibility timeout
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"0 1 2 after 8s", "3 4 after 22s"}, got)
		require.NoError(t, r.stop())
	})
}

func TestBatchThatFillsIsGivenBackWhenThePoolStops(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2")
		r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error {
			t.Error("handled")
			return nil
		}, worker.Options{BatchSize: 3, BatchWait: time.Hour})
		counts(t, q, 0, 2, 0)
		require.Equal(t, 1, r.Stats().Running)
		require.NoError(t, r.stop())
		require.Zero(t, time.Since(r.began))
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.Equal(t, 1, m.Receives, "no attempt is spent")
	})
}

func TestBatchThatFillsIsGivenBackWhenADrainEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2")
		p, err := worker.NewBatch(q, func(context.Context, []dabchick.Message[string]) error {
			t.Error("handled")
			return nil
		}, worker.Options{BatchSize: 3, BatchWait: time.Hour})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, p.Drain(ctx), context.DeadlineExceeded)
		counts(t, q, 2, 0, 0)
		m, _ := q.TryReceive()
		require.Equal(t, 1, m.Receives, "no attempt is spent")
	})
}

// What a handler did not get it does not work on: the lease is lost while the
// batch fills.
func TestBatchThatIsLostWhileItFillsIsNotHandled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1")
		var events []string
		r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error {
			t.Error("handled")
			return nil
		}, worker.Options{BatchSize: 3, BatchWait: time.Minute, OnEvent: func(e worker.Event) {
			events = append(events, e.Kind.String())
		}})
		_, err := q.Purge(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []string{"lease lost"}, events)
		require.NoError(t, r.stop())
	})
}

// once receives one batch, and fails from then on.
type once struct {
	*dabchick.Queue[string]
	calls int
}

func (o *once) ReceiveBatch(ctx context.Context, ro dabchick.ReceiveOptions) ([]dabchick.Message[string], error) {
	if o.calls++; o.calls > 1 {
		return nil, errors.New("connection reset")
	}
	return o.Queue.ReceiveBatch(ctx, ro)
}

func TestBatchThatCannotFillIsHandled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &once{Queue: newQueue(t, dabchick.Options[string]{}, "1", "2")}
		var got []string
		r := runBatch(t, q, func(_ context.Context, ms []dabchick.Message[string]) error {
			got = append(got, bodies(ms))
			return nil
		}, worker.Options{BatchSize: 3, BatchWait: time.Hour, Backoff: func(int) time.Duration { return time.Hour }})
		require.Equal(t, []string{"1 2"}, got)
		require.Equal(t, 3, q.calls, "and the next receive meets the error again")
		require.NoError(t, r.stop())
	})
}

func TestEachMessageOfABatchHasItsVerdict(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		dead := newQueue(t, dabchick.Options[string]{})
		q := newQueue(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 9},
			"done", "late", "dead", "dropped", "failed", "deleted", "forgotten")
		var outcomes []string
		r := runBatch(t, q, func(ctx context.Context, ms []dabchick.Message[string]) error {
			if ms[0].Receives > 1 {
				return errors.New("all")
			}
			require.NoError(t, ms[5].Delete(ctx)) // not done, but nothing is lost by it
			return fmt.Errorf("wrapped: %w", worker.Each{
				nil, worker.RetryAfter(time.Minute, nil), worker.DeadLetter(errors.New("no good")),
				worker.Discard(nil), errors.New("again"), errors.New("again"),
			})
		}, worker.Options{Backoff: second, OnEvent: func(e worker.Event) {
			if e.Kind == worker.Ended {
				outcomes = append(outcomes, fmt.Sprint(e.Outcome))
			}
		}})
		require.Equal(t, []string{"handled", "retried", "dead-lettered", "discarded", "retried", "lost", "retried"}, outcomes)
		counts(t, q, 0, 3, 0)
		counts(t, dead, 1, 0, 0)
		s := r.Stats()
		require.EqualValues(t, []uint64{1, 3, 1, 1, 1, 6, 0},
			[]uint64{s.Handled, s.Retried, s.DeadLettered, s.Discarded, s.Lost, s.Failed, s.Panicked})
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 5, r.Stats().Retried, "an error concerns all of the batch")
		require.NoError(t, r.stop())
	})
}

// A batch is deleted by one call, of which some entries may fail.
func TestBatchIsDeletedInOneCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &watched{Queue: newQueue(t, dabchick.Options[string]{VisibilityTimeout: time.Second, FIFO: true})}
		for _, body := range []string{"1", "2", "3"} {
			_, err := q.SendWith(t.Context(), body, dabchick.SendOptions{Group: body})
			require.NoError(t, err)
		}
		r := runBatch(t, q, func(ctx context.Context, ms []dabchick.Message[string]) error {
			if len(ms) == 3 {
				require.NoError(t, ms[1].Release(ctx)) // so that the receipt is not good for a delete any more
			}
			return nil
		}, worker.Options{BatchSize: 3})
		require.NoError(t, r.stop())
		require.Equal(t, []int{3, 1}, q.deletes)
		s := r.Stats()
		require.EqualValues(t, []uint64{3, 1, 0}, []uint64{s.Handled, s.Lost, s.Failed})
	})
}

type watched struct {
	*dabchick.Queue[string]
	deletes []int
}

func (w *watched) Delete(ctx context.Context, receipts ...dabchick.Receipt) error {
	w.deletes = append(w.deletes, len(receipts))
	return w.Queue.Delete(ctx, receipts...)
}

func TestErrorThatPanicsIsThatOfItsMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var nothing *fs.PathError
		q := newQueue(t, dabchick.Options[string]{}, "1", "2", "3")
		r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error {
			return worker.Each{nil, nothing, nil}
		}, worker.Options{Backoff: second})
		require.NoError(t, r.stop())
		s := r.Stats()
		require.EqualValues(t, []uint64{2, 1, 1}, []uint64{s.Handled, s.Retried, s.Panicked})
	})
}

func TestPanicIsTheVerdictOnAllOfABatch(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2")
		r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error { panic("no") }, worker.Options{Backoff: second})
		s := r.Stats()
		require.EqualValues(t, []uint64{2, 2, 2}, []uint64{s.Panicked, s.Failed, s.Retried})
		require.NoError(t, r.stop())
	})
}

func TestAbandonedBatchIsGivenBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2")
		r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error {
			time.Sleep(time.Hour)
			return nil
		}, worker.Options{})
		var abandoned *worker.AbandonedError
		require.ErrorAs(t, r.stop(), &abandoned)
		require.Equal(t, 35*time.Second, time.Since(r.began), "by default")
		require.Equal(t, 35*time.Second, r.Stats().HandlerTime, "that of both together")
		require.Len(t, abandoned.Messages, 2)
		require.ErrorContains(t, abandoned, "2 messages")
		counts(t, q, 2, 0, 0)
		require.EqualValues(t, 2, r.Stats().Abandoned)
		time.Sleep(time.Hour)
	})
}

func TestEventsTellTheLifeOfAMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second})
		_, err := q.SendWith(t.Context(), "1", dabchick.SendOptions{Group: "g"})
		require.NoError(t, err)
		began := time.Now()
		var events []string
		var p *worker.Pool[string]
		p, err = worker.New(q, func(ctx context.Context, m dabchick.Message[string]) error {
			if m.Receives == 1 {
				time.Sleep(12 * time.Second)
				return errors.New("failed")
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}, worker.Options{Backoff: second, MaxLease: 13 * time.Second, OnEvent: func(e worker.Event) {
			p.Stats() // a hook may ask
			require.Equal(t, "g", e.Group)
			require.False(t, e.Message == dabchick.ID{})
			events = append(events, fmt.Sprintf("%v %v #%d took %v: %v %v", e.Time.Sub(began), e.Kind, e.Receives, e.Took, e.Outcome, e.Err))
		}})
		require.NoError(t, err)
		r := runPool(p)
		time.Sleep(26 * time.Second)
		synctest.Wait()
		require.NoError(t, r.stop())
		require.Equal(t, []string{
			"0s began #1 took 0s: outcome 0 <nil>",
			"5s renewed #1 took 5s: outcome 0 <nil>",
			"12s ended #1 took 12s: retried failed",
			"13s began #2 took 0s: outcome 0 <nil>",
			"18s renewed #2 took 5s: outcome 0 <nil>",
			"26s lease lost #2 took 13s: outcome 0 worker: lease lost",
			"26s ended #2 took 13s: lost worker: lease lost",
		}, events[:7])
		require.Equal(t, "event 99", worker.EventKind(99).String())
	})
}

// Messages of a batch share its time.
func TestTimesOfABatchAddUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2")
		var took []time.Duration
		r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error {
			time.Sleep(4 * time.Second)
			return nil
		}, worker.Options{OnEvent: func(e worker.Event) {
			if e.Kind == worker.Ended {
				took = append(took, e.Took)
			}
		}})
		require.NoError(t, r.stop())
		require.Equal(t, []time.Duration{2 * time.Second, 2 * time.Second}, took)
		require.Equal(t, 4*time.Second, r.Stats().HandlerTime)
	})
}

// While a batch fills no handler runs, so that time is not a handler's.
func TestHandlerTimeBeginsWithTheCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "1")
		began := time.Now()
		var events []string
		r := runBatch(t, q, func(context.Context, []dabchick.Message[string]) error {
			time.Sleep(6*time.Second - ns)
			return nil
		}, worker.Options{BatchSize: 2, BatchWait: 8 * time.Second, StuckAfter: 6 * time.Second, OnEvent: func(e worker.Event) {
			events = append(events, fmt.Sprintf("%v %v took %v", e.Time.Sub(began), e.Kind, e.Took))
		}})
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, []string{
			"5s renewed took 0s", "8s began took 0s", "10s renewed took 2s", "13.999999999s ended took 5.999999999s",
		}, events)
		require.Equal(t, 6*time.Second-ns, r.Stats().HandlerTime)
	})
}

func waitsHere(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStuckHandlerIsReportedWithItsStack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "quick", "1", "quick", "2")
		var mu sync.Mutex
		var stuck []worker.Event
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			if m.Body == "quick" {
				time.Sleep(time.Minute - 1)
				runtime.Goexit() // the worker goes on in another goroutine
			}
			return waitsHere(ctx)
		}, worker.Options{Workers: 2, StuckAfter: time.Minute, OnEvent: func(e worker.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == worker.Stuck {
				stuck = append(stuck, e)
			}
		}, Grace: dabchick.Immediately})
		time.Sleep(time.Hour)
		synctest.Wait()
		require.NoError(t, r.stop())
		require.Len(t, stuck, 2, "once for each")
		for _, e := range stuck {
			require.Contains(t, string(e.Stack), "waitsHere")
			require.Equal(t, time.Minute, e.Took)
			require.NotContains(t, string(e.Stack), "\n\n", "its own only")
		}
	})
}

func TestDrainHandlesWhatIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "fail", "3")
		var got []string
		h := func(ctx context.Context, m dabchick.Message[string]) error {
			got = append(got, m.Body)
			if m.Body == "fail" {
				return errors.New("failed")
			}
			if m.Body == "3" {
				_, err := q.Send(ctx, "4")
				return err
			}
			return nil
		}
		drain := func() worker.Stats {
			p, err := worker.New(q, h, worker.Options{Backoff: second})
			require.NoError(t, err)
			require.NoError(t, p.Drain(t.Context()))
			require.ErrorIs(t, p.Drain(t.Context()), worker.ErrRunning)
			return p.Stats()
		}
		s := drain()
		require.Equal(t, []string{"1", "fail", "3", "4"}, got)
		require.EqualValues(t, []uint64{3, 1, 0}, []uint64{s.Handled, s.Retried, uint64(s.Workers)})
		require.Zero(t, drain().Retried, "its backoff has not passed")
		time.Sleep(time.Second)
		require.EqualValues(t, 1, drain().Retried)

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		p, err := worker.NewBatch(q, func(context.Context, []dabchick.Message[string]) error { return nil }, worker.Options{})
		require.NoError(t, err)
		require.ErrorIs(t, p.Drain(ended), context.Canceled)
		p, err = worker.New(q, h, worker.Options{Limiter: broken{}})
		require.NoError(t, err)
		require.ErrorIs(t, p.Drain(t.Context()), errBroken)
	})
}

var errBroken = errors.New("broken")

// broken is a limiter that lets nothing through.
type broken struct{}

func (broken) Wait(context.Context) error { return errBroken }

func TestBatchOptionsOutOfRange(t *testing.T) {
	q := newQueue(t, dabchick.Options[string]{})
	h := func(context.Context, []dabchick.Message[string]) error { return nil }
	for field, o := range map[string]worker.Options{
		"BatchSize": {BatchSize: -1}, "BatchWait": {BatchWait: -1}, "Workers": {Workers: -1}, "StuckAfter": {StuckAfter: -1},
	} {
		err := worker.RunBatch(t.Context(), q, h, o)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	for _, o := range []worker.Options{{BatchSize: 1}, {BatchWait: 1}} {
		err := worker.Run(t.Context(), q, func(context.Context, dabchick.Message[string]) error { return nil }, o)
		require.ErrorAs(t, err, new(*dabchick.InvalidError), "those are for batches")
	}
	require.ErrorContains(t, worker.RunBatch(t.Context(), q, nil, worker.Options{}), "handle is \"nil\"")
}
