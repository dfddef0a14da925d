package queuetest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/queuetest"
	"github.com/dabchickmq/dabchick/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// double stands for the test of a user: it keeps what would be printed.
type double struct {
	testing.TB
	failed  bool
	printed strings.Builder
	cleanup []func()
}

func (d *double) Helper()                   {}
func (d *double) Failed() bool              { return d.failed }
func (d *double) Cleanup(f func())          { d.cleanup = append(d.cleanup, f) }
func (d *double) Log(args ...any)           { fmt.Fprintln(&d.printed, args...) }
func (d *double) Logf(f string, arg ...any) { fmt.Fprintf(&d.printed, f+"\n", arg...) }
func (d *double) Errorf(f string, arg ...any) {
	d.failed = true
	d.Logf(f, arg...)
}

func (d *double) Fatalf(f string, arg ...any) {
	d.Errorf(f, arg...)
	runtime.Goexit()
}

// try runs what a user's test does, and returns what it prints if it fails.
func try(t *testing.T, test func(tb testing.TB)) string {
	d := &double{TB: t}
	var wg sync.WaitGroup
	wg.Go(func() { test(d) })
	wg.Wait()
	for _, f := range d.cleanup {
		f()
	}
	if !d.failed {
		require.Empty(t, d.printed.String())
	}
	return d.printed.String()
}

func newQueue(t *testing.T, name string, o dabchick.Options[string], bodies ...string) *dabchick.Queue[string] {
	t.Helper()
	q, err := dabchick.New(name, o)
	require.NoError(t, err)
	for _, body := range bodies {
		_, err := q.Send(t.Context(), body)
		require.NoError(t, err)
	}
	return q
}

func take(t *testing.T, q *dabchick.Queue[string]) dabchick.Message[string] {
	t.Helper()
	m, ok := q.TryReceive()
	require.True(t, ok)
	return m
}

func TestSpyTellsTheHistoryOfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var before int
		dead := newQueue(t, "dead", dabchick.Options[string]{})
		q := newQueue(t, "jobs", dabchick.Options[string]{
			DeadLetter: dead, MaxReceives: 3, OnEvent: func(dabchick.Event[string]) { before++ },
		})
		spy := queuetest.Watch(t, q, dead)
		id, err := q.Send(ctx, "resize")
		require.NoError(t, err)
		_, err = q.Send(ctx, "another")
		require.NoError(t, err)
		take(t, q)
		require.NoError(t, take(t, q).Delete(ctx))
		time.Sleep(30 * time.Second)
		m := take(t, q)
		require.NoError(t, m.Extend(ctx, time.Minute))
		time.Sleep(time.Second)
		require.NoError(t, m.DeadLetter(ctx, "no such file"))
		require.Equal(t, fmt.Sprintf(`message %v: resize
            0s  jobs: sent
            0s  jobs: received, delivery 1
           30s  jobs: reappeared, delivery 1
           30s  jobs: received, delivery 2
           30s  jobs: extended for 1m0s, delivery 2
           31s  dead: arrived: no such file
           31s  jobs: dead-lettered to dead: no such file
`, id), spy.History(id))
		require.Equal(t, []string{"resize", "another", "resize"}, spy.Bodies(dabchick.Received))
		require.Len(t, spy.Events(dabchick.Sent, dabchick.Deleted), 3)
		require.Len(t, spy.Events(), before+1, "the former hook is called as well; the arrival was in another queue")

		require.Empty(t, try(t, func(tb testing.TB) {
			queuetest.Watch(tb, q)
			require.True(t, spy.AssertSent(2))
			require.True(t, spy.AssertHandled(1))
			require.True(t, spy.AssertDeadLettered(1))
			require.True(t, spy.AssertNothingLeft(q))
		}))
	})
}

func TestAssertionsThatFailPrintHistories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, "jobs", dabchick.Options[string]{})
		for name, c := range map[string]struct {
			assert func(*queuetest.Spy[string]) bool
			says   string
		}{
			"sent":          {func(s *queuetest.Spy[string]) bool { return s.AssertSent(3) }, "2 messages were sent, and should have been 3"},
			"handled":       {func(s *queuetest.Spy[string]) bool { return s.AssertHandled(2) }, "1 messages were deleted, and should have been 2"},
			"dead-lettered": {func(s *queuetest.Spy[string]) bool { return s.AssertDeadLettered(1) }, "0 messages were dead-lettered, and should have been 1"},
			"once":          {func(s *queuetest.Spy[string]) bool { return s.AssertOnce() }, "delivered more than once"},
			"nothing left":  {func(s *queuetest.Spy[string]) bool { return s.AssertNothingLeft() }, `queue "jobs" has 1 visible, 0 in flight and 0 delayed`},
		} {
			printed := try(t, func(tb testing.TB) {
				_, err := q.Purge(t.Context())
				require.NoError(t, err)
				spy := queuetest.Watch(tb, q)
				for _, body := range []string{"slow", "quick"} {
					_, err := q.Send(t.Context(), body)
					require.NoError(t, err)
				}
				take(t, q)
				require.NoError(t, take(t, q).Delete(t.Context()))
				time.Sleep(time.Minute)
				require.NoError(t, take(t, q).Release(t.Context()))
				require.False(t, c.assert(spy))
			})
			require.Contains(t, printed, c.says, name)
			require.Contains(t, printed, "1m0s  jobs: received, delivery 2", name)
			if name == "once" || name == "nothing left" {
				require.NotContains(t, printed, "quick", "of the messages that it is about")
			}
		}
	})
}

// What is told of is what is left, not what was deleted and sent again, nor the queue.
func TestNothingLeftTellsOfWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, "jobs", dabchick.Options[string]{FIFO: true})
		printed := try(t, func(tb testing.TB) {
			spy := queuetest.Watch(tb, q)
			send := func(body string) {
				_, err := q.SendWith(t.Context(), body, dabchick.SendOptions{Group: "g", DedupID: body})
				require.NoError(t, err)
			}
			send("done")
			require.NoError(t, take(t, q).Delete(t.Context()))
			send("done")
			send("left")
			q.Pause()
			require.False(t, spy.AssertNothingLeft())
		})
		require.Contains(t, printed, ": left\n")
		require.NotContains(t, printed, ": done\n")
		require.NotContains(t, printed, dabchick.ID{}.String())
	})
}

func TestLongHistoriesAreCut(t *testing.T) {
	q := newQueue(t, "jobs", dabchick.Options[string]{})
	printed := try(t, func(tb testing.TB) {
		spy := queuetest.Watch(tb, q)
		for range 25 {
			_, err := q.Send(t.Context(), strings.Repeat("x", 1000))
			require.NoError(t, err)
		}
		spy.AssertNothingLeft()
	})
	require.Equal(t, 10, strings.Count(printed, "xxx...\n"))
	require.Contains(t, printed, "and 15 messages more")

	spy := queuetest.Watch(t, q)
	id, err := q.Send(t.Context(), "x"+strings.Repeat("é", 100))
	require.NoError(t, err)
	require.Contains(t, spy.History(id), "xé")
	require.True(t, utf8.ValidString(spy.History(id)), "no character is cut in two")
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, "jobs", dabchick.Options[string]{})
		spy := queuetest.Watch(t, q)
		began := time.Now()
		go func() {
			time.Sleep(time.Minute)
			q.Send(context.Background(), "late")
		}()
		require.Equal(t, "late", spy.Await(time.Hour, dabchick.Sent).Message.Body)
		require.Equal(t, time.Minute, time.Since(began))
		spy.Await(dabchick.Immediately, dabchick.Sent) // what has happened counts
		take(t, q)
		spy.Await(30*time.Second, dabchick.Reappeared) // though no call comes that notices it
		require.Equal(t, 90*time.Second, time.Since(began))
		take(t, q)
		e := spy.AwaitNth(2, time.Second, dabchick.Received, func(e dabchick.Event[string]) bool { return e.Message.Body == "late" })
		require.Equal(t, 2, e.Message.Receives)
		spy.Never(29*time.Second, dabchick.Deleted)
		require.Equal(t, 119*time.Second, time.Since(began))

		require.Contains(t, try(t, func(tb testing.TB) {
			queuetest.Watch(tb, q).Await(time.Second, dabchick.Deleted)
			t.Error("went on")
		}), "no message was deleted within 1s (for the first time)\nmessage", "the timeout that ends meanwhile is told")
		require.Contains(t, try(t, func(tb testing.TB) {
			queuetest.Watch(tb, q).AwaitNth(4, time.Second, dabchick.Sent)
		}), "no message was sent within 1s (for the 4th time)\nnothing has happened")
		require.Equal(t, "queuetest: n is 0, allowed: at least 1\n", try(t, func(tb testing.TB) {
			queuetest.Watch(tb, q).AwaitNth(0, time.Second, dabchick.Sent)
		}))
		require.Contains(t, try(t, func(tb testing.TB) {
			spy := queuetest.Watch(tb, q)
			time.AfterFunc(time.Second, func() { q.TryReceive() })
			spy.Never(time.Minute, dabchick.Received)
			t.Error("went on")
		}), "a message was received, after 1s")
	})
}

// A queue on which nobody calls is looked at each second for a while, then less often.
func TestAwaitForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, "jobs", dabchick.Options[string]{VisibilityTimeout: 16 * time.Minute, Retention: 200 * time.Hour}, "job")
		spy := queuetest.Watch(t, q)
		take(t, q)
		began := time.Now()
		spy.Await(dabchick.Forever/4, dabchick.Reappeared)
		require.Equal(t, 16*time.Minute, time.Since(began))
		spy.Await(dabchick.Forever/4, dabchick.Expired)
		late := time.Since(began) - 200*time.Hour
		require.True(t, 0 < late && late < 200*time.Hour/900, late)
		spy.Never(dabchick.Forever/4, dabchick.Received, func(e dabchick.Event[string]) bool { return e.Message.Receives == 2 })
	})
}

// Each delivery since Watch counts that a receiver has seen, whatever the message's
// count says.
func TestAssertOnceCountsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, "jobs", dabchick.Options[string]{}, "before", "returned")
		m := take(t, q)
		printed := try(t, func(tb testing.TB) {
			spy := queuetest.Watch(tb, q)
			require.NoError(t, take(t, q).Return(t.Context()))
			require.NoError(t, m.Release(t.Context()))
			require.True(t, spy.AssertOnce())
			take(t, q)
			require.False(t, spy.AssertOnce())
			require.NoError(t, take(t, q).Delete(t.Context()))
		})
		require.Contains(t, printed, ": returned\n")
		require.NotContains(t, printed, ": before\n")
	})
}

// A message that was handed to a receiver whose context had ended has not been seen.
func TestAssertOnceDoesNotCountWhatWasHandedBack(t *testing.T) {
	handedBack := 0
	for range 1000 {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, "jobs", dabchick.Options[string]{})
			spy := queuetest.Watch(t, q)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := q.Receive(ctx)
				done <- err
			}()
			synctest.Wait()
			cancel()
			_, err := q.Send(t.Context(), "job")
			require.NoError(t, err)
			if err := <-done; err != nil {
				take(t, q)
			}
			require.True(t, spy.AssertOnce())
			handedBack += len(spy.Events(dabchick.HandedBack))
		})
	}
	require.NotZero(t, handedBack, "the race was never run into")
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, "jobs", dabchick.Options[string]{}, "1", "2")
		h := func(ctx context.Context, m dabchick.Message[string]) error {
			if m.Body == "2" && m.Receives < 3 {
				return errors.New("failed")
			}
			return nil
		}
		o := worker.Options{Backoff: func(int) time.Duration { return time.Hour }}
		s := queuetest.Drain(t, q, h, o)
		require.EqualValues(t, []uint64{1, 1}, []uint64{s.Handled, s.Retried})
		require.Zero(t, queuetest.Drain(t, q, h, o).Retried)
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, queuetest.Drain(t, q, h, o).Retried)
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, queuetest.Drain(t, q, h, o).Handled)

		printed := try(t, func(tb testing.TB) { queuetest.Drain(tb, q, nil, o) })
		require.Contains(t, printed, `handle is "nil"`)
	})
}

func TestFatalInAHandlerEndsTheTest(t *testing.T) {
	q := newQueue(t, "jobs", dabchick.Options[string]{}, "1")
	require.Equal(t, "wrong\n", try(t, func(tb testing.TB) {
		queuetest.Drain(tb, q, func(context.Context, dabchick.Message[string]) error {
			tb.Fatalf("wrong")
			return nil
		}, worker.Options{})
		t.Error("went on")
	}))
}
