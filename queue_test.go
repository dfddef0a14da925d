package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

const ns = time.Nanosecond

func TestMessagesComeInOrderOfArrival(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		var want []int
		for i := range 1000 {
			send(t, q, i) // all at the same instant
			want = append(want, i)
		}
		require.Equal(t, want, takeAll(t, q))
	})
}

// A message that comes up is behind those that were sent meanwhile, and before those
// that are sent later.
func TestWhatComesUpHasItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		for _, timeout := range []time.Duration{time.Second, time.Minute} {
			q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: timeout})
			send(t, q, "a")
			take(t, q)
			time.Sleep(timeout / 2)
			send(t, q, "b", "c")
			time.Sleep(timeout)
			send(t, q, "d")
			for _, body := range []string{"b", "c", "a", "d"} {
				require.Equal(t, body, take(t, q).Body)
			}
			time.Sleep(timeout)
			send(t, q, "e")
			require.Equal(t, []string{"b", "c", "a", "d", "e"}, takeAll(t, q), "the same in a batch")
		}
	})
}

func TestVisibilityTimeoutHidesAMessageUntilItsDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "job")
		sent := time.Now()
		m := take(t, q)
		require.Equal(t, sent.Add(30*time.Second), m.VisibleAt())
		counts(t, q, 0, 1, 0)

		time.Sleep(30*time.Second - ns)
		takeNone(t, q)
		counts(t, q, 0, 1, 0)
		time.Sleep(ns)
		counts(t, q, 1, 0, 0)
		again := take(t, q)
		require.Equal(t, "job", again.Body)
		require.Equal(t, m.ID, again.ID)
		require.NotEqual(t, m.Receipt, again.Receipt)
		require.Equal(t, 2, again.Receives)
	})
}

func TestVisibilityTimeoutPerReceive(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Minute})
		send(t, q, "a", "b")
		ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Visibility: 2 * time.Second})
		require.NoError(t, err)
		require.Len(t, ms, 1)
		take(t, q) // b, with the queue's own timeout

		time.Sleep(2*time.Second - ns)
		takeNone(t, q)
		time.Sleep(ns)
		require.Equal(t, "a", take(t, q).Body) // the queue's own timeout again
		time.Sleep(58*time.Second - ns)
		takeNone(t, q)
		time.Sleep(ns)
		require.Equal(t, []string{"b"}, takeAll(t, q))
		time.Sleep(2*time.Second - ns)
		takeNone(t, q)
		time.Sleep(ns)
		require.Equal(t, []string{"a"}, takeAll(t, q))
	})
}

func TestReceiveWithoutTimeoutLeavesTheMessageVisible(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b")
		now := dabchick.ReceiveOptions{Max: 10, Visibility: dabchick.Immediately}
		first, err := q.ReceiveBatch(ctx, now)
		require.NoError(t, err)
		require.Len(t, first, 2, "each once in one receive")
		counts(t, q, 2, 0, 0)
		second, err := q.ReceiveBatch(ctx, now)
		require.NoError(t, err)
		require.Len(t, second, 2)
		require.Equal(t, 2, second[0].Receives)
		require.NotEqual(t, first[0].Receipt, second[0].Receipt)
		require.ErrorIs(t, first[0].Delete(ctx), dabchick.ErrReceiptSuperseded)
		require.NoError(t, second[0].Delete(ctx), "the newest receipt deletes, visible or not")
		counts(t, q, 1, 0, 0)
	})
}

func TestReceiveCountAndTimestamps(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
		sent := time.Now()
		send(t, q, "a")
		time.Sleep(time.Minute)
		received := time.Now()
		for n := 1; n <= 4; n++ {
			m := take(t, q)
			require.Equal(t, n, m.Receives)
			require.Equal(t, sent, m.SentAt())
			require.Equal(t, received, m.FirstReceivedAt(), "written once")
			require.Equal(t, dabchick.InFlight, m.State)
			time.Sleep(time.Second)
		}
	})
}

func TestDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Delay: 10 * time.Second})
		send(t, q, "queue's own")
		_, err := q.SendWith(ctx, "shorter", dabchick.SendOptions{Delay: time.Second})
		require.NoError(t, err)
		_, err = q.SendWith(ctx, "none", dabchick.SendOptions{Delay: dabchick.Immediately})
		require.NoError(t, err)
		counts(t, q, 1, 0, 2)
		require.Equal(t, []string{"none"}, takeAll(t, q))

		time.Sleep(time.Second - ns)
		takeNone(t, q)
		time.Sleep(ns)
		require.Equal(t, []string{"shorter"}, takeAll(t, q))

		// A change of the queue's delay is not retroactive.
		o := q.Options()
		o.Delay = 0
		require.NoError(t, q.SetOptions(o))
		time.Sleep(9*time.Second - ns)
		takeNone(t, q)
		time.Sleep(ns)
		require.Equal(t, []string{"queue's own"}, takeAll(t, q))
		send(t, q, "at once")
		require.Equal(t, []string{"at once"}, takeAll(t, q))

		o.Delay = ns
		require.NoError(t, q.SetOptions(o))
		send(t, q, "hardly delayed")
		takeNone(t, q)
		time.Sleep(ns)
		require.Equal(t, []string{"hardly delayed"}, takeAll(t, q))
	})
}

func TestRetentionTakesMessagesInEveryState(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Retention: time.Minute, VisibilityTimeout: time.Hour})
		send(t, q, "in flight", "visible")
		_, err := q.SendWith(ctx, "delayed", dabchick.SendOptions{Delay: time.Hour})
		require.NoError(t, err)
		m := take(t, q)

		time.Sleep(time.Minute)
		counts(t, q, 1, 1, 1) // kept for a whole minute
		time.Sleep(ns)
		counts(t, q, 0, 0, 0)
		require.EqualValues(t, 3, stats(t, q).Expired)
		takeNone(t, q)
		require.NoError(t, m.Delete(ctx), "deleting an expired message succeeds")
		require.ErrorIs(t, m.Extend(ctx, time.Minute), dabchick.ErrMessageGone)
		time.Sleep(2 * time.Hour)
		takeNone(t, q)
	})
}

// Whether it waits there, or has come up again.
func TestReceivePassesByWhatHasExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Retention: time.Minute, VisibilityTimeout: time.Second})
		send(t, q, "received before", "never received")
		take(t, q)
		time.Sleep(time.Minute)
		send(t, q, "new")
		time.Sleep(ns)
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.Equal(t, "new", m.Body)
		time.Sleep(time.Second)
		m, err = q.Receive(ctx)
		require.NoError(t, err)
		require.Equal(t, "new", m.Body)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = q.Receive(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRetentionDefaultAndChange(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b")
		time.Sleep(4 * 24 * time.Hour)
		require.Equal(t, "a", take(t, q).Body)
		time.Sleep(ns)
		counts(t, q, 0, 0, 0)

		o := q.Options()
		o.Retention = dabchick.Forever
		require.NoError(t, q.SetOptions(o))
		send(t, q, "c")
		time.Sleep(100 * 365 * 24 * time.Hour)
		counts(t, q, 1, 0, 0)
		o.Retention = time.Second // applies to what is there
		require.NoError(t, q.SetOptions(o))
		counts(t, q, 0, 0, 0)
	})
}

func TestReceiveWakesForEveryWayOfBecomingVisible(t *testing.T) {
	ways := map[string]struct {
		prepare func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) (cause func())
		after   time.Duration // from prepare until the receive returns
	}{
		"send": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			return func() { send(t, q, "x") }
		}, 0},
		"send batch": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			return func() {
				_, err := q.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "x"}})
				require.NoError(t, err)
			}
		}, 0},
		"end of delay": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			_, err := q.SendWith(ctx, "x", dabchick.SendOptions{Delay: 7 * time.Second})
			require.NoError(t, err)
			return nil
		}, 7 * time.Second},
		"end of timeout": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			send(t, q, "x")
			take(t, q)
			return nil
		}, 30 * time.Second},
		"shorter timeout": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			send(t, q, "x")
			m := take(t, q)
			return func() { require.NoError(t, m.Extend(ctx, 3*time.Second)) }
		}, 3 * time.Second},
		"longer timeout": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			send(t, q, "x")
			m := take(t, q)
			return func() { require.NoError(t, m.Extend(ctx, time.Hour)) }
		}, time.Hour},
		"release": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			send(t, q, "x")
			m := take(t, q)
			return func() { require.NoError(t, m.Release(ctx)) }
		}, 0},
		"visibility changed to zero": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			send(t, q, "x")
			m := take(t, q)
			return func() { require.NoError(t, q.ChangeVisibility(ctx, 0, m.Receipt)) }
		}, 0},
		"resume": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			q.Pause()
			send(t, q, "x")
			return q.Resume
		}, 0},
		"room in flight": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			o := q.Options()
			o.MaxInFlight = 1
			require.NoError(t, q.SetOptions(o))
			send(t, q, "y", "x")
			m := take(t, q)
			return func() { require.NoError(t, m.Delete(ctx)) }
		}, 0},
		"limit in flight raised": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			o := q.Options()
			o.MaxInFlight = 1
			require.NoError(t, q.SetOptions(o))
			send(t, q, "y", "x")
			take(t, q)
			return func() {
				o.MaxInFlight = 2
				require.NoError(t, q.SetOptions(o))
			}
		}, 0},
		"dead letter arrives": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			source := mustNew(t, dabchick.Options[string]{DeadLetter: q, MaxReceives: 1})
			send(t, source, "x")
			m := take(t, source)
			require.NoError(t, m.Release(ctx))
			return func() { takeNone(t, source) }
		}, 0},
		"redrive": {func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) func() {
			dead := mustNew(t, dabchick.Options[string]{})
			send(t, dead, "x")
			return func() {
				n, err := dead.Redrive(ctx, dabchick.RedriveOptions[string]{To: q})
				require.NoError(t, err)
				require.Equal(t, 1, n)
			}
		}, 0},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q := mustNew(t, dabchick.Options[string]{})
				cause := way.prepare(t, ctx, q)
				got := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
				blocked(t, got)
				if cause != nil {
					cause()
				}
				if way.after > 0 {
					time.Sleep(way.after - ns)
					blocked(t, got)
					time.Sleep(ns)
				}
				r := finished(t, got)
				require.NoError(t, r.err)
				require.Equal(t, "x", r.value.Body)
				require.Equal(t, way.after, r.after)
			})
		})
	}
}

func TestWaitingReceiversAreServedInOrderOfArrival(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		var receivers []<-chan result[dabchick.Message[int]]
		for range 20 {
			receivers = append(receivers, start(func() (dabchick.Message[int], error) { return q.Receive(ctx) }))
			synctest.Wait()
		}
		require.Equal(t, 20, stats(t, q).WaitingReceivers)
		send(t, q, 0, 1, 2)
		for i := range 3 {
			require.Equal(t, i, finished(t, receivers[i]).value.Body)
		}
		for _, r := range receivers[3:] {
			blocked(t, r) // as many wake-ups as messages
		}
		var batch []dabchick.Outgoing[int]
		for i := 3; i < 20; i++ {
			batch = append(batch, dabchick.Outgoing[int]{Body: i})
		}
		_, err := q.SendBatch(ctx, batch)
		require.NoError(t, err)
		for i, r := range receivers[3:] {
			require.Equal(t, i+3, finished(t, r).value.Body)
		}
	})
}

func TestBatchReceiveReturnsWithTheFirstMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{ReceiveWait: 20 * time.Second})
		got := start(func() ([]dabchick.Message[int], error) {
			return q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 10})
		})
		blocked(t, got)
		send(t, q, 1)
		require.Len(t, finished(t, got).value, 1, "it does not wait to fill up")

		send(t, q, 2, 3, 4, 5)
		ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 3})
		require.NoError(t, err)
		require.Len(t, ms, 3, "no more than asked for")
		require.Equal(t, 2, ms[0].Body)
	})
}

// SendInto leaves in a used slice what SendBatch returns.
func TestSendInto(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		used := dabchick.ID{1}
		batch := []dabchick.Outgoing[string]{{Body: "a"}, {Body: "b"}, {Body: "c"}}
		for name, o := range map[string]dabchick.Options[string]{
			"backlog":    {Size: func(s string) int { return len(s) }},
			"general":    {OnEvent: func(dabchick.Event[string]) {}},
			"room for 2": {MaxMessages: 2, FailFast: true},
		} {
			q := mustNew(t, o)
			ids := []dabchick.ID{used, used, used}
			err := q.SendInto(ctx, ids, batch)
			stored := 3
			if o.FailFast {
				stored = 2
				require.ErrorIs(t, err, dabchick.ErrFull, name)
				require.Zero(t, ids[2], "it was not stored")
			} else {
				require.NoError(t, err, name)
			}
			ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 9})
			require.NoError(t, err)
			require.Len(t, ms, stored, name)
			for i, m := range ms {
				require.Equal(t, batch[i].Body, m.Body)
				require.Equal(t, ids[i], m.ID, name)
			}
			for _, m := range ms {
				require.NoError(t, m.Delete(ctx))
			}

			require.NoError(t, q.SendInto(ctx, nil, batch[:2]), "nobody wants to know")
			require.NoError(t, q.SendInto(ctx, nil, nil))
			counts(t, q, 2, 0, 0)
		}
		sizeless := mustNew(t, dabchick.Options[int]{})
		require.NoError(t, sizeless.SendInto(ctx, nil, make([]dabchick.Outgoing[int], 2)))
		require.Zero(t, stats(t, sizeless).Bytes)

		q := mustNew(t, dabchick.Options[string]{})
		for _, ids := range [][]dabchick.ID{{}, {used, used}, {used, used, used, used}} {
			var invalid *dabchick.InvalidError
			require.ErrorAs(t, q.SendInto(ctx, ids, batch), &invalid)
			require.Equal(t, "length of the slice of ids", invalid.Field)
			require.Equal(t, len(ids), invalid.Value)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ids := []dabchick.ID{used, used, used}
		require.Equal(t, context.Canceled, q.SendInto(ended, ids, batch))
		require.Equal(t, []dabchick.ID{used, used, used}, ids)
		counts(t, q, 0, 0, 0)
	})
}

// What ReceiveInto writes to a used slice is what ReceiveBatch returns, and it
// touches nothing behind it.
func TestReceiveIntoAUsedSlice(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		other := mustNew(t, dabchick.Options[string]{FIFO: true})
		_, err := other.SendWith(ctx, "other", dabchick.SendOptions{Group: "g", DedupID: "d", TraceHeader: "t"})
		require.NoError(t, err)
		used := take(t, other)
		used.SetHandle("of a backend")

		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b", "c")
		o := dabchick.ReceiveOptions{Max: 3}
		want, err := q.ReceiveBatch(ctx, o)
		require.NoError(t, err)
		for _, m := range want {
			require.NoError(t, m.Release(ctx))
		}
		for i := range want {
			want[i].Receives++
		}
		into := []dabchick.Message[string]{used, used, used, used}
		n, err := q.ReceiveInto(ctx, into, dabchick.ReceiveOptions{})
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Equal(t, used, into[3])
		for i := range want {
			require.NotEqual(t, want[i].Receipt, into[i].Receipt)
			want[i].Receipt, err = q.ParseReceipt(into[i].Receipt.String())
			require.NoError(t, err)
		}
		require.Equal(t, want, into[:3])
	})
}

func TestReceiveIntoTakesWhatThereIsRoomFor(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		send(t, q, 1, 2, 3, 4, 5, 6)
		into := make([]dabchick.Message[int], 2, 4)
		for _, c := range []struct{ most, want int }{{0, 2}, {1, 1}, {3, 2}} {
			n, err := q.ReceiveInto(ctx, into, dabchick.ReceiveOptions{Max: c.most})
			require.NoError(t, err)
			require.Equal(t, c.want, n)
		}
		require.Zero(t, into[:4][2], "beyond the length nothing is written")
		q.Pause()
		n, err := q.ReceiveInto(ctx, into, dabchick.ReceiveOptions{Wait: time.Second})
		require.NoError(t, err)
		require.Zero(t, n)

		for field, c := range map[string]struct {
			into []dabchick.Message[int]
			o    dabchick.ReceiveOptions
		}{
			"length of the slice": {nil, dabchick.ReceiveOptions{}},
			"AttemptID":           {into, dabchick.ReceiveOptions{AttemptID: "a"}},
			"Max":                 {into, dabchick.ReceiveOptions{Max: -1}},
		} {
			_, err := q.ReceiveInto(ctx, c.into, c.o)
			var invalid *dabchick.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, field, invalid.Field)
		}
		counts(t, q, 1, 5, 0)
	})
}

// A receiver that waits has its slice filled, and a cancelled one has it back without
// what was being handed over.
func TestReceiveIntoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		into := make([]dabchick.Message[int], 2)
		forever := dabchick.ReceiveOptions{Wait: dabchick.Forever}
		got := start(func() (int, error) { return q.ReceiveInto(ctx, into, forever) })
		blocked(t, got)
		send(t, q, 1)
		require.Equal(t, 1, finished(t, got).value)
		require.Equal(t, 1, into[0].Body)
		require.NoError(t, into[0].Delete(ctx))

		ending, cancel := context.WithCancel(ctx)
		got = start(func() (int, error) { return q.ReceiveInto(ending, into, forever) })
		blocked(t, got)
		cancel()
		send(t, q, 2)
		done := finished(t, got)
		require.ErrorIs(t, done.err, context.Canceled)
		require.Zero(t, done.value)
		counts(t, q, 1, 0, 0)
	})
}

func TestReceiveWait(t *testing.T) {
	for _, c := range []struct {
		queue, call, want time.Duration
	}{
		{0, 0, 0},
		{0, time.Second, time.Second},
		{20 * time.Second, 0, 20 * time.Second},
		{20 * time.Second, dabchick.Immediately, 0},
		{20 * time.Second, 100 * time.Hour, 100 * time.Hour},
		{dabchick.Immediately, 0, 0},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q := mustNew(t, dabchick.Options[int]{ReceiveWait: c.queue})
				began := time.Now()
				ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: c.call})
				require.NoError(t, err, "an empty receive is no error")
				require.Empty(t, ms)
				require.Equal(t, c.want, time.Since(began))
				require.EqualValues(t, 1, stats(t, q).EmptyReceives)
				require.Zero(t, stats(t, q).WaitingReceivers)
			})
		})
	}
}

func TestReceiveGetsWhatComesUpAtTheEndOfItsWait(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		_, err := q.SendWith(ctx, "x", dabchick.SendOptions{Delay: time.Second})
		require.NoError(t, err)
		ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: time.Second})
		require.NoError(t, err)
		require.Len(t, ms, 1)

		_, err = q.SendWith(ctx, "y", dabchick.SendOptions{Delay: time.Second + ns})
		require.NoError(t, err)
		ms, err = q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: time.Second})
		require.NoError(t, err)
		require.Empty(t, ms)
	})
}

func TestReceiveEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		early, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		began := time.Now()
		_, err := q.Receive(early)
		require.Equal(t, context.DeadlineExceeded, err, "a context's error comes bare")
		require.Equal(t, time.Second, time.Since(began))

		send(t, q, "x")
		_, err = q.Receive(early)
		require.Equal(t, context.DeadlineExceeded, err, "an ended context receives nothing")
		_, err = q.ReceiveBatch(early, dabchick.ReceiveOptions{})
		require.Equal(t, context.DeadlineExceeded, err)
		_, err = q.Send(early, "y")
		require.Equal(t, context.DeadlineExceeded, err, "nor sends")
		_, err = q.SendBatch(early, []dabchick.Outgoing[string]{{Body: "y"}})
		require.Equal(t, context.DeadlineExceeded, err)
		counts(t, q, 1, 0, 0)
		require.Equal(t, 1, take(t, q).Receives)
	})
}

// A receiver whose context ends in the same instant as a message is handed to
// it may return either; in no case is the message lost or counted twice.
func TestCancelAtTheMomentOfHandOver(t *testing.T) {
	handedBack := 0
	for round := range 2000 {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[int]{OnEvent: func(e dabchick.Event[int]) {
				if e.Kind == dabchick.HandedBack {
					handedBack++
				}
			}})
			first, cancel := context.WithCancel(ctx)
			a := start(func() (dabchick.Message[int], error) { return q.Receive(first) })
			synctest.Wait()
			b := start(func() (dabchick.Message[int], error) { return q.Receive(ctx) })
			synctest.Wait()
			if round%2 == 0 {
				go cancel()
				send(t, q, 1, 2)
			} else {
				cancel()
				send(t, q, 1, 2)
			}
			ra, rb := finished(t, a), finished(t, b)
			require.NoError(t, rb.err)
			if ra.err != nil {
				require.Equal(t, context.Canceled, ra.err)
				require.Equal(t, 1, rb.value.Receives)
				counts(t, q, 1, 1, 0)
				m := take(t, q)
				require.Equal(t, 1, m.Receives, "a delivery that nobody saw does not count")
				require.Equal(t, 3, rb.value.Body+m.Body)
				require.Equal(t, m.FirstReceivedAt(), time.Now())
			} else {
				require.Equal(t, 3, ra.value.Body+rb.value.Body)
			}
			require.EqualValues(t, 2, stats(t, q).Received)
			cancel()
		})
	}
	require.NotZero(t, handedBack, "the race was never run into")
}

func TestMessageHandedBackKeepsItsPlace(t *testing.T) {
	for range 200 {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[int]{})
			first, cancel := context.WithCancel(ctx)
			var receivers []<-chan result[dabchick.Message[int]]
			for range 5 {
				receivers = append(receivers, start(func() (dabchick.Message[int], error) { return q.Receive(first) }))
			}
			synctest.Wait()
			go cancel()
			send(t, q, 0, 1, 2, 3, 4, 5, 6)
			got := map[int]bool{}
			for _, c := range receivers {
				if r := finished(t, c); r.err == nil {
					got[r.value.Body] = true
				}
			}
			last := -1
			for _, body := range takeAll(t, q) {
				require.Greater(t, body, last, "arrival order")
				require.False(t, got[body])
				last = body
				got[body] = true
			}
			require.Len(t, got, 7)
		})
	}
}

func TestMessagesIterator(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		send(t, q, 1, 2, 3)
		var got []int
		for m, err := range q.Messages(ctx) {
			require.NoError(t, err)
			got = append(got, m.Body)
			if len(got) == 2 {
				break
			}
		}
		require.Equal(t, []int{1, 2}, got)
		counts(t, q, 1, 2, 0) // breaking out took nothing

		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		var end error
		for m, err := range q.Messages(short) {
			if err != nil {
				require.Zero(t, m.Body)
				require.NoError(t, end, "one error only")
				end = err
				continue
			}
			got = append(got, m.Body)
		}
		require.Equal(t, context.DeadlineExceeded, end)
		require.Equal(t, []int{1, 2, 3}, got)
	})
}

func TestPause(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		send(t, q, 1, 2)
		m := take(t, q)
		q.Pause()
		q.Pause()
		require.True(t, stats(t, q).Paused)
		takeNone(t, q)
		send(t, q, 3)
		require.NoError(t, m.Delete(ctx), "settling goes on")
		got := start(func() (dabchick.Message[int], error) { return q.Receive(ctx) })
		blocked(t, got)
		time.Sleep(time.Hour)
		blocked(t, got)
		q.Resume()
		q.Resume()
		require.Equal(t, 2, finished(t, got).value.Body)
		require.Equal(t, []int{3}, takeAll(t, q))
	})
}

func TestPurge(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{MaxMessages: 4})
		send(t, q, "in flight", "visible")
		_, err := q.SendWith(ctx, "delayed", dabchick.SendOptions{Delay: time.Second})
		require.NoError(t, err)
		m := take(t, q)
		send(t, q, "fourth")
		waiting := start(func() (dabchick.ID, error) { return q.Send(ctx, "waits for room") })
		blocked(t, waiting)

		n, err := q.Purge(ctx)
		require.NoError(t, err)
		require.Equal(t, 4, n)
		require.NoError(t, finished(t, waiting).err)
		require.NoError(t, m.Delete(ctx))
		require.ErrorIs(t, m.Extend(ctx, time.Hour), dabchick.ErrMessageGone)
		require.Equal(t, []string{"waits for room"}, takeAll(t, q))
		time.Sleep(time.Hour)
		require.Equal(t, []string{"waits for room"}, takeAll(t, q), "nothing that was purged comes back")
		require.EqualValues(t, 4, stats(t, q).Purged)

		got := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
		blocked(t, got)
		_, err = q.Purge(ctx)
		require.NoError(t, err)
		blocked(t, got) // goes on waiting
		send(t, q, "new")
		require.Equal(t, "new", finished(t, got).value.Body)
	})
}

func TestClose(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{MaxMessages: 2})
		send(t, q, 1, 2)
		m1, m2 := take(t, q), take(t, q)
		receive := start(func() (dabchick.Message[int], error) { return q.Receive(ctx) })
		batch := start(func() ([]dabchick.Message[int], error) {
			return q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: time.Hour})
		})
		sender := start(func() (dabchick.ID, error) { return q.Send(ctx, 3) })
		sender2 := start(func() ([]dabchick.ID, error) {
			return q.SendBatch(ctx, []dabchick.Outgoing[int]{{Body: 4}, {Body: 5}})
		})
		blocked(t, receive)

		require.NoError(t, q.Close())
		require.NoError(t, q.Close(), "a second Close is harmless")
		require.ErrorIs(t, finished(t, receive).err, dabchick.ErrClosed)
		require.ErrorIs(t, finished(t, batch).err, dabchick.ErrClosed)
		require.ErrorIs(t, finished(t, sender).err, dabchick.ErrClosed)
		var failed *dabchick.BatchError
		require.ErrorAs(t, finished(t, sender2).err, &failed)
		require.ErrorIs(t, failed, dabchick.ErrClosed)
		require.Len(t, failed.Failed, 2)

		_, err := q.Send(ctx, 6)
		require.ErrorIs(t, err, dabchick.ErrClosed)
		require.EqualError(t, err, `dabchick: send "TestClose": queue closed`)
		_, err = q.SendBatch(ctx, []dabchick.Outgoing[int]{{Body: 4}})
		require.ErrorIs(t, err, dabchick.ErrClosed)
		_, err = q.Receive(ctx)
		require.ErrorIs(t, err, dabchick.ErrClosed)
		_, err = q.ReceiveBatch(ctx, dabchick.ReceiveOptions{})
		require.ErrorIs(t, err, dabchick.ErrClosed)
		_, err = q.Purge(ctx)
		require.ErrorIs(t, err, dabchick.ErrClosed)
		_, err = q.Redrive(ctx, dabchick.RedriveOptions[int]{})
		require.ErrorIs(t, err, dabchick.ErrClosed)
		takeNone(t, q)

		require.NoError(t, m1.Delete(ctx), "what is in flight can be settled")
		require.NoError(t, m2.Extend(ctx, time.Hour))
		counts(t, q, 0, 1, 0)
		require.True(t, stats(t, q).Closed)
		left, err := q.Peek(ctx, 10)
		require.NoError(t, err)
		require.Len(t, left, 1)
	})
}

func TestConcurrentUseLosesAndRepeatsNothing(t *testing.T) {
	const producers, consumers, each = 8, 8, 2000
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	q := mustNew(t, dabchick.Options[int]{MaxMessages: 100, MaxInFlight: 50, VisibilityTimeout: time.Hour})
	var sending, receiving sync.WaitGroup
	for p := range producers {
		sending.Go(func() {
			for i := range each {
				if _, err := q.Send(ctx, p*each+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	got := make([][]int, consumers)
	var left sync.WaitGroup
	left.Add(producers * each)
	for c := range consumers {
		receiving.Go(func() {
			for m, err := range q.Messages(ctx) {
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					return
				}
				got[c] = append(got[c], m.Body)
				if err := m.Delete(ctx); err != nil {
					t.Error(err)
				}
				left.Done()
			}
		})
	}
	sending.Wait()
	left.Wait()
	cancel()
	receiving.Wait()
	seen := map[int]bool{}
	for _, bodies := range got {
		last := map[int]int{}
		for _, b := range bodies {
			require.False(t, seen[b], "received twice")
			seen[b] = true
			if p := b / each; last[p] > b {
				require.Fail(t, "messages of one producer came out of order at one consumer")
			}
			last[b/each] = b
		}
	}
	require.Len(t, seen, producers*each)
	counts(t, q, 0, 0, 0)
}

// What one goroutine sends is delivered in its order, also while others send beside
// it and receivers come and go, so that messages take every way into the queue.
func TestSendersKeepTheirOrder(t *testing.T) {
	const senders, each = 4, 5000
	q := mustNew(t, dabchick.Options[[2]int]{})
	ctx := t.Context()
	var sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			for i := range each {
				switch i % 50 {
				case 0:
					_, err := q.SendBatch(ctx, []dabchick.Outgoing[[2]int]{{Body: [2]int{s, i}}})
					require.NoError(t, err)
				case 1:
					_, err := q.SendWith(ctx, [2]int{s, i}, dabchick.SendOptions{TraceHeader: "x"})
					require.NoError(t, err)
				default:
					send(t, q, [2]int{s, i})
				}
			}
		})
	}
	var next [senders]int
	for range senders * each {
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.Equal(t, next[m.Body[0]], m.Body[1], "of sender %d", m.Body[0])
		next[m.Body[0]]++
		require.NoError(t, m.Delete(ctx))
	}
	sending.Wait()
	require.NoError(t, q.Check())
	counts(t, q, 0, 0, 0)
}
