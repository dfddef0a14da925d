package dabchick_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// withDead returns a queue with a dead-letter queue.
func withDead(t *testing.T, maxReceives int) (q, dead *dabchick.Queue[string]) {
	t.Helper()
	dead, err := dabchick.New("dead", dabchick.Options[string]{})
	require.NoError(t, err)
	q, err = dabchick.New("source", dabchick.Options[string]{
		VisibilityTimeout: time.Second, DeadLetter: dead, MaxReceives: maxReceives,
	})
	require.NoError(t, err)
	return q, dead
}

func TestDeadLetterMovesOnTheReceiveAfterTheLast(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 3)
		sent := time.Now()
		id, err := q.SendWith(ctx, "poison", dabchick.SendOptions{
			Group: "g", TraceHeader: "Root=1",
			Attributes: map[string]dabchick.Attribute{"k": dabchick.StringAttribute("v")},
		})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		first := time.Now()
		for n := 1; n <= 3; n++ {
			require.Equal(t, n, take(t, q).Receives)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		counts(t, q, 1, 0, 0) // nothing moves by itself
		counts(t, dead, 0, 0, 0)

		moved := time.Now()
		takeNone(t, q)
		counts(t, q, 0, 0, 0)
		counts(t, dead, 1, 0, 0)
		require.EqualValues(t, 1, stats(t, q).DeadLettered)
		require.EqualValues(t, 1, stats(t, dead).Arrived)
		require.Zero(t, stats(t, dead).Sent, "a move is not a send")

		m := take(t, dead)
		require.Equal(t, "poison", m.Body)
		require.Equal(t, id, m.ID, "the id stays")
		require.Equal(t, 4, m.Receives, "the count goes on; the attempt that moved does not show")
		require.Equal(t, sent, m.SentAt())
		require.Equal(t, first, m.FirstReceivedAt())
		require.Equal(t, "g", m.Group())
		require.Equal(t, "Root=1", m.TraceHeader())
		a, ok := m.Attribute("k")
		require.True(t, ok)
		require.Equal(t, "v", a.Text)
		origin, ok := m.Origin()
		require.True(t, ok)
		require.Equal(t, dabchick.Origin{
			ID: id, Queue: "source", Reason: `received 3 times, the limit of queue "source"`,
			Receives: 3, SentAt: sent, MovedAt: moved,
		}, origin)
		require.NoError(t, m.Delete(ctx))
	})
}

func TestReceiveGoesOnPastADeadLetter(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 1)
		send(t, q, "a", "b", "c")
		require.NoError(t, take(t, q).Release(ctx))
		require.NoError(t, take(t, q).Release(ctx))
		send(t, q, "d")
		require.Equal(t, []string{"c", "d"}, takeAll(t, q))
		require.Equal(t, []string{"a", "b"}, takeAll(t, dead), "in the order of their last place")
	})
}

func TestWaitingReceiverIsNotGivenADeadLetter(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 1)
		send(t, q, "x")
		take(t, q)
		got := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
		blocked(t, got)
		time.Sleep(time.Second)
		blocked(t, got)
		counts(t, dead, 1, 0, 0) // the waiting receive came upon it
		send(t, q, "y")
		require.Equal(t, "y", finished(t, got).value.Body)
	})
}

func TestDeadLetterQueueCountsItsOwnReceives(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		graveyard := mustNew(t, dabchick.Options[string]{})
		q, dead := withDead(t, 3)
		o := dead.Options()
		o.DeadLetter, o.MaxReceives = graveyard, 2
		require.NoError(t, dead.SetOptions(o))
		send(t, q, "x")
		for range 3 {
			require.NoError(t, take(t, q).Release(ctx))
		}
		takeNone(t, q)
		for range 2 { // it does not fall through
			require.NoError(t, take(t, dead).Release(ctx))
		}
		takeNone(t, dead)
		m := take(t, graveyard)
		require.Equal(t, 6, m.Receives)
		origin, _ := m.Origin()
		require.Equal(t, "dead", origin.Queue)
		require.Equal(t, 5, origin.Receives)
	})
}

func TestTwoQueuesAsEachOthersDeadLetterQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 1)
		o := dead.Options()
		o.DeadLetter, o.MaxReceives = q, 1
		require.NoError(t, dead.SetOptions(o))
		send(t, q, "x")
		for n := range 10 {
			here, there := q, dead
			if n%2 == 1 {
				here, there = dead, q
			}
			m := take(t, here)
			require.Equal(t, n+1, m.Receives)
			require.NoError(t, m.Release(ctx))
			takeNone(t, here)
			counts(t, there, 1, 0, 0)
		}
	})
}

func TestClosedDeadLetterQueueKeepsMessagesWhereTheyAre(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 1)
		require.NoError(t, dead.Close())
		send(t, q, "x", "y")
		for n := 1; n <= 3; n++ {
			m := take(t, q)
			require.Equal(t, "x", m.Body)
			require.Equal(t, n, m.Receives)
			require.ErrorIs(t, m.DeadLetter(ctx, "why"), dabchick.ErrClosed)
			counts(t, q, 1, 1, 0)
			require.NoError(t, m.Release(ctx))
			m = take(t, q)
			require.Equal(t, "y", m.Body)
			require.NoError(t, m.Release(ctx))
		}
		require.Zero(t, stats(t, q).DeadLettered)
	})
}

func TestDeadLetterNow(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 10)
		send(t, q, "x")
		m := take(t, q)
		require.NoError(t, m.DeadLetter(ctx, "not a picture"))
		counts(t, q, 0, 0, 0)
		require.ErrorIs(t, m.DeadLetter(ctx, "again"), dabchick.ErrMessageGone)
		d := take(t, dead)
		origin, _ := d.Origin()
		require.Equal(t, "not a picture", origin.Reason)
		require.Equal(t, 1, origin.Receives)
		require.ErrorIs(t, d.DeadLetter(ctx, ""), dabchick.ErrNoDeadLetterQueue)

		send(t, q, "y")
		m = take(t, q)
		time.Sleep(time.Second)
		require.ErrorIs(t, m.DeadLetter(ctx, "late"), dabchick.ErrReceiptExpired)
		again := take(t, q)
		require.ErrorIs(t, m.DeadLetter(ctx, "later"), dabchick.ErrReceiptSuperseded)
		require.NoError(t, again.Delete(ctx))
	})
}

// What a message counts is what the queue says in which it is.
func TestDeadLetterHasTheSizeOfItsNewQueue(t *testing.T) {
	dead := mustNew(t, dabchick.Options[string]{Size: func(s string) int { return 10 * len(s) }})
	q := mustNew(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1})
	send(t, q, "abc")
	require.EqualValues(t, 3, stats(t, q).Bytes)
	require.NoError(t, take(t, q).DeadLetter(t.Context(), ""))
	require.EqualValues(t, 30, stats(t, dead).Bytes)
}

func TestDeadLetterRetentionCountsFromTheFirstSend(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 1)
		o := dead.Options()
		o.Retention = 10 * time.Minute
		require.NoError(t, dead.SetOptions(o))
		send(t, q, "x")
		time.Sleep(5 * time.Minute)
		send(t, dead, "sent here")
		require.NoError(t, take(t, q).DeadLetter(ctx, ""))
		require.Zero(t, stats(t, dead).OldestAge, "age counts from the move")
		time.Sleep(5 * time.Minute)
		counts(t, dead, 2, 0, 0)
		require.Equal(t, 5*time.Minute, stats(t, dead).OldestAge)
		time.Sleep(ns)
		require.Equal(t, []string{"sent here"}, takeAll(t, dead), "10 minutes after its send, not after the move")
	})
}

func TestMaxReceivesChangedWhileRunning(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 5)
		send(t, q, "x")
		for range 3 {
			require.NoError(t, take(t, q).Release(ctx))
		}
		o := q.Options()
		o.MaxReceives = 3
		require.NoError(t, q.SetOptions(o))
		takeNone(t, q)
		counts(t, dead, 1, 0, 0)
	})
}

func TestRedriveBackToTheOrigins(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		a, dead := withDead(t, 1)
		b := mustNew(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1})
		send(t, a, "a1", "a2")
		send(t, b, "b1")
		_, err := a.SendWith(ctx, "a3", dabchick.SendOptions{Group: "g",
			Attributes: map[string]dabchick.Attribute{"k": dabchick.NumberAttribute("1")}})
		require.NoError(t, err)
		ids := map[dabchick.ID]bool{}
		for _, q := range []*dabchick.Queue[string]{a, a, b, a} {
			m := take(t, q)
			ids[m.ID] = true
			require.NoError(t, m.DeadLetter(ctx, "bug"))
		}
		inHand := take(t, dead) // a1 is in flight there

		var progress [][2]int
		n, err := dead.Redrive(ctx, dabchick.RedriveOptions[string]{
			Progress: func(moved, total int) { progress = append(progress, [2]int{moved, total}) },
		})
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Equal(t, [][2]int{{1, 3}, {2, 3}, {3, 3}}, progress)
		require.Equal(t, []string{"b1"}, takeAll(t, b))
		require.Equal(t, "a2", take(t, a).Body, "oldest first")
		m := take(t, a)
		require.Equal(t, "a3", m.Body)
		require.Equal(t, 1, m.Receives, "it counts as new")
		require.False(t, ids[m.ID])
		require.Equal(t, time.Now(), m.SentAt())
		_, isDead := m.Origin()
		require.False(t, isDead)
		require.Equal(t, "g", m.Group())
		_, ok := m.Attribute("k")
		require.True(t, ok)
		counts(t, dead, 0, 1, 0)
		require.EqualValues(t, 3, stats(t, dead).Redriven)
		require.NoError(t, inHand.Delete(ctx))
	})
}

func TestRedriveToTheQueueThatHasTheNameNow(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		a, dead := withDead(t, 1)
		b := mustNew(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1})
		anew, fifo := mustNew(t, dabchick.Options[string]{}), mustNew(t, dabchick.Options[string]{FIFO: true})
		send(t, a, "a")
		send(t, b, "b")
		require.NoError(t, take(t, a).DeadLetter(ctx, "bug"))
		require.NoError(t, take(t, b).DeadLetter(ctx, "bug"))
		require.NoError(t, a.Close())
		back := func(find func(dabchick.Origin) *dabchick.Queue[string]) (int, error) {
			return dead.Redrive(ctx, dabchick.RedriveOptions[string]{Source: find})
		}
		is := func(q *dabchick.Queue[string]) func(dabchick.Origin) *dabchick.Queue[string] {
			return func(dabchick.Origin) *dabchick.Queue[string] { return q }
		}

		_, err := back(is(nil))
		require.ErrorIs(t, err, dabchick.ErrClosed, "it came from the one that is closed")
		var invalid *dabchick.InvalidError
		for _, q := range []*dabchick.Queue[string]{dead, fifo} {
			_, err = back(is(q))
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, "Source", invalid.Field)
		}
		require.PanicsWithValue(t, "boom", func() { back(func(dabchick.Origin) *dabchick.Queue[string] { panic("boom") }) })
		counts(t, dead, 2, 0, 0)
		require.NoError(t, dead.Check())

		var asked []string
		n, err := back(func(o dabchick.Origin) *dabchick.Queue[string] {
			asked = append(asked, o.Queue)
			counts(t, dead, 2-len(asked), 1, 0) // it is called without a lock
			if o.Queue == a.Name() {
				return anew
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, []string{a.Name(), b.Name()}, asked)
		require.Equal(t, []string{"a"}, takeAll(t, anew))
		require.Equal(t, []string{"b"}, takeAll(t, b))

		send(t, dead, "from nowhere")
		_, err = back(is(anew))
		require.ErrorIs(t, err, dabchick.ErrNoOrigin)
		counts(t, dead, 1, 0, 0)
	})
}

func TestRedriveToAChosenQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, other := mustNew(t, dabchick.Options[string]{}), mustNew(t, dabchick.Options[string]{Delay: time.Hour})
		send(t, q, "a", "b", "c")
		n, err := q.Redrive(ctx, dabchick.RedriveOptions[string]{})
		require.ErrorIs(t, err, dabchick.ErrNoOrigin)
		require.Zero(t, n)
		counts(t, q, 3, 0, 0)
		n, err = q.Redrive(ctx, dabchick.RedriveOptions[string]{To: other, Max: 2})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, []string{"c"}, takeAll(t, q))
		require.Equal(t, []string{"a", "b"}, takeAll(t, other), "visible at once")

		var invalid *dabchick.InvalidError
		for _, o := range []dabchick.RedriveOptions[string]{{To: q}, {Max: -1}, {Rate: -1}} {
			_, err = q.Redrive(ctx, o)
			require.ErrorAs(t, err, &invalid)
		}
	})
}

func TestRedriveRateAndCancel(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, other := mustNew(t, dabchick.Options[int]{}), mustNew(t, dabchick.Options[int]{})
		for i := range 100 {
			send(t, q, i)
		}
		began := time.Now()
		n, err := q.Redrive(ctx, dabchick.RedriveOptions[int]{To: other, Max: 11, Rate: 10})
		require.NoError(t, err)
		require.Equal(t, 11, n)
		require.Equal(t, time.Second, time.Since(began))

		short, cancel := context.WithTimeout(ctx, 2*time.Second-ns)
		defer cancel()
		n, err = q.Redrive(short, dabchick.RedriveOptions[int]{To: other, Rate: 10})
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 20, n)
		counts(t, q, 69, 0, 0)
		counts(t, other, 31, 0, 0)
		require.Equal(t, 31, take(t, q).Body)
	})
}

func TestRedriveWaitsForRoomAndLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		other := mustNew(t, dabchick.Options[int]{MaxMessages: 1})
		send(t, q, 1, 2, 3)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		n, err := q.Redrive(short, dabchick.RedriveOptions[int]{To: other})
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 1, n)
		require.Equal(t, []int{2, 3}, takeAll(t, q), "back in its place")
		require.NoError(t, other.Close())
		_, err = q.Redrive(ctx, dabchick.RedriveOptions[int]{To: other})
		require.NoError(t, err, "nothing is visible")
		time.Sleep(time.Minute)
		_, err = q.Redrive(ctx, dabchick.RedriveOptions[int]{To: other})
		require.True(t, errors.Is(err, dabchick.ErrClosed))
		require.Equal(t, []int{2, 3}, takeAll(t, q))
	})
}

// A message that is purged or expires while it is on its way is counted once.
func TestMoveOvertakenByPurge(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		other := mustNew(t, dabchick.Options[int]{MaxMessages: 1})
		send(t, other, 0)
		send(t, q, 1)
		short, cancel := context.WithCancel(ctx)
		r := start(func() (int, error) {
			return q.Redrive(short, dabchick.RedriveOptions[int]{To: other})
		})
		blocked(t, r)
		counts(t, q, 0, 1, 0) // under way counts as in flight
		n, err := q.Purge(ctx)
		require.NoError(t, err)
		require.Zero(t, n)
		send(t, q, 2)
		cancel()
		require.Equal(t, context.Canceled, finished(t, r).err)
		s := stats(t, q)
		require.EqualValues(t, 1, s.Purged)
		require.Equal(t, 1, s.Visible)

		send2 := start(func() (int, error) {
			return q.Redrive(ctx, dabchick.RedriveOptions[int]{To: other})
		})
		blocked(t, send2)
		_, err = q.Purge(ctx)
		require.NoError(t, err)
		require.NoError(t, take(t, other).Delete(ctx))
		require.Equal(t, 1, finished(t, send2).value)
		s = stats(t, q)
		require.EqualValues(t, 1, s.Purged)
		require.EqualValues(t, 1, s.Redriven)
		require.Equal(t, 2, take(t, other).Body)
	})
}

func TestReceiveGoesOnAfterManyDeadLetters(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		const n = 3 * 1024 // a multiple of what is moved under one lock: the next is not one of them
		q, dead := withDead(t, 1)
		for range n {
			send(t, q, "x")
		}
		ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: n})
		require.NoError(t, err)
		require.Len(t, ms, n)
		time.Sleep(time.Second)
		send(t, q, "good")
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.Equal(t, "good", m.Body)
		counts(t, dead, n, 0, 0)
		require.NoError(t, dead.Close())

		send(t, q, "stays")
		require.NoError(t, take(t, q).Release(ctx))
		m, err = q.Receive(ctx)
		require.NoError(t, err, "what the dead-letter queue did not take is delivered by the same call")
		require.Equal(t, "stays", m.Body)
	})
}
