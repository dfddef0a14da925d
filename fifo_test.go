package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// sendTo stores bodies that begin with the name of their group: "a1", "b1".
func sendTo(tb testing.TB, q *dabchick.Queue[string], bodies ...string) {
	tb.Helper()
	for _, body := range bodies {
		_, err := q.SendWith(context.Background(), body, dabchick.SendOptions{Group: body[:1]})
		require.NoError(tb, err)
	}
}

// takeUpTo receives up to n messages by one call, and returns them by body.
func takeUpTo(tb testing.TB, q *dabchick.Queue[string], n int, timeout time.Duration) (map[string]dabchick.Message[string], string) {
	tb.Helper()
	got, err := q.ReceiveBatch(context.Background(), dabchick.ReceiveOptions{Max: n, Wait: dabchick.Immediately, Visibility: timeout})
	require.NoError(tb, err)
	byBody := map[string]dabchick.Message[string]{}
	var bodies []string
	for _, m := range got {
		byBody[m.Body] = m
		bodies = append(bodies, m.Body)
	}
	require.NoError(tb, q.Check())
	return byBody, strings.Join(bodies, " ")
}

// gets asserts what one receive of up to ten messages returns, and leaves them
// in flight for the queue's timeout.
func gets(tb testing.TB, q *dabchick.Queue[string], want string) map[string]dabchick.Message[string] {
	tb.Helper()
	ms, bodies := takeUpTo(tb, q, 10, 0)
	require.Equal(tb, want, bodies)
	return ms
}

// refused asserts that a value was out of range.
func refused(tb testing.TB, err error, field string) {
	tb.Helper()
	var invalid *dabchick.InvalidError
	require.ErrorAs(tb, err, &invalid)
	require.Equal(tb, field, invalid.Field)
	require.NotEmpty(tb, invalid.Allowed)
}

func newFIFO(tb testing.TB, o dabchick.Options[string]) *dabchick.Queue[string] {
	tb.Helper()
	o.FIFO = true
	return mustNew(tb, o)
}

// onEachWay runs a test with a FIFO queue that takes its straight ways, and with one
// that has a hook to call and so takes the general ones.
func onEachWay(t *testing.T, test func(*testing.T, context.Context, *dabchick.Queue[string])) {
	t.Helper()
	for name, hook := range map[string]func(dabchick.Event[string]){
		"straight": nil, "general": func(dabchick.Event[string]) {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				test(t, ctx, newFIFO(t, dabchick.Options[string]{OnEvent: hook}))
			})
		})
	}
}

// "Receive 2 of m1..m4: m1, m2; then other groups only."
func TestGroupIsLockedWhileOneOfItIsInFlight(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		sendTo(t, q, "a1", "a2", "a3", "a4", "b1", "b2")
		_, got := takeUpTo(t, q, 2, 0)
		require.Equal(t, "a1 a2", got)
		gets(t, q, "b1 b2")
		gets(t, q, "")
		counts(t, q, 2, 4, 0) // what is held back is visible, not in flight
	})
}

// "Interleaved sends g1, g2, g1, g1 come back g1, g1, g1, g2."
func TestReceiveFillsFromOneGroupFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "b1", "a2", "a3")
		gets(t, q, "a1 a2 a3 b1")
	})
}

func TestDeletesUnlockAGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "a2", "a3", "a4")
		ms, _ := takeUpTo(t, q, 2, 0)
		require.NoError(t, ms["a1"].Delete(ctx))
		gets(t, q, "") // still locked by a2
		require.NoError(t, ms["a2"].Delete(ctx))
		gets(t, q, "a3 a4")
	})
	t.Run("in any order", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := newFIFO(t, dabchick.Options[string]{})
			sendTo(t, q, "a1", "a2", "a3", "a4")
			ms, _ := takeUpTo(t, q, 3, 0)
			require.NoError(t, ms["a2"].Delete(ctx))
			gets(t, q, "")
			require.NoError(t, ms["a1"].Delete(ctx))
			gets(t, q, "")
			require.NoError(t, ms["a3"].Delete(ctx))
			gets(t, q, "a4")
		})
	})
	t.Run("and wake a long poll", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := newFIFO(t, dabchick.Options[string]{})
			sendTo(t, q, "a1", "a2")
			m := take(t, q)
			poll := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
			blocked(t, poll)
			require.NoError(t, m.Delete(ctx))
			require.Equal(t, "a2", finished(t, poll).value.Body)
		})
	})
}

// "m1, m2 in flight; release of m1: m1 receivable again although m2 is out."
func TestReleasedEarlierMessageComesWhileALaterOneIsOut(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "a2", "a3")
		ms, _ := takeUpTo(t, q, 2, 0)
		require.NoError(t, ms["a1"].Release(ctx))
		again := gets(t, q, "a1")
		require.NoError(t, ms["a2"].Release(ctx)) // a2 alone does not unlock a3
		gets(t, q, "")
		require.NoError(t, again["a1"].Delete(ctx))
		gets(t, q, "a2 a3")
	})
}

// Three in flight for a second, one of them extended to four: at 2.5 seconds
// those before it are there, and nothing behind it.
func TestExtendedMessageHoldsBackWhatIsBehindIt(t *testing.T) {
	for extended, want := range map[string]string{"a1": "", "a2": "a1", "a3": "a1 a2"} {
		t.Run(extended, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q := newFIFO(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
				sendTo(t, q, "a1", "a2", "a3", "a4")
				ms, got := takeUpTo(t, q, 3, 0)
				require.Equal(t, "a1 a2 a3", got)
				require.NoError(t, ms[extended].Extend(ctx, 4*time.Second))
				time.Sleep(2500 * time.Millisecond)
				gets(t, q, want)
			})
		})
	}
}

func TestSendsServeWhoWaits(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		o := q.Options()
		o.Retention = dabchick.Forever // so that no alarm is set
		require.NoError(t, q.SetOptions(o))
		for range 2 {
			poll := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
			blocked(t, poll)
			sendTo(t, q, "a1")
			m := finished(t, poll).value
			require.Equal(t, "a1", m.Body)
			require.NoError(t, m.Delete(ctx))
		}
	})
}

func TestNewSendDoesNotUnlockAGroup(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		sendTo(t, q, "a1")
		m := take(t, q)
		poll := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
		sendTo(t, q, "a2")
		blocked(t, poll)
		sendTo(t, q, "b1")
		require.Equal(t, "b1", finished(t, poll).value.Body)
		require.NoError(t, m.Delete(ctx))
		gets(t, q, "a2")
	})
}

// A later message whose timeout ends stays behind the earlier one in flight.
func TestTimeoutOfALaterMessageDoesNotUnlockAGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "a2", "a3")
		ms, _ := takeUpTo(t, q, 2, 0)
		require.NoError(t, ms["a2"].Extend(ctx, time.Second))
		time.Sleep(2 * time.Second)
		gets(t, q, "")
		require.NoError(t, ms["a1"].Delete(ctx))
		gets(t, q, "a2 a3")
	})
}

func TestFIFOTimeoutBringsTheSameMessagesInTheSameOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
		sendTo(t, q, "a1", "a2", "b1")
		first := gets(t, q, "a1 a2 b1")
		time.Sleep(time.Second - ns)
		gets(t, q, "")
		time.Sleep(ns)
		second := gets(t, q, "a1 a2 b1")
		require.NotEqual(t, first["a1"].Receipt, second["a1"].Receipt)
		require.Equal(t, 2, second["a2"].Receives)
	})
}

func TestReceiveWithoutTimeoutDoesNotLockTheGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "a2", "a3")
		for range 3 {
			_, got := takeUpTo(t, q, 2, dabchick.Immediately)
			require.Equal(t, "a1 a2", got)
		}
		gets(t, q, "a1 a2 a3")
	})
}

// A message that is delayed does not hold up those that were sent before it,
// nor other groups.
func TestDelayedMessageHoldsUpNothingBeforeIt(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{Delay: 5 * time.Second})
		sendTo(t, q, "a1")
		time.Sleep(3 * time.Second)
		sendTo(t, q, "a2")
		time.Sleep(2 * time.Second)
		ms := gets(t, q, "a1") // while a2 is delayed
		sendTo(t, q, "b1")
		require.NoError(t, ms["a1"].Delete(ctx))
		time.Sleep(3*time.Second - ns)
		gets(t, q, "")
		time.Sleep(ns)
		gets(t, q, "a2")
		time.Sleep(2 * time.Second)
		gets(t, q, "b1")
	})
}

// With MessageDelays, order is that of sending, whatever the delays.
func TestMessageDelaysKeepOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{MessageDelays: true})
		for _, body := range []string{"a1", "a2"} {
			delay := dabchick.Immediately
			if body == "a1" {
				delay = time.Minute
			}
			_, err := q.SendWith(ctx, body, dabchick.SendOptions{Group: "a", Delay: delay})
			require.NoError(t, err)
		}
		sendTo(t, q, "b1")
		require.NoError(t, gets(t, q, "b1")["b1"].Delete(ctx))
		time.Sleep(time.Minute - ns)
		gets(t, q, "")
		time.Sleep(ns)
		gets(t, q, "a1 a2")
	})
}

func TestMessageDelayOnFIFOIsRefusedUnlessAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		for _, delay := range []time.Duration{dabchick.Immediately, 1} {
			_, err := q.SendWith(ctx, "a1", dabchick.SendOptions{Group: "a", Delay: delay})
			refused(t, err, "Delay")
		}
		counts(t, q, 0, 0, 0)
	})
}

// "Queue delay change: retroactive on FIFO for messages already waiting."
func TestDelayChangeOnFIFOIsRetroactive(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{Delay: 10 * time.Second, MessageDelays: true})
		_, err := q.SendWith(ctx, "own", dabchick.SendOptions{Group: "own", Delay: 20 * time.Second})
		require.NoError(t, err)
		sendTo(t, q, "a1", "b1")
		time.Sleep(2 * time.Second)
		sendTo(t, q, "a2")
		o := q.Options()
		o.Delay = 3 * time.Second
		require.NoError(t, q.SetOptions(o))
		time.Sleep(time.Second - ns)
		gets(t, q, "")
		time.Sleep(ns)
		gets(t, q, "a1 b1")
		o.Delay = 30 * time.Second
		require.NoError(t, q.SetOptions(o))
		time.Sleep(17 * time.Second)
		gets(t, q, "own")
		counts(t, q, 0, 3, 1)
	})
}

// What is left of a new delay may be a nanosecond, or nothing.
func TestDelayChangeOnFIFOIsExact(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{Delay: 10 * time.Second})
		sendTo(t, q, "a1")
		time.Sleep(time.Second)
		sendTo(t, q, "b1")
		o := q.Options()
		o.Delay = time.Second + ns
		require.NoError(t, q.SetOptions(o))
		gets(t, q, "")
		time.Sleep(ns)
		gets(t, q, "a1")
		o.Delay = ns
		require.NoError(t, q.SetOptions(o))
		gets(t, q, "b1")
	})
}

// A dead-lettered message frees its group, and keeps it.
func TestDeadLetterOfFIFOUnblocksItsGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		dead := newFIFO(t, dabchick.Options[string]{Retention: time.Hour})
		q := newFIFO(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1, VisibilityTimeout: time.Second})
		sendTo(t, q, "a1", "a2", "a3")
		id := take(t, q).ID
		sent := time.Now()
		time.Sleep(time.Second)
		m := take(t, q) // a1 is moved, and a2 is the first now
		require.Equal(t, "a2", m.Body)
		require.NoError(t, m.DeadLetter(ctx, "by hand"))
		gets(t, q, "a3")

		letters := gets(t, dead, "a1 a2")
		a1 := letters["a1"]
		require.Equal(t, id, a1.ID)
		require.Equal(t, "a", a1.Group())
		require.Equal(t, id.String(), a1.DedupID())
		require.Equal(t, 2, a1.Receives)
		require.Equal(t, time.Second, a1.SentAt().Sub(sent), "the time of the move")
		origin, ok := a1.Origin()
		require.True(t, ok)
		require.True(t, origin.SentAt.Equal(sent))
		require.Less(t, a1.SequenceNumber(), letters["a2"].SequenceNumber())

		time.Sleep(time.Hour - ns) // counted from the move
		counts(t, dead, 2, 0, 0)
		time.Sleep(2 * ns)
		counts(t, dead, 0, 0, 0)
	})
}

// A dead letter that its queue does not take stays first in its group.
func TestRefusedDeadLetterKeepsItsPlaceInTheGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		dead := newFIFO(t, dabchick.Options[string]{})
		q := newFIFO(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1, VisibilityTimeout: time.Second})
		require.NoError(t, dead.Close())
		sendTo(t, q, "a1", "a2")
		gets(t, q, "a1 a2")
		time.Sleep(time.Second)
		gets(t, q, "a1") // a2 is behind it, and its move has only been tried
		time.Sleep(time.Second)
		for _, m := range gets(t, q, "a1 a2") {
			require.NoError(t, m.Release(ctx))
		}
		counts(t, q, 2, 0, 0)
	})
}

func TestDeadLetterQueueMustBeOfTheSameKind(t *testing.T) {
	standard, fifo := mustNew(t, dabchick.Options[string]{}), newFIFO(t, dabchick.Options[string]{})
	for _, o := range []dabchick.Options[string]{
		{FIFO: true, DeadLetter: standard, MaxReceives: 1},
		{DeadLetter: fifo, MaxReceives: 1},
	} {
		_, err := dabchick.New("q", o)
		refused(t, err, "DeadLetter")
		o.DeadLetter, o.MaxReceives = nil, 0
		q := mustNew(t, o)
		o = q.Options()
		o.DeadLetter, o.MaxReceives = standard, 1
		if !o.FIFO {
			o.DeadLetter = fifo
		}
		refused(t, q.SetOptions(o), "DeadLetter")
		_, err = q.Redrive(t.Context(), dabchick.RedriveOptions[string]{To: o.DeadLetter})
		refused(t, err, "To")
	}
}

func TestRedriveOfFIFOKeepsOrderAndGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		dead := newFIFO(t, dabchick.Options[string]{})
		q := newFIFO(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 5})
		sendTo(t, q, "a1", "a2", "b1")
		for _, m := range gets(t, q, "a1 a2 b1") {
			require.NoError(t, m.DeadLetter(ctx, ""))
		}
		sendTo(t, q, "a3")
		n, err := dead.Redrive(ctx, dabchick.RedriveOptions[string]{})
		require.NoError(t, err)
		require.Equal(t, 3, n)
		var of [2]string
		ms, all := takeUpTo(t, q, 10, 0)
		for _, body := range strings.Fields(all) {
			of[body[0]-'a'] += body + " "
			require.Equal(t, body[:1], ms[body].Group())
		}
		require.True(t, strings.HasPrefix(of[0], "a3 "), "behind what is there: %v", of)
		require.Len(t, ms, 4)
	})
}

// A group that was handed out goes behind the others: all of them have turns.
func TestGroupsTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "a2", "a3", "b1", "b2", "c1")
		var order []string
		for range 6 {
			m := take(t, q)
			order = append(order, m.Body)
			require.NoError(t, m.Delete(ctx))
		}
		require.Equal(t, "a1 b1 c1 a2 b2 a3", strings.Join(order, " "))
	})
}

// One stuck group does not stop the others. BenchmarkBlockedGroups shows that it
// does not slow them down either.
func TestStuckGroupStopsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{Retention: dabchick.Forever, VisibilityTimeout: time.Hour})
		for i := range 5000 {
			sendTo(t, q, fmt.Sprint("a", i))
		}
		stuck := take(t, q)
		sendTo(t, q, "b1")
		require.Equal(t, "b1", take(t, q).Body)
		time.Sleep(time.Hour)
		require.Equal(t, "a0", take(t, q).Body)
		require.ErrorIs(t, stuck.Delete(ctx), dabchick.ErrReceiptSuperseded)
	})
}

// A handle is good for its timeout only.
func TestDeleteOnFIFOAfterTheTimeoutIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
		sendTo(t, q, "a1")
		m := take(t, q)
		time.Sleep(time.Second - ns)
		require.NoError(t, m.Extend(ctx, time.Second)) // the old timeout passes
		time.Sleep(time.Second - ns)
		counts(t, q, 0, 1, 0)
		time.Sleep(ns)
		require.ErrorIs(t, m.Delete(ctx), dabchick.ErrReceiptExpired)
		require.ErrorIs(t, m.Extend(ctx, 1), dabchick.ErrReceiptExpired)
		n := take(t, q)
		require.ErrorIs(t, m.Delete(ctx), dabchick.ErrReceiptSuperseded)
		require.NoError(t, n.Delete(ctx))
		require.NoError(t, n.Delete(ctx)) // gone already
		none, _ := takeUpTo(t, q, 1, dabchick.Immediately)
		require.Empty(t, none)

		sendTo(t, q, "a2")
		ms, _ := takeUpTo(t, q, 1, dabchick.Immediately)
		require.ErrorIs(t, ms["a2"].Delete(ctx), dabchick.ErrReceiptExpired)
	})
}

func TestSequenceNumbersRise(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		var last string
		for i := range 20 {
			batch := []dabchick.Outgoing[string]{}
			for range 5 {
				batch = append(batch, dabchick.Outgoing[string]{Body: "x", SendOptions: dabchick.SendOptions{Group: fmt.Sprint(i % 3)}})
			}
			_, err := q.SendBatch(ctx, batch)
			require.NoError(t, err)
		}
		ms, err := q.Peek(ctx, 1000)
		require.NoError(t, err)
		require.Len(t, ms, 100)
		for _, m := range ms {
			require.Len(t, m.SequenceNumber(), 20)
			require.Greater(t, m.SequenceNumber(), last)
			last = m.SequenceNumber()
		}
		standard := mustNew(t, dabchick.Options[string]{})
		send(t, standard, "x")
		require.Empty(t, take(t, standard).SequenceNumber())
	})
}

func TestBatchKeepsOrderOnFIFO(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{MaxMessages: 3})
		var batch []dabchick.Outgoing[string]
		for _, body := range []string{"a1", "b1", "a2", "", "b2", "a3"} {
			o := dabchick.Outgoing[string]{Body: body}
			if body != "" {
				o.Group = body[:1]
			}
			batch = append(batch, o)
		}
		sending := start(func() ([]dabchick.ID, error) { return q.SendBatch(ctx, batch) })
		blocked(t, sending) // for room
		var order []string
		for range 5 {
			m := take(t, q)
			order = append(order, m.Body)
			require.NoError(t, m.Delete(ctx))
		}
		var failed *dabchick.BatchError
		require.True(t, errors.As(finished(t, sending).err, &failed))
		require.Len(t, failed.Failed, 1)
		require.Equal(t, 3, failed.Failed[0].Index)
		refused(t, failed, "Group")
		require.Equal(t, "a1 b1 a2 b2 a3", strings.Join(order, " "))
	})
}

func TestFIFOWantsAGroup(t *testing.T) {
	q := newFIFO(t, dabchick.Options[string]{})
	_, err := q.Send(t.Context(), "x")
	refused(t, err, "Group")
	counts(t, q, 0, 0, 0)
}

// A hand-over that meets a cancelled context puts the messages back in order.
func TestFIFOHandedBackKeepsOrder(t *testing.T) {
	handedBack := 0
	for range 50 {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := newFIFO(t, dabchick.Options[string]{})
			sendTo(t, q, "a1", "a2")
			first := gets(t, q, "a1 a2")
			sendTo(t, q, "a3", "a4")
			waiting, cancel := context.WithCancel(ctx)
			poll := start(func() ([]dabchick.Message[string], error) {
				return q.ReceiveBatch(waiting, dabchick.ReceiveOptions{Max: 10, Wait: dabchick.Forever})
			})
			synctest.Wait()
			cancel()
			require.NoError(t, q.Delete(ctx, first["a1"].Receipt, first["a2"].Receipt))
			if r := <-poll; r.err == nil {
				require.Len(t, r.value, 2)
				return
			}
			handedBack++
			require.NoError(t, q.Check())
			m := take(t, q)
			require.Equal(t, "a3", m.Body)
			require.Equal(t, 1, m.Receives)
			gets(t, q, "") // a4 is held back
			require.NoError(t, m.Delete(ctx))
			gets(t, q, "a4")
		})
	}
	require.NotZero(t, handedBack, "the race was never run into")
}

func TestRetentionOfTheFirstUnlocksAGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{Retention: time.Minute, VisibilityTimeout: time.Hour})
		sendTo(t, q, "a1")
		take(t, q)
		time.Sleep(30 * time.Second)
		sendTo(t, q, "a2")
		gets(t, q, "")
		poll := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
		time.Sleep(30*time.Second + ns)
		sendTo(t, q, "b1") // somebody has to notice
		require.Equal(t, "a2", finished(t, poll).value.Body)
	})
}

func TestOptionsOfTheOtherKindAreRefused(t *testing.T) {
	key := func(string) string { return "" }
	for field, o := range map[string]dabchick.Options[string]{
		"DedupKey":                 {DedupKey: key},
		"DedupWindow":              {DedupWindow: time.Second},
		"DedupScope":               {DedupScope: dabchick.DedupGroup},
		"MessageDelays":            {MessageDelays: true},
		"Fairness":                 {FIFO: true, Fairness: dabchick.Fairness{MinInFlight: 1}},
		"Fairness.InFlightShare":   {Fairness: dabchick.Fairness{InFlightShare: 1.1}},
		"Fairness.ProcessingShare": {Fairness: dabchick.Fairness{ProcessingShare: -0.1}},
		"Fairness.MinInFlight":     {Fairness: dabchick.Fairness{MinInFlight: -1}},
		"Fairness.Window":          {Fairness: dabchick.Fairness{Window: -1}},
		"Fairness.QuietAfter":      {Fairness: dabchick.Fairness{QuietAfter: -1}},
	} {
		_, err := dabchick.New("q", o)
		refused(t, err, field)
	}
	for field, o := range map[string]dabchick.Options[string]{
		"DedupWindow": {FIFO: true, DedupWindow: -1},
		"DedupScope":  {FIFO: true, DedupScope: 7},
	} {
		_, err := dabchick.New("q", o)
		refused(t, err, field)
	}
	for _, fifo := range []bool{false, true} {
		q := mustNew(t, dabchick.Options[string]{FIFO: fifo})
		o := q.Options()
		o.FIFO = !fifo // and other options now do not go with it
		refused(t, q.SetOptions(o), "FIFO")
	}
}

// Many consumers, who now and then give up in the middle of a batch, work off
// each group in order, one at a time, and each message once.
func TestConcurrentConsumersKeepGroupsInOrder(t *testing.T) {
	const groups, each, consumers = 7, 300, 8
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q := mustNew(t, dabchick.Options[int]{FIFO: true})
	var sending, receiving sync.WaitGroup
	for g := range groups {
		sending.Go(func() {
			for n := range each {
				o := dabchick.SendOptions{Group: strconv.Itoa(g), DedupID: fmt.Sprint(g, "/", n)}
				for range 1 + n%2 { // every other one twice
					if _, err := q.SendWith(ctx, n, o); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	var mu sync.Mutex
	next := map[string]int{} // by group: the message to do
	busy := map[string]int{} // and who is doing one, plus one
	left := groups * each
	for id := range consumers {
		r := rand.New(rand.NewPCG(uint64(id), 1))
		receiving.Go(func() {
			for {
				ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 1 + r.IntN(4), Wait: dabchick.Forever})
				if err != nil {
					return
				}
				givenUp := map[string]bool{}
				for _, m := range ms {
					g := m.Group()
					if givenUp[g] = givenUp[g] || r.IntN(5) == 0; givenUp[g] {
						if err := m.Release(ctx); err != nil {
							t.Error(err)
						}
						continue
					}
					mu.Lock()
					if m.Body != next[g] || busy[g] != 0 {
						t.Errorf("consumer %d has %d of group %s, which is at %d, with %d", id, m.Body, g, next[g], busy[g]-1)
					}
					busy[g] = id + 1
					mu.Unlock()
					runtime.Gosched() // the work
					mu.Lock()
					busy[g] = 0
					next[g]++
					left--
					last := left == 0
					mu.Unlock()
					if err := m.Delete(ctx); err != nil {
						t.Error(err)
					}
					if last {
						cancel()
					}
				}
			}
		})
	}
	sending.Wait()
	receiving.Wait()
	require.Zero(t, left)
	counts(t, q, 0, 0, 0)
	require.NoError(t, q.Check())
}

// Groups that come and go leave nothing behind.
func TestGroupsThatComeAndGoTakeNoRoom(t *testing.T) {
	q := newFIFO(t, dabchick.Options[string]{})
	sendTo(t, q, "stays")
	for i := range 1000 {
		_, err := q.SendWith(t.Context(), "x", dabchick.SendOptions{Group: fmt.Sprint("group", i)})
		require.NoError(t, err)
		ms, err := q.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Max: 2})
		require.NoError(t, err)
		require.NoError(t, ms[len(ms)-1].Delete(t.Context()))
	}
	require.LessOrEqual(t, q.GroupRoom(), 2)
	for i := range 1000 {
		_, err := q.SendWith(t.Context(), "x", dabchick.SendOptions{Group: fmt.Sprint("group", i)})
		require.NoError(t, err)
	}
	require.Equal(t, 1001, q.GroupRoom())
	_, err := q.Purge(t.Context())
	require.NoError(t, err)
	require.Zero(t, q.GroupRoom())
}

// Whatever an option of a message is, it arrives.
func TestEachOptionOfAFIFOMessageArrives(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		attributes := map[string]dabchick.Attribute{"a": dabchick.StringAttribute("b")}
		for _, o := range []dabchick.SendOptions{
			{Group: "g", TraceHeader: "Root=1"}, {Group: "g", DedupID: "d"}, {Group: "g", Attributes: attributes},
		} {
			_, err := q.SendWith(ctx, "a", o)
			require.NoError(t, err)
			m := take(t, q)
			require.Equal(t, o.TraceHeader, m.TraceHeader())
			require.Equal(t, o.DedupID, m.DedupID())
			require.Equal(t, o.Attributes, m.Attributes())
			require.NoError(t, m.Delete(ctx))
		}
	})
}

func TestGroupOfAFIFOMessageIsUTF8(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		_, err := q.SendWith(ctx, "a", dabchick.SendOptions{Group: "\xff"})
		refused(t, err, "Group")
		counts(t, q, 0, 0, 0)
	})
}
