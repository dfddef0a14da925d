package dabchick_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// What has to hold when more comes up in one instant than is noticed under one lock:
// the queue is in between then, and others have a turn.
const mass = 3000

// inMass returns a queue with that many messages in flight, and their deliveries.
func inMass(t *testing.T, o dabchick.Options[int]) (*dabchick.Queue[int], []dabchick.Message[int]) {
	t.Helper()
	q := mustNew(t, o)
	batch := make([]dabchick.Outgoing[int], mass)
	for i := range batch {
		batch[i].Body = i
		if o.FIFO {
			batch[i].Group = "g"
		}
	}
	_, err := q.SendBatch(t.Context(), batch)
	require.NoError(t, err)
	ms, err := q.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Max: mass})
	require.NoError(t, err)
	require.Len(t, ms, mass)
	return q, ms
}

func TestMassHeldBackByOneInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, ms := inMass(t, dabchick.Options[int]{FIFO: true, VisibilityTimeout: time.Second})
		require.NoError(t, ms[0].Extend(ctx, 10*time.Second))
		waits := start(func() (dabchick.Message[int], error) { return q.Receive(ctx) })
		time.Sleep(10*time.Second - 1)
		blocked(t, waits) // all but the first have come up, and are behind it
		require.NoError(t, q.Check())
		time.Sleep(time.Nanosecond)
		require.Equal(t, 0, finished(t, waits).value.Body)
	})
}

func TestMassPastItsRetentionIsNotDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, _ := inMass(t, dabchick.Options[int]{Retention: time.Second, VisibilityTimeout: 2 * time.Second,
			OnEvent: func(dabchick.Event[int]) {}})
		waits := start(func() (dabchick.Message[int], error) { return q.Receive(ctx) })
		time.Sleep(2 * time.Second)
		blocked(t, waits)
		require.EqualValues(t, mass, stats(t, q).Expired)
		send(t, q, -1)
		require.Equal(t, -1, finished(t, waits).value.Body)
	})
}

func TestMassNoticedForANewHookKeepsTheAlarm(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, _ := inMass(t, dabchick.Options[int]{Retention: time.Minute, VisibilityTimeout: time.Second, MaxMessages: mass})
		time.Sleep(time.Second)
		waits := start(func() (dabchick.ID, error) { return q.Send(ctx, 1) })
		blocked(t, waits)
		o := q.Options()
		o.OnEvent = func(dabchick.Event[int]) {}
		require.NoError(t, q.SetOptions(o))
		time.Sleep(59 * time.Second)
		blocked(t, waits)
		time.Sleep(time.Nanosecond)
		require.NoError(t, finished(t, waits).err, "there is room by retention")
	})
}
