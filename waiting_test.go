package dabchick_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// A receive that is cancelled as it gets something leaves that to a repeated one which
// has it by then.
func TestCancelledAttemptLeavesWhatARepeatedOneHas(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		ended := &slowToTell{done: make(chan struct{}), tell: make(chan struct{})}
		o := dabchick.ReceiveOptions{Wait: time.Minute, AttemptID: "x"}
		a := start(func() ([]dabchick.Message[string], error) { return q.ReceiveBatch(ended, o) })
		blocked(t, a)
		close(ended.done)
		blocked(t, a)
		sendTo(t, q, "a1")
		ms, err := q.ReceiveBatch(ctx, o)
		require.NoError(t, err)
		close(ended.tell)
		require.ErrorIs(t, finished(t, a).err, context.Canceled)
		m := ms[0]
		require.Equal(t, 1, m.Receives)
		require.NoError(t, m.Extend(ctx, time.Minute), "it is in the hands of the second")
		takeNone(t, q)
		require.NoError(t, m.Release(ctx))
		again := take(t, q)
		require.NotEqual(t, m.Receipt, again.Receipt)
		require.EqualValues(t, 2, stats(t, q).Received)
	})
}

// What was handed to a receive that is cancelled goes back from the last to the first,
// each to the head of what waits: to pass over those before it would take n² for n.
func TestHandedBackFromTheLastOn(t *testing.T) {
	for range 200 {
		done := false
		inBubble(t, func(t *testing.T, ctx context.Context) {
			var r recorder
			q := mustNew(t, dabchick.Options[string]{OnEvent: r.hook})
			first, cancel := context.WithCancel(ctx)
			a := start(func() ([]dabchick.Message[string], error) {
				return q.ReceiveBatch(first, dabchick.ReceiveOptions{Max: 3, Wait: time.Minute})
			})
			blocked(t, a)
			cancel()
			_, err := q.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "a"}, {Body: "b"}, {Body: "c"}, {Body: "d"}})
			require.NoError(t, err)
			finished(t, a)
			if told := strings.Join(r.told(), ", "); strings.Contains(told, "handed back") {
				done = true
				require.Contains(t, told, "handed back c/0, handed back b/0, handed back a/0")
			}
			require.Equal(t, []string{"a", "b", "c", "d"}, takeAll(t, q))
		})
		if done {
			return
		}
	}
	require.Fail(t, "the race was never run into")
}

// While a hook keeps the alarm busy, those who wait for something else have an alarm.
func TestAlarmWhileAHookIsBusy(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		busy := false
		q := mustNew(t, dabchick.Options[int]{VisibilityTimeout: time.Second, OnEvent: func(e dabchick.Event[int]) {
			if e.Kind == dabchick.Reappeared && !busy {
				busy = true
				time.Sleep(time.Minute)
			}
		}})
		send(t, q, 0, 1, 2, 3) // more than are noticed under one lock
		require.Len(t, takeAll(t, q), 4)
		var receivers []<-chan result[dabchick.Message[int]]
		for range 5 {
			receivers = append(receivers, start(func() (dabchick.Message[int], error) { return q.Receive(ctx) }))
			blocked(t, receivers[len(receivers)-1])
		}
		time.Sleep(time.Second)
		synctest.Wait() // the alarm has gone off, and is in the hook
		stats(t, q)
		for _, r := range receivers[:4] {
			require.NoError(t, finished(t, r).err)
		}
		blocked(t, receivers[4])
		time.Sleep(time.Second)
		require.NoError(t, finished(t, receivers[4]).err)
		time.Sleep(time.Minute)
	})
}

// A call that a hook has held up goes by the time that it is after that.
func TestAlarmAfterABusyHook(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		began := time.Now()
		busy := false
		q := mustNew(t, dabchick.Options[string]{Retention: 10 * time.Second, OnEvent: func(e dabchick.Event[string]) {
			if e.Kind == dabchick.Expired && !busy {
				busy = true
				time.Sleep(4 * time.Second)
			}
		}})
		send(t, q, "a", "b", "c", "d") // more than are noticed under one lock
		time.Sleep(9 * time.Second)
		_, err := q.SendWith(ctx, "late", dabchick.SendOptions{Delay: 5 * time.Second})
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.Equal(t, "late", m.Body)
		require.Equal(t, 15*time.Second, time.Since(began), "it came up while the hook ran")
	})
}

// A hook that panics while new options are carried out does not keep what they bring from
// those who wait.
func TestPanicInAHookThatHearsOfMany(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		armed := true
		q := mustNew(t, dabchick.Options[string]{MaxMessages: 4, OnEvent: func(e dabchick.Event[string]) {
			if e.Kind == dabchick.Expired && armed {
				armed = false
				panic("boom")
			}
		}})
		send(t, q, "a", "b", "c", "d")
		waits := start(func() (dabchick.ID, error) { return q.Send(ctx, "e") })
		blocked(t, waits)
		time.Sleep(time.Minute)
		o := q.Options()
		o.Retention, o.MaxMessages = time.Second, 0
		require.PanicsWithValue(t, "boom", func() { q.SetOptions(o) })
		require.NoError(t, finished(t, waits).err)
		counts(t, q, 1, 0, 0)
	})
}

// Entries of a batch that need no room do not wait behind those who do, as single
// sends do not.
func TestBatchThatNeedsNoRoomDoesNotWait(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{MaxMessages: 1})
		first := dabchick.Outgoing[string]{Body: "a", SendOptions: dabchick.SendOptions{Group: "g", DedupID: "a"}}
		ids, err := q.SendBatch(ctx, []dabchick.Outgoing[string]{first})
		require.NoError(t, err)
		waits := start(func() (dabchick.ID, error) {
			return q.SendWith(ctx, "b", dabchick.SendOptions{Group: "g"})
		})
		blocked(t, waits)
		batch := func(batch ...dabchick.Outgoing[string]) result[[]dabchick.ID] {
			t.Helper()
			return finished(t, start(func() ([]dabchick.ID, error) { return q.SendBatch(ctx, batch) }))
		}
		require.NoError(t, batch().err)
		require.Equal(t, ids, batch(first).value, "a duplicate")
		var failed *dabchick.BatchError
		require.ErrorAs(t, batch(dabchick.Outgoing[string]{Body: "no group"}).err, &failed)
		later := start(func() ([]dabchick.ID, error) {
			return q.SendBatch(ctx, []dabchick.Outgoing[string]{first, {Body: "c", SendOptions: dabchick.SendOptions{Group: "g"}}})
		})
		blocked(t, later)
		require.NoError(t, take(t, q).Delete(ctx))
		require.NoError(t, finished(t, waits).err)
		require.Equal(t, "b", take(t, q).Body)
		blocked(t, later)
		require.NoError(t, q.Close())
		require.ErrorAs(t, finished(t, later).err, &failed)
		require.Equal(t, 1, failed.Failed[0].Index)
	})
}

// A batch is stored in one piece, also when it brings the queue's first group and what
// has come up has to be noticed for that, which lets others have turns.
func TestBatchWithTheFirstGroupIsInOnePiece(t *testing.T) {
	for range 100 {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
			send(t, q, make([]string, 2000)...)
			for range 2 {
				require.Len(t, takeAll(t, q), 1000)
			}
			time.Sleep(time.Second)
			stop := make(chan struct{})
			for range 2 {
				go func() {
					for {
						select {
						case <-stop:
							return
						default:
							q.Send(ctx, "-")
							q.ChangeVisibility(ctx, 0)
						}
					}
				}()
			}
			batch := make([]dabchick.Outgoing[string], 2000)
			for i := range batch {
				batch[i].Body = "batch"
			}
			batch[0].Group = "g"
			_, err := q.SendBatch(ctx, batch)
			require.NoError(t, err)
			close(stop)
			ms, err := q.Peek(ctx, 1<<20)
			require.NoError(t, err)
			last, pieces := "", 0
			for _, m := range ms {
				if m.Body == "batch" && last != m.Body {
					pieces++
				}
				last = m.Body
			}
			require.Equal(t, 1, pieces)
		})
	}
}

// nosy is a context that is a stranger to the queue.
type nosy struct {
	context.Context
	asked func()
}

func (c nosy) Err() error {
	c.asked()
	return c.Context.Err()
}

// A context of the program's own may use the queue.
func TestContextIsNotAskedUnderTheLock(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, _, _ := fullQueue(t, dabchick.Options[string]{})
		short, cancel := context.WithCancel(ctx)
		curious := nosy{short, func() { stats(t, q) }}
		calls := []func() error{
			func() error { _, err := q.Send(curious, "c"); return err },
			func() error { _, err := q.Receive(curious); return err },
			func() error { _, err := q.ReceiveBatch(curious, dabchick.ReceiveOptions{Wait: time.Hour}); return err },
		}
		var waiting []<-chan result[string]
		for _, call := range calls {
			waiting = append(waiting, start(func() (string, error) { return fmt.Sprint(call()), nil }))
			blocked(t, waiting[len(waiting)-1])
		}
		cancel()
		for _, w := range waiting {
			require.Equal(t, "context canceled", finished(t, w).value)
		}
	})
}
