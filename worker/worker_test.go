package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handler = worker.Handler[string]

func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func newQueue(t *testing.T, o dabchick.Options[string], bodies ...string) *dabchick.Queue[string] {
	t.Helper()
	q, err := dabchick.New("jobs", o)
	require.NoError(t, err)
	for _, body := range bodies {
		_, err := q.Send(t.Context(), body)
		require.NoError(t, err)
	}
	return q
}

// running is a pool that runs until stop, which returns what Run returned.
type running struct {
	*worker.Pool[string]
	began  time.Time
	cancel func()
	result chan error
}

func run(t *testing.T, q worker.Queue[string], h handler, o worker.Options) *running {
	t.Helper()
	p, err := worker.New(q, h, o)
	require.NoError(t, err)
	return runPool(p)
}

func runPool(p *worker.Pool[string]) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Pool: p, began: time.Now(), cancel: cancel, result: make(chan error, 1)}
	go func() { r.result <- p.Run(ctx) }()
	synctest.Wait()
	return r
}

func (r *running) stop() error {
	r.cancel()
	return <-r.result
}

func counts(t *testing.T, q *dabchick.Queue[string], visible, inFlight, delayed int) {
	t.Helper()
	s, err := q.Stats(context.Background())
	require.NoError(t, err)
	require.Equal(t, [3]int{visible, inFlight, delayed}, [3]int{s.Visible, s.InFlight, s.Delayed})
}

const ns = time.Nanosecond

func second(int) time.Duration { return time.Second }

func TestPoolClaimsOnlyWhatItCanStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2", "3", "4", "5")
		r := run(t, q, func(context.Context, dabchick.Message[string]) error {
			time.Sleep(time.Minute)
			return nil
		}, worker.Options{Workers: 2})
		counts(t, q, 3, 2, 0)
		s := r.Stats()
		require.Equal(t, []int{2, 2, 0}, []int{s.Workers, s.Running, s.Idle()})
		time.Sleep(3*time.Minute - 1)
		counts(t, q, 0, 1, 0)
		time.Sleep(ns)
		synctest.Wait()
		counts(t, q, 0, 0, 0)
		require.NoError(t, r.stop())
		s = r.Stats()
		require.Equal(t, worker.Stats{Handled: 5, HandlerTime: 5 * time.Minute}, s)
	})
}

func TestVerdicts(t *testing.T) {
	failure := errors.New("no such host")
	for name, c := range map[string]struct {
		verdict func() error
		again   time.Duration // when the message comes up; 0 for never
		dead    string        // reason of the dead letter
		stats   worker.Stats
	}{
		"nil":                 {func() error { return nil }, 0, "", worker.Stats{Handled: 1}},
		"error":               {func() error { return failure }, 10 * time.Second, "", worker.Stats{Retried: 1, Failed: 1}},
		"retry after":         {func() error { return worker.RetryAfter(time.Minute, failure) }, time.Minute, "", worker.Stats{Retried: 1, Failed: 1}},
		"retry now":           {func() error { return worker.RetryAfter(-5, nil) }, 1, "", worker.Stats{Retried: 1, Failed: 1}},
		"discard":             {func() error { return worker.Discard(nil) }, 0, "", worker.Stats{Discarded: 1, Failed: 1}},
		"dead letter":         {func() error { return worker.DeadLetter(failure) }, 0, "no such host", worker.Stats{DeadLettered: 1, Failed: 1}},
		"wrapped dead letter": {func() error { return fmt.Errorf("job 7: %w", worker.DeadLetter(failure)) }, 0, "job 7: no such host", worker.Stats{DeadLettered: 1, Failed: 1}},
		"panic":               {func() error { panic(failure) }, 10 * time.Second, "", worker.Stats{Retried: 1, Failed: 1, Panicked: 1}},
		"goexit":              {func() error { runtime.Goexit(); return nil }, 10 * time.Second, "", worker.Stats{Retried: 1, Failed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				dead := newQueue(t, dabchick.Options[string]{})
				q := newQueue(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 10}, "job")
				first := true
				r := run(t, q, func(context.Context, dabchick.Message[string]) error {
					if first {
						first = false
						return c.verdict()
					}
					time.Sleep(time.Hour)
					return nil
				}, worker.Options{Backoff: func(n int) time.Duration { return time.Duration(n) * 10 * time.Second }})
				s := r.Stats()
				s.HandlerTime, s.Running = 0, 0
				c.stats.Workers = 1
				require.Equal(t, c.stats, s)
				if c.again > 0 {
					if c.again > 1 {
						time.Sleep(c.again - 1)
						counts(t, q, 0, 1, 0)
						require.Zero(t, r.Stats().Running)
						time.Sleep(ns)
						synctest.Wait()
					}
					require.Equal(t, 1, r.Stats().Running, "it comes up, and the pool lives on")
				} else {
					counts(t, q, 0, 0, 0)
				}
				if m, ok := dead.TryReceive(); c.dead != "" {
					require.True(t, ok)
					origin, _ := m.Origin()
					require.Equal(t, c.dead, origin.Reason)
				} else {
					require.False(t, ok)
				}
				require.NoError(t, q.Close())
				require.ErrorIs(t, <-r.result, dabchick.ErrClosed)
			})
		})
	}
}

func TestNegativeBackoffIsNone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "job")
		p, err := worker.New(q, func(_ context.Context, m dabchick.Message[string]) error {
			if m.Receives < 3 {
				return errors.New("failed")
			}
			return nil
		}, worker.Options{Backoff: func(int) time.Duration { return -5 }})
		require.NoError(t, err)
		require.NoError(t, p.Drain(t.Context()))
		require.EqualValues(t, 2, p.Stats().Retried)
		require.EqualValues(t, 1, p.Stats().Handled)
	})
}

func TestDeadLetterWithoutAQueueForItIsARetry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "job")
		r := run(t, q, func(context.Context, dabchick.Message[string]) error { return worker.DeadLetter(nil) }, worker.Options{Backoff: second})
		counts(t, q, 0, 1, 0)
		require.EqualValues(t, 1, r.Stats().Retried)
		require.NoError(t, r.stop())
	})
}

func TestExponentialBackoff(t *testing.T) {
	backoff := worker.ExponentialBackoff(time.Second, time.Minute)
	for n, want := range []time.Duration{1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 60, 8: 60, 100: 60} {
		if want == 0 {
			continue
		}
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(n)
			require.GreaterOrEqual(t, d, want*time.Second/2)
			require.LessOrEqual(t, d, want*time.Second)
			seen[d] = true
		}
		require.Greater(t, len(seen), 50, "they differ")
	}
	for n := range 1000 {
		d := worker.ExponentialBackoff(time.Second, 1<<63-1)(n)
		require.GreaterOrEqual(t, d, time.Second/2)
		require.True(t, n < 40 || d >= (1<<63-1)/2, "it does not run over: %v after %d receives", d, n)
	}
	for _, d := range []time.Duration{-1 << 63, -7, -1, 0} {
		require.Zero(t, worker.ExponentialBackoff(d, d)(3))
		require.Zero(t, worker.ExponentialBackoff(d, time.Hour)(math.MaxInt))
		require.Zero(t, worker.ExponentialBackoff(time.Hour, d)(3))
	}
}

func TestVerdictsAreErrors(t *testing.T) {
	reason := errors.New("reason")
	for _, verdict := range []error{worker.RetryAfter(1, reason), worker.Discard(reason), worker.DeadLetter(reason)} {
		require.ErrorIs(t, verdict, reason)
		require.EqualError(t, verdict, "reason")
	}
	require.EqualError(t, worker.RetryAfter(time.Second, nil), "worker: retry after 1s")
	require.EqualError(t, worker.Discard(nil), "worker: discarded")
	require.EqualError(t, worker.DeadLetter(nil), "worker: dead-lettered")
	inner := &worker.PanicError{Value: reason}
	require.ErrorIs(t, inner, reason)
	require.EqualError(t, inner, "worker: the handler panicked: reason")
}

func TestStopInSteps(t *testing.T) {
	start := func(t *testing.T, h handler) (*dabchick.Queue[string], *running) {
		q := newQueue(t, dabchick.Options[string]{}, "job", "next")
		return q, run(t, q, h, worker.Options{Grace: 10 * time.Second, Patience: 2 * time.Second})
	}
	t.Run("finish in the grace period", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			q, r := start(t, func(ctx context.Context, _ dabchick.Message[string]) error {
				time.Sleep(10*time.Second - 1)
				return ctx.Err()
			})
			require.NoError(t, r.stop())
			require.Equal(t, 10*time.Second-1, time.Since(r.began))
			require.EqualValues(t, 1, r.Stats().Handled)
			counts(t, q, 1, 0, 0)
		})
	})
	t.Run("give back when told", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			var cause error
			q, r := start(t, func(ctx context.Context, _ dabchick.Message[string]) error {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return ctx.Err()
			})
			require.NoError(t, r.stop())
			require.Equal(t, 10*time.Second, time.Since(r.began))
			require.Equal(t, worker.ErrStopping, cause)
			require.EqualValues(t, 1, r.Stats().Returned)
			counts(t, q, 2, 0, 0)
			q.TryReceive()
			m, _ := q.TryReceive()
			require.Equal(t, 1, m.Receives, "the attempt is not spent")
		})
	})
	t.Run("finish after all", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			q, r := start(t, func(ctx context.Context, _ dabchick.Message[string]) error {
				<-ctx.Done()
				return nil
			})
			require.NoError(t, r.stop())
			require.EqualValues(t, 1, r.Stats().Handled)
			counts(t, q, 1, 0, 0)
		})
	})
	t.Run("abandon who does not listen", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			q, r := start(t, func(context.Context, dabchick.Message[string]) error {
				time.Sleep(time.Hour)
				return nil
			})
			err := r.stop()
			require.Equal(t, 12*time.Second, time.Since(r.began))
			var left *worker.AbandonedError
			require.ErrorAs(t, err, &left)
			require.Len(t, left.Messages, 1)
			require.ErrorContains(t, err, left.Messages[0].String())
			counts(t, q, 2, 0, 0)
			require.Zero(t, r.Stats().Running)
			q.TryReceive()
			m, _ := q.TryReceive()
			require.Equal(t, left.Messages[0], m.ID)
			require.Equal(t, 1, m.Receives)
			time.Sleep(time.Hour) // what it returns changes nothing
			counts(t, q, 2, 0, 0)
			require.Equal(t, worker.Stats{Abandoned: 1, HandlerTime: 12 * time.Second}, r.Stats())
		})
	})
	t.Run("give back what comes too late", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			q := deaf{newQueue(t, dabchick.Options[string]{})}
			r := run(t, q, func(context.Context, dabchick.Message[string]) error {
				t.Error("handled after the end")
				return nil
			}, worker.Options{Workers: 1, Grace: 10 * time.Second, Patience: 2 * time.Second})
			require.NoError(t, r.stop())
			require.Equal(t, 12*time.Second, time.Since(r.began))
			_, err := q.Send(t.Context(), "late")
			require.NoError(t, err)
			synctest.Wait()
			require.Zero(t, r.Stats().Workers)
			m, ok := q.TryReceive()
			require.True(t, ok)
			require.Equal(t, 1, m.Receives)
		})
	})
	t.Run("idle", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := run(t, newQueue(t, dabchick.Options[string]{}), nilHandler, worker.Options{Workers: 10})
			require.NoError(t, r.stop())
			require.Zero(t, time.Since(r.began))
		})
	})
}

// deaf does not hear that a receive shall end.
type deaf struct{ *dabchick.Queue[string] }

func (d deaf) Receive(ctx context.Context) (dabchick.Message[string], error) {
	return d.Queue.Receive(context.WithoutCancel(ctx))
}

func nilHandler(context.Context, dabchick.Message[string]) error { return nil }

func TestPoolRunsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := run(t, newQueue(t, dabchick.Options[string]{}), nilHandler, worker.Options{})
		require.ErrorIs(t, r.Run(t.Context()), worker.ErrRunning)
		require.NoError(t, r.stop())
		require.ErrorIs(t, r.Run(t.Context()), worker.ErrRunning)
	})
}

func TestClosedQueueEndsThePool(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "job")
		r := run(t, q, func(context.Context, dabchick.Message[string]) error {
			time.Sleep(time.Second)
			return nil
		}, worker.Options{Workers: 3})
		require.NoError(t, q.Close())
		require.ErrorIs(t, <-r.result, dabchick.ErrClosed)
		require.Equal(t, time.Second, time.Since(r.began), "what runs is finished")
		require.EqualValues(t, 1, r.Stats().Handled)
		require.ErrorIs(t, worker.Run(t.Context(), q, nilHandler, worker.Options{}), dabchick.ErrClosed)
	})
}

// A pool that is busy goes on with what it does, however long that takes.
func TestClosedQueueEndsABusyPoolWhenAWorkerIsFree(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "short", "long")
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			if m.Body == "short" {
				time.Sleep(time.Hour)
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}, worker.Options{Workers: 2, Grace: time.Minute})
		require.NoError(t, q.Close())
		require.ErrorIs(t, <-r.result, dabchick.ErrClosed)
		require.Equal(t, time.Hour+time.Minute, time.Since(r.began))
		require.EqualValues(t, []uint64{1, 1}, []uint64{r.Stats().Handled, r.Stats().Returned})
	})
}

// flaky fails to receive, now and then.
type flaky struct {
	*dabchick.Queue[string]
	failures int
}

func (f *flaky) Receive(ctx context.Context) (dabchick.Message[string], error) {
	if f.failures > 0 {
		f.failures--
		return dabchick.Message[string]{}, errors.New("connection reset")
	}
	return f.Queue.Receive(ctx)
}

func TestFailedReceiveIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var log bytes.Buffer
		q := &flaky{newQueue(t, dabchick.Options[string]{}, "job"), 3}
		r := run(t, q, nilHandler, worker.Options{
			Backoff: func(n int) time.Duration { return time.Duration(n) * time.Second },
			Logger:  slog.New(slog.NewTextHandler(&log, nil)),
		})
		time.Sleep(6*time.Second - 1)
		require.Zero(t, r.Stats().Handled)
		time.Sleep(ns)
		synctest.Wait()
		require.EqualValues(t, 1, r.Stats().Handled)
		require.NoError(t, r.stop())
		require.Contains(t, log.String(), `level=ERROR msg="receive failed" error="connection reset" failures=3`)
	})
}

// Failures in a row are counted anew after a message that came.
func TestFailuresOfReceivesAreThoseInARow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &flaky{newQueue(t, dabchick.Options[string]{}, "1", "2"), 2}
		var waits []int
		r := run(t, q, func(context.Context, dabchick.Message[string]) error {
			q.failures = 1
			return nil
		}, worker.Options{Backoff: func(n int) time.Duration {
			waits = append(waits, n)
			return time.Second
		}})
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, []int{1, 2, 1, 1}, waits)
	})
}

func TestPanicIsLoggedWithItsStack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var log bytes.Buffer
		q := newQueue(t, dabchick.Options[string]{}, "job")
		r := run(t, q, func(context.Context, dabchick.Message[string]) error { panic("boo") },
			worker.Options{Backoff: second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, r.stop())
		require.Contains(t, log.String(), "panic=boo")
		require.Contains(t, log.String(), "worker_test.TestPanicIsLoggedWithItsStack")
	})
}

// What a handler returns may panic when it is looked at: a nil pointer in an error.
func TestErrorThatPanicsIsAPanic(t *testing.T) {
	var nothing *fs.PathError // its methods Error and Unwrap panic
	for name, handle := range map[string]func() error{
		"error":            func() error { return nothing },
		"wrapped":          func() error { return errors.Join(nothing) },
		"dead letter":      func() error { return worker.DeadLetter(nothing) },
		"value of a panic": func() error { panic(nothing) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				q := newQueue(t, dabchick.Options[string]{}, "job", "job")
				r := run(t, q, func(context.Context, dabchick.Message[string]) error { return handle() }, worker.Options{Backoff: second})
				require.NoError(t, r.stop())
				require.Equal(t, worker.Stats{Retried: 2, Failed: 2, Panicked: 2}, r.Stats())
			})
		})
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	q := newQueue(t, dabchick.Options[string]{})
	for field, o := range map[string]worker.Options{
		"Workers": {Workers: -1}, "Renew": {Renew: 1.5}, "MaxLease": {MaxLease: -1},
		"Grace": {Grace: -2}, "Patience": {Patience: -2},
		"Scale.Min":      {Workers: 2, Scale: &worker.Scale{Min: 3, Wait: 1}},
		"Scale.Backlog":  {Scale: &worker.Scale{}},
		"Scale.Wait":     {Scale: &worker.Scale{Wait: -1}},
		"Scale.Every":    {Scale: &worker.Scale{Wait: 1, Every: -1}},
		"Scale.CoolDown": {Scale: &worker.Scale{Wait: 1, CoolDown: -2}},
	} {
		err := worker.Run(t.Context(), q, nilHandler, o)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	for _, renew := range []float64{-0.1, math.NaN()} {
		require.ErrorContains(t, worker.Run(t.Context(), q, nilHandler, worker.Options{Renew: renew}), "Renew is")
	}
	_, err := worker.New(q, nil, worker.Options{})
	require.ErrorContains(t, err, "handle")
	for _, nothing := range []worker.Queue[string]{nil, (*dabchick.Queue[string])(nil)} {
		_, err = worker.New(nothing, nilHandler, worker.Options{Scale: &worker.Scale{Wait: 1}})
		require.EqualError(t, err, `q is "nil", allowed: a queue`)
	}
	_, err = worker.New(struct{ worker.Queue[string] }{q}, nilHandler, worker.Options{Scale: &worker.Scale{Wait: 1}})
	require.ErrorContains(t, err, "method Stats")
}

// every is a limiter that lets one message through in a time.
type every struct {
	mu   sync.Mutex
	d    time.Duration
	next time.Time
}

func (e *every) Wait(ctx context.Context) error {
	e.mu.Lock()
	now := time.Now()
	if e.next.Before(now) {
		e.next = now
	}
	wait := e.next.Sub(now)
	e.next = e.next.Add(e.d)
	e.mu.Unlock()
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The limiter is asked before a message is received, whoever is idle.
func TestLimiter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2", "3", "4")
		var mu sync.Mutex
		var at []time.Duration
		began := time.Now()
		r := run(t, q, func(context.Context, dabchick.Message[string]) error {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
			return nil
		}, worker.Options{Workers: 3, Limiter: &every{d: time.Second}})
		counts(t, q, 3, 0, 0)
		time.Sleep(10 * time.Second)
		require.NoError(t, r.stop())
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, at)
	})
}

func TestChain(t *testing.T) {
	var order []string
	around := func(name string) func(handler) handler {
		return func(next handler) handler {
			return func(ctx context.Context, m dabchick.Message[string]) error {
				order = append(order, name)
				defer func() { order = append(order, "/"+name) }()
				return next(ctx, m)
			}
		}
	}
	h := worker.Chain(func(context.Context, dabchick.Message[string]) error {
		order = append(order, "handler")
		return nil
	}, around("a"), around("b"))
	require.NoError(t, h(t.Context(), dabchick.Message[string]{}))
	require.Equal(t, []string{"a", "b", "handler", "/b", "/a"}, order)
}
