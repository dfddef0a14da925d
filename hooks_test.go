package dabchick_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// recorder keeps events as lines.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) hook(e dabchick.Event[string]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := fmt.Sprintf("%v %s/%d", e.Kind, e.Message.Body, e.Message.Receives)
	if e.To != "" {
		line += " to " + e.To
	}
	if e.Reason != "" {
		line += ": " + e.Reason
	}
	if e.Count != 0 {
		line += fmt.Sprint(" ", e.Count)
	}
	r.lines = append(r.lines, line)
}

// told returns the lines since the last time.
func (r *recorder) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

func TestEventsTellTheLifeOfAMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var here, there recorder
		dead, err := dabchick.New("dead", dabchick.Options[string]{OnEvent: there.hook})
		require.NoError(t, err)
		q := mustNew(t, dabchick.Options[string]{
			VisibilityTimeout: time.Second, Retention: time.Hour, DeadLetter: dead, MaxReceives: 3, OnEvent: here.hook,
		})
		expect := func(lines ...string) {
			t.Helper()
			require.Equal(t, lines, here.told())
		}
		_, err = q.SendWith(ctx, "a", dabchick.SendOptions{Delay: time.Second})
		require.NoError(t, err)
		expect("sent a/0")
		time.Sleep(time.Second)
		m := take(t, q)
		expect("appeared a/0", "received a/1")
		require.NoError(t, m.Extend(ctx, 5*time.Second))
		expect("extended a/1")
		time.Sleep(5 * time.Second)
		m = take(t, q)
		expect("reappeared a/1", "received a/2")
		require.NoError(t, m.Release(ctx))
		expect("released a/2")
		take(t, q)
		expect("received a/3")
		time.Sleep(time.Second)
		takeNone(t, q)
		expect("reappeared a/3", `dead-lettered a/3 to dead: received 3 times, the limit of queue "`+q.Name()+`"`)
		require.Equal(t, []string{`arrived a/3: received 3 times, the limit of queue "` + q.Name() + `"`}, there.told())
		_, err = dead.Redrive(ctx, dabchick.RedriveOptions[string]{})
		require.NoError(t, err)
		require.Equal(t, []string{"redriven a/3 to " + q.Name()}, there.told())
		expect("sent a/0")
		require.NoError(t, take(t, q).Delete(ctx))
		expect("received a/1", "deleted a/1")
		send(t, q, "b")
		time.Sleep(time.Hour + ns)
		counts(t, q, 0, 0, 0)
		expect("sent b/0", "expired b/0")
		send(t, q, "c", "d")
		_, err = q.Purge(ctx)
		require.NoError(t, err)
		q.Pause()
		q.Resume()
		require.NoError(t, q.Close())
		expect("sent c/0", "sent d/0", "purged /0 2", "paused /0", "resumed /0", "closed /0")
	})
}

func TestHookThatComesLaterIsToldOfWhatWasThere(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var r recorder
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b")
		a := take(t, q)
		o := q.Options()
		o.OnEvent = r.hook
		require.NoError(t, q.SetOptions(o))
		require.NoError(t, a.Delete(ctx))
		require.NoError(t, take(t, q).Delete(ctx))
		require.Equal(t, []string{"deleted a/1", "received b/1", "deleted b/1"}, r.told())
	})
}

func TestEventsCarryTimeAndNoReceipt(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q *dabchick.Queue[string]
		seen := 0
		hook := func(e dabchick.Event[string]) {
			seen++
			require.Equal(t, time.Now(), e.Time)
			require.Equal(t, q.Name(), e.Queue)
			require.Zero(t, e.Message.Receipt)
			require.ErrorIs(t, e.Message.Delete(ctx), dabchick.ErrReceiptInvalid)
			if e.Kind == dabchick.Extended {
				require.Equal(t, time.Now().Add(time.Minute), e.Message.VisibleAt())
			}
		}
		q = mustNew(t, dabchick.Options[string]{OnEvent: hook})
		send(t, q, "a")
		m := take(t, q)
		time.Sleep(time.Second)
		require.NoError(t, m.Extend(ctx, time.Minute))
		require.Equal(t, 3, seen)
	})
}

func TestHookMayUseTheQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q *dabchick.Queue[string]
		var order []string
		q = mustNew(t, dabchick.Options[string]{OnEvent: func(e dabchick.Event[string]) {
			order = append(order, fmt.Sprint(e.Kind, " ", e.Message.Body))
			if e.Kind == dabchick.Deleted && e.Message.Body == "a" {
				send(t, q, "follow-up")
				order = append(order, "hook returns")
			}
			stats(t, q)
		}})
		send(t, q, "a")
		require.NoError(t, take(t, q).Delete(ctx))
		require.Equal(t, []string{"sent a", "received a", "deleted a", "hook returns", "sent follow-up"}, order)
	})
}

func TestPanicInAHookLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var r recorder
		q := mustNew(t, dabchick.Options[string]{OnEvent: func(e dabchick.Event[string]) {
			r.hook(e)
			if e.Message.Body == "bomb" {
				panic("boom")
			}
		}})
		require.PanicsWithValue(t, "boom", func() {
			q.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "a"}, {Body: "bomb"}, {Body: "c"}})
		})
		require.Equal(t, []string{"sent a/0", "sent bomb/0"}, r.told())
		counts(t, q, 3, 0, 0)
		require.Equal(t, []string{"sent c/0"}, r.told(), "the rest is told with the next call")
		require.PanicsWithValue(t, "boom", func() { send(t, q, "bomb") })
		counts(t, q, 4, 0, 0)
	})
}

// Events come in one order that agrees with what each message went through,
// however many goroutines cause them.
func TestEventsOfConcurrentCallsAreInOrder(t *testing.T) {
	ctx := context.Background()
	last := map[dabchick.ID]dabchick.EventKind{}
	busy := false
	q := mustNew(t, dabchick.Options[int]{OnEvent: func(e dabchick.Event[int]) {
		if busy {
			t.Error("two at a time")
		}
		busy = true
		want := map[dabchick.EventKind]dabchick.EventKind{
			dabchick.Received: dabchick.Sent, dabchick.Deleted: dabchick.Received,
		}
		if last[e.Message.ID] != want[e.Kind] {
			t.Errorf("%v after %v", e.Kind, last[e.Message.ID])
		}
		last[e.Message.ID] = e.Kind
		busy = false
	}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				if _, err := q.Send(ctx, i); err != nil {
					t.Error(err)
				}
				m, err := q.Receive(ctx)
				if err != nil {
					t.Error(err)
				}
				if err := m.Delete(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	stats(t, q) // tells what may be left
	require.Len(t, last, 8*500)
	for _, kind := range last {
		require.Equal(t, dabchick.Deleted, kind)
	}
}

func TestEventKinds(t *testing.T) {
	for k := dabchick.Sent; k <= dabchick.Deduplicated; k++ {
		require.NotContains(t, k.String(), "event")
	}
	require.Equal(t, "event 0", dabchick.EventKind(0).String())
	require.Equal(t, "event 200", dabchick.EventKind(200).String())
}

// Where a message stands after an event is told as Peek tells it.
func TestEventsTellWhereTheMessageStands(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var told []string
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Second, OnEvent: func(e dabchick.Event[string]) {
			told = append(told, fmt.Sprintf("%v: %v", e.Kind, e.Message.State))
		}})
		expect := func(want ...string) {
			t.Helper()
			require.Equal(t, want, told)
			told = nil
		}
		_, err := q.SendWith(ctx, "a", dabchick.SendOptions{Delay: time.Second})
		require.NoError(t, err)
		expect("sent: delayed")
		time.Sleep(time.Second)
		m := take(t, q)
		expect("appeared: visible", "received: in flight")
		require.NoError(t, m.Extend(ctx, 2*time.Second))
		require.NoError(t, m.Return(ctx))
		expect("extended: in flight", "returned: visible")
		m = take(t, q)
		require.NoError(t, m.Release(ctx))
		m = take(t, q)
		time.Sleep(time.Second)
		send(t, q, "b")
		expect("received: in flight", "released: visible", "received: in flight", "reappeared: visible", "sent: visible")
		require.NoError(t, m.Delete(ctx))
		_, err = q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Visibility: dabchick.Immediately})
		require.NoError(t, err)
		expect("deleted: visible", "received: visible")
	})
}

// A shorter delay of a FIFO queue ends those that are longer: that is told, too.
func TestShorterDelayIsToldWhenItEndsAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var r recorder
		q := newFIFO(t, dabchick.Options[string]{Delay: time.Minute, OnEvent: r.hook})
		sendTo(t, q, "a1", "a2", "b1")
		time.Sleep(time.Second)
		sendTo(t, q, "c1")
		r.told()
		o := q.Options()
		o.Delay = time.Second
		require.NoError(t, q.SetOptions(o))
		require.Equal(t, []string{"appeared a1/0", "appeared a2/0", "appeared b1/0"}, r.told())
		counts(t, q, 3, 0, 1)
		time.Sleep(time.Second)
		counts(t, q, 4, 0, 0)
		require.Equal(t, []string{"appeared c1/0"}, r.told())
	})
}

// panicOnArrival gives a queue a hook that no dead letter gets past.
func panicOnArrival(t *testing.T, q *dabchick.Queue[string]) {
	t.Helper()
	o := q.Options()
	o.OnEvent = func(e dabchick.Event[string]) {
		if e.Kind == dabchick.Arrived {
			panic("boom")
		}
	}
	require.NoError(t, q.SetOptions(o))
}

// A hook of the dead-letter queue that panics leaves no message between the
// queues.
func TestPanicInAHookOfTheDeadLetterQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 1)
		panicOnArrival(t, dead)
		send(t, q, "a", "b", "by hand")
		require.NoError(t, take(t, q).Release(ctx))
		require.NoError(t, take(t, q).Release(ctx))
		m := take(t, q)

		require.PanicsWithValue(t, "boom", func() { m.DeadLetter(ctx, "why") })
		counts(t, q, 2, 0, 0)
		counts(t, dead, 1, 0, 0)
		require.PanicsWithValue(t, "boom", func() { q.TryReceive() })
		counts(t, q, 1, 0, 0) // b was not carried, and is back
		counts(t, dead, 2, 0, 0)
		require.Equal(t, "b", take(t, q).Body)
		require.NoError(t, q.Check())
		require.NoError(t, dead.Check())

		// A redrive that is torn away has moved the message if it was stored, and not
		// if it was not.
		o := q.Options()
		o.OnEvent = func(e dabchick.Event[string]) { panic("boom") }
		require.NoError(t, q.SetOptions(o))
		require.PanicsWithValue(t, "boom", func() { dead.Redrive(ctx, dabchick.RedriveOptions[string]{}) })
		counts(t, dead, 1, 0, 0)
		require.EqualValues(t, 1, stats(t, dead).Redriven)
		require.NoError(t, dead.Check())
		o.OnEvent = func(e dabchick.Event[string]) {
			if e.Kind == dabchick.Reappeared {
				panic("boom")
			}
		}
		o.MaxMessages = 1
		require.NoError(t, q.SetOptions(o))
		time.Sleep(dabchick.DefaultVisibilityTimeout)
		require.PanicsWithValue(t, "boom", func() { dead.Redrive(ctx, dabchick.RedriveOptions[string]{}) })
		counts(t, q, 2, 0, 0)
		counts(t, dead, 1, 0, 0)
		require.NoError(t, dead.Check())
	})
}

// A call that a hook takes out of its wait by a panic waits no longer: nothing is
// handed to it.
func TestPanicInAHookLeavesNobodyInLine(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Retention: time.Second, OnEvent: func(e dabchick.Event[string]) {
			if e.Kind == dabchick.Expired {
				panic("boom")
			}
		}})
		send(t, q, "old")
		time.Sleep(2 * time.Second)
		require.PanicsWithValue(t, "boom", func() { q.Receive(ctx) })
		require.Zero(t, stats(t, q).WaitingReceivers)
		send(t, q, "new")
		m := take(t, q)
		require.Equal(t, "new", m.Body)
		require.Equal(t, 1, m.Receives)
		require.NoError(t, m.Delete(ctx))

		q = mustNew(t, dabchick.Options[string]{MaxMessages: 1, VisibilityTimeout: time.Second, OnEvent: func(e dabchick.Event[string]) {
			if e.Kind == dabchick.Reappeared {
				panic("boom")
			}
		}})
		send(t, q, "a")
		m = take(t, q)
		time.Sleep(2 * time.Second)
		require.PanicsWithValue(t, "boom", func() { q.Send(ctx, "b") })
		require.Zero(t, stats(t, q).WaitingSenders)
		require.NoError(t, m.Delete(ctx))
		counts(t, q, 0, 0, 0)
	})
}

// Those who wait have what comes back from a move that a hook has torn away.
func TestPanicInAHookOfTheDeadLetterQueueWakesWhoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q, dead := withDead(t, 1)
		panicOnArrival(t, dead)
		send(t, q, "a", "b")
		a, b := take(t, q), take(t, q)
		q.Pause()
		require.NoError(t, a.Release(ctx))
		require.NoError(t, b.Release(ctx))
		waits := start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
		blocked(t, waits)
		require.PanicsWithValue(t, "boom", q.Resume)
		require.Equal(t, "b", finished(t, waits).value.Body)
		require.NoError(t, q.Check())
	})
}

// A move ends, well or not, before its queue tells what has happened meanwhile.
func TestPanicInAHookLeavesNoMoveHalfway(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		panicsOnce := func() func(dabchick.Event[string]) {
			armed := true
			return func(e dabchick.Event[string]) {
				if e.Kind == dabchick.Reappeared && armed {
					armed = false
					panic("boom")
				}
			}
		}
		q, dead := withDead(t, 1)
		o := dead.Options()
		o.OnEvent = func(e dabchick.Event[string]) { time.Sleep(time.Second) }
		require.NoError(t, dead.SetOptions(o))
		o = q.Options()
		o.OnEvent = panicsOnce()
		require.NoError(t, q.SetOptions(o))
		send(t, q, "a")
		m, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Visibility: time.Minute})
		require.NoError(t, err)
		send(t, q, make([]string, mass)...) // so many that they are told while they are noticed
		takeAll := dabchick.ReceiveOptions{Max: mass, Visibility: time.Second}
		_, err = q.ReceiveBatch(ctx, takeAll)
		require.NoError(t, err)
		require.PanicsWithValue(t, "boom", func() { m[0].DeadLetter(ctx, "why") })
		counts(t, q, mass, 0, 0)
		counts(t, dead, 1, 0, 0)

		q = mustNew(t, dabchick.Options[string]{OnEvent: panicsOnce(), VisibilityTimeout: time.Second / 2})
		to := mustNew(t, dabchick.Options[string]{})
		send(t, q, "c", "a", "b")
		take(t, q)
		require.PanicsWithValue(t, "boom", func() {
			q.Redrive(ctx, dabchick.RedriveOptions[string]{To: to, Rate: 1}) // c comes up before b is moved
		})
		counts(t, q, 2, 0, 0)
		counts(t, to, 1, 0, 0)
		require.NoError(t, q.Check())
	})
}
