package dabchick_test

import (
	"context"
	"math"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// fullQueue returns a queue that is full with two messages in flight.
func fullQueue(t *testing.T, o dabchick.Options[string]) (q *dabchick.Queue[string], a, b dabchick.Message[string]) {
	t.Helper()
	o.MaxMessages = 2
	q = mustNew(t, o)
	send(t, q, "a", "b")
	return q, take(t, q), take(t, q)
}

func TestSendersWaitForRoomInOrderOfArrival(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, a, b := fullQueue(t, dabchick.Options[string]{})
		c := start(func() (dabchick.ID, error) { return q.Send(ctx, "c") })
		blocked(t, c)
		d := start(func() (dabchick.ID, error) {
			return q.SendWith(ctx, "d", dabchick.SendOptions{Delay: time.Minute})
		})
		blocked(t, d)
		require.Equal(t, 2, stats(t, q).WaitingSenders)

		require.NoError(t, a.Delete(ctx))
		require.NoError(t, finished(t, c).err)
		blocked(t, d)
		require.Equal(t, "c", take(t, q).Body)

		time.Sleep(10 * time.Second)
		require.NoError(t, b.Delete(ctx))
		require.NoError(t, finished(t, d).err)
		time.Sleep(time.Minute - ns) // the delay counts from when it was stored
		counts(t, q, 1, 0, 1)
		time.Sleep(ns)
		counts(t, q, 2, 0, 0)
	})
}

func TestRoomComesFromEverythingThatRemovesAMessage(t *testing.T) {
	dead := func(t *testing.T) *dabchick.Queue[string] { return mustNew(t, dabchick.Options[string]{}) }
	ways := map[string]func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()){
		"delete": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, a, _ := fullQueue(t, dabchick.Options[string]{})
			return q, func() { require.NoError(t, a.Delete(ctx)) }
		},
		"purge": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, _, _ := fullQueue(t, dabchick.Options[string]{})
			return q, func() { q.Purge(ctx) }
		},
		"retention": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, _, _ := fullQueue(t, dabchick.Options[string]{Retention: time.Hour})
			return q, func() { time.Sleep(time.Hour + ns) }
		},
		"dead-letter move": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, a, _ := fullQueue(t, dabchick.Options[string]{DeadLetter: dead(t), MaxReceives: 1})
			require.NoError(t, a.Release(ctx))
			return q, func() { q.TryReceive() }
		},
		"dead-letter call": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, a, _ := fullQueue(t, dabchick.Options[string]{DeadLetter: dead(t), MaxReceives: 1})
			return q, func() { require.NoError(t, a.DeadLetter(ctx, "")) }
		},
		"redrive": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, a, _ := fullQueue(t, dabchick.Options[string]{})
			require.NoError(t, a.Release(ctx))
			return q, func() { q.Redrive(ctx, dabchick.RedriveOptions[string]{To: dead(t)}) }
		},
		"lower retention": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, _, _ := fullQueue(t, dabchick.Options[string]{})
			time.Sleep(time.Hour)
			return q, func() {
				o := q.Options()
				o.Retention = time.Minute
				require.NoError(t, q.SetOptions(o))
			}
		},
		"lower retention, later": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, _, _ := fullQueue(t, dabchick.Options[string]{})
			return q, func() {
				o := q.Options()
				o.Retention = time.Minute
				require.NoError(t, q.SetOptions(o))
				time.Sleep(time.Minute + ns)
			}
		},
		"higher limit": func(t *testing.T, ctx context.Context) (*dabchick.Queue[string], func()) {
			q, _, _ := fullQueue(t, dabchick.Options[string]{})
			return q, func() {
				o := q.Options()
				o.MaxMessages = 3
				require.NoError(t, q.SetOptions(o))
			}
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q, remove := way(t, ctx)
				sent := start(func() (dabchick.ID, error) { return q.Send(ctx, "c") })
				blocked(t, sent)
				remove()
				require.NoError(t, finished(t, sent).err)
			})
		})
	}
}

func TestWaitingSenderEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, a, _ := fullQueue(t, dabchick.Options[string]{})
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		c := start(func() (dabchick.ID, error) { return q.Send(short, "c") })
		blocked(t, c)
		d := start(func() (dabchick.ID, error) { return q.Send(ctx, "d") })
		blocked(t, d)
		time.Sleep(time.Second)
		r := finished(t, c)
		require.Equal(t, context.DeadlineExceeded, r.err)
		require.Zero(t, r.value)
		require.NoError(t, a.Delete(ctx))
		require.NoError(t, finished(t, d).err, "the next in line has the room")
		require.Equal(t, []string{"d"}, takeAll(t, q), "c was not stored")
	})
}

func TestBatchLargerThanTheQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{MaxMessages: 2})
		batch := make([]dabchick.Outgoing[int], 5)
		for i := range batch {
			batch[i].Body = i
		}
		sent := start(func() ([]dabchick.ID, error) { return q.SendBatch(ctx, batch) })
		var got []int
		for range 5 {
			m, err := q.Receive(ctx)
			require.NoError(t, err)
			got = append(got, m.Body)
			require.NoError(t, m.Delete(ctx))
		}
		r := finished(t, sent)
		require.NoError(t, r.err)
		require.Len(t, r.value, 5)
		require.NotContains(t, r.value, dabchick.ID{})
		require.Equal(t, []int{0, 1, 2, 3, 4}, got)

		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		ids, err := q.SendBatch(short, batch)
		var failed *dabchick.BatchError
		require.ErrorAs(t, err, &failed, "what was stored stays, the rest is named")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, failed.Failed, 3)
		require.Equal(t, 2, failed.Failed[0].Index)
		require.NotZero(t, ids[1])
		require.Zero(t, ids[2])
		require.Equal(t, []int{0, 1}, takeAll(t, q))
	})
}

// A queue that was full before anything was in its backlog uses it when there is room.
func TestBacklogAfterAQueueWasFull(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{MaxMessages: 2, FailFast: true})
		for range 2 {
			_, err := q.SendWith(ctx, "x", dabchick.SendOptions{Delay: time.Second})
			require.NoError(t, err)
		}
		time.Sleep(time.Second)
		for range 2 {
			require.NoError(t, take(t, q).Delete(ctx))
		}
		send(t, q, "y")
		require.True(t, q.BacklogOpen())
	})
}

func TestBoundsOfAFIFOQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		in := func(group string) dabchick.SendOptions { return dabchick.SendOptions{Group: group} }
		for name, bounds := range map[string]dabchick.Options[string]{"messages": {MaxMessages: 2}, "bytes": {MaxBytes: 3}} {
			bounds.FIFO, bounds.FailFast, bounds.MaxInFlight = true, true, 1
			q := mustNew(t, bounds)
			for _, group := range []string{"a", "b"} {
				_, err := q.SendWith(ctx, "x", in(group))
				require.NoError(t, err, name)
			}
			_, err := q.SendWith(ctx, "yy", in("c"))
			require.ErrorIs(t, err, dabchick.ErrFull, name)
			m := take(t, q)
			_, err = q.Receive(ctx)
			require.ErrorIs(t, err, dabchick.ErrInFlightLimit, name)
			require.NoError(t, m.Delete(ctx))
			_, err = q.SendWith(ctx, "yy", in("c"))
			require.NoError(t, err, name)
			require.Equal(t, "b", take(t, q).Group(), name)
			require.NoError(t, q.Check())
		}
	})
}

// Dead letters come whatever the bounds are, and count against them.
func TestArrivalsLeaveLessRoom(t *testing.T) {
	for name, bounds := range map[string]dabchick.Options[string]{"messages": {MaxMessages: 2}, "bytes": {MaxBytes: 2}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				bounds.FailFast = true
				dead := mustNew(t, bounds)
				q := mustNew(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1})
				require.True(t, dead.BacklogOpen())
				for range 3 {
					send(t, q, "x")
					require.NoError(t, take(t, q).DeadLetter(ctx, ""))
					require.NoError(t, dead.Check())
				}
				_, err := dead.Send(ctx, "y")
				require.ErrorIs(t, err, dabchick.ErrFull)
				require.NoError(t, take(t, dead).Delete(ctx))
				_, err = dead.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "y"}})
				require.ErrorIs(t, err, dabchick.ErrFull)
				require.NoError(t, take(t, dead).Delete(ctx))
				ids, err := dead.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "y"}, {Body: "z"}})
				require.ErrorIs(t, err, dabchick.ErrFull)
				require.NotZero(t, ids[0])
				require.Zero(t, ids[1])
				require.Equal(t, []string{"x", "y"}, takeAll(t, dead))
			})
		})
	}
}

func TestMaxBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[[]byte]{MaxBytes: 10})
		_, err := q.SendWith(ctx, []byte("1234"), dabchick.SendOptions{Attributes: map[string]dabchick.Attribute{
			"k": dabchick.StringAttribute("v"), // 1 + len("String") + 1
		}})
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid, "it would never fit")
		require.EqualValues(t, 12, invalid.Value)

		send(t, q, []byte("123456"))
		require.EqualValues(t, 6, stats(t, q).Bytes)
		small := start(func() (dabchick.ID, error) { return q.Send(ctx, []byte("12345")) })
		blocked(t, small)
		later := start(func() (dabchick.ID, error) { return q.Send(ctx, []byte("1")) })
		blocked(t, later) // it would fit, but others were first
		require.NoError(t, take(t, q).Delete(ctx))
		require.NoError(t, finished(t, small).err)
		require.NoError(t, finished(t, later).err)
		require.EqualValues(t, 6, stats(t, q).Bytes)

		// A limit lowered below what a waiting sender brings lets it go.
		big := start(func() (dabchick.ID, error) { return q.Send(ctx, []byte("1234567")) })
		blocked(t, big)
		o := q.Options()
		o.MaxBytes = 6
		require.NoError(t, q.SetOptions(o))
		require.ErrorAs(t, finished(t, big).err, &invalid)

		_, err = dabchick.New("x", dabchick.Options[int]{MaxBytes: 1})
		require.ErrorAs(t, err, &invalid, "the size of an int is not known")
		sized := mustNew(t, dabchick.Options[int]{MaxBytes: 5, FailFast: true, Size: func(n int) int { return n }})
		send(t, sized, 3)
		_, err = sized.Send(ctx, 3)
		require.ErrorIs(t, err, dabchick.ErrFull)
		send(t, sized, 2)
	})
}

// Size is called without a lock, so a queue may change under a send that has begun.
func TestQueueThatIsClosedWhileASizeIsFound(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		for name, send := range map[string]func(*dabchick.Queue[string], dabchick.SendOptions) error{
			"one": func(q *dabchick.Queue[string], o dabchick.SendOptions) error {
				_, err := q.SendWith(context.Background(), "a", o)
				return err
			},
			"batch": func(q *dabchick.Queue[string], o dabchick.SendOptions) error {
				_, err := q.SendBatch(context.Background(), []dabchick.Outgoing[string]{{Body: "a", SendOptions: o}})
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				var q *dabchick.Queue[string]
				q = mustNew(t, dabchick.Options[string]{FIFO: fifo, Size: func(string) int {
					q.Close()
					return 1
				}})
				var o dabchick.SendOptions
				if fifo {
					o.Group = "g"
				}
				require.ErrorIs(t, send(q, o), dabchick.ErrClosed)
				counts(t, q, 0, 0, 0)
				require.NoError(t, q.Check())
			})
		}
	}
}

// Sizes at the end of the range neither wrap round nor get past the bound.
func TestMaxBytesWithHugeSizes(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("no size is that large")
	}
	inBubble(t, func(t *testing.T, ctx context.Context) {
		o := dabchick.Options[int]{MaxBytes: math.MaxInt - 1, FailFast: true, Size: func(n int) int { return n }}
		q := mustNew(t, o)
		var invalid *dabchick.InvalidError
		_, err := q.SendWith(ctx, math.MaxInt, dabchick.SendOptions{
			Attributes: map[string]dabchick.Attribute{"a": dabchick.StringAttribute("b")}})
		require.ErrorAs(t, err, &invalid)
		send(t, q, math.MaxInt-2)
		_, err = q.Send(ctx, 2)
		require.ErrorIs(t, err, dabchick.ErrFull)
		send(t, q, 1)

		q = mustNew(t, o)
		ids, err := q.SendBatch(ctx, []dabchick.Outgoing[int]{{Body: math.MaxInt - 1}, {Body: math.MaxInt - 1}})
		require.ErrorIs(t, err, dabchick.ErrFull, "their sum does not fit into an int64")
		require.NotZero(t, ids[0])
		require.Zero(t, ids[1])
	})
}

func TestFailFast(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{MaxMessages: 2, MaxInFlight: 1, FailFast: true})
		ids, err := q.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "a"}, {Body: "b"}, {Body: "c"}})
		require.ErrorIs(t, err, dabchick.ErrFull)
		require.NotZero(t, ids[1])
		require.Zero(t, ids[2])
		_, err = q.Send(ctx, "c")
		require.ErrorIs(t, err, dabchick.ErrFull)

		m := take(t, q)
		takeNone(t, q)
		_, err = q.Receive(ctx)
		require.ErrorIs(t, err, dabchick.ErrInFlightLimit)
		_, err = q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: time.Hour})
		require.ErrorIs(t, err, dabchick.ErrInFlightLimit)
		require.NoError(t, m.Delete(ctx))
		require.Equal(t, "b", take(t, q).Body)

		// Not for lack of messages: that is what receivers wait for.
		empty := mustNew(t, dabchick.Options[string]{FailFast: true, MaxInFlight: 1})
		var got [2]<-chan result[dabchick.Message[string]]
		for i := range got {
			got[i] = start(func() (dabchick.Message[string], error) { return empty.Receive(ctx) })
			blocked(t, got[i])
		}
		send(t, empty, "x", "y")
		x := finished(t, got[0])
		require.NoError(t, x.err)

		// Who waits when the bound is reached goes on waiting; who comes now fails.
		blocked(t, got[1])
		_, err = empty.Receive(ctx)
		require.ErrorIs(t, err, dabchick.ErrInFlightLimit)
		_, err = empty.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: time.Hour})
		require.ErrorIs(t, err, dabchick.ErrInFlightLimit)
		takeNone(t, empty)
		require.NoError(t, x.value.Delete(ctx))
		require.Equal(t, "y", finished(t, got[1]).value.Body)
	})
}

func TestMaxInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{MaxInFlight: 2, VisibilityTimeout: 10 * time.Second})
		send(t, q, 1, 2, 3)
		require.Equal(t, []int{1, 2}, takeAll(t, q), "a batch stops at the limit")
		takeNone(t, q)
		got := start(func() (dabchick.Message[int], error) { return q.Receive(ctx) })
		time.Sleep(10*time.Second - ns)
		blocked(t, got)
		time.Sleep(ns) // two come up and make room
		require.Equal(t, 3, finished(t, got).value.Body, "3 has been visible for longer")
		counts(t, q, 2, 1, 0)
		require.Equal(t, []int{1}, takeAll(t, q))
	})
}

// A sender whose context ends in the same instant as there is room may return
// either; what it returns is true.
func TestCancelAtTheMomentOfRoom(t *testing.T) {
	var stored, refused int
	for round := range 1500 {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			q := mustNew(t, dabchick.Options[string]{MaxMessages: 1})
			send(t, q, "a")
			m := take(t, q)
			short, cancel := context.WithCancel(ctx)
			b := start(func() (dabchick.ID, error) { return q.Send(short, "b") })
			blocked(t, b)
			switch round % 3 {
			case 0:
				go cancel()
			case 1:
				cancel()
			case 2:
				cancel()
				runtime.Gosched()
			}
			require.NoError(t, m.Delete(ctx))
			r := finished(t, b)
			if r.err != nil {
				refused++
				require.Equal(t, context.Canceled, r.err)
				takeNone(t, q)
			} else {
				stored++
				require.Equal(t, r.value, take(t, q).ID)
			}
			cancel()
		})
	}
	require.NotZero(t, stored, "the race was never run into")
	require.NotZero(t, refused, "the race was never run into")
}

// I11: a receive that waits behind a message wakes when that one expires.
func TestExpiryWakesWhoWaitsBehindIt(t *testing.T) {
	for name, o := range map[string]dabchick.Options[string]{
		"in a FIFO group":        {FIFO: true},
		"for a place in flight":  {MaxInFlight: 1},
		"for a place in a group": {MaxInFlightPerGroup: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				o.VisibilityTimeout, o.Retention = time.Hour, time.Minute
				q := mustNew(t, o)
				for _, body := range []string{"first", "second"} {
					_, err := q.SendWith(ctx, body, dabchick.SendOptions{Group: "a"})
					require.NoError(t, err)
					time.Sleep(time.Second)
				}
				require.Equal(t, "first", take(t, q).Body)
				start := time.Now()
				ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: 2 * time.Hour})
				require.NoError(t, err)
				require.Len(t, ms, 1)
				require.Equal(t, "second", ms[0].Body)
				require.Equal(t, 58*time.Second+ns, time.Since(start))
			})
		})
	}
}
