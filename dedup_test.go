package dabchick_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// sendID stores a body of group a under a deduplication id.
func sendID(tb testing.TB, q *dabchick.Queue[string], body, group, id string) dabchick.ID {
	tb.Helper()
	got, err := q.SendWith(context.Background(), body, dabchick.SendOptions{Group: group, DedupID: id})
	require.NoError(tb, err)
	return got
}

// The window counts from the send, is not lengthened by duplicates, and goes on
// when the message is deleted.
func TestDuplicateInsideTheWindowStoresNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		id := sendID(t, q, "first", "a", "x")
		require.Equal(t, id, sendID(t, q, "second", "a", "x"))
		m := take(t, q)
		require.Equal(t, "first", m.Body)
		require.Equal(t, "x", m.DedupID())
		require.Equal(t, id, sendID(t, q, "third", "a", "x"), "in flight")
		require.NoError(t, m.Delete(ctx))
		time.Sleep(dabchick.DefaultDedupWindow - ns)
		require.Equal(t, id, sendID(t, q, "fourth", "a", "x"), "deleted long ago")
		takeNone(t, q)
		require.EqualValues(t, 3, stats(t, q).Duplicates)
		require.EqualValues(t, 1, stats(t, q).Sent)
		time.Sleep(ns)
		require.NotEqual(t, id, sendID(t, q, "fifth", "a", "x"))
		require.Equal(t, "fifth", take(t, q).Body)
	})
}

func TestDedupScope(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		id := sendID(t, q, "a1", "a", "x")
		require.Equal(t, id, sendID(t, q, "b1", "b", "x"), "the same id in another group")
		gets(t, q, "a1")

		byGroup := newFIFO(t, dabchick.Options[string]{DedupScope: dabchick.DedupGroup})
		id = sendID(t, byGroup, "a1", "a", "x")
		require.NotEqual(t, id, sendID(t, byGroup, "b1", "b", "x"))
		require.Equal(t, id, sendID(t, byGroup, "a2", "a", "x"))
		gets(t, byGroup, "a1 b1")

		// A change is for later sends.
		o := byGroup.Options()
		o.DedupScope = dabchick.DedupQueue
		require.NoError(t, byGroup.SetOptions(o))
		id = sendID(t, byGroup, "c1", "c", "x")
		require.Equal(t, id, sendID(t, byGroup, "d1", "d", "x"))
	})
}

func TestDedupByContent(t *testing.T) {
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	require.Equal(t, sum, dabchick.ContentKey("hello"))
	require.Equal(t, sum, dabchick.ContentKey([]byte("hello")))
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{DedupKey: dabchick.ContentKey[string]})
		send := func(body, id string) dabchick.ID {
			attributes := map[string]dabchick.Attribute{"n": dabchick.NumberAttribute(strconv.Itoa(len(id)))}
			got, err := q.SendWith(ctx, body, dabchick.SendOptions{Group: "a", DedupID: id, Attributes: attributes})
			require.NoError(t, err)
			return got
		}
		id := send("hello", "")
		require.Equal(t, sum, take(t, q).DedupID())
		require.Equal(t, id, send("hello", ""))
		require.Equal(t, id, send("other", sum), "an explicit id that is the sum of some body")
		require.NotEqual(t, id, send("hello", "explicit"), "explicit beats computed")
	})
	t.Run("by a key of another type", func(t *testing.T) {
		type order struct{ Number int }
		q := mustNew(t, dabchick.Options[order]{FIFO: true, DedupKey: func(o order) string { return strconv.Itoa(o.Number) }})
		var ids []dabchick.ID
		for _, n := range []int{1, 2, 1} {
			id, err := q.SendWith(t.Context(), order{n}, dabchick.SendOptions{Group: "a"})
			require.NoError(t, err)
			ids = append(ids, id)
		}
		require.Equal(t, ids[0], ids[2])
		require.NotEqual(t, ids[0], ids[1])
	})
}

func TestDuplicateInsideOneBatch(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		o := dabchick.SendOptions{Group: "a", DedupID: "x"}
		ids, err := q.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "a1", SendOptions: o}, {Body: "a2", SendOptions: o}})
		require.NoError(t, err)
		require.Equal(t, ids[0], ids[1])
		gets(t, q, "a1")
	})
}

// Purge forgets ids. A dead letter and a redrive are never duplicates.
func TestDedupAndMoves(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		dead := newFIFO(t, dabchick.Options[string]{})
		q := newFIFO(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 3})
		sendID(t, dead, "there", "a", "x")
		id := sendID(t, q, "moved", "a", "x")
		require.NoError(t, take(t, q).DeadLetter(ctx, ""))
		require.Equal(t, id.String(), gets(t, dead, "there moved")["moved"].DedupID())
		time.Sleep(time.Minute)
		n, err := dead.Redrive(ctx, dabchick.RedriveOptions[string]{To: q})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, id, sendID(t, q, "again", "a", "x"), "the redrive has not changed what is remembered")
		gets(t, q, "there moved")

		_, err = q.Purge(ctx)
		require.NoError(t, err)
		require.NotEqual(t, id, sendID(t, q, "anew", "a", "x"))
		gets(t, q, "anew")
	})
}

// A duplicate needs no room, and one that waits for room is found out when its
// turn comes.
func TestDuplicatesAndRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{MaxMessages: 1})
		id := sendID(t, q, "a1", "a", "x")
		require.Equal(t, id, sendID(t, q, "a2", "a", "x"))
		var waiting [2]<-chan result[dabchick.ID]
		for i := range waiting {
			waiting[i] = start(func() (dabchick.ID, error) {
				return q.SendWith(ctx, fmt.Sprint("b", i), dabchick.SendOptions{Group: "b", DedupID: "y"})
			})
			blocked(t, waiting[i])
		}
		require.NoError(t, take(t, q).Delete(ctx))
		require.Equal(t, finished(t, waiting[0]).value, finished(t, waiting[1]).value)
		gets(t, q, "b0")
	})
}

func TestDedupIDOnAStandardQueueIsRefused(t *testing.T) {
	q := mustNew(t, dabchick.Options[string]{})
	_, err := q.SendWith(t.Context(), "x", dabchick.SendOptions{Group: "a", DedupID: "x"})
	refused(t, err, "DedupID")
	fifo := newFIFO(t, dabchick.Options[string]{})
	_, err = fifo.SendWith(t.Context(), "x", dabchick.SendOptions{Group: "a", DedupID: "\xff"})
	refused(t, err, "DedupID")
}

// What is remembered is what was sent in the window, and memory follows it down.
func TestDedupMemoryIsThatOfTheWindow(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{DedupWindow: time.Minute})
		n := 0
		trickle := func(count int, every time.Duration) {
			for range count {
				n++
				sendID(t, q, "x", "a", strconv.Itoa(n))
				require.NoError(t, take(t, q).Delete(ctx))
				time.Sleep(every)
			}
		}
		trickle(20_000, 0)
		ids, _ := q.Remembered()
		require.Equal(t, 20_000, ids)
		time.Sleep(30 * time.Second)
		trickle(10_000, 6*time.Millisecond) // the window is over in the middle of it
		trickle(10_000, 60*time.Millisecond)
		ids, room := q.Remembered()
		require.LessOrEqual(t, ids, 1001)
		require.Less(t, room, 5000, "it was 32,768")
		require.NoError(t, q.Check())
		time.Sleep(time.Hour)
		sendID(t, q, "x", "a", "last")
		ids, _ = q.Remembered()
		require.Equal(t, 1, ids)
	})
}

// What was over in a shorter window stays so in a longer one, though no call has come
// that could have found it so.
func TestForgottenIDIsNotRememberedInALongerWindow(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := newFIFO(t, dabchick.Options[string]{})
		window := func(d time.Duration) {
			o := q.Options()
			o.DedupWindow = d
			require.NoError(t, q.SetOptions(o))
		}
		over := sendID(t, q, "over", "a", "x")
		time.Sleep(ns)
		kept := sendID(t, q, "kept", "a", "y")
		window(time.Minute)
		time.Sleep(time.Minute - ns)
		window(time.Hour)
		require.NotEqual(t, over, sendID(t, q, "over again", "a", "x"))
		time.Sleep(time.Hour - time.Minute)
		require.Equal(t, kept, sendID(t, q, "kept again", "a", "y"))
		gets(t, q, "over kept over again")
	})
}

func TestAttemptIsRepeated(t *testing.T) {
	receive := func(t *testing.T, q *dabchick.Queue[string], id string) []dabchick.Message[string] {
		ms, err := q.ReceiveBatch(context.Background(), dabchick.ReceiveOptions{Max: 2, Wait: dabchick.Immediately, AttemptID: id})
		require.NoError(t, err)
		require.NoError(t, q.Check())
		return ms
	}
	start := func(t *testing.T) (*dabchick.Queue[string], []dabchick.Message[string]) {
		q := newFIFO(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second})
		sendTo(t, q, "a1", "a2", "a3", "b1")
		return q, receive(t, q, "try")
	}
	t.Run("with the same receipts, the timeout starting anew", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q, first := start(t)
			time.Sleep(9 * time.Second)
			second := receive(t, q, "try")
			require.Len(t, second, 2)
			for i := range second {
				require.Equal(t, first[i].Receipt, second[i].Receipt)
				require.Equal(t, first[i].Body, second[i].Body)
				require.Equal(t, 1, second[i].Receives)
			}
			time.Sleep(10*time.Second - ns)
			counts(t, q, 2, 2, 0)
			require.NoError(t, first[0].Delete(ctx))
			time.Sleep(ns)
			counts(t, q, 3, 0, 0)
			require.EqualValues(t, 2, stats(t, q).Received)
		})
	})
	t.Run("not under another id", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q, _ := start(t)
			ms := receive(t, q, "other")
			require.Len(t, ms, 1)
			require.Equal(t, "b1", ms[0].Body)
		})
	})
	for name, change := range map[string]func(*testing.T, context.Context, dabchick.Message[string]) error{
		"not after a delete": func(_ *testing.T, ctx context.Context, m dabchick.Message[string]) error { return m.Delete(ctx) },
		"not after an extend": func(_ *testing.T, ctx context.Context, m dabchick.Message[string]) error {
			return m.Extend(ctx, time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q, first := start(t)
				require.NoError(t, change(t, ctx, first[1]))
				ms := receive(t, q, "try") // a receive like any other
				require.Len(t, ms, 1)
				require.Equal(t, "b1", ms[0].Body)
				require.Equal(t, ms[0].Receipt, receive(t, q, "try")[0].Receipt, "which can be repeated itself")
			})
		})
	}
	t.Run("not after the timeout", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q, first := start(t)
			time.Sleep(10 * time.Second)
			ms := receive(t, q, "try")
			require.Equal(t, "b1", ms[0].Body)
			require.Equal(t, first[0].ID, ms[1].ID)
			require.Equal(t, 2, ms[1].Receives)
		})
	})
	t.Run("not after five minutes", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := newFIFO(t, dabchick.Options[string]{VisibilityTimeout: time.Hour})
			sendTo(t, q, "a1")
			first := receive(t, q, "try")
			time.Sleep(5*time.Minute - ns)
			require.Equal(t, first[0].Receipt, receive(t, q, "try")[0].Receipt)
			time.Sleep(ns)
			require.Empty(t, receive(t, q, "try"))
		})
	})
	t.Run("after a long poll", func(t *testing.T) {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := newFIFO(t, dabchick.Options[string]{})
			o := dabchick.ReceiveOptions{Max: 2, Wait: time.Minute, AttemptID: "try"}
			poll := startPoll(q, ctx, o)
			blocked(t, poll)
			sendTo(t, q, "a1")
			got := finished(t, poll).value
			require.Len(t, got, 1)
			require.Equal(t, got[0].Receipt, receive(t, q, "try")[0].Receipt)
		})
	})
	t.Run("only on FIFO queues", func(t *testing.T) {
		q := mustNew(t, dabchick.Options[string]{})
		_, err := q.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{AttemptID: "try"})
		refused(t, err, "AttemptID")
	})
}

func startPoll(q *dabchick.Queue[string], ctx context.Context, o dabchick.ReceiveOptions) <-chan result[[]dabchick.Message[string]] {
	return start(func() ([]dabchick.Message[string], error) { return q.ReceiveBatch(ctx, o) })
}

// A hook hears of duplicates.
func TestDeduplicatedEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var events []dabchick.Event[string]
		q := newFIFO(t, dabchick.Options[string]{OnEvent: func(e dabchick.Event[string]) { events = append(events, e) }})
		id := sendID(t, q, "a1", "a", "x")
		sendID(t, q, "a2", "a", "x")
		require.Len(t, events, 2)
		require.Equal(t, dabchick.Deduplicated, events[1].Kind)
		require.Equal(t, "deduplicated", events[1].Kind.String())
		require.Equal(t, id, events[1].Message.ID)
		require.Equal(t, "a2", events[1].Message.Body)
		require.Equal(t, "a", events[1].Message.Group())
	})
}
