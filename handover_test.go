package dabchick_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// A message that is sent while a receive waits goes straight to that, unless there is
// something to heed.
func TestSendToAReceiverThatWaits(t *testing.T) {
	type queue = dabchick.Queue[string]
	for name, c := range map[string]struct {
		options dabchick.Options[string]
		with    dabchick.SendOptions
		delay   time.Duration // of either
		full    bool          // the send waits, too
		shut    func(*queue)
		open    func(*queue, dabchick.Message[string]) error
	}{
		"paused": {
			shut: (*queue).Pause,
			open: func(q *queue, _ dabchick.Message[string]) error { q.Resume(); return nil },
		},
		"at the limit in flight": {
			options: dabchick.Options[string]{MaxInFlight: 1},
			open:    func(_ *queue, first dabchick.Message[string]) error { return first.Delete(t.Context()) },
		},
		"full": {
			options: dabchick.Options[string]{MaxMessages: 1},
			full:    true,
			open:    func(_ *queue, first dabchick.Message[string]) error { return first.Delete(t.Context()) },
		},
		"with a delay": {
			options: dabchick.Options[string]{Delay: time.Second},
			delay:   time.Second,
			open:    func(*queue, dabchick.Message[string]) error { time.Sleep(time.Second); return nil },
		},
		"with a delay of its own": {
			with:  dabchick.SendOptions{Delay: time.Second},
			delay: time.Second,
			open:  func(*queue, dabchick.Message[string]) error { time.Sleep(time.Second); return nil },
		},
		"with attributes": {with: dabchick.SendOptions{
			Attributes: map[string]dabchick.Attribute{"a": dabchick.StringAttribute("b")}, TraceHeader: "t",
		}},
		"at once": {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q := mustNew(t, c.options)
				_, err := q.SendWith(ctx, "first", dabchick.SendOptions{Delay: dabchick.Immediately})
				require.NoError(t, err)
				first := take(t, q)
				if c.shut != nil {
					c.shut(q)
				}
				a := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
				blocked(t, a)
				b := start(func() (dabchick.ID, error) { return q.SendWith(ctx, "second", c.with) })
				if c.full {
					blocked(t, b)
				}
				if c.open != nil {
					blocked(t, a)
					require.NoError(t, c.open(q, first))
				}
				r := finished(t, a)
				require.NoError(t, r.err)
				require.Equal(t, "second", r.value.Body)
				require.Equal(t, finished(t, b).value, r.value.ID)
				require.Equal(t, time.Now().Add(-c.delay), r.value.SentAt())
				require.Equal(t, c.with.Attributes, r.value.Attributes())
				require.Equal(t, c.with.TraceHeader, r.value.TraceHeader())
				require.Equal(t, time.Now(), r.value.FirstReceivedAt())
				require.Equal(t, time.Now().Add(dabchick.DefaultVisibilityTimeout), r.value.VisibleAt())
				s := stats(t, q)
				require.EqualValues(t, 2, s.Sent)
				require.EqualValues(t, 2, s.Received)
				require.NoError(t, r.value.Delete(ctx))
			})
		})
	}
}

// A receive that waits, and wants to leave what it gets visible, has it so.
func TestSendToAReceiverThatHidesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		a := start(func() ([]dabchick.Message[string], error) {
			return q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Visibility: dabchick.Immediately, Wait: time.Minute})
		})
		blocked(t, a)
		send(t, q, "x")
		r := finished(t, a)
		require.NoError(t, r.err)
		require.Equal(t, time.Now(), r.value[0].VisibleAt())
		require.Equal(t, 2, take(t, q).Receives)
	})
}

// A message that is sent while dead letters are carried over goes behind those that are
// there, also when a receive waits that had to leave them for the moment.
func TestSendWhileDeadLettersAreCarriedOver(t *testing.T) {
	for name, open := range map[string]bool{"in the core": false, "in the backlog": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				const n = 3 * 1024 // a multiple of what is moved under one lock: the next is not one of them
				var q *dabchick.Queue[string]
				arrived := 0
				dead := mustNew(t, dabchick.Options[string]{OnEvent: func(e dabchick.Event[string]) {
					if arrived++; arrived == n {
						send(t, q, "new")
					}
				}})
				q = mustNew(t, dabchick.Options[string]{MaxReceives: 1, DeadLetter: dead})
				for range n {
					send(t, q, "spent")
				}
				ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: n})
				require.NoError(t, err)
				require.Len(t, ms, n)
				q.Pause()
				for _, m := range ms {
					require.NoError(t, m.Release(ctx))
				}
				if open {
					send(t, q, "old")
				}
				a := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
				blocked(t, a)
				if !open { // the backlog is shut while somebody waits
					send(t, q, "old")
				}
				q.Resume()
				r := finished(t, a)
				require.NoError(t, r.err)
				require.Equal(t, "old", r.value.Body)
				require.Equal(t, "new", take(t, q).Body)
				counts(t, dead, n, 0, 0)
			})
		})
	}
}

// What a receive that is cancelled had from a send goes back to its place.
func TestCancelledReceiveHandsASendBack(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		ended := &slowToTell{done: make(chan struct{}), tell: make(chan struct{})}
		a := start(func() (dabchick.Message[string], error) { return q.Receive(ended) })
		blocked(t, a)
		close(ended.done)
		blocked(t, a)
		send(t, q, "one")
		send(t, q, "two")
		require.EqualValues(t, 1, stats(t, q).Received)
		close(ended.tell)
		require.ErrorIs(t, finished(t, a).err, context.Canceled)
		require.Zero(t, stats(t, q).Received)
		time.Sleep(time.Second)
		m := take(t, q)
		require.Equal(t, "one", m.Body)
		require.Equal(t, 1, m.Receives)
		require.Equal(t, time.Now(), m.FirstReceivedAt())
		require.Equal(t, "two", take(t, q).Body)
	})
}

// slowToTell is a context that ends when done is closed, and says why when tell is. A receive
// asks without the lock, before it leaves its line.
type slowToTell struct {
	context.Context
	done, tell chan struct{}
}

func (c *slowToTell) Done() <-chan struct{} { return c.done }

func (c *slowToTell) Err() error {
	select {
	case <-c.done:
		<-c.tell
		return context.Canceled
	default:
		return nil
	}
}

// A message that went straight to a receive is past its retention like any other.
func TestRetentionOfAHandOver(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Retention: time.Minute, VisibilityTimeout: time.Hour})
		a := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
		blocked(t, a)
		send(t, q, "x")
		require.NoError(t, finished(t, a).err)
		time.Sleep(time.Minute)
		counts(t, q, 0, 1, 0)
		time.Sleep(time.Nanosecond)
		counts(t, q, 0, 0, 0)
		require.EqualValues(t, 1, stats(t, q).Expired)
	})
}
