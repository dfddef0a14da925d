package dabchick_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// Groups have their turns by when their first message came up, whether it was never received,
// released, or came up by itself.
func TestTurnsOfGroupsAreInTheOrderInWhichTheyCameUp(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{VisibilityTimeout: time.Minute})
		sendTo(t, q, "a1", "b1", "c1", "a2", "d1")
		a, b := take(t, q), take(t, q)
		require.NoError(t, b.Release(ctx))          // behind c and d
		sendTo(t, q, "e1")                          // behind b
		require.NoError(t, a.Delete(ctx))           // so a2 comes behind e
		sendTo(t, q, "f1", "a3")                    // f behind a2
		require.NoError(t, take(t, q).Release(ctx)) // c1, behind f
		gets(t, q, "d1 b1 e1 a2 a3 f1 c1")
		time.Sleep(time.Minute)
		sendTo(t, q, "g1")
		gets(t, q, "d1 b1 e1 a2 a3 f1 c1 g1")
	})
}

// What is sent with a delay comes behind what its group has already, and does not take the
// group's turn away.
func TestDelayedMessageComesBehindItsGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{MessageDelays: true})
		sendTo(t, q, "a1", "a2", "b1")
		_, err := q.SendWith(ctx, "a3", dabchick.SendOptions{Group: "a", Delay: time.Second})
		require.NoError(t, err)
		sendTo(t, q, "a4", "b2")
		counts(t, q, 5, 0, 1)
		for _, m := range gets(t, q, "a1 a2 b1 b2") {
			require.NoError(t, m.Delete(ctx))
		}
		gets(t, q, "")
		time.Sleep(time.Second)
		gets(t, q, "a3 a4")
	})
}

// A backlog of which nothing was received takes no room in the slab, in however many groups, and
// gives back its own.
func TestBacklogOfAFIFOQueueIsInReserve(t *testing.T) {
	const n = 10_000
	q := newFIFO(t, dabchick.Options[string]{})
	for i := range n {
		sendTo(t, q, string(rune('a'+i%20)))
	}
	require.Zero(t, q.Chunks())
	require.Greater(t, q.ReserveChunks(), 10)
	for range n {
		require.NoError(t, take(t, q).Delete(t.Context()))
		require.Equal(t, 1, q.Chunks())
	}
	require.LessOrEqual(t, q.ReserveChunks(), 1)
}

// Peek and hooks tell the same of a message that was never received as of one that was.
func TestWhatIsToldOfAMessageInReserve(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var told []dabchick.Message[string]
		hook := func(e dabchick.Event[string]) {
			if e.Kind == dabchick.Sent || e.Kind == dabchick.Arrived {
				told = append(told, e.Message)
			}
		}
		dead := newFIFO(t, dabchick.Options[string]{OnEvent: hook})
		q := newFIFO(t, dabchick.Options[string]{OnEvent: hook, DeadLetter: dead, MaxReceives: 3})
		attributes := map[string]dabchick.Attribute{"k": dabchick.StringAttribute("v")}
		sendTo(t, q, "a0")
		time.Sleep(time.Second)
		options := dabchick.SendOptions{Group: "a", DedupID: "d", TraceHeader: "t", Attributes: attributes}
		id, err := q.SendWith(ctx, "a1", options)
		require.NoError(t, err)
		sent := time.Now()
		time.Sleep(time.Second)
		require.NoError(t, take(t, q).Delete(ctx))

		shown := firstOf(t, q)
		for _, m := range []dabchick.Message[string]{told[1], shown} {
			require.Equal(t, id, m.ID)
			require.Equal(t, "a1", m.Body)
			require.Equal(t, dabchick.Visible, m.State)
			require.Zero(t, m.Receives)
			require.Zero(t, m.Receipt)
			require.Equal(t, "a", m.Group())
			require.Equal(t, "d", m.DedupID())
			require.Equal(t, "t", m.TraceHeader())
			require.Equal(t, attributes, m.Attributes())
			require.True(t, m.SentAt().Equal(sent))
			require.Zero(t, m.FirstReceivedAt())
		}
		require.True(t, told[1].VisibleAt().Equal(sent))
		require.True(t, shown.VisibleAt().Equal(sent.Add(time.Second)), "since it is the first of its group")

		m := take(t, q)
		require.Equal(t, shown.SequenceNumber(), m.SequenceNumber())
		require.Equal(t, attributes, m.Attributes())
		first := time.Now()
		time.Sleep(time.Second)
		require.NoError(t, m.DeadLetter(ctx, "by hand"))
		moved := time.Now()
		time.Sleep(time.Second)

		shown = firstOf(t, dead)
		for _, m := range []dabchick.Message[string]{told[2], shown} {
			require.Equal(t, id, m.ID)
			require.Equal(t, 1, m.Receives)
			require.True(t, m.SentAt().Equal(moved))
			require.True(t, m.VisibleAt().Equal(moved))
			require.True(t, m.FirstReceivedAt().Equal(first))
		}
		m = take(t, dead)
		require.Equal(t, id, m.ID)
		require.Equal(t, 2, m.Receives)
		require.Equal(t, shown.SequenceNumber(), m.SequenceNumber())
		require.True(t, m.FirstReceivedAt().Equal(first))
		require.True(t, m.SentAt().Equal(moved))
		require.NoError(t, m.Return(ctx))
		require.True(t, firstOf(t, dead).FirstReceivedAt().Equal(first))
	})
}

// firstOf returns the oldest message of a queue, as Peek shows it.
func firstOf(t *testing.T, q *dabchick.Queue[string]) dabchick.Message[string] {
	t.Helper()
	ms, err := q.Peek(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, ms, 1)
	return ms[0]
}

// Messages that nobody has received expire one by one, each in its time.
func TestRetentionInReserve(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{Retention: time.Minute})
		sendTo(t, q, "a1", "b1")
		time.Sleep(time.Second)
		sendTo(t, q, "a2", "c1")
		time.Sleep(time.Minute - time.Second)
		counts(t, q, 4, 0, 0)
		time.Sleep(ns)
		counts(t, q, 2, 0, 0)
		require.EqualValues(t, 2, stats(t, q).Expired)
		require.Equal(t, time.Minute-time.Second+ns, stats(t, q).OldestAge)
		gets(t, q, "c1 a2") // a's turn began when a1 was gone
	})
}

// A redrive goes on behind what it has passed over, also when that has been received meanwhile:
// what comes up is moved last.
func TestRedriveOfFIFOKeepsItsPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, to := newFIFO(t, dabchick.Options[string]{}), newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1", "a2", "b1", "b2", "c1")
		a1 := take(t, q)
		_, err := q.Redrive(ctx, dabchick.RedriveOptions[string]{To: to, Progress: func(moved, _ int) {
			if moved > 1 { // b1 is moved; a1 was in flight, and a2 behind it
				return
			}
			require.NoError(t, a1.Delete(ctx))
			for _, m := range gets(t, q, "c1 b2 a2") {
				require.NoError(t, m.Release(ctx))
			}
		}})
		require.NoError(t, err)
		gets(t, to, "b1 b2 c1 a2")
	})
}

// A redrive that finds its queue closed leaves all as it is, though the hook has not come back
// from being told.
func TestRedriveOfFIFOThatIsClosedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		shut, goOn := make(chan struct{}), make(chan struct{})
		q := newFIFO(t, dabchick.Options[string]{OnEvent: func(e dabchick.Event[string]) {
			if e.Kind == dabchick.Closed {
				close(shut)
				<-goOn
			}
		}})
		sendTo(t, q, "a1", "b1")
		time.Sleep(time.Second)
		closed := make(chan error)
		n, err := q.Redrive(ctx, dabchick.RedriveOptions[string]{
			To: newFIFO(t, dabchick.Options[string]{}),
			Progress: func(int, int) {
				go func() { closed <- q.Close() }()
				<-shut
			},
		})
		require.Equal(t, 1, n)
		require.ErrorIs(t, err, dabchick.ErrClosed)
		close(goOn)
		require.NoError(t, <-closed)
		require.Equal(t, time.Second, stats(t, q).LongestWait)
		require.NoError(t, q.Check())
	})
}
