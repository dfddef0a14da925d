package dabchick_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// flood stores n messages of a group.
func flood(tb testing.TB, q *dabchick.Queue[string], group string, n int) {
	tb.Helper()
	for i := range n {
		_, err := q.SendWith(context.Background(), fmt.Sprint(group, i), dabchick.SendOptions{Group: group})
		require.NoError(tb, err)
	}
}

// hold receives n messages, and returns them.
func hold(tb testing.TB, q *dabchick.Queue[string], n int) []dabchick.Message[string] {
	tb.Helper()
	ms, err := q.ReceiveBatch(context.Background(), dabchick.ReceiveOptions{Max: n, Wait: dabchick.Immediately})
	require.NoError(tb, err)
	require.Len(tb, ms, n)
	require.NoError(tb, q.Check())
	return ms
}

func noisy(tb testing.TB, q *dabchick.Queue[string], name string) bool {
	tb.Helper()
	g, err := q.Group(context.Background(), name)
	require.NoError(tb, err)
	return g.Noisy
}

const off = 1 // a share that is never exceeded

// "More than 10 % of all in-flight messages and at least 30."
func TestGroupWithManyInFlightIsNoisy(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Fairness: dabchick.Fairness{ProcessingShare: off}})
		flood(t, q, "a", 100)
		held := hold(t, q, 29)
		sendTo(t, q, "b1")
		require.False(t, noisy(t, q, "a"))
		held = append(held, hold(t, q, 1)...)
		require.True(t, noisy(t, q, "a"))
		require.False(t, noisy(t, q, "b"))
		sendTo(t, q, "c1")
		send(t, q, "alone") // without a group: a tenant of its own
		_, order := takeUpTo(t, q, 5, 0)
		require.Equal(t, "b1 c1 alone a30 a31", order)
		for _, m := range held[:10] {
			require.NoError(t, m.Delete(ctx))
		}
		require.False(t, noisy(t, q, "a"), "22 in flight")
	})
	t.Run("but not if that is a tenth or less", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[string]{Fairness: dabchick.Fairness{ProcessingShare: off}})
			for range 270 {
				send(t, q, "alone")
			}
			flood(t, q, "a", 40)
			held := hold(t, q, 300)
			require.False(t, noisy(t, q, "a"), "30 of 300")
			require.NoError(t, held[0].Delete(ctx))
			require.True(t, noisy(t, q, "a"), "30 of 299")
		})
	})
}

// "More than 10 % of recent processing time."
func TestGroupThatTakesMuchTimeIsNoisy(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Fairness: dabchick.Fairness{InFlightShare: off}})
		work := func(group string, d time.Duration) {
			sendTo(t, q, group+"1")
			m := take(t, q)
			time.Sleep(d)
			require.NoError(t, m.Delete(ctx))
		}
		work("q", 9500*time.Millisecond)
		work("a", time.Second)
		sendTo(t, q, "a2", "b1")
		require.False(t, noisy(t, q, "a"), "about 9.5 %%")
		hold(t, q, 2)
		time.Sleep(time.Second) // in flight counts as it goes on
		sendTo(t, q, "a3", "b2")
		require.True(t, noisy(t, q, "a"))
		_, order := takeUpTo(t, q, 2, 0)
		require.Equal(t, "b2 a3", order)
	})
	t.Run("counted from the first message with a group on", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[string]{Fairness: dabchick.Fairness{InFlightShare: off}})
			send(t, q, "before", "still")
			before := hold(t, q, 2)
			time.Sleep(20 * time.Second)
			sendTo(t, q, "a1")
			hold(t, q, 1)
			require.NoError(t, before[0].Delete(ctx))
			time.Sleep(time.Second)
			sendTo(t, q, "a2")
			g, err := q.Group(ctx, "a")
			require.NoError(t, err)
			require.True(t, g.Noisy, "one second of two, and not of 42")
		})
	})
	t.Run("and is forgiven as time passes", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Hour, Fairness: dabchick.Fairness{Window: time.Minute}})
			sendTo(t, q, "a1")
			m := take(t, q)
			time.Sleep(time.Minute)
			require.NoError(t, m.Delete(ctx))
			sendTo(t, q, "b1")
			m = take(t, q)
			sendTo(t, q, "a2")
			require.True(t, noisy(t, q, "a"))
			time.Sleep(3 * time.Minute)
			sendTo(t, q, "a3")
			require.False(t, noisy(t, q, "a"), "e^-3 is less than a tenth")
			require.NoError(t, m.Delete(ctx))
		})
	})
}

func TestAmongNoisyGroupsTheOneWithFewestInFlightGoesFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Fairness: dabchick.Fairness{ProcessingShare: off, MinInFlight: 2}})
		flood(t, q, "a", 5)
		hold(t, q, 4)
		flood(t, q, "b", 5)
		hold(t, q, 2)
		require.True(t, noisy(t, q, "a") && noisy(t, q, "b"))
		_, order := takeUpTo(t, q, 4, 0)
		require.Equal(t, "b2 b3 a4 b4", order)
	})
}

func TestGroupThatSendsNothingIsQuietAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Hour})
		flood(t, q, "a", 50)
		hold(t, q, 30)
		time.Sleep(5*time.Minute - ns)
		require.True(t, noisy(t, q, "a"))
		time.Sleep(ns)
		require.False(t, noisy(t, q, "a"))
		flood(t, q, "a", 1)
		require.True(t, noisy(t, q, "a"))
	})
}

func TestGroupWithoutBacklogIsNotNoisy(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		flood(t, q, "a", 31)
		hold(t, q, 30)
		require.True(t, noisy(t, q, "a"))
		hold(t, q, 1)
		require.False(t, noisy(t, q, "a"))
	})
}

// A standard queue with groups has no locks and no limits: messages of one group
// are in flight together, in order of arrival if none is noisy.
func TestGroupsOnAStandardQueueLockNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Second, Fairness: dabchick.Fairness{ProcessingShare: off}})
		sendTo(t, q, "a1", "b1", "a2")
		send(t, q, "alone")
		sendTo(t, q, "b2")
		want := "a1 b1 a2 alone b2"
		for range 3 {
			ms, order := takeUpTo(t, q, 10, 0)
			require.Equal(t, want, order)
			require.Equal(t, "a", ms["a1"].Group())
			require.Empty(t, ms["alone"].Group())
			require.Empty(t, ms["a1"].SequenceNumber())
			time.Sleep(time.Second)
		}
		peeked, err := q.Peek(ctx, 3)
		require.NoError(t, err)
		require.Len(t, peeked, 3)
		for i, m := range peeked {
			require.Equal(t, strings.Fields(want)[i], m.Body)
		}
	})
}

// The usage of a group that was drained counts when it comes back.
func TestDrainedGroupIsRememberedForAWindow(t *testing.T) {
	for wait, want := range map[time.Duration]bool{5*time.Minute - ns: true, 5 * time.Minute: false} {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[string]{})
			sendTo(t, q, "a1")
			m := take(t, q)
			time.Sleep(time.Minute)
			require.NoError(t, m.Delete(ctx))
			time.Sleep(wait)
			sendTo(t, q, "a2")
			require.Equal(t, want, noisy(t, q, "a"), wait)
		})
	}
}

// Groups that have gone are forgotten also by calls that have to do with none.
func TestGroupsThatHaveGoneTakeNoRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		for i := range 200 {
			flood(t, q, fmt.Sprint("tenant", i), 1)
		}
		for _, m := range hold(t, q, 200) {
			require.NoError(t, m.Delete(ctx))
		}
		time.Sleep(5 * time.Minute)
		require.Equal(t, 200, q.GroupRoom())
		for range 50 {
			send(t, q, "alone")
			require.NoError(t, take(t, q).Delete(ctx))
		}
		require.Zero(t, q.GroupRoom())
		require.NoError(t, q.Check())
		sendTo(t, q, "a1")
		require.Equal(t, "a1", take(t, q).Body)
	})
}

// Deadlines that pass unnoticed count in the same way once there are groups.
func TestFirstGroupComesToAQueueWithOverdueMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
		for range 3000 {
			send(t, q, "alone")
		}
		hold(t, q, 3000)
		time.Sleep(time.Second)
		sendTo(t, q, "a1")
		require.NoError(t, q.Check())
		counts(t, q, 3001, 0, 0)
		require.Equal(t, "alone", take(t, q).Body)
	})
}

func TestGroupStats(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "a2")
		time.Sleep(time.Second)
		sendTo(t, q, "b1")
		_, err := q.SendWith(ctx, "a3", dabchick.SendOptions{Group: "a", Delay: time.Minute})
		require.NoError(t, err)
		take(t, q)
		a, err := q.Group(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, dabchick.GroupStats{Name: "a", Visible: 1, InFlight: 1, Delayed: 1, OldestAge: time.Second}, a)
		none, err := q.Group(ctx, "none")
		require.NoError(t, err)
		require.Equal(t, dabchick.GroupStats{Name: "none"}, none)
		all, err := q.Groups(ctx)
		require.NoError(t, err)
		require.ElementsMatch(t, []dabchick.GroupStats{a, {Name: "b", Visible: 1}}, all)
	})
	t.Run("of many groups", func(t *testing.T) {
		q := newFIFO(t, dabchick.Options[string]{})
		for i := range 3000 {
			_, err := q.SendWith(t.Context(), "x", dabchick.SendOptions{Group: fmt.Sprint(i)})
			require.NoError(t, err)
		}
		all, err := q.Groups(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 3000)
		for range 3000 {
			require.NoError(t, take(t, q).Delete(t.Context()))
		}
		require.NoError(t, q.Check())
		all, err = q.Groups(t.Context())
		require.NoError(t, err)
		require.Empty(t, all)
	})
}
