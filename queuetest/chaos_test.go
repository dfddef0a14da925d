package queuetest_test

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/queuetest"
	"github.com/dabchickmq/dabchick/worker"
)

func receive(t *testing.T, c *queuetest.Chaos[string]) dabchick.Message[string] {
	t.Helper()
	ms, err := c.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Wait: dabchick.Immediately})
	require.NoError(t, err)
	require.Len(t, ms, 1)
	return ms[0]
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		faults queuetest.Faults
		test   func(*testing.T, *queuetest.Chaos[string])
	}{
		"none": {queuetest.Faults{}, func(t *testing.T, c *queuetest.Chaos[string]) {
			m, err := c.Receive(t.Context())
			require.NoError(t, err)
			require.Equal(t, "1", m.Body)
			require.NoError(t, c.Delete(t.Context(), m.Receipt))
		}},
		"duplicate": {queuetest.Faults{Duplicate: 1}, func(t *testing.T, c *queuetest.Chaos[string]) {
			first, second := receive(t, c), receive(t, c)
			require.Equal(t, first, second)
			require.NoError(t, c.Delete(t.Context(), first.Receipt))
			require.NoError(t, c.Delete(t.Context(), second.Receipt))
			require.Equal(t, "2", receive(t, c).Body)
		}},
		"reorder": {queuetest.Faults{Reorder: 1}, func(t *testing.T, c *queuetest.Chaos[string]) {
			require.Equal(t, []string{"2", "1", "3"}, []string{receive(t, c).Body, receive(t, c).Body, receive(t, c).Body})
		}},
		"late delete": {queuetest.Faults{LateDelete: 1}, func(t *testing.T, c *queuetest.Chaos[string]) {
			m := receive(t, c)
			require.NoError(t, c.ChangeVisibility(t.Context(), time.Minute, m.Receipt))
			began := time.Now()
			taken := make(chan dabchick.Message[string])
			go func() {
				time.Sleep(time.Minute)
				c.TryReceive() // 2
				c.TryReceive() // 3
				again, _ := c.TryReceive()
				taken <- again
			}()
			err := c.Delete(t.Context(), m.Receipt)
			require.Equal(t, m.ID, (<-taken).ID)
			require.ErrorIs(t, err, dabchick.ErrReceiptSuperseded)
			require.Equal(t, time.Minute+1, time.Since(began))
		}},
		"expired receipt": {queuetest.Faults{ExpiredReceipt: 1}, func(t *testing.T, c *queuetest.Chaos[string]) {
			m := receive(t, c)
			require.ErrorIs(t, c.ChangeVisibility(t.Context(), time.Second, m.Receipt), dabchick.ErrReceiptExpired)
		}},
		"lost delete": {queuetest.Faults{LostDelete: 1}, func(t *testing.T, c *queuetest.Chaos[string]) {
			m := receive(t, c)
			require.ErrorIs(t, c.Delete(t.Context(), m.Receipt), queuetest.ErrLostAnswer)
			require.NoError(t, c.Delete(t.Context(), m.Receipt), "a second try")
			require.ErrorIs(t, c.ChangeVisibility(t.Context(), time.Second, m.Receipt), dabchick.ErrMessageGone)
		}},
		"slow receive": {queuetest.Faults{SlowReceive: 1}, func(t *testing.T, c *queuetest.Chaos[string]) {
			began := time.Now()
			m := receive(t, c)
			require.NotZero(t, time.Since(began))
			require.True(t, time.Now().Before(m.VisibleAt()), "the lease is good still")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.test(t, queuetest.NewChaos(t, newQueue(t, "jobs", dabchick.Options[string]{}, "1", "2", "3"), c.faults))
			})
		})
	}
}

// What a receive asks for, one that is reordered has, too.
func TestReorderedMessageIsHiddenAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := queuetest.NewChaos(t, newQueue(t, "jobs", dabchick.Options[string]{}, "1", "2"), queuetest.Faults{Reorder: 1})
		for _, body := range []string{"2", "1"} {
			ms, err := c.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Wait: dabchick.Immediately, Visibility: time.Hour})
			require.NoError(t, err)
			require.Equal(t, body, ms[0].Body)
			require.Equal(t, time.Hour, time.Until(ms[0].VisibleAt()))
		}
	})
}

// A fault that waits holds up no consumer that shall stop.
func TestChaosHeedsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := queuetest.NewChaos(t, newQueue(t, "jobs", dabchick.Options[string]{}, "1"), queuetest.Faults{ExpiredReceipt: 1, LateDelete: 1})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m, err := c.Receive(ctx)
		require.NoError(t, err)
		require.NoError(t, c.Delete(ctx, m.Receipt))
		require.Equal(t, time.Second, time.Since(began))
	})
}

// What is pending is delivered when the queue would deliver it.
func TestChaosOfAQueueThatDoesNotDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := queuetest.NewChaos(t, newQueue(t, "jobs", dabchick.Options[string]{}, "1"), queuetest.Faults{Duplicate: 1})
		m := receive(t, c)
		c.Pause()
		ms, err := c.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Wait: dabchick.Immediately})
		require.NoError(t, err)
		require.Empty(t, ms)
		c.Resume()
		require.Equal(t, m, receive(t, c))

		_, err = c.Send(t.Context(), "2")
		require.NoError(t, err)
		receive(t, c)
		require.NoError(t, c.Close())
		_, err = c.Receive(t.Context())
		require.ErrorIs(t, err, dabchick.ErrClosed)
	})
}

// all makes everything happen now and then.
var all = queuetest.Faults{Duplicate: 0.1, Reorder: 0.2, LateDelete: 0.1, ExpiredReceipt: 0.1, LostDelete: 0.1, SlowReceive: 0.2}

// A pool loses nothing whatever happens, and messages of a FIFO group stay in order.
func TestPoolSurvivesChaos(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run(fmt.Sprint("fifo=", fifo), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, "jobs", dabchick.Options[string]{FIFO: fifo})
				spy := queuetest.Watch(t, q)
				const groups, each = 10, 30
				for i := range groups * each {
					o := dabchick.SendOptions{Group: fmt.Sprint(i % groups)}
					_, err := q.SendWith(t.Context(), fmt.Sprintf("%d/%03d", i%groups, i/groups), o)
					require.NoError(t, err)
				}
				var mu sync.Mutex
				last, runs := map[string]string{}, map[string]int{}
				c := queuetest.NewChaos(t, q, all)
				ctx, stop := context.WithCancel(t.Context())
				var pool sync.WaitGroup
				pool.Go(func() {
					worker.Run(ctx, c, func(ctx context.Context, m dabchick.Message[string]) error {
						mu.Lock()
						defer mu.Unlock()
						if fifo && m.Body < last[m.Group()] && runs[m.Body] == 0 {
							t.Errorf("%s comes first after %s", m.Body, last[m.Group()])
						}
						last[m.Group()] = max(last[m.Group()], m.Body)
						runs[m.Body]++
						return nil
					}, worker.Options{Workers: 5})
				})
				spy.AwaitNth(groups*each, 24*time.Hour, dabchick.Deleted)
				stop()
				pool.Wait()
				mu.Lock()
				defer mu.Unlock()
				require.Len(t, runs, groups*each)
				again := 0
				for _, n := range runs {
					again += n - 1
				}
				require.NotZero(t, again, "the faults were felt")
				spy.AssertNothingLeft()
			})
		})
	}
}

// One that is behind another of its group in a batch does not overtake it.
func TestBatchesOfAFIFOQueueStayInOrder(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, "jobs", dabchick.Options[string]{FIFO: true})
			for _, body := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
				_, err := q.SendWith(t.Context(), body, dabchick.SendOptions{Group: body[:1]})
				require.NoError(t, err)
			}
			c := queuetest.NewChaos(t, q, queuetest.Faults{Seed: seed + 1, Reorder: 0.5})
			last := map[string]string{}
			for range 6 {
				ms, err := c.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Max: 3, Wait: dabchick.Immediately})
				require.NoError(t, err)
				for _, m := range ms {
					require.Less(t, last[m.Group()], m.Body)
					last[m.Group()] = m.Body
					require.NoError(t, c.Delete(t.Context(), m.Receipt))
				}
			}
			require.Equal(t, map[string]string{"a": "a3", "b": "b2", "c": "c1"}, last)
		})
	}
}

func TestSeedRepeatsFaults(t *testing.T) {
	run := func(seed uint64, before int) (log string) {
		synctest.Test(t, func(t *testing.T) {
			log = try(t, func(tb testing.TB) {
				q := newQueue(t, "jobs", dabchick.Options[string]{})
				for range before { // other messages draw other numbers
					newQueue(t, "x", dabchick.Options[string]{}, "x")
					q.Send(t.Context(), "x")
					m, _ := q.TryReceive()
					m.Delete(t.Context())
				}
				f := all
				f.Seed = seed
				c := queuetest.NewChaos(tb, q, f)
				for i := range 40 {
					q.Send(t.Context(), fmt.Sprint("job ", i))
				}
				for range 40 {
					if ms, _ := c.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Wait: dabchick.Immediately}); len(ms) > 0 {
						c.Delete(t.Context(), ms[0].Receipt)
					}
				}
				tb.Errorf("failed")
			})
		})
		return log
	}
	for seed := uint64(1); seed < 20; seed++ {
		require.Equal(t, withoutIDs(run(seed, 0)), withoutIDs(run(seed, 3)))
	}
	require.NotEqual(t, withoutIDs(run(1, 0)), withoutIDs(run(2, 0)))
	require.Contains(t, run(7, 0), "replay with QUEUETEST_SEED=7; faults:\n")

	t.Setenv("QUEUETEST_SEED", "12345")
	require.Contains(t, run(0, 0), "QUEUETEST_SEED=12345;")
	t.Setenv("QUEUETEST_SEED", "twelve")
	require.Contains(t, run(0, 0), `QUEUETEST_SEED is "twelve", allowed: a number`)
}

var ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

func withoutIDs(log string) string { return ids.ReplaceAllString(log, "") }

func TestChancesOutOfRange(t *testing.T) {
	q := newQueue(t, "jobs", dabchick.Options[string]{})
	printed := try(t, func(tb testing.TB) { queuetest.NewChaos(tb, q, queuetest.Faults{Reorder: 1.5}) })
	require.Contains(t, printed, "a chance is 1.5, allowed: from 0 to 1")
}

func TestChaosEndsWithItsContext(t *testing.T) {
	c := queuetest.NewChaos(t, newQueue(t, "jobs", dabchick.Options[string]{}), all)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Receive(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
