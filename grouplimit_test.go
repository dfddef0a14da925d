package dabchick_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

func newLimited(t *testing.T, n int) *dabchick.Queue[string] {
	return mustNew(t, dabchick.Options[string]{
		MaxInFlightPerGroup: n, Fairness: dabchick.Fairness{ProcessingShare: off, InFlightShare: off},
	})
}

func TestGroupLimitPassesOverAFullGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newLimited(t, 2)
		sendTo(t, q, "a1", "a2", "a3", "a4", "b1")
		send(t, q, "x", "y", "z")
		ms, order := takeUpTo(t, q, 9, 0)
		require.Equal(t, "a1 a2 b1 x y z", order, "messages without a group have no limit")
		counts(t, q, 2, 6, 0)
		require.Zero(t, stats(t, q).LongestWait, "what is passed over cannot be delivered")
		require.NoError(t, q.Check())
		peeked, err := q.Peek(ctx, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"a3", "a4"}, []string{peeked[0].Body, peeked[1].Body})

		require.NoError(t, ms["a2"].Delete(ctx))
		gets(t, q, "a3")
		takeNone(t, q)
		require.NoError(t, ms["a1"].Release(ctx))
		gets(t, q, "a4") // came up before a1
		takeNone(t, q)
	})
}

func TestGroupLimitServesWaitersWhenThereIsRoom(t *testing.T) {
	for name, makeRoom := range map[string]func(context.Context, *dabchick.Queue[string], dabchick.Message[string]) error{
		"delete": func(ctx context.Context, _ *dabchick.Queue[string], m dabchick.Message[string]) error {
			return m.Delete(ctx)
		},
		"release": func(ctx context.Context, _ *dabchick.Queue[string], m dabchick.Message[string]) error {
			return m.Release(ctx)
		},
		"timeout": func(_ context.Context, _ *dabchick.Queue[string], m dabchick.Message[string]) error {
			time.Sleep(time.Until(m.VisibleAt()))
			return nil
		},
		"another limit": func(_ context.Context, q *dabchick.Queue[string], _ dabchick.Message[string]) error {
			o := q.Options()
			o.MaxInFlightPerGroup = 0
			return q.SetOptions(o)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q := newLimited(t, 1)
				sendTo(t, q, "a1", "a2")
				m := take(t, q)
				waiting := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
				blocked(t, waiting)
				require.NoError(t, makeRoom(ctx, q, m))
				require.Equal(t, "a2", finished(t, waiting).value.Body)
				require.NoError(t, q.Check())
			})
		})
	}
}

// A thousand messages come up at once, more than are noticed in one turn.
func TestGroupLimitHoldsWhenManyComeUp(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newLimited(t, 0)
		flood(t, q, "a", 3000)
		hold(t, q, 3000)
		o := q.Options()
		o.MaxInFlightPerGroup = 3
		require.NoError(t, q.SetOptions(o))
		waiting := make([]<-chan result[dabchick.Message[string]], 5)
		for i := range waiting {
			waiting[i] = start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
			blocked(t, waiting[i])
		}
		time.Sleep(dabchick.DefaultVisibilityTimeout)
		for i := range waiting {
			if i < 3 {
				require.NoError(t, finished(t, waiting[i]).err)
			} else {
				blocked(t, waiting[i])
			}
		}
		counts(t, q, 2997, 3, 0)
		require.NoError(t, q.Close())
	})
}

func TestGroupLimitIsForStandardQueues(t *testing.T) {
	for name, o := range map[string]dabchick.Options[string]{
		"negative": {MaxInFlightPerGroup: -1},
		"FIFO":     {MaxInFlightPerGroup: 1, FIFO: true},
	} {
		_, err := dabchick.New(name, o)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, "MaxInFlightPerGroup", invalid.Field)
	}
}
