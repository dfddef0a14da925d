package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// I1, I3, I4, I7, I9: a queue and its dead-letter queue, used side by side: what
// happened to each message, by itself, could have happened to it one call at a
// time. It is delivered as often as it may be, then found in the other queue, and
// at the end it is in one of the two unless it was deleted.
func TestConcurrentDeadLetterHistoriesAreLinearizable(t *testing.T) {
	runSeeds(t, "operations", linearTotal()/10, func(t *testing.T, seed uint64) int64 {
		r := rand.New(rand.NewPCG(seed, 0))
		limit := 1 + r.IntN(3)
		messages := recordDeadLetters(t, r, limit)
		model := fateModel(limit)
		n := 0
		for body, ops := range messages {
			n += len(ops)
			if !porcupine.CheckOperations(model, ops) {
				slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
				for _, op := range ops {
					t.Logf("%d to %d: %+v", op.Call, op.Return, *op.Input.(*fateCall))
				}
				t.Fatalf("seed %d: no order of calls explains what happened to message %d, with %d receives", seed, body, limit)
			}
		}
		return int64(n)
	})
}

func TestDeadLetterCheckerRejectsWrongHistories(t *testing.T) {
	deliver := func(at int64, queue, nth, receives int) fateCall {
		return fateCall{verb: "deliver", at: at, queue: queue, nth: nth, receives: receives, d: 5}
	}
	sent := fateCall{verb: "send"}
	settle := func(verb string, at int64, queue, nth int, err outcome) fateCall {
		return fateCall{verb: verb, at: at, queue: queue, nth: nth, err: err}
	}
	end := func(queue int) fateCall { return fateCall{verb: "end", at: 100, queue: queue} }
	for name, c := range map[string]struct {
		right bool
		calls []fateCall
	}{
		"moved after the last":   {true, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), deliver(10, 1, 1, 3), end(1)}},
		"moved by hand":          {true, []fateCall{sent, deliver(0, 0, 1, 1), settle("bury", 1, 0, 1, fine), deliver(1, 1, 1, 2), end(1)}},
		"not moved yet":          {true, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), end(0)}},
		"deleted late":           {true, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), settle("delete", 11, 0, 2, fine), end(nowhere)}},
		"moved before deleted":   {true, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), settle("delete", 11, 0, 2, fine), end(1)}},
		"moved too early":        {false, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 1, 1, 2)}},
		"moved while held":       {false, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), deliver(9, 1, 1, 3)}},
		"once too often":         {false, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), deliver(10, 0, 3, 3)}},
		"in both":                {false, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), deliver(10, 1, 1, 3), end(0)}},
		"in neither":             {false, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), end(nowhere)}},
		"lost when moved":        {false, []fateCall{sent, deliver(0, 0, 1, 1), settle("bury", 1, 0, 1, fine), end(nowhere)}},
		"receives are forgotten": {false, []fateCall{sent, deliver(0, 0, 1, 1), deliver(5, 0, 2, 2), deliver(10, 1, 1, 1)}},
		"good after the move":    {false, []fateCall{sent, deliver(0, 0, 1, 1), settle("bury", 1, 0, 1, fine), settle("change", 2, 0, 1, fine)}},
	} {
		var ops []porcupine.Operation
		for i := range c.calls {
			ops = append(ops, porcupine.Operation{Input: &c.calls[i], Call: int64(2 * i), Return: int64(2*i + 1)})
		}
		require.Equal(t, c.right, porcupine.CheckOperations(fateModel(2), ops), name)
	}
}

// A fateCall is what one call did with one message, or where that was at the end.
type fateCall struct {
	verb     string
	at       int64
	queue    int // 0 or 1, the dead-letter queue
	nth      int // delivery by that queue
	receives int
	d        int64
	err      outcome
}

const nowhere = 2 // in neither queue

// A fate is where a message stands.
type fate struct {
	now, at  int64
	queue    int
	nth      [2]int
	unplaced bool // not sent yet
}

// fateModel says what may become of a message. A queue that finds that it has been
// delivered as often as it may be moves it on, unseen: so each call may come
// before or after that.
func fateModel(limit int) porcupine.Model {
	return (&porcupine.NondeterministicModel{
		Init: func() []any { return []any{fate{unplaced: true}} },
		Step: func(state, input, _ any) (next []any) {
			s, c := state.(fate), input.(*fateCall)
			if c.at < s.now {
				return nil
			}
			s.now = c.at
			for _, s := range s.step(c, limit) {
				next = append(next, s)
			}
			if !s.unplaced && s.queue == 0 && s.at <= s.now && s.nth[0] >= limit {
				s.queue, s.at = 1, s.now
				for _, s := range s.step(c, limit) {
					next = append(next, s)
				}
			}
			return next
		},
		DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", *input.(*fateCall)) },
	}).ToModel()
}

func (s fate) step(c *fateCall, limit int) []fate {
	only := func(ok bool) []fate {
		if ok {
			return []fate{s}
		}
		return nil
	}
	here := !s.unplaced && s.queue == c.queue
	switch c.verb {
	case "send":
		ok := s.unplaced
		s.unplaced, s.at = false, s.now
		return only(ok)
	case "end":
		return only(here)
	case "deliver":
		ok := here && s.at <= s.now && c.nth == s.nth[c.queue]+1 && c.receives == s.nth[0]+s.nth[1]+1 &&
			(c.queue == 1 || s.nth[0] < limit)
		s.nth[c.queue]++
		s.at = s.now + c.d
		return only(ok)
	}
	switch {
	case !here:
		return only(c.err == gone || c.verb == "delete" && c.err == fine)
	case s.nth[c.queue] > c.nth:
		return only(c.err == superseded)
	case c.verb != "delete" && s.at <= s.now:
		return only(c.err == lapsed)
	}
	switch c.verb {
	case "delete":
		s.queue = nowhere
	case "change":
		s.at = s.now + c.d
	case "bury":
		s.queue, s.at = 1, s.now
	}
	return only(c.err == fine)
}

// recordDeadLetters lets some callers loose on both queues, and returns what
// happened to each message.
func recordDeadLetters(t *testing.T, r *rand.Rand, limit int) (messages map[int][]porcupine.Operation) {
	const callers, each = 4, 30
	synctest.Test(t, func(t *testing.T) {
		dead := mustNew(t, dabchick.Options[int]{})
		source := mustNew(t, dabchick.Options[int]{DeadLetter: dead, MaxReceives: limit})
		queues := [2]*dabchick.Queue[int]{source, dead}
		began := time.Now()
		var clock atomic.Int64
		var mu sync.Mutex
		messages = map[int][]porcupine.Operation{}
		var calling sync.WaitGroup
		for id := range callers {
			r := rand.New(rand.NewPCG(r.Uint64(), 0))
			calling.Go(func() {
				ctx := context.Background()
				type holding struct {
					queue int
					m     dabchick.Message[int]
				}
				var held []holding
				for n := range each {
					called := clock.Add(1)
					write := func(body int, c fateCall) {
						c.at = int64(time.Since(began))
						op := porcupine.Operation{ClientId: id, Input: &c, Call: called, Return: clock.Add(1)}
						mu.Lock()
						messages[body] = append(messages[body], op)
						mu.Unlock()
					}
					queue, d := r.IntN(2), 1+r.IntN(3)
					switch p := r.IntN(100); {
					case p < 15:
						body := id*each + n
						if _, err := source.Send(ctx, body); err != nil {
							t.Error(err)
						}
						write(body, fateCall{verb: "send"})
					case p < 65 || p < 90 && len(held) == 0:
						o := dabchick.ReceiveOptions{Max: 1 + r.IntN(3), Wait: time.Duration(r.IntN(4)), Visibility: time.Duration(d)}
						ms, err := queues[queue].ReceiveBatch(ctx, o)
						if err != nil {
							t.Error(err)
						}
						for _, m := range ms {
							if _, moved := m.Origin(); moved != (queue == 1) {
								t.Errorf("message %d of queue %d is a dead letter: %v", m.Body, queue, moved)
							}
							write(m.Body, fateCall{verb: "deliver", queue: queue, nth: m.Receipt.Nth(), receives: m.Receives, d: int64(d)})
							held = append(held, holding{queue, m})
						}
					case p < 90:
						h := held[r.IntN(len(held))]
						c := fateCall{verb: "delete", queue: h.queue, nth: h.m.Receipt.Nth()}
						var err error
						switch q := r.IntN(8); {
						case q < 3:
							err = h.m.Delete(ctx)
						case q < 5:
							c.verb, err = "change", h.m.Release(ctx)
						case q < 7 || h.queue == 1:
							c.verb, c.d = "change", int64(d)
							err = h.m.Extend(ctx, time.Duration(d))
						default:
							c.verb, err = "bury", h.m.DeadLetter(ctx, "by hand")
						}
						switch {
						case errors.Is(err, dabchick.ErrReceiptSuperseded):
							c.err = superseded
						case errors.Is(err, dabchick.ErrReceiptExpired):
							c.err = lapsed
						case errors.Is(err, dabchick.ErrMessageGone):
							c.err = gone
						case err != nil:
							t.Error(err)
						}
						write(h.m.Body, c)
					default:
						time.Sleep(time.Duration(1 + r.IntN(3)))
					}
				}
			})
		}
		calling.Wait()
		at := int64(time.Since(began))
		place := map[int]int{}
		for i, q := range queues {
			require.NoError(t, q.Check())
			left, err := q.Peek(context.Background(), 1000)
			require.NoError(t, err)
			for _, m := range left {
				require.NotContains(t, place, m.Body, "it is in both queues")
				place[m.Body] = i
			}
		}
		for body, ops := range messages {
			where, ok := place[body]
			if !ok {
				where = nowhere
			}
			end := clock.Add(1)
			messages[body] = append(ops, porcupine.Operation{Input: &fateCall{verb: "end", at: at, queue: where}, Call: end, Return: end + 1})
		}
	})
	return messages
}
