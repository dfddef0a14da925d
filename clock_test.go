package dabchick

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// shiftWall moves the wall clock reading of a time by whole seconds and leaves its
// monotonic reading alone: what it would be if somebody had set the clock. There
// is no other way to have such a time.
func shiftWall(t *testing.T, at *time.Time, seconds int64) {
	t.Helper()
	before := at.Round(0) // without the monotonic reading
	wall := (*uint64)(unsafe.Pointer(at))
	*wall += uint64(seconds << 30) // above 30 bits of nanoseconds
	require.Equal(t, time.Duration(seconds)*time.Second, at.Round(0).Sub(before), "time.Time has another layout")
}

// Jumps of the wall clock neither bring messages up nor keep them down.
func TestI16WallClockDoesNotMatter(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			q, err := New("q", Options[string]{VisibilityTimeout: 10 * time.Minute})
			require.NoError(t, err)
			shiftWall(t, &q.epoch, -int64(jump/time.Second)) // the clock has been set since
			require.Less(t, q.clock(), int64(time.Minute))
			require.GreaterOrEqual(t, q.clock(), int64(0))
			_, err = q.Send(t.Context(), "x")
			require.NoError(t, err)
			_, ok := q.TryReceive()
			require.True(t, ok, "sent is there at once")
			shiftWall(t, &q.epoch, -int64(jump/time.Second))
			_, ok = q.TryReceive()
			require.False(t, ok, "hidden stays hidden")
		})
	}
}

// A caller whose reading was overtaken on the way to the lock goes by the later
// one.
func TestI16TimeDoesNotRunBackwards(t *testing.T) {
	q, err := New("q", Options[string]{})
	require.NoError(t, err)
	q.leave(q.enter(int64(time.Hour)))
	now := q.enter(int64(time.Minute))
	require.EqualValues(t, time.Hour, now)
	q.leave(now)
}

// A sender that was overtaken between its look at the clock and its lock, by a call that
// has told what there is, counts as sending after what was told.
func TestOvertakenSenderComesAfterWhatWasCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		q, err := New("q", Options[string]{})
		require.NoError(t, err)
		send := func(body string) {
			_, err := q.Send(ctx, body)
			require.NoError(t, err)
		}
		goOn := func(reading int64) { // as queueUp does
			n := q.backlog.added.lock()
			q.backlog.add(reading, "overtaken", nil, 0)
			q.backlog.added.unlock(n + 1)
		}
		send("released")
		m, ok := q.TryReceive()
		require.True(t, ok)
		send("first")
		time.Sleep(time.Nanosecond)
		reading := q.clock()
		time.Sleep(time.Nanosecond)
		require.NoError(t, m.Release(ctx))
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, s.Visible)
		goOn(reading)
		for _, want := range []string{"first", "released", "overtaken"} {
			m, ok := q.TryReceive()
			require.True(t, ok)
			require.Equal(t, want, m.Body)
		}

		// The same if what was told is that there is nothing.
		reading = q.clock()
		time.Sleep(time.Nanosecond)
		_, ok = q.TryReceive()
		require.False(t, ok)
		goOn(reading)
		m, ok = q.TryReceive()
		require.True(t, ok)
		require.Equal(t, q.time(q.clock()), m.SentAt())

		// And if it was handed over to a receive that waited.
		reading = q.clock()
		received := make(chan struct{})
		go func() {
			defer close(received)
			_, err := q.Receive(ctx)
			require.NoError(t, err)
		}()
		synctest.Wait()
		time.Sleep(time.Nanosecond)
		send("to who waits")
		<-received
		goOn(reading)
		m, ok = q.TryReceive()
		require.True(t, ok)
		require.Equal(t, q.time(q.clock()), m.SentAt())
	})
}

// A message that comes up goes before one that is sent at that very instant, also if the
// alarm for the first one is late.
func TestSendAsAMessageComesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		q, err := New("q", Options[string]{VisibilityTimeout: time.Second})
		require.NoError(t, err)
		_, err = q.Send(ctx, "first")
		require.NoError(t, err)
		_, ok := q.TryReceive()
		require.True(t, ok)
		got := make(chan Message[string], 1)
		go func() {
			m, err := q.Receive(ctx)
			require.NoError(t, err)
			got <- m
		}()
		synctest.Wait()
		q.alarm.timer.Stop()
		time.Sleep(time.Second)
		_, err = q.Send(ctx, "second")
		require.NoError(t, err)
		require.Equal(t, "first", (<-got).Body)
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.Equal(t, "second", m.Body)
	})
}

// The other way round: what a call has told of counts as sent by then, also if the sender
// had looked at the clock later, and however it is received.
func TestSenderAheadWasSentWhenItWasCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, batch := range []bool{false, true} { // the short way and that of batches
			q, err := New("q", Options[string]{})
			require.NoError(t, err)
			n := q.backlog.added.lock()
			q.backlog.add(q.clock()+5, "ahead", nil, 0)
			q.backlog.add(q.clock()+6, "and another", nil, 0)
			q.backlog.added.unlock(n + 2)
			_, err = q.Stats(t.Context())
			require.NoError(t, err)
			counted := time.Now()
			time.Sleep(time.Second)
			ms := make([]Message[string], 2)
			if batch {
				_, err = q.ReceiveInto(t.Context(), ms, ReceiveOptions{})
				require.NoError(t, err)
			} else {
				for i := range ms {
					ms[i], err = q.Receive(t.Context())
					require.NoError(t, err)
				}
			}
			require.Equal(t, counted, ms[0].SentAt())
			require.Equal(t, counted.Add(6), ms[1].SentAt(), "of which nothing was told")
		}
	})
}

// A message of the backlog that is past its retention while there is no slot for it is not
// delivered when there is one again.
func TestRetentionWhenSlotsHaveRunOut(t *testing.T) {
	for name, received := range map[string]bool{"alone": false, "behind another": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, err := New("q", Options[string]{Retention: time.Minute, VisibilityTimeout: time.Hour})
				require.NoError(t, err)
				want := uint64(1)
				if received {
					want = 2
					_, err = q.Send(t.Context(), "received")
					require.NoError(t, err)
					_, ok := q.TryReceive()
					require.True(t, ok)
				}
				_, err = q.Send(t.Context(), "x")
				require.NoError(t, err)
				q.core.counts[free] -= mostSlots // made believe
				time.Sleep(time.Minute + 1)
				_, ok := q.TryReceive()
				require.False(t, ok)
				q.core.counts[free] += mostSlots
				_, ok = q.TryReceive()
				require.False(t, ok)
				s, err := q.Stats(t.Context())
				require.NoError(t, err)
				require.Equal(t, want, s.Expired)
				require.Zero(t, s.Visible+s.InFlight)
				require.NoError(t, q.core.check())
			})
		})
	}
}

func TestI12NoTimerRunsWhenNobodyWaits(t *testing.T) {
	for name, end := range map[string]func(q *Queue[string], cancel func()){
		"close":  func(q *Queue[string], cancel func()) { q.Close() },
		"cancel": func(q *Queue[string], cancel func()) { cancel() },
		"send":   func(q *Queue[string], cancel func()) { q.Send(context.Background(), "y") },
		"pause":  func(q *Queue[string], cancel func()) { q.Pause(); cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, err := New("q", Options[string]{})
				require.NoError(t, err)
				_, err = q.SendWith(t.Context(), "x", SendOptions{Delay: time.Hour})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan struct{})
				go func() {
					q.Receive(ctx)
					close(done)
				}()
				synctest.Wait()
				require.NotNil(t, q.alarm.timer, "it waits for the end of the delay")
				end(q, cancel)
				<-done
				require.False(t, q.alarm.timer.Stop(), "the timer runs")
				require.NoError(t, q.Check())
			})
		})
	}
}
