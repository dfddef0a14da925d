package dabchick_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// closing returns a dead-letter queue that calls during while a message is on its way to
// it, and then takes it, or is closed and refuses it.
func closing(t *testing.T, o dabchick.Options[string], refuses bool, during func()) *dabchick.Queue[string] {
	t.Helper()
	var dead *dabchick.Queue[string]
	o.Size = func(string) int {
		during()
		if refuses {
			dead.Close()
		}
		return 0
	}
	dead = mustNew(t, o)
	return dead
}

// eachEnd runs a test with moves that end well, and with some that do not.
func eachEnd(t *testing.T, test func(t *testing.T, ctx context.Context, refuses bool)) {
	t.Helper()
	for name, refuses := range map[string]bool{"taken": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) { test(t, ctx, refuses) })
		})
	}
}

// bury dead-letters a message that its queue takes, or refuses.
func bury(t *testing.T, m dabchick.Message[string], refuses bool) {
	t.Helper()
	if err := m.DeadLetter(t.Context(), "why"); refuses {
		require.ErrorIs(t, err, dabchick.ErrClosed)
	} else {
		require.NoError(t, err)
	}
}

// I8: a message that its receiver moves holds its place among those in flight until the
// move has ended, whichever way a receive goes.
func TestMessageOnItsWayHoldsItsPlaceInFlight(t *testing.T) {
	for name, o := range map[string]dabchick.Options[string]{
		"short way":    {MaxInFlight: 1},
		"general way":  {MaxInFlight: 1, OnEvent: func(dabchick.Event[string]) {}},
		"straight way": {MaxInFlight: 1, FIFO: true},
		"FIFO":         {MaxInFlight: 1, FIFO: true, OnEvent: func(dabchick.Event[string]) {}},
		"in its group": {MaxInFlightPerGroup: 1},
	} {
		t.Run(name, func(t *testing.T) {
			eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
				var q *dabchick.Queue[string]
				o := o
				o.MaxReceives = 9
				o.DeadLetter = closing(t, dabchick.Options[string]{FIFO: o.FIFO}, refuses, func() {
					takeNone(t, q)
					require.Empty(t, takeAll(t, q))
					counts(t, q, 2, 1, 0)
					require.NoError(t, q.Check())
				})
				q = mustNew(t, o)
				in := dabchick.SendOptions{}
				for _, body := range []string{"a", "b", "c"} {
					switch {
					case o.FIFO:
						in.Group = body
					case o.MaxInFlightPerGroup > 0:
						in.Group = "all"
					}
					_, err := q.SendWith(ctx, body, in)
					require.NoError(t, err)
				}
				m := take(t, q)
				bury(t, m, refuses)
				require.NoError(t, q.Check())
				if refuses {
					counts(t, q, 2, 1, 0)
					takeNone(t, q)
					require.NoError(t, m.Delete(ctx), "it is in its receiver's hand again")
				}
				counts(t, q, 2, 0, 0)
				require.Equal(t, []string{"b"}, takeAll(t, q))
			})
		})
	}
}

func TestReceiveThatFailsFastWhileAMessageIsOnItsWay(t *testing.T) {
	eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
		var q *dabchick.Queue[string]
		dead := closing(t, dabchick.Options[string]{}, refuses, func() {
			_, err := q.Receive(ctx)
			require.ErrorIs(t, err, dabchick.ErrInFlightLimit)
			_, err = q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 2, Wait: time.Hour})
			require.ErrorIs(t, err, dabchick.ErrInFlightLimit)
		})
		q = mustNew(t, dabchick.Options[string]{MaxInFlight: 1, FailFast: true, DeadLetter: dead, MaxReceives: 9})
		send(t, q, "a", "b")
		bury(t, take(t, q), refuses)
		_, err := q.Receive(ctx)
		if refuses {
			require.ErrorIs(t, err, dabchick.ErrInFlightLimit)
		} else {
			require.NoError(t, err)
		}
	})
}

// I11: who waits for a place in flight has that of a message when it has been moved, and
// not before, however long that takes.
func TestReceiverWaitsForTheEndOfAMove(t *testing.T) {
	for name, o := range map[string]dabchick.Options[string]{
		"in the queue": {MaxInFlight: 1},
		"in a group":   {MaxInFlightPerGroup: 1},
	} {
		for name, timeout := range map[string]time.Duration{name: time.Hour, name + ", past its timeout": time.Second} {
			t.Run(name, func(t *testing.T) {
				eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
					o := o
					var waits <-chan result[dabchick.Message[string]]
					o.DeadLetter = closing(t, dabchick.Options[string]{}, refuses, func() {
						time.Sleep(time.Minute)
						blocked(t, waits)
					})
					o.MaxReceives, o.VisibilityTimeout = 9, timeout
					q := mustNew(t, o)
					sendTo(t, q, "a1", "a2")
					m := take(t, q)
					waits = start(func() (dabchick.Message[string], error) { return q.Receive(ctx) })
					blocked(t, waits)
					bury(t, m, refuses)
					if refuses && timeout == time.Hour {
						blocked(t, waits)
						require.NoError(t, m.Delete(ctx))
					}
					require.Equal(t, "a2", finished(t, waits).value.Body)
					counts(t, q, map[bool]int{true: 1}[refuses && timeout == time.Second], 1, 0)
					require.NoError(t, q.Check())
				})
			})
		}
	}
}

// What happens to a queue in the middle of a move changes how many places there are, and
// not how many are taken.
func TestPlacesInFlightThatChangeDuringAMove(t *testing.T) {
	for name, c := range map[string]struct {
		during func(t *testing.T, q *dabchick.Queue[string])
		places int  // that are free from then on
		gone   bool // the message is, before the move has ended
	}{
		"nothing": {func(*testing.T, *dabchick.Queue[string]) {}, 0, false},
		"a higher limit": {func(t *testing.T, q *dabchick.Queue[string]) {
			o := q.Options()
			o.MaxInFlight = 3
			require.NoError(t, q.SetOptions(o))
		}, 1, false},
		"a lower limit": {func(t *testing.T, q *dabchick.Queue[string]) {
			o := q.Options()
			o.MaxInFlight = 1
			require.NoError(t, q.SetOptions(o))
		}, -1, false},
		"purge": {func(t *testing.T, q *dabchick.Queue[string]) {
			n, err := q.Purge(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n, "what is on its way is counted when it has come to an end")
			send(t, q, "c", "d", "e")
		}, 2, true},
		"retention": {func(t *testing.T, q *dabchick.Queue[string]) {
			time.Sleep(time.Hour + ns)
			send(t, q, "c", "d", "e")
		}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
				var q *dabchick.Queue[string]
				var a, b dabchick.Message[string]
				dead := closing(t, dabchick.Options[string]{}, refuses, func() {
					c.during(t, q)
					require.Len(t, takeAll(t, q), max(c.places, 0))
					require.NoError(t, q.Check())
				})
				q = mustNew(t, dabchick.Options[string]{MaxInFlight: 2, VisibilityTimeout: 9 * time.Hour, Retention: time.Hour,
					DeadLetter: dead, MaxReceives: 9})
				send(t, q, "a", "b")
				a, b = take(t, q), take(t, q)
				if !c.gone {
					send(t, q, "c", "d", "e")
				}
				bury(t, a, refuses)
				require.NoError(t, q.Check())
				free := 0
				if !c.gone {
					if !refuses {
						free++
					}
					free += min(c.places, 0)
				}
				require.Len(t, takeAll(t, q), max(free, 0))
				require.NoError(t, a.Delete(ctx))
				require.NoError(t, b.Delete(ctx))
				s := stats(t, q)
				require.Equal(t, s.Sent, uint64(s.Visible+s.InFlight)+s.Deleted+s.Expired+s.Purged+s.DeadLettered)
				require.NoError(t, q.Check())
			})
		})
	}
}

// What a receive moves was visible, and takes no place; nor does it when it comes back.
func TestSpentMessageOnItsWayTakesNoPlaceInFlight(t *testing.T) {
	eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
		var q *dabchick.Queue[string]
		dead := closing(t, dabchick.Options[string]{}, refuses, func() {
			send(t, q, "b")
			require.Equal(t, "b", take(t, q).Body)
			counts(t, q, 0, 2, 0)
		})
		q = mustNew(t, dabchick.Options[string]{MaxInFlight: 1, DeadLetter: dead, MaxReceives: 1})
		send(t, q, "a")
		require.NoError(t, take(t, q).Release(ctx))
		takeNone(t, q)
		counts(t, q, map[bool]int{true: 1}[refuses], 1, 0)
		require.NoError(t, q.Check())
	})
}

// I8, I9: with as many receivers as there are, no more messages are in hand than may be,
// though moves are refused all the time.
func TestRefusedMovesKeepToMaxInFlight(t *testing.T) {
	const places, receivers, each = 2, 6, 300
	ctx := context.Background()
	for name, o := range map[string]dabchick.Options[string]{
		"in the queue": {MaxInFlight: places},
		"in a group":   {MaxInFlightPerGroup: places},
	} {
		t.Run(name, func(t *testing.T) {
			dead := mustNew(t, dabchick.Options[string]{Size: func(string) int { runtime.Gosched(); return 0 }})
			require.NoError(t, dead.Close())
			o.DeadLetter, o.MaxReceives = dead, 9
			q := mustNew(t, o)
			var inHand atomic.Int32
			var wg sync.WaitGroup
			for range receivers {
				wg.Go(func() {
					for range each {
						sendTo(t, q, "a")
						m, err := q.Receive(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						if n := inHand.Add(1); n > places {
							t.Errorf("%d are in flight", n)
						}
						if err := m.DeadLetter(ctx, "why"); err == nil {
							t.Error("a closed queue has taken it")
						}
						inHand.Add(-1)
						if err := m.Delete(ctx); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			require.NoError(t, q.Check())
		})
	}
}

// I3, I5: what is on its way is neither delivered nor passed by in its group, also when
// its timeout has ended; and it is not shown.
func TestGroupOfAMessageOnItsWay(t *testing.T) {
	for name, hook := range map[string]func(dabchick.Event[string]){"straight": nil, "general": func(dabchick.Event[string]) {}} {
		t.Run(name, func(t *testing.T) {
			eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
				var q *dabchick.Queue[string]
				dead := closing(t, dabchick.Options[string]{FIFO: true}, refuses, func() {
					time.Sleep(time.Minute)
					gets(t, q, "b1 a1")
					left, err := q.Peek(ctx, 10)
					require.NoError(t, err)
					require.Len(t, left, 3, "a1, a3 and b1")
					counts(t, q, 1, 3, 0)
				})
				q = newFIFO(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 9, OnEvent: hook})
				sendTo(t, q, "a1", "a2", "a3", "b1")
				ms, got := takeUpTo(t, q, 2, time.Second)
				require.Equal(t, "a1 a2", got)
				bury(t, ms["a2"], refuses)
				gets(t, q, "")
				time.Sleep(dabchick.DefaultVisibilityTimeout)
				if refuses {
					gets(t, q, "b1 a1 a2 a3")
				} else {
					gets(t, q, "b1 a1 a3")
					gets(t, dead, "a2")
				}
				require.NoError(t, q.Check())
			})
		})
	}
}

// I1, I9: that a message is deleted stays true if it is on its way at that moment, and
// comes back.
func TestDeleteOfAMessageOnItsWay(t *testing.T) {
	for name, c := range map[string]struct {
		o    dabchick.Options[string]
		late error // of a worker that comes after its timeout
	}{
		"short way":   {dabchick.Options[string]{}, nil},
		"general way": {dabchick.Options[string]{OnEvent: func(dabchick.Event[string]) {}}, nil},
		"FIFO":        {dabchick.Options[string]{FIFO: true}, dabchick.ErrReceiptExpired},
	} {
		c.o.MaxReceives, c.o.VisibilityTimeout = 2, time.Second
		prepare := func(t *testing.T, refuses bool, during func()) (
			q, dead *dabchick.Queue[string], first, last dabchick.Message[string],
		) {
			o := c.o
			dead = closing(t, dabchick.Options[string]{FIFO: o.FIFO}, refuses, during)
			o.DeadLetter = dead
			q = mustNew(t, o)
			sendTo(t, q, "a")
			first = take(t, q)
			time.Sleep(time.Second)
			return q, dead, first, take(t, q)
		}
		check := func(t *testing.T, q *dabchick.Queue[string], want dabchick.Totals) {
			t.Helper()
			counts(t, q, 0, 0, 0)
			want.Sent, want.Received = 1, 2
			s := stats(t, q)
			want.EmptyReceives = s.EmptyReceives
			require.Equal(t, want, s.Totals)
			require.NoError(t, q.Check())
		}
		t.Run(name+", by a receive", func(t *testing.T) {
			eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
				var q *dabchick.Queue[string]
				var first, last dabchick.Message[string]
				q, _, first, last = prepare(t, refuses, func() {
					require.ErrorIs(t, first.Delete(ctx), dabchick.ErrReceiptSuperseded)
					for range 2 {
						require.ErrorIs(t, last.Delete(ctx), c.late)
					}
					require.ErrorIs(t, last.Extend(ctx, time.Hour), dabchick.ErrMessageGone)
					if c.late == nil {
						require.NoError(t, first.Delete(ctx), "now it is gone")
					}
				})
				time.Sleep(time.Second)
				m, ok := q.TryReceive()
				require.Equal(t, refuses && c.late != nil, ok, "it has not been deleted")
				switch {
				case ok:
					require.Equal(t, 3, m.Receives)
				case refuses:
					check(t, q, dabchick.Totals{Deleted: 1})
				default:
					check(t, q, dabchick.Totals{DeadLettered: 1})
				}
			})
		})
		t.Run(name+", by hand", func(t *testing.T) {
			eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
				var q *dabchick.Queue[string]
				var last dabchick.Message[string]
				q, _, _, last = prepare(t, refuses, func() { require.NoError(t, last.Delete(ctx)) })
				bury(t, last, refuses)
				if refuses {
					check(t, q, dabchick.Totals{Deleted: 1})
				} else {
					check(t, q, dabchick.Totals{DeadLettered: 1})
				}
			})
		})
		t.Run(name+", by a redrive", func(t *testing.T) {
			eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
				var q, dead *dabchick.Queue[string]
				var last dabchick.Message[string]
				q, dead, _, last = prepare(t, refuses, func() { require.ErrorIs(t, last.Delete(ctx), c.late) })
				time.Sleep(time.Second)
				_, err := q.Redrive(ctx, dabchick.RedriveOptions[string]{To: dead})
				switch {
				case !refuses:
					require.NoError(t, err)
					check(t, q, dabchick.Totals{Redriven: 1})
				case c.late == nil:
					require.ErrorIs(t, err, dabchick.ErrClosed)
					check(t, q, dabchick.Totals{Deleted: 1})
				default:
					require.ErrorIs(t, err, dabchick.ErrClosed)
					counts(t, q, 1, 0, 0)
				}
			})
		})
	}
}

// What a receiver could not move is told to come up, if its timeout has ended meanwhile.
func TestTimeoutThatEndsDuringAMoveIsTold(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		eachEnd(t, func(t *testing.T, ctx context.Context, refuses bool) {
			for _, timeout := range []time.Duration{time.Hour, time.Minute} {
				var r recorder
				dead := closing(t, dabchick.Options[string]{FIFO: fifo}, refuses, func() { time.Sleep(time.Minute) })
				q := mustNew(t, dabchick.Options[string]{FIFO: fifo, DeadLetter: dead, MaxReceives: 2,
					VisibilityTimeout: timeout, OnEvent: r.hook})
				sendTo(t, q, "a")
				m := take(t, q)
				bury(t, m, refuses)
				want := []string{"sent a/0", "received a/1"}
				switch {
				case !refuses:
					want = append(want, "dead-lettered a/1 to "+dead.Name()+": why")
				case timeout == time.Minute:
					want = append(want, "reappeared a/1")
				}
				require.Equal(t, want, r.told())
			}
		})
	}
}
