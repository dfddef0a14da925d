package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// changes collects what a pool does, as "1s:0>4".
type changes []string

func (c *changes) of(began time.Time) func(worker.Change) {
	return func(change worker.Change) {
		*c = append(*c, fmt.Sprintf("%v:%d>%d", change.Time.Sub(began), change.From, change.To))
	}
}

func (c *changes) String() string { return strings.Join(*c, " ") }

func busyFor(d time.Duration) handler {
	return func(context.Context, dabchick.Message[string]) error {
		time.Sleep(d)
		return nil
	}
}

func sendMany(t *testing.T, q *dabchick.Queue[string], n int) {
	t.Helper()
	for range n {
		_, err := q.Send(t.Context(), "job")
		require.NoError(t, err)
	}
}

func TestScaleUpAtOnceAndDownAfterTheCoolDown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		r := run(t, q, busyFor(10*time.Second+ns), worker.Options{
			Workers: 8,
			Scale:   &worker.Scale{Min: 1, Backlog: 5, CoolDown: 30 * time.Second, OnChange: c.of(time.Now())},
		})
		require.Equal(t, 1, r.Stats().Workers)
		time.Sleep(500 * time.Millisecond)
		sendMany(t, q, 20)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 4, r.Stats().Workers, "20 at 5 each")
		require.Equal(t, 4, r.Stats().Running)
		sendMany(t, q, 100)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 8, r.Stats().Workers, "the most there may be")
		time.Sleep(10 * time.Minute)
		require.Equal(t, 1, r.Stats().Workers)
		require.EqualValues(t, 120, r.Stats().Handled)
		require.NoError(t, r.stop())
		require.True(t, strings.HasPrefix(c.String(), "1s:1>4 2s:4>8 "), c.String())
		require.True(t, strings.HasSuffix(c.String(), ">1"), c.String())
		var last time.Duration
		for _, change := range c[2:] {
			var from, to int
			text, rest, _ := strings.Cut(change, ":")
			_, err := fmt.Sscanf(rest, "%d>%d", &from, &to)
			require.NoError(t, err)
			require.Less(t, to, from)
			at, err := time.ParseDuration(text)
			require.NoError(t, err)
			require.GreaterOrEqual(t, at-last, 30*time.Second, "each step down waits for its cool-down: %v", &c)
			last = at
		}
		require.Greater(t, len(c), 3, "there is more than one")
	})
}

func TestNoWorkerWhenThereIsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		r := run(t, q, busyFor(ns), worker.Options{
			Scale: &worker.Scale{Backlog: 1, CoolDown: 5 * time.Second, OnChange: c.of(time.Now())},
		})
		time.Sleep(1500 * time.Millisecond)
		sendMany(t, q, 1)
		counts(t, q, 1, 0, 0)
		time.Sleep(time.Minute)
		counts(t, q, 0, 0, 0)
		require.NoError(t, r.stop())
		require.Equal(t, "2s:0>1 8s:1>0", c.String())
	})
}

// The cool-down starts anew when all workers were needed in between.
func TestCoolDownStartsAnew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		r := run(t, q, busyFor(time.Second), worker.Options{
			Workers: 9,
			Scale:   &worker.Scale{Backlog: 1, CoolDown: 30 * time.Second, OnChange: c.of(time.Now())},
		})
		time.Sleep(500 * time.Millisecond)
		sendMany(t, q, 4)
		time.Sleep(20 * time.Second)
		sendMany(t, q, 4)
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, "1s:0>4 52s:4>0", c.String())
	})
}

// With a target for waiting the number follows from how long messages take: a
// worker that needs 2 s for one begins 5 in 10 s.
func TestScaleByWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		r := run(t, q, busyFor(2*time.Second), worker.Options{
			Workers: 100,
			Scale:   &worker.Scale{Min: 1, Wait: 10 * time.Second, CoolDown: time.Minute, OnChange: c.of(time.Now())},
		})
		sendMany(t, q, 1)
		time.Sleep(2500 * time.Millisecond) // now it knows
		sendMany(t, q, 51)                  // one is begun, and 50 wait
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, "3s:1>10", c.String())
		require.EqualValues(t, 52, r.Stats().Handled)
	})
}

// As long as no message has been handled, there is a worker for each; and no target
// asks for more than there may be.
func TestScaleAtTheFirstLook(t *testing.T) {
	for want, scale := range map[int]worker.Scale{
		5: {Wait: 10 * time.Second}, 9: {Backlog: 5e-324},
	} {
		inBubble(t, func(t *testing.T) {
			q := newQueue(t, dabchick.Options[string]{})
			sendMany(t, q, 5)
			r := run(t, q, busyFor(time.Second), worker.Options{Workers: 9, Scale: &scale})
			require.Equal(t, want, r.Stats().Workers)
			require.NoError(t, r.stop())
		})
	}
}

// A handler that hangs is not taken for one that is done: workers are added when
// messages have waited for longer than they should.
func TestScaleWhenMessagesWaitTooLong(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		first := true
		r := run(t, q, func(ctx context.Context, _ dabchick.Message[string]) error {
			if first { // quick once, then never
				first = false
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}, worker.Options{
			Workers: 4, Grace: dabchick.Immediately,
			Scale: &worker.Scale{Min: 1, Wait: 3 * time.Second, OnChange: c.of(time.Now())},
		})
		sendMany(t, q, 1)
		time.Sleep(1500 * time.Millisecond)
		sendMany(t, q, 5)
		time.Sleep(time.Minute)
		require.Equal(t, 4, r.Stats().Running)
		require.NoError(t, r.stop())
		require.True(t, strings.HasSuffix(c.String(), ">4"), c.String())
		counts(t, q, 5, 0, 0)
	})
}

// A message that is worked on for long does not count as one that waits.
func TestLongHandlerBringsNoWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		long := true
		r := run(t, q, func(context.Context, dabchick.Message[string]) error {
			if long { // the first one
				long = false
				time.Sleep(time.Hour)
				return nil
			}
			time.Sleep(time.Second)
			return nil
		}, worker.Options{
			Workers: 10,
			Scale:   &worker.Scale{Min: 2, Wait: 10 * time.Second, OnChange: c.of(time.Now())},
		})
		sendMany(t, q, 1)
		synctest.Wait()
		for range 100 { // each time two, for the one worker that is left
			sendMany(t, q, 2)
			time.Sleep(5 * time.Second)
		}
		time.Sleep(time.Hour)
		require.NoError(t, r.stop())
		require.EqualValues(t, 201, r.Stats().Handled)
		require.Empty(t, c)
	})
}

// The time of a message is that of those that ended lately, and of former ones the less
// the longer they are ago.
func TestScaleKnowsHowLongMessagesTake(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{})
		var known []time.Duration
		r := run(t, q, func(_ context.Context, m dabchick.Message[string]) error {
			work, err := time.ParseDuration(m.Body)
			time.Sleep(work)
			return err
		}, worker.Options{Workers: 9, Scale: &worker.Scale{
			Backlog: 1, Every: 10 * time.Second, CoolDown: dabchick.Immediately,
			OnChange: func(c worker.Change) { known = append(known, c.HandlerTime) },
		}})
		for _, work := range []string{"1s", "3s", "7s"} {
			time.Sleep(5 * time.Second)
			for range 2 {
				_, err := q.Send(t.Context(), work)
				require.NoError(t, err)
			}
			time.Sleep(15 * time.Second) // they are begun after 5 and done by 12, and nothing is left
		}
		time.Sleep(time.Second)
		require.NoError(t, r.stop())
		s := time.Second
		require.Equal(t, []time.Duration{0, s, s, 2 * s, 2 * s, 4500 * time.Millisecond}, known)
	})
}

// Workers that are idle leave first.
func TestScaleDownBeginsWithTheIdle(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		sendMany(t, q, 4)
		var mu sync.Mutex
		begun := 0
		r := run(t, q, func(context.Context, dabchick.Message[string]) error {
			mu.Lock()
			begun++
			n := begun
			mu.Unlock()
			if n <= 2 { // the others are quick
				time.Sleep(20 * time.Second)
			}
			return nil
		}, worker.Options{Workers: 4, Scale: &worker.Scale{Backlog: 1, CoolDown: 10 * time.Second, OnChange: c.of(time.Now())}})
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.Equal(t, "0s:0>4 11s:4>2", c.String())
		require.Equal(t, 2, r.Stats().Workers)
		sendMany(t, q, 1)
		counts(t, q, 1, 2, 0) // nobody is idle
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.EqualValues(t, 5, r.Stats().Handled)
	})
}

// One that leaves when it has finished does not count any more.
func TestWorkerThatLeavesDoesNotCount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var c changes
		q := newQueue(t, dabchick.Options[string]{})
		sendMany(t, q, 6)
		r := run(t, q, busyFor(10*time.Second), worker.Options{
			Workers: 9, Scale: &worker.Scale{Backlog: 2, CoolDown: dabchick.Immediately, OnChange: c.of(time.Now())},
		})
		for range 3 {
			m, ok := q.TryReceive()
			require.True(t, ok)
			require.NoError(t, m.Delete(t.Context()))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, "0s:0>3 1s:3>2", c.String())
		s := r.Stats()
		require.Equal(t, []int{2, 3}, []int{s.Workers, s.Running})
		require.NoError(t, r.stop())
	})
}

// Workers leave without dropping what they do, and a pool that stops in the
// middle of it leaves nothing running.
func TestScaleDownFinishesWhatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{})
		r := run(t, q, busyFor(10*time.Second), worker.Options{
			Workers: 6,
			Scale:   &worker.Scale{Backlog: 2, CoolDown: dabchick.Immediately},
		})
		sendMany(t, q, 6)
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, 3, r.Stats().Workers)
		time.Sleep(time.Minute)
		require.EqualValues(t, 6, r.Stats().Handled)
		require.Zero(t, r.Stats().Workers)
		sendMany(t, q, 6)
		time.Sleep(time.Second)
		require.NoError(t, r.stop())
		require.EqualValues(t, 9, r.Stats().Handled)
		counts(t, q, 3, 0, 0)
	})
}

// Without workers nobody receives, and nobody is told by that.
func TestPoolWithoutWorkersEndsWithItsQueue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{})
		r := run(t, q, nilHandler, worker.Options{Scale: &worker.Scale{Min: 0, Backlog: 1}})
		require.NoError(t, q.Close())
		select {
		case err := <-r.result:
			require.ErrorIs(t, err, dabchick.ErrClosed)
		case <-time.After(time.Second + ns): // by its next look
			require.Fail(t, "the pool should have looked at the queue and ended")
		}
	})
}

// Those that are about to leave run still, and there are never more handlers than Workers.
func TestScaleUpBesideWorkersThatLeave(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{})
		sendMany(t, q, 24)
		var c changes
		r := run(t, q, busyFor(time.Hour+time.Second/2), worker.Options{
			Workers: 6, Scale: &worker.Scale{Backlog: 4, CoolDown: 10 * time.Second, OnChange: c.of(time.Now())},
		})
		require.Equal(t, 6, r.Stats().Running)
		for range 18 { // others do these
			m, ok := q.TryReceive()
			require.True(t, ok)
			require.NoError(t, m.Delete(t.Context()))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, "0s:0>6 11s:6>2", c.String())
		sendMany(t, q, 30)
		time.Sleep(30 * time.Minute)
		require.Equal(t, 6, r.Stats().Running)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 6, r.Stats().Running)
		require.Equal(t, "0s:0>6 11s:6>2 1h0m1s:2>6", c.String(), "when they have left")
		require.ErrorAs(t, r.stop(), new(*worker.AbandonedError))
		time.Sleep(time.Hour)
	})
}
