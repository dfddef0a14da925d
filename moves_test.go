package dabchick

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRefusedRedriveMovesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, other := mustQueue(t, Options[string]{}), mustQueue(t, Options[string]{})
		fifo := mustQueue(t, Options[string]{FIFO: true})
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err := q.Send(ctx, "x")
		require.NoError(t, err)
		redrive := func(ctx context.Context, o RedriveOptions[string]) error {
			n, err := q.Redrive(ctx, o)
			require.Zero(t, n)
			require.Error(t, err)
			return err
		}
		var invalid *InvalidError
		require.Equal(t, context.Canceled, redrive(ended, RedriveOptions[string]{To: other}))
		require.ErrorAs(t, redrive(ctx, RedriveOptions[string]{To: other, Max: -1}), &invalid)
		require.ErrorAs(t, redrive(ctx, RedriveOptions[string]{To: q}), &invalid)
		require.ErrorAs(t, redrive(ctx, RedriveOptions[string]{To: fifo}), &invalid)
		require.Equal(t, "a standard queue, as this one is", invalid.Allowed)
		_, err = fifo.Redrive(ctx, RedriveOptions[string]{To: q})
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, "a FIFO queue, as this one is", invalid.Allowed)
		require.NoError(t, other.Close())
		require.ErrorIs(t, redrive(ctx, RedriveOptions[string]{To: other}), ErrClosed)
		require.NoError(t, q.Close())
		require.ErrorIs(t, redrive(ctx, RedriveOptions[string]{}), ErrClosed)
	})
}

// A backend knows itself what kind it is.
func TestRedriveBetweenABackendAndAFIFOQueue(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		backend := mustQueue(t, Options[string]{Driver: newFIFODriver(t)})
		fifo := mustQueue(t, Options[string]{FIFO: true})
		_, err := backend.SendWith(ctx, "x", SendOptions{Group: "a"})
		require.NoError(t, err)
		for _, way := range [][2]*Queue[string]{{backend, fifo}, {fifo, backend}} {
			n, err := way[0].Redrive(ctx, RedriveOptions[string]{To: way[1]})
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		m, ok := backend.TryReceive()
		require.True(t, ok)
		require.Equal(t, "a", m.Group())
		require.NoError(t, backend.Close())
	})
}

// A redrive ends when somebody else has taken what it was to move.
func TestRedriveOfWhatOthersTake(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, other := mustQueue(t, Options[string]{}), mustQueue(t, Options[string]{})
		_, err := q.SendBatch(ctx, make([]Outgoing[string], 3))
		require.NoError(t, err)
		n, err := q.Redrive(ctx, RedriveOptions[string]{To: other, Progress: func(moved, total int) {
			require.Equal(t, [2]int{1, 3}, [2]int{moved, total})
			ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: 3})
			require.NoError(t, err)
			require.Len(t, ms, 2)
		}})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, q.Check())
	})
}

// What a dead-letter queue has refused is delivered once more, and then moved if
// that has become possible.
func TestRefusedDeadLetterIsMovedLater(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		bubble(t, func(t *testing.T, ctx context.Context) {
			closed, open := mustQueue(t, Options[string]{FIFO: fifo}), mustQueue(t, Options[string]{FIFO: fifo})
			require.NoError(t, closed.Close())
			q := mustQueue(t, Options[string]{FIFO: fifo, DeadLetter: closed, MaxReceives: 1, VisibilityTimeout: time.Second})
			o := SendOptions{}
			if fifo {
				o.Group = "g"
			}
			_, err := q.SendWith(ctx, "x", o)
			require.NoError(t, err)
			for range 2 {
				_, ok := q.TryReceive()
				require.True(t, ok)
				time.Sleep(time.Second)
			}
			options := q.Options()
			options.DeadLetter = open
			require.NoError(t, q.SetOptions(options))
			_, ok := q.TryReceive()
			require.False(t, ok)
			m, ok := open.TryReceive()
			require.True(t, ok)
			require.Equal(t, 3, m.Receives)
		})
	}
}

// A message whose lease has ended while it was on its way comes after those that
// became visible meanwhile.
func TestLeaseThatEndsDuringAMoveGoesToTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead := mustQueue(t, Options[string]{Driver: slow{newEngineDriver(t).(engineDriver)}}) // takes a minute
		q := mustQueue(t, Options[string]{DeadLetter: dead, MaxReceives: 5})
		_, err := q.Send(ctx, "x")
		require.NoError(t, err)
		m, ok := q.TryReceive()
		require.True(t, ok)
		moved := make(chan error)
		go func() { moved <- m.DeadLetter(ctx, "") }()
		time.Sleep(DefaultVisibilityTimeout + time.Second)
		_, err = q.Send(ctx, "y")
		require.NoError(t, err)
		require.Error(t, <-moved)
		require.NoError(t, q.Check())
		for _, want := range []string{"y", "x"} {
			m, ok := q.TryReceive()
			require.True(t, ok)
			require.Equal(t, want, m.Body)
		}
	})
}

// A limit on groups does not concern messages without one.
func TestMessagesWithoutAGroupComeUpUnderAGroupLimit(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q := mustQueue(t, Options[string]{MaxInFlightPerGroup: 1, VisibilityTimeout: time.Second})
		_, err := q.SendBatch(ctx, make([]Outgoing[string], 3))
		require.NoError(t, err)
		for range 2 {
			ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: 5})
			require.NoError(t, err)
			require.Len(t, ms, 3)
			time.Sleep(time.Second)
		}
		require.NoError(t, errors.Join(q.Check(), q.Close()))
	})
}

// While a message is on its way it cannot be settled, and what is stored in its
// place after a purge is not touched by the end of the move.
func TestMessageOnItsWayIsOutOfReach(t *testing.T) {
	for _, purge := range []bool{false, true} {
		bubble(t, func(t *testing.T, ctx context.Context) {
			q := mustQueue(t, Options[string]{VisibilityTimeout: time.Second})
			full := mustQueue(t, Options[string]{MaxMessages: 1})
			for _, to := range []*Queue[string]{q, full} {
				_, err := to.Send(ctx, "x")
				require.NoError(t, err)
			}
			m, ok := q.TryReceive()
			require.True(t, ok)
			time.Sleep(time.Second)
			moved := make(chan int)
			go func() {
				n, err := q.Redrive(ctx, RedriveOptions[string]{To: full})
				if err != nil {
					t.Error(err)
				}
				moved <- n
			}()
			synctest.Wait() // it waits for room
			require.NoError(t, m.Delete(ctx), "gone is no error")
			require.ErrorIs(t, m.Release(ctx), ErrMessageGone)
			require.ErrorIs(t, m.DeadLetter(ctx, ""), ErrMessageGone)
			var inItsPlace Message[string]
			if purge {
				_, err := q.Purge(ctx)
				require.NoError(t, err)
				_, err = q.Send(ctx, "new")
				require.NoError(t, err)
				inItsPlace, ok = q.TryReceive()
				require.True(t, ok)
				require.Equal(t, m.Receipt.slot, inItsPlace.Receipt.slot)
			}
			other, ok := full.TryReceive()
			require.True(t, ok)
			require.NoError(t, other.Delete(ctx))
			require.Equal(t, 1, <-moved)
			if purge {
				require.NoError(t, inItsPlace.Extend(ctx, time.Hour), "it is still there")
				require.NoError(t, inItsPlace.Delete(ctx))
			}
			s, err := q.Stats(ctx)
			require.NoError(t, err)
			want := Totals{Sent: 1, Received: 1, Redriven: 1}
			if purge {
				want = Totals{Sent: 2, Received: 2, Redriven: 1, Deleted: 1}
			}
			require.Equal(t, Stats{Totals: want}, s)
			require.NoError(t, q.Check())
		})
	}
}

// A hook hears the id of a message that was purged on its way, though it is
// nowhere here any more.
func TestEventOfAMoveThatAPurgeOvertook(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var redriven []ID
		q := mustQueue(t, Options[string]{OnEvent: func(e Event[string]) {
			if e.Kind == Redriven {
				redriven = append(redriven, e.Message.ID)
			}
		}})
		full := mustQueue(t, Options[string]{MaxMessages: 1})
		id, err := q.Send(ctx, "x")
		require.NoError(t, err)
		_, err = full.Send(ctx, "y")
		require.NoError(t, err)
		done := make(chan error)
		go func() {
			_, err := q.Redrive(ctx, RedriveOptions[string]{To: full})
			done <- err
		}()
		synctest.Wait() // it waits for room
		_, err = q.Purge(ctx)
		require.NoError(t, err)
		_, err = full.Purge(ctx)
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.Equal(t, []ID{id}, redriven)
	})
}

func TestRedriveKeepsATraceHeaderAlone(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, other := mustQueue(t, Options[string]{}), mustQueue(t, Options[string]{})
		_, err := q.SendWith(ctx, "x", SendOptions{TraceHeader: "Root=1"})
		require.NoError(t, err)
		_, err = q.Redrive(ctx, RedriveOptions[string]{To: other})
		require.NoError(t, err)
		m, ok := other.TryReceive()
		require.True(t, ok)
		require.Equal(t, "Root=1", m.TraceHeader())
	})
}

// A message that a purge took while its move was refused is told of once, as purged.
func TestEventOfARefusedMoveThatAPurgeOvertook(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		purged := 0
		q := mustQueue(t, Options[string]{OnEvent: func(e Event[string]) {
			if e.Kind == Purged {
				purged += e.Count
			}
		}})
		full := mustQueue(t, Options[string]{MaxMessages: 1})
		for _, to := range []*Queue[string]{q, full} {
			_, err := to.Send(ctx, "x")
			require.NoError(t, err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		done := make(chan error)
		go func() {
			_, err := q.Redrive(cancelled, RedriveOptions[string]{To: full})
			done <- err
		}()
		synctest.Wait() // it waits for room
		_, err := q.Purge(ctx)
		require.NoError(t, err)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Equal(t, 1, purged)
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, uint64(1), s.Purged)
	})
}

// A redrive ends with what was visible when it began, with its context, and with its queue.
func TestRedriveEndsWithWhatThereWas(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, to := mustQueue(t, Options[int]{}), mustQueue(t, Options[int]{})
		_, err := q.SendBatch(ctx, []Outgoing[int]{{Body: 1}, {Body: 2}})
		require.NoError(t, err)
		n, err := q.Redrive(ctx, RedriveOptions[int]{To: to, Max: 10, Progress: func(moved, total int) {
			require.Equal(t, 2, total)
			_, err := q.Send(ctx, 2+moved)
			require.NoError(t, err)
		}})
		require.NoError(t, err)
		require.Equal(t, 2, n, "two more came meanwhile")
		ended, cancel := context.WithCancel(ctx)
		n, err = q.Redrive(ended, RedriveOptions[int]{To: to, Max: 2, Progress: func(int, int) { cancel() }})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, n)
		_, err = q.Send(ctx, 5)
		require.NoError(t, err)
		n, err = q.Redrive(ctx, RedriveOptions[int]{To: to, Progress: func(int, int) { require.NoError(t, q.Close()) }})
		require.ErrorIs(t, err, ErrClosed)
		require.Equal(t, 1, n)
		require.True(t, q.mu.TryLock(), "the lock is free")
		q.mu.Unlock()
	})
}

// A dead letter that is past the retention of its dead-letter queue is not delivered
// there, also if somebody waits.
func TestDeadLetterPastItsRetentionIsNotDelivered(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var told []EventKind
		dead := mustQueue(t, Options[string]{Retention: time.Minute, OnEvent: func(e Event[string]) { told = append(told, e.Kind) }})
		q := mustQueue(t, Options[string]{DeadLetter: dead, MaxReceives: 1})
		_, err := q.Send(ctx, "x")
		require.NoError(t, err)
		waits := make(chan error)
		go func() {
			_, err := dead.Receive(ctx)
			waits <- err
		}()
		time.Sleep(time.Hour)
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.NoError(t, m.DeadLetter(ctx, "too late"))
		synctest.Wait()
		require.NoError(t, dead.Close())
		require.ErrorIs(t, <-waits, ErrClosed)
		require.Equal(t, []EventKind{Arrived, Expired, Closed}, told)
		s, err := dead.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, Totals{Arrived: 1, Expired: 1}, s.Totals)
	})
}

// A redrive that waits ends when its queue is closed: also for room in another queue, and
// though a hook panics. What it has moved is moved.
func TestRedriveThatWaitsEndsWithItsQueue(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		for name, c := range map[string]struct {
			o       Options[string]
			redrive RedriveOptions[string]
			most    int
		}{
			"for room":     {Options[string]{}, RedriveOptions[string]{}, 1},
			"on a backend": {Options[string]{Driver: newEngineDriver(t)}, RedriveOptions[string]{}, 1},
			"for its time": {Options[string]{}, RedriveOptions[string]{Rate: 1}, 3},
			"with a hook":  {Options[string]{OnEvent: func(Event[string]) {}}, RedriveOptions[string]{}, 1},
			"hook's panic": {Options[string]{OnEvent: panicWhenClosed}, RedriveOptions[string]{}, 1},
		} {
			q, to := mustQueue(t, c.o), mustQueue(t, Options[string]{MaxMessages: c.most})
			_, err := q.SendBatch(ctx, make([]Outgoing[string], 3))
			require.NoError(t, err)
			c.redrive.To = to
			moved := 0
			done := make(chan error, 1)
			go func() {
				var err error
				moved, err = q.Redrive(ctx, c.redrive)
				done <- err
			}()
			synctest.Wait()
			if name == "hook's panic" {
				require.PanicsWithValue(t, Closed, func() { q.Close() })
			} else {
				require.NoError(t, q.Close())
			}
			synctest.Wait()
			select {
			case err := <-done:
				require.ErrorIs(t, err, ErrClosed, name)
			default:
				t.Error(name + ": it waits")
				require.NoError(t, to.Close())
				<-done
			}
			require.Equal(t, 1, moved, name)
			require.Zero(t, to.senders.n)
			if q.backend == nil {
				require.Equal(t, [2]int{2, 0}, there(t, q), name)
				require.NoError(t, q.Check())
			}
			require.Equal(t, [2]int{1, 0}, there(t, to), name)
			require.Empty(t, q.redrives)
		}
	})
}

func panicWhenClosed(e Event[string]) {
	if e.Kind == Closed {
		panic(e.Kind)
	}
}

// One that has ended by itself leaves nothing behind, and its context's error is told.
func TestRedriveThatEndsByItselfLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, to := mustQueue(t, Options[string]{}), mustQueue(t, Options[string]{MaxMessages: 1})
		_, err := q.SendBatch(ctx, make([]Outgoing[string], 2))
		require.NoError(t, err)
		short, cancel := context.WithTimeoutCause(ctx, time.Second, ErrClosed)
		defer cancel()
		n, err := q.Redrive(short, RedriveOptions[string]{To: to})
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 1, n)
		require.Empty(t, q.redrives)
	})
}
