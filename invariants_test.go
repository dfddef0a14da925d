package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// These tests are named after the invariants of docs/mutants.md.

// A send to a closed queue is refused, bounds or none, and not stored.
func TestI1ClosedQueueTakesNothing(t *testing.T) {
	for _, o := range []dabchick.Options[string]{{}, {MaxMessages: 10}, {Delay: time.Second}} {
		q := mustNew(t, o)
		send(t, q, "x")
		require.NoError(t, q.Close())
		_, err := q.Send(t.Context(), "y")
		require.ErrorIs(t, err, dabchick.ErrClosed)
		_, err = q.SendBatch(t.Context(), []dabchick.Outgoing[string]{{Body: "y"}})
		require.ErrorIs(t, err, dabchick.ErrClosed)
		left, err := q.Peek(t.Context(), 5)
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
}

// Extend, delete and receive race, a nanosecond before the deadline of a delivery,
// at it, and a nanosecond after.
func TestI4ReceiptsAroundTheirDeadline(t *testing.T) {
	for _, off := range []time.Duration{-ns, 0, ns} {
		t.Run(off.String(), func(t *testing.T) {
			for round := range 600 {
				inBubble(t, func(t *testing.T, ctx context.Context) {
					q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Second})
					send(t, q, "x")
					held := take(t, q)
					time.Sleep(time.Second + off)
					var extended, deleted error
					var received bool
					var again dabchick.Message[string]
					calls := []func(){
						func() { extended = held.Extend(ctx, time.Minute) },
						func() { deleted = held.Delete(ctx) },
						func() { again, received = q.TryReceive() },
					}
					var running sync.WaitGroup
					for i := range calls { // begun in each order
						running.Go(calls[(i*(1+round%2)+round)%3])
					}
					running.Wait()

					if off < 0 {
						require.False(t, received, "before the deadline")
						require.NoError(t, deleted)
						if extended != nil {
							require.ErrorIs(t, extended, dabchick.ErrMessageGone)
						}
					} else {
						require.Error(t, extended, "after the deadline")
						if received {
							require.ErrorIs(t, deleted, dabchick.ErrReceiptSuperseded)
							require.Equal(t, 2, again.Receives)
							require.NoError(t, again.Extend(ctx, time.Second), "it is the other's now")
							require.NoError(t, again.Delete(ctx))
						} else {
							require.NoError(t, deleted, "until somebody else has it")
						}
					}
					counts(t, q, 0, 0, 0)
					require.EqualValues(t, 1, stats(t, q).Deleted)
				})
			}
		})
	}
}

func TestI4ReceiptsFromBeforeAPurge(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "old", "older")
		old := []dabchick.Message[string]{take(t, q), take(t, q)}
		_, err := q.Purge(ctx)
		require.NoError(t, err)
		send(t, q, "new", "newer")
		take(t, q)
		take(t, q)
		for _, m := range old {
			require.ErrorIs(t, m.Extend(ctx, 0), dabchick.ErrMessageGone)
			require.NoError(t, m.Delete(ctx))
		}
		counts(t, q, 0, 2, 0)
	})
}

func TestI5DeletingTheLaterOfTwoUnlocksNothing(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		sendTo(t, q, "a1", "a2", "a3", "a4")
		ms, _ := takeUpTo(t, q, 3, 0)
		require.NoError(t, ms["a3"].Release(ctx))
		require.NoError(t, ms["a2"].Delete(ctx))
		gets(t, q, "")
		require.NoError(t, ms["a1"].Delete(ctx))
		gets(t, q, "a3 a4")
	})
}

func TestI5WhatIsBeingMovedHoldsBackItsGroup(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		full := newFIFO(t, dabchick.Options[string]{MaxMessages: 1})
		sendTo(t, full, "x1")
		sendTo(t, q, "a1", "a2")
		ms, _ := takeUpTo(t, q, 2, 0)
		require.NoError(t, ms["a1"].Release(ctx))
		redrive := start(func() (int, error) {
			return q.Redrive(ctx, dabchick.RedriveOptions[string]{To: full})
		})
		blocked(t, redrive) // for room, with a1 in its hands
		require.NoError(t, ms["a2"].Release(ctx))
		sendTo(t, q, "a3", "b1")
		gets(t, q, "b1")
		require.NoError(t, take(t, full).Delete(ctx))
		require.Equal(t, 1, finished(t, redrive).value)
		gets(t, q, "a2 a3")
		gets(t, full, "a1")
	})
}

// The longest delay, retention and timeout of SQS, to the nanosecond.
func TestI10LongDelaysAndRetentions(t *testing.T) {
	const delay, timeout, retention = 900 * time.Second, 12 * time.Hour, 14 * 24 * time.Hour
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{Delay: delay, VisibilityTimeout: timeout, Retention: retention})
		began := time.Now()
		send(t, q, "by the queue")
		_, err := q.SendWith(ctx, "by the message", dabchick.SendOptions{Delay: delay})
		require.NoError(t, err)
		time.Sleep(delay - ns)
		counts(t, q, 0, 0, 2)
		time.Sleep(ns)
		require.Len(t, takeAll(t, q), 2)
		time.Sleep(timeout - ns)
		counts(t, q, 0, 2, 0)
		time.Sleep(ns)
		counts(t, q, 2, 0, 0)
		time.Sleep(retention - time.Since(began))
		counts(t, q, 2, 0, 0)
		time.Sleep(ns)
		counts(t, q, 0, 0, 0)
	})
}

// Ten messages that come up by one cause and in one instant wake ten receivers in
// that instant, and no more.
func TestI11AsManyReceiversWakeAsThereAreMessages(t *testing.T) {
	const n = 10
	type queue = *dabchick.Queue[int]
	ways := map[string]func(t *testing.T, ctx context.Context, q queue) (cause func()){
		"sends": func(t *testing.T, ctx context.Context, q queue) func() {
			return func() {
				for i := range n {
					send(t, q, i)
				}
			}
		},
		"concurrent sends": func(t *testing.T, ctx context.Context, q queue) func() {
			return func() {
				for i := range n {
					go q.Send(ctx, i)
				}
			}
		},
		"a batch": func(t *testing.T, ctx context.Context, q queue) func() {
			return func() {
				_, err := q.SendBatch(ctx, make([]dabchick.Outgoing[int], n))
				require.NoError(t, err)
			}
		},
		"the end of a delay": func(t *testing.T, ctx context.Context, q queue) func() {
			for i := range n {
				_, err := q.SendWith(ctx, i, dabchick.SendOptions{Delay: time.Second})
				require.NoError(t, err)
			}
			return func() { time.Sleep(time.Second) }
		},
		"the end of a timeout": func(t *testing.T, ctx context.Context, q queue) func() {
			_, err := q.SendBatch(ctx, make([]dabchick.Outgoing[int], n))
			require.NoError(t, err)
			require.Len(t, takeAll(t, q), n)
			return func() { time.Sleep(dabchick.DefaultVisibilityTimeout) }
		},
		"a release": func(t *testing.T, ctx context.Context, q queue) func() {
			_, err := q.SendBatch(ctx, make([]dabchick.Outgoing[int], n))
			require.NoError(t, err)
			var receipts []dabchick.Receipt
			for range n {
				receipts = append(receipts, take(t, q).Receipt)
			}
			return func() { require.NoError(t, q.ChangeVisibility(ctx, 0, receipts...)) }
		},
		"resume": func(t *testing.T, ctx context.Context, q queue) func() {
			_, err := q.SendBatch(ctx, make([]dabchick.Outgoing[int], n))
			require.NoError(t, err)
			q.Pause()
			return q.Resume
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q := mustNew(t, dabchick.Options[int]{})
				cause := way(t, ctx, q)
				var receivers []<-chan result[dabchick.Message[int]]
				for range n + 2 {
					receivers = append(receivers, start(func() (dabchick.Message[int], error) { return q.Receive(ctx) }))
					blocked(t, receivers[len(receivers)-1])
				}
				cause()
				for _, r := range receivers[:n] {
					require.NoError(t, finished(t, r).err)
				}
				for _, r := range receivers[n:] {
					blocked(t, r)
				}
				require.NoError(t, q.Check())
				require.NoError(t, q.Close())
			})
		})
	}
}

// Those that come after it neither wait behind it nor find its wake-up.
func TestI11CancelledReceiversLeaveTheLine(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		for i := range 20 {
			short, cancel := context.WithTimeout(ctx, time.Second)
			_, err := q.Receive(short)
			cancel()
			require.Equal(t, context.DeadlineExceeded, err)
			require.Zero(t, stats(t, q).WaitingReceivers)
			send(t, q, i)
			require.Equal(t, i, take(t, q).Body)
			next := start(func() (dabchick.Message[int], error) { return q.Receive(ctx) })
			blocked(t, next)
			send(t, q, -i)
			require.Equal(t, -i, finished(t, next).value.Body)
		}
	})
}

// What were many messages in flight at once takes no more room than a few.
func TestI12ChunksAreGivenBack(t *testing.T) {
	const n = 10_000
	q := mustNew(t, dabchick.Options[int]{})
	_, err := q.SendBatch(t.Context(), make([]dabchick.Outgoing[int], n))
	require.NoError(t, err)
	ms, err := q.ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Max: n})
	require.NoError(t, err)
	require.Len(t, ms, n)
	require.Greater(t, q.Chunks(), 10)
	for _, m := range ms {
		require.NoError(t, m.Delete(t.Context()))
	}
	require.LessOrEqual(t, q.Chunks(), 2)
	for _, m := range ms { // a receipt whose chunk is gone is good for nothing, and does no harm
		require.NoError(t, m.Delete(t.Context()))
		require.ErrorIs(t, m.Release(t.Context()), dabchick.ErrMessageGone)
	}
}

// A queue that lives on lets go of the bodies that have left it, by any way.
func TestI12BodyOfADeletedMessageIsFreed(t *testing.T) {
	type body = [4096]byte
	type queue = *dabchick.Queue[*body]
	for name, remove := range map[string]func(t *testing.T, ctx context.Context, q queue){
		"delete": func(t *testing.T, ctx context.Context, q queue) { require.NoError(t, take(t, q).Delete(ctx)) },
		"batch": func(t *testing.T, ctx context.Context, q queue) {
			ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 2})
			require.NoError(t, err)
			require.NoError(t, q.Delete(ctx, ms[0].Receipt, ms[0].Receipt)) // one is enough, but goes another way
		},
		"purge": func(t *testing.T, ctx context.Context, q queue) {
			_, err := q.Purge(ctx)
			require.NoError(t, err)
		},
		"purge in flight": func(t *testing.T, ctx context.Context, q queue) {
			take(t, q)
			_, err := q.Purge(ctx)
			require.NoError(t, err)
		},
		"retention": func(t *testing.T, ctx context.Context, q queue) {
			time.Sleep(dabchick.DefaultRetention + ns)
			counts(t, q, 0, 0, 0)
		},
		"redrive": func(t *testing.T, ctx context.Context, q queue) {
			_, err := q.Redrive(ctx, dabchick.RedriveOptions[*body]{To: mustNew(t, dabchick.Options[*body]{FIFO: q.Options().FIFO})})
			require.NoError(t, err)
		},
	} {
		for kind, o := range map[string]dabchick.Options[*body]{
			"plain": {}, "FIFO": {FIFO: true}, "with a hook": {OnEvent: func(dabchick.Event[*body]) {}},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				inBubble(t, func(t *testing.T, ctx context.Context) {
					q, group := mustNew(t, o), ""
					if o.FIFO {
						group = "a"
					}
					b := new(body)
					there := weak.Make(b)
					_, err := q.SendWith(ctx, b, dabchick.SendOptions{Group: group})
					require.NoError(t, err)
					b = nil
					runtime.GC()
					require.NotNil(t, there.Value(), "the queue has it")
					remove(t, ctx, q)
					runtime.GC()
					require.Nil(t, there.Value(), "the queue still has it")
					runtime.KeepAlive(q)
				})
			})
		}
	}
}

// answers runs a random program, calls meanwhile before each step, and returns
// all that the program saw.
func answers(t *testing.T, seed uint64, meanwhile func()) (seen []string) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := newProgram(t, int(seed%kinds), func(n int) int { return r.IntN(n) })
		for range 1000 {
			meanwhile()
			require.NoError(t, p.step())
		}
		seen = p.lines()
		for _, q := range p.queues {
			ms, err := q.Peek(t.Context(), 1000)
			require.NoError(t, err)
			for _, m := range ms {
				seen = append(seen, fmt.Sprint(m.Body, m.SequenceNumber(), m.Receives, m.State))
			}
		}
	})
	return seen
}

func TestI17SameProgramSameAnswers(t *testing.T) {
	for seed := range uint64(3 * kinds) {
		require.Equal(t, answers(t, seed, func() {}), answers(t, seed, func() {}), "seed %d", seed)
	}
}

// What is done to one queue, however much, is not seen in another.
func TestI19OtherQueuesChangeNothing(t *testing.T) {
	for seed := range uint64(kinds) {
		other := mustNew(t, dabchick.Options[int]{FIFO: true, DedupKey: func(int) string { return "the same" }})
		n := 0
		meanwhile := func() {
			ctx := context.Background()
			_, sent := other.SendWith(ctx, n, dabchick.SendOptions{Group: "a", DedupID: fmt.Sprint(n)})
			m, _ := other.TryReceive()
			err := errors.Join(sent, m.Delete(ctx))
			if n++; n%100 == 0 {
				_, purged := other.Purge(ctx)
				err = errors.Join(err, purged)
			}
			if n < 900 {
				require.NoError(t, err)
			} else {
				require.NoError(t, other.Close())
			}
		}
		require.Equal(t, answers(t, seed, func() {}), answers(t, seed, meanwhile), "seed %d", seed)
	}
}
