package dabchick

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/driver"
)

// sendAndTake sends a message and receives it.
func sendAndTake(t *testing.T, q *Queue[string], body string) Message[string] {
	t.Helper()
	_, err := q.Send(t.Context(), body)
	require.NoError(t, err)
	m, ok := q.TryReceive()
	require.True(t, ok)
	return m
}

// there returns how many messages of a queue are visible and in flight.
func there(t *testing.T, q *Queue[string]) [2]int {
	t.Helper()
	s, err := q.Stats(t.Context())
	require.NoError(t, err)
	return [2]int{s.Visible, s.InFlight}
}

// A worker that comes too late buries nothing: neither what somebody else has, nor what
// is done.
func TestBackendDeadLetterByAReceiptThatIsNotTheNewest(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead := mustQueue(t, Options[string]{})
		q, _ := onEngine(t, Options[string]{DeadLetter: dead, MaxReceives: 9, VisibilityTimeout: time.Second})
		first := sendAndTake(t, q, "a")
		time.Sleep(time.Second)
		require.ErrorIs(t, first.DeadLetter(ctx, "late"), ErrReceiptExpired)
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.ErrorIs(t, first.DeadLetter(ctx, "late"), ErrReceiptSuperseded)
		require.NoError(t, m.Delete(ctx))
		require.ErrorIs(t, m.DeadLetter(ctx, "late"), ErrMessageGone)
		require.Equal(t, [2]int{0, 0}, there(t, dead))
		m = sendAndTake(t, q, "b")
		require.NoError(t, m.DeadLetter(ctx, "why"))
		require.ErrorIs(t, m.DeadLetter(ctx, "why"), ErrMessageGone, "once is enough")
		m.Receipt = Receipt{} // as that of an event
		require.ErrorIs(t, m.DeadLetter(ctx, "why"), ErrReceiptInvalid)
		require.Equal(t, [2]int{1, 0}, there(t, dead))
	})
}

// A move takes its time, and nobody receives the message meanwhile. If it fails the
// message is in flight as before.
func TestBackendDeadLetterHoldsItsMessage(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead := over(t, slow{newEngineDriver(t).(engineDriver)}, Options[string]{})
		q, _ := onEngine(t, Options[string]{DeadLetter: dead, MaxReceives: 9, VisibilityTimeout: 10 * time.Second})
		m := sendAndTake(t, q, "a")
		go func() {
			time.Sleep(time.Minute - 1)
			_, ok := q.TryReceive()
			require.False(t, ok)
		}()
		require.ErrorContains(t, m.DeadLetter(ctx, "why"), "too slow")
		require.NoError(t, m.Delete(ctx))
		o := q.Options()
		o.VisibilityTimeout = time.Hour
		require.NoError(t, q.SetOptions(o))
		m = sendAndTake(t, q, "b")
		require.ErrorContains(t, m.DeadLetter(ctx, "why"), "too slow")
		time.Sleep(59*time.Minute - 1)
		require.NoError(t, m.Extend(ctx, time.Second), "a long timeout is not cut short")
	})
}

// delaying returns a driver that has the work done a time after it was asked, and then looks
// whether its context has ended.
func delaying(q driver.Queue, d time.Duration) broken {
	return broken{
		Queue: q,
		send: func(q driver.Queue, ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
			time.Sleep(d)
			return q.Send(ctx, batch)
		},
		delete: func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return q.Delete(ctx, handles)
		},
	}
}

// What has been stored in the dead-letter queue is deleted here, though the receive that
// came upon it is over.
func TestBackendMoveIsFinishedThoughItsCallerEnds(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead := over(t, delaying(newEngineDriver(t), 2*time.Second), Options[string]{})
		q := over(t, delaying(newEngineDriver(t), 0), Options[string]{DeadLetter: dead, MaxReceives: 1})
		require.NoError(t, sendAndTake(t, q, "a").Release(ctx))
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := q.Receive(short)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, [2]int{0, 0}, there(t, q))
		require.Equal(t, [2]int{1, 0}, there(t, dead))
	})
}

// A message that the dead-letter queue has is not delivered here, whether or not it could
// be deleted.
func TestBackendDeliversNoDeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead := mustQueue(t, Options[string]{})
		d := broken{Queue: newEngineDriver(t)}
		d.delete = func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			q.Delete(ctx, handles)
			return nil, errors.New("the answer was lost")
		}
		q := over(t, d, Options[string]{DeadLetter: dead, MaxReceives: 1})
		require.NoError(t, sendAndTake(t, q, "a").Release(ctx))
		_, ok := q.TryReceive()
		require.False(t, ok)
		require.Equal(t, [2]int{1, 0}, there(t, dead))
		require.EqualError(t, sendAndTake(t, q, "b").DeadLetter(ctx, "why"),
			`dabchick: dead-letter "front": it is in queue "memory" now, but not deleted here: the answer was lost`)
	})
}

// Who has waited in vain for the dead-letter queue does not wait for each message.
func TestHungDeadLetterQueueHoldsUpOnce(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		d := broken{Queue: newEngineDriver(t)}
		d.send = func(_ driver.Queue, ctx context.Context, _ []driver.Outgoing) ([]driver.Sent, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		dead := over(t, d, Options[string]{})
		o := Options[string]{DeadLetter: dead, MaxReceives: 1, VisibilityTimeout: time.Second}
		onBackend, _ := onEngine(t, o)
		for _, q := range []*Queue[string]{mustQueue(t, o), onBackend} {
			for range 3 { // as many as one takes at a time in tests
				sendAndTake(t, q, "a")
			}
			time.Sleep(time.Second)
			began := time.Now()
			ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: 3, Visibility: time.Hour})
			require.NoError(t, err)
			require.Len(t, ms, 3, "they go on being delivered")
			require.Equal(t, moveTimeout, time.Since(began))
		}
	})
}

// A hook that panics leaves no copy behind of what was moved.
func TestBackendMoveIsFinishedThoughAHookPanics(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		to := mustQueue(t, Options[string]{OnEvent: func(e Event[string]) { panic(e.Kind) }})
		q, _ := onEngine(t, Options[string]{DeadLetter: to, MaxReceives: 1})
		require.NoError(t, sendAndTake(t, q, "a").Release(ctx))
		require.PanicsWithValue(t, Arrived, func() { q.TryReceive() })
		require.Equal(t, [2]int{0, 0}, there(t, q))

		_, err := q.Send(ctx, "b")
		require.NoError(t, err)
		require.PanicsWithValue(t, Sent, func() { q.Redrive(ctx, RedriveOptions[string]{To: to}) })
		require.Equal(t, [2]int{0, 0}, there(t, q))
		source := mustQueue(t, Options[string]{DeadLetter: q, MaxReceives: 1})
		require.NoError(t, sendAndTake(t, source, "c").DeadLetter(ctx, "why"))
		require.PanicsWithValue(t, "source", func() {
			q.Redrive(ctx, RedriveOptions[string]{Source: func(Origin) *Queue[string] { panic("source") }})
		})
		require.Equal(t, [2]int{1, 0}, there(t, q), "given back at once")
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.EqualValues(t, []uint64{1, 1}, []uint64{s.DeadLettered, s.Redriven})
	})
}

// A redrive may wait for room for longer than a message is hidden for it: on a FIFO queue
// it could not be deleted then, and on any other somebody else may receive it.
func TestBackendRedriveWaitsForRoom(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		for _, fifo := range []bool{false, true} {
			d := newEngineDriver(t)
			if fifo {
				d = newFIFODriver(t)
			}
			dead := over(t, d, Options[string]{})
			to := mustQueue(t, Options[string]{FIFO: fifo, MaxMessages: 1})
			for _, q := range []*Queue[string]{dead, to} {
				_, err := q.SendWith(ctx, "a", SendOptions{Group: "g"})
				require.NoError(t, err)
			}
			done := make(chan error)
			go func() {
				_, err := dead.Redrive(ctx, RedriveOptions[string]{To: to})
				done <- err
			}()
			for range 10 {
				time.Sleep(20 * time.Second)
				require.Equal(t, [2]int{0, 1}, there(t, dead))
			}
			m, ok := to.TryReceive()
			require.True(t, ok)
			require.NoError(t, m.Delete(ctx))
			require.NoError(t, <-done)
			require.Equal(t, [2]int{0, 0}, there(t, dead))
			require.Equal(t, [2]int{1, 0}, there(t, to))
		}
	})
}

// A driver that does not answer holds up a redrive that is over, but not for ever.
func TestBackendRedriveDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		hang := func(ctx context.Context) ([]error, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		dead := over(t, broken{Queue: newEngineDriver(t),
			delete: func(_ driver.Queue, ctx context.Context, _ []string) ([]error, error) { return hang(ctx) },
			change: func(_ driver.Queue, ctx context.Context, _ []driver.Change) ([]error, error) { return hang(ctx) },
		}, Options[string]{})
		closed := mustQueue(t, Options[string]{})
		require.NoError(t, closed.Close())
		full := mustQueue(t, Options[string]{MaxMessages: 1})
		sendAndTake(t, full, "a")
		open := mustQueue(t, Options[string]{})
		for name, to := range map[string]*Queue[string]{"taken": open, "refused": closed, "full": full} {
			_, err := dead.Send(ctx, "a")
			require.NoError(t, err)
			short, cancel := context.WithTimeout(ctx, 20*time.Second)
			began := time.Now()
			n, err := dead.Redrive(short, RedriveOptions[string]{To: to})
			cancel()
			require.Error(t, err, name)
			require.Zero(t, n)
			require.LessOrEqual(t, time.Since(began), 20*time.Second+moveTimeout, name)
			time.Sleep(time.Hour)
			_, err = dead.Purge(ctx)
			require.NoError(t, err)
		}
		synctest.Wait()
	})
}
