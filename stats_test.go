package dabchick_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

func TestStats(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second})
		require.Equal(t, dabchick.Stats{}, stats(t, q))
		send(t, q, "abc")
		time.Sleep(3 * time.Second)
		require.Equal(t, dabchick.Stats{
			Visible: 1, Bytes: 3, OldestAge: 3 * time.Second, LongestWait: 3 * time.Second, Totals: dabchick.Totals{Sent: 1},
		}, stats(t, q))
		_, err := q.SendWith(ctx, "defg", dabchick.SendOptions{Delay: 5 * time.Second})
		require.NoError(t, err)
		m := take(t, q)
		require.Equal(t, dabchick.Stats{
			InFlight: 1, Delayed: 1, Bytes: 7, OldestAge: 3 * time.Second,
			Totals: dabchick.Totals{Sent: 2, Received: 1},
		}, stats(t, q))

		time.Sleep(5*time.Second - ns)
		counts(t, q, 0, 1, 1)
		time.Sleep(ns)
		counts(t, q, 1, 1, 0)
		time.Sleep(5*time.Second - ns)
		counts(t, q, 1, 1, 0)
		time.Sleep(ns)
		counts(t, q, 2, 0, 0)
		require.Equal(t, 13*time.Second, stats(t, q).OldestAge, "in whatever state")
		require.NoError(t, m.Delete(ctx))
		end := stats(t, q)
		require.Equal(t, dabchick.Stats{
			Visible: 1, Bytes: 4, OldestAge: 10 * time.Second, LongestWait: 5 * time.Second,
			Totals: dabchick.Totals{Sent: 2, Received: 1, Deleted: 1},
		}, end)
	})
}

func TestStatsCountEmptyReceives(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		takeNone(t, q)
		_, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{})
		require.NoError(t, err)
		_, err = q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: time.Second})
		require.NoError(t, err)
		require.EqualValues(t, 3, stats(t, q).EmptyReceives)
	})
}

// The counts are exact however many messages come up unnoticed at once.
func TestStatsAfterManySimultaneousExpiries(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		const n = 20_000
		q := mustNew(t, dabchick.Options[int]{VisibilityTimeout: time.Second})
		for i := range n {
			send(t, q, i)
		}
		for i := range n {
			m := take(t, q)
			if i%3 == 0 { // out of order
				require.NoError(t, m.Extend(ctx, time.Duration(n-i)))
			}
		}
		counts(t, q, 0, n, 0)
		time.Sleep(time.Second)
		send(t, q, n)
		counts(t, q, n+1, 0, 0)
		got := 0
		for len(takeAll(t, q)) > 0 {
			got++
		}
		require.Positive(t, got)
		counts(t, q, 0, n+1, 0)
	})
}

func TestLedger(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		dead := mustNew(t, dabchick.Options[int]{})
		q := mustNew(t, dabchick.Options[int]{DeadLetter: dead, MaxReceives: 1, Retention: time.Hour})
		for i := range 10 {
			send(t, q, i)
		}
		require.NoError(t, take(t, q).Delete(ctx))
		require.NoError(t, take(t, q).DeadLetter(ctx, ""))
		_, err := q.Redrive(ctx, dabchick.RedriveOptions[int]{To: dead, Max: 2})
		require.NoError(t, err)
		time.Sleep(time.Hour + ns)
		send(t, q, 10, 11)
		_, err = q.Purge(ctx)
		require.NoError(t, err)
		send(t, q, 12)
		require.Equal(t, dabchick.Totals{
			Sent: 13, Received: 2, Deleted: 1, DeadLettered: 1, Redriven: 2, Expired: 6, Purged: 2,
		}, stats(t, q).Totals)
		require.Equal(t, dabchick.Totals{Sent: 2, Arrived: 1}, stats(t, dead).Totals)
	})
}

// A hook is told of each of many messages that come up or expire at once.
func TestManyMessagesEndAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		const n = 5000
		told := map[dabchick.EventKind]int{}
		q := mustNew(t, dabchick.Options[int]{
			Retention: time.Hour, Delay: time.Second,
			OnEvent: func(e dabchick.Event[int]) { told[e.Kind]++ },
		})
		for i := range n {
			send(t, q, i)
		}
		time.Sleep(time.Second)
		require.Equal(t, 0, take(t, q).Body)
		require.Equal(t, n, told[dabchick.Appeared])
		time.Sleep(time.Hour)
		takeNone(t, q)
		require.Equal(t, n, told[dabchick.Expired])
		require.EqualValues(t, n, stats(t, q).Expired)
	})
}
