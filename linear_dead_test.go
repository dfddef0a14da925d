package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
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
// at the end it is in one of the two unless it was deleted. The other queue may be
// closed on the way, and then refuses what is moved; and at no instant at which nobody
// runs are more messages in flight than may be.
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
	shut := func(at int64) fateCall { return fateCall{verb: "close", at: at} }
	held := func(calls ...fateCall) []fateCall { return append([]fateCall{sent, deliver(0, 0, 1, 1)}, calls...) }
	spent := func(calls ...fateCall) []fateCall { return append(held(deliver(5, 0, 2, 2)), calls...) }
	end := func(queue int) fateCall { return fateCall{verb: "end", at: 100, queue: queue} }
	for name, c := range map[string]struct {
		right bool
		calls []fateCall
	}{
		"moved after the last":   {true, spent(deliver(10, 1, 1, 3), end(1))},
		"moved by hand":          {true, held(settle("bury", 1, 0, 1, fine), deliver(1, 1, 1, 2), end(1))},
		"not moved yet":          {true, spent(end(0))},
		"deleted late":           {true, spent(settle("delete", 11, 0, 2, fine), end(nowhere))},
		"moved before deleted":   {true, spent(settle("delete", 11, 0, 2, fine), end(1))},
		"refused by hand":        {true, held(shut(1), settle("bury", 1, 0, 1, closed), deliver(5, 0, 2, 2), end(0))},
		"refused, and again":     {true, spent(shut(6), deliver(10, 0, 3, 3), deliver(15, 0, 4, 4), end(0))},
		"moved, then closed":     {true, spent(shut(10), end(1))},
		"on its way":             {true, spent(shut(6), settle("change", 11, 0, 2, gone), end(0))},
		"on its way, and closed": {true, spent(settle("change", 11, 0, 2, gone), shut(11), end(0))},
		"gone, and here":         {false, spent(settle("change", 11, 0, 2, gone), shut(12), end(0))},
		"moved after the close":  {false, spent(shut(6), end(1))},
		"refused for no reason":  {false, held(settle("bury", 1, 0, 1, closed), end(0))},
		"refused, and deleted":   {false, spent(shut(6), settle("delete", 11, 0, 2, fine), end(0))},
		"refused, and lost":      {false, held(shut(1), settle("bury", 1, 0, 1, closed), end(nowhere))},
		"taken by a closed one":  {false, held(shut(1), settle("bury", 1, 0, 1, fine), end(1))},
		"in both for a moment":   {true, spent(deliver(10, 1, 1, 3), settle("change", 10, 0, 1, superseded), end(1))},
		"in both for too long":   {false, spent(deliver(10, 1, 1, 3), settle("change", 11, 0, 1, superseded), end(1))},
		"moved too early":        {false, held(deliver(5, 1, 1, 2))},
		"moved while held":       {false, spent(deliver(9, 1, 1, 3))},
		"once too often":         {false, spent(deliver(10, 0, 3, 3))},
		"in both":                {false, spent(deliver(10, 1, 1, 3), end(0))},
		"in neither":             {false, spent(end(nowhere))},
		"lost when moved":        {false, held(settle("bury", 1, 0, 1, fine), end(nowhere))},
		"receives are forgotten": {false, spent(deliver(10, 1, 1, 1))},
		"good after the move":    {false, held(settle("bury", 1, 0, 1, fine), settle("change", 2, 0, 1, fine))},
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
	movedAt  int64 // -1 for never
	awayAt   int64 // when it was told to be gone while it was here; -1 for never
	unplaced bool  // not sent yet
	shut     bool  // the dead-letter queue is closed
}

// isSpent says whether the queue moves the message on if it finds it.
func (s fate) isSpent(limit int) bool {
	return !s.unplaced && s.queue == 0 && s.at <= s.now && s.nth[0] >= limit
}

// fateModel says what may become of a message. A queue that finds that it has been
// delivered as often as it may be moves it on, unseen: so each call may come
// before or after that. A move is two steps. At that instant the message may be in both
// queues, and an old receipt is worth what it was; and if it is refused, because the other
// queue is closed by then, it was out of reach.
func fateModel(limit int) porcupine.Model {
	return (&porcupine.NondeterministicModel{
		Init: func() []any { return []any{fate{movedAt: -1, awayAt: -1, unplaced: true}} },
		Step: func(state, input, _ any) (next []any) {
			s, c := state.(fate), input.(*fateCall)
			if c.at < s.now || s.awayAt >= 0 && s.awayAt < c.at && !s.shut {
				return nil
			}
			s.now = c.at
			for _, s := range s.step(c, limit) {
				next = append(next, s)
			}
			if s.isSpent(limit) && !s.shut {
				s.queue, s.at, s.movedAt = 1, s.now, s.now
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
	case "close":
		s.shut = true
		return []fate{s}
	case "end":
		return only(here)
	case "deliver":
		ok := here && s.at <= s.now && c.nth == s.nth[c.queue]+1 && c.receives == s.nth[0]+s.nth[1]+1 &&
			(c.queue == 1 && !s.shut || c.queue == 0 && (s.nth[0] < limit || s.shut))
		s.nth[c.queue]++
		s.at = s.now + c.d
		return only(ok)
	}
	switch {
	case !here:
		return only(c.err == gone || c.verb == "delete" && c.err == fine ||
			c.err == superseded && c.queue == 0 && c.nth < s.nth[0] && c.at == s.movedAt)
	case s.nth[c.queue] > c.nth:
		return only(c.err == superseded)
	case c.verb != "delete" && s.at <= s.now:
		if c.err == gone && s.isSpent(limit) {
			s.awayAt = s.now // and is refused
			return []fate{s}
		}
		return only(c.err == lapsed)
	case c.verb == "bury" && s.shut:
		return only(c.err == closed)
	}
	switch c.verb {
	case "delete":
		s.queue = nowhere
	case "change":
		s.at = s.now + c.d
	case "bury":
		s.queue, s.at, s.movedAt = 1, s.now, s.now
	}
	return only(c.err == fine)
}

// recordDeadLetters lets some callers loose on both queues, and returns what
// happened to each message.
func recordDeadLetters(t *testing.T, r *rand.Rand, limit int) (messages map[int][]porcupine.Operation) {
	const callers, each = 4, 30
	synctest.Test(t, func(t *testing.T) {
		dead := mustNew(t, dabchick.Options[int]{Size: func(int) int { runtime.Gosched(); return 0 }})
		most := r.IntN(4)
		source := mustNew(t, dabchick.Options[int]{DeadLetter: dead, MaxReceives: limit, MaxInFlight: most})
		closing := r.IntN(2 * callers * each) // in half of all histories
		var shut *porcupine.Operation
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
					if id*each+n == closing {
						if err := dead.Close(); err != nil {
							t.Error(err)
						}
						c := fateCall{verb: "close", at: int64(time.Since(began))}
						shut = &porcupine.Operation{ClientId: id, Input: &c, Call: called, Return: clock.Add(1)}
						continue
					}
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
						if err != nil && !(queue == 1 && errors.Is(err, dabchick.ErrClosed)) {
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
						case c.verb == "bury" && errors.Is(err, dabchick.ErrClosed):
							c.err = closed
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
		done := make(chan struct{})
		go func() {
			calling.Wait()
			close(done)
		}()
		for watching := true; watching; {
			select {
			case <-done:
				watching = false
			default:
				time.Sleep(time.Nanosecond)
			}
			synctest.Wait()
			if s := stats(t, source); most > 0 && s.InFlight > most {
				t.Errorf("%d messages are in flight, and %d may be", s.InFlight, most)
			}
		}
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
			if shut != nil {
				ops = append(ops, *shut)
			}
			end := clock.Add(1)
			messages[body] = append(ops, porcupine.Operation{Input: &fateCall{verb: "end", at: at, queue: where}, Call: end, Return: end + 1})
		}
	})
	return messages
}
