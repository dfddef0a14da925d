package dabchick_test

import (
	"context"
	"errors"
	"math"
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

// A scribe lets callers loose on a queue in a bubble, where they run truly side
// by side until all of them sleep or wait, and writes down what they saw. Delays
// and timeouts are a few nanoseconds of fake time, so that they end at the very
// instants at which something else happens.
type scribe struct {
	t     *testing.T
	q     *dabchick.Queue[int]
	fifo  bool
	began time.Time
	clock atomic.Int64 // orders calls and returns, since time stands still
	left  atomic.Int32 // callers that are not done

	cancelling sync.WaitGroup
}

// A history is what one caller did.
type history struct {
	*scribe
	id     int
	r      *rand.Rand
	held   []dabchick.Message[int]
	places [3]dabchick.Message[int] // of its receives, used again
	ops    []porcupine.Operation
	back   []porcupine.Operation // what cancelled receives may have done
}

const (
	callers       = 4
	callsOfCaller = 24
)

// record returns what happened to a queue, without and with what cancelled
// receives may have done, and the most messages that it could hold.
func record(t *testing.T, r *rand.Rand, fifo bool) (ops, back []porcupine.Operation, most int) {
	synctest.Test(t, func(t *testing.T) {
		o := dabchick.Options[int]{VisibilityTimeout: time.Duration(1 + r.IntN(8)), FIFO: fifo, MessageDelays: fifo}
		if r.IntN(4) == 0 {
			o.OnEvent = func(dabchick.Event[int]) {} // then the queue notices at once what comes up
		}
		most = math.MaxInt
		if r.IntN(3) == 0 {
			most = 1 + r.IntN(8)
			o.MaxMessages, o.FailFast = most, true
		}
		rec := &scribe{t: t, q: mustNew(t, o), fifo: fifo, began: time.Now()}
		rec.left.Store(callers)
		all := make([]*history, callers+1)
		for id := range all {
			all[id] = &history{scribe: rec, id: id, r: rand.New(rand.NewPCG(r.Uint64(), 0))}
		}
		closing := -1
		if r.IntN(8) == 0 {
			closing = r.IntN(callers * callsOfCaller)
		}
		for id := range callers {
			go func() {
				defer rec.left.Add(-1)
				for n := range callsOfCaller {
					number := id*callsOfCaller + n
					all[id].act(number, number == closing)
				}
			}()
		}
		all[callers].watch()
		rec.cancelling.Wait()
		require.NoError(t, rec.q.Check())
		for _, h := range all {
			ops, back = append(ops, h.ops...), append(back, h.back...)
		}
	})
	return ops, back, most
}

// watch looks at the queue at each instant when nobody runs: it is never true
// that somebody waits for a message and there is one.
func (h *history) watch() {
	for h.left.Load() > 0 {
		synctest.Wait()
		s := h.stats()
		if s.WaitingReceivers > 0 && s.Visible > 0 && !h.fifo {
			h.t.Errorf("%d receivers wait for %d messages", s.WaitingReceivers, s.Visible)
		}
		time.Sleep(time.Nanosecond)
	}
	synctest.Wait()
	h.stats()
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// call begins a call, and done ends it.
func (h *history) call(c *call) porcupine.Operation {
	c.began = h.now()
	return porcupine.Operation{ClientId: h.id, Input: c, Call: h.clock.Add(1)}
}

func (h *history) done(op porcupine.Operation) {
	op.Return = h.clock.Add(1)
	op.Input.(*call).at = h.now()
	h.ops = append(h.ops, op)
}

func (h *history) err(err error) outcome {
	switch {
	case err == nil:
		return fine
	case errors.Is(err, dabchick.ErrClosed):
		return closed
	case errors.Is(err, dabchick.ErrReceiptSuperseded):
		return superseded
	case errors.Is(err, dabchick.ErrReceiptExpired):
		return lapsed
	case errors.Is(err, dabchick.ErrMessageGone):
		return gone
	case errors.Is(err, dabchick.ErrFull):
		return full
	}
	h.t.Error(err)
	return unexpected
}

// act sleeps or makes a call. Numbers of messages are four times that of the call
// that sent them, and up to three more.
func (h *history) act(number int, closeNow bool) {
	ctx := context.Background()
	if closeNow {
		op := h.call(&call{verb: "close"})
		h.q.Close()
		h.done(op)
		return
	}
	switch p := h.r.IntN(100); {
	case p < 20:
		h.send(ctx, number*4)
	case p < 30:
		c := &call{verb: "try", n: 1, d: int64(h.q.Options().VisibilityTimeout)}
		op := h.call(c)
		if m, ok := h.q.TryReceive(); ok {
			h.got(c, m)
		}
		h.done(op)
	case p < 44:
		h.receive(ctx, number, h.r.IntN(5), nil)
	case p < 56:
		ctx, cancel := context.WithCancel(ctx)
		h.receive(ctx, number, 9, cancel)
	case p < 83:
		h.settle(ctx)
	case p < 87:
		h.stats()
	case p < 88:
		c := &call{verb: "purge"}
		op := h.call(c)
		n, err := h.q.Purge(ctx)
		c.n, c.err = n, h.err(err)
		h.done(op)
	default:
		time.Sleep(time.Duration(1 + h.r.IntN(4)))
	}
}

func (h *history) send(ctx context.Context, body int) {
	c := &call{verb: "send", body: body, n: 1}
	o := dabchick.SendOptions{Delay: dabchick.Immediately}
	if h.fifo {
		c.group = uint8('a' + h.r.IntN(3))
		o.Group = string(rune(c.group))
	}
	if h.r.IntN(4) == 0 {
		c.d = int64(1 + h.r.IntN(4))
		o.Delay = time.Duration(c.d)
	}
	if h.r.IntN(4) > 0 {
		op := h.call(c)
		_, err := h.q.SendWith(ctx, body, o)
		c.err = h.err(err)
		if c.err == full {
			c.less = 1
		}
		h.done(op)
		return
	}
	c.n = 1 + h.r.IntN(4)
	var batch []dabchick.Outgoing[int]
	for i := range c.n {
		batch = append(batch, dabchick.Outgoing[int]{Body: body + i, SendOptions: o})
	}
	op := h.call(c)
	ids, err := storeBatch(ctx, h.q, batch, c.n%2 == 0)
	c.err = h.err(err)
	for _, id := range ids {
		if id == (dabchick.ID{}) && c.err == full {
			c.less++
		}
	}
	h.done(op)
}

// receiveInto receives into places that have been used.
func (h *history) receiveInto(ctx context.Context, o dabchick.ReceiveOptions) ([]dabchick.Message[int], error) {
	n, err := h.q.ReceiveInto(ctx, h.places[:o.Max], o)
	return h.places[:n], err
}

// receive waits for messages, unless cancel is called meanwhile by somebody who
// knows nothing of it.
func (h *history) receive(ctx context.Context, number, wait int, cancel func()) {
	c := &call{verb: "receive", n: 1 + h.r.IntN(3), d: int64(1 + h.r.IntN(6))}
	o := dabchick.ReceiveOptions{Max: c.n, Wait: time.Duration(wait), Visibility: time.Duration(c.d)}
	if cancel != nil {
		pause, turns := time.Duration(h.r.IntN(4)), h.r.IntN(20)
		o.Wait = dabchick.Forever
		h.cancelling.Go(func() {
			time.Sleep(pause)
			for range turns {
				runtime.Gosched()
			}
			cancel()
		})
	}
	op := h.call(c)
	receive := h.q.ReceiveBatch
	if h.r.IntN(2) == 0 {
		receive = h.receiveInto
	}
	ms, err := receive(ctx, o)
	if cancel != nil && err == ctx.Err() && err != nil {
		c.verb, c.number = "lend", number
		h.done(op)
		lend := h.ops[len(h.ops)-1]
		h.ops = h.ops[:len(h.ops)-1]
		back := *c
		back.verb = "give back"
		h.back = append(h.back, lend, porcupine.Operation{
			// Two steps of one call overlap, so they are told by two clients.
			ClientId: h.id + callers + 1, Input: &back, Call: lend.Call, Return: lend.Return,
		})
		return
	}
	c.err = h.err(err)
	for _, m := range ms {
		h.got(c, m)
	}
	h.done(op)
}

func (h *history) got(c *call, m dabchick.Message[int]) {
	c.got = append(c.got, delivered{m.Body, m.Receives, m.Receipt.Nth()})
	h.held = append(h.held, m)
}

// settle uses the receipt of some delivery, fresh or stale.
func (h *history) settle(ctx context.Context) {
	if len(h.held) == 0 {
		return
	}
	i := h.r.IntN(len(h.held))
	m := h.held[i]
	if h.r.IntN(4) > 0 {
		h.held = slices.Delete(h.held, i, i+1)
	}
	c := &call{body: m.Body, nth: m.Receipt.Nth()}
	act := m.Delete
	switch c.verb = "delete"; h.r.IntN(8) {
	case 0, 1:
		c.verb, act = "change", m.Release
	case 2:
		c.verb, act = "return", m.Return
	case 3:
		c.verb, c.d = "change", int64(1+h.r.IntN(5))
		act = func(ctx context.Context) error { return m.Extend(ctx, time.Duration(c.d)) }
	}
	op := h.call(c)
	c.err = h.err(act(ctx))
	h.done(op)
}

func (h *history) stats() dabchick.Stats {
	c := &call{verb: "stats"}
	op := h.call(c)
	s, err := h.q.Stats(context.Background())
	c.counts, c.err = [3]int{s.Visible, s.InFlight, s.Delayed}, h.err(err)
	h.done(op)
	return s
}
