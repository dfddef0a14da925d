package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// A meddler does this and that with two queues that are each other's dead-letter queue:
// between calls, from hooks, and while messages are on their way, for which it asks by
// Options.Size, that is called then.
type meddler struct {
	t       *testing.T
	r       *rand.Rand
	queues  [2]*dabchick.Queue[string]
	limit   int  // in flight
	settled bool // options stay
	closes  bool
	depth   int // of meddling in the middle of what it does
	steps   int
	held    []dabchick.Message[string]
	last    [2]map[string]dabchick.Receipt // of each message, by its body
	deleted [2]map[string]deletion
	log     []string
}

// A deletion is that of a message by its nth delivery.
type deletion struct{ nth, step int }

// I1, I3, I8, I9: whatever happens to queues while messages are on their way between
// them, what is deleted stays deleted, what is there is in one place, and all that is
// counted adds up.
func TestAnythingMayHappenDuringAMove(t *testing.T) {
	runSeeds(t, "steps", 150_000, func(t *testing.T, seed uint64) (n int64) {
		synctest.Test(t, func(t *testing.T) {
			m := &meddler{t: t, r: rand.New(rand.NewPCG(seed, 0))}
			defer func() {
				if n = int64(m.steps); t.Failed() {
					t.Logf("seed %d", seed)
					for _, line := range m.log {
						t.Log(line)
					}
				}
			}()
			m.run()
		})
		return n
	})
}

func (m *meddler) run() {
	fifo := m.r.IntN(2) == 0
	m.limit, m.settled, m.closes = m.r.IntN(3), m.r.IntN(2) == 0, m.r.IntN(3) == 0
	for i := range m.queues {
		m.last[i], m.deleted[i] = map[string]dabchick.Receipt{}, map[string]deletion{}
		o := dabchick.Options[string]{FIFO: fifo, VisibilityTimeout: time.Second, MaxInFlight: m.limit}
		o.Size = func(string) int {
			m.meddle()
			return 1
		}
		if m.r.IntN(2) == 0 {
			o.OnEvent = m.hook(i)
		}
		if !fifo && m.r.IntN(3) == 0 {
			o.MaxInFlightPerGroup = 1
		}
		if m.r.IntN(3) == 0 {
			o.Retention = time.Duration(1+m.r.IntN(20)) * time.Second
		}
		m.queues[i] = mustNew(m.t, o)
	}
	for i, q := range m.queues {
		o := q.Options()
		o.DeadLetter, o.MaxReceives = m.queues[1-i], 1+m.r.IntN(2)
		require.NoError(m.t, q.SetOptions(o))
	}
	for range 60 {
		m.step()
		for _, q := range m.queues {
			require.NoError(m.t, q.Check())
			s := stats(m.t, q)
			there := s.Sent + s.Arrived - s.Deleted - s.Expired - s.Purged - s.DeadLettered - s.Redriven
			require.Equal(m.t, int(there), s.Visible+s.InFlight+s.Delayed)
			if m.settled && m.limit > 0 {
				require.LessOrEqual(m.t, s.InFlight, m.limit)
			}
		}
	}
	m.depth = mostMeddling // hooks leave the queues alone now
	place := map[string]int{}
	for i, q := range m.queues {
		left, err := q.Peek(context.Background(), 1000)
		require.NoError(m.t, err)
		for _, x := range left {
			require.NotContains(m.t, place, x.Body)
			place[x.Body] = i
		}
	}
}

// hook meddles, too, and holds what it is told against what it was told before: what is
// received was visible, and what reappears was not. A message that comes here for a second
// time does not count, as the end of its first stay may be told later.
func (m *meddler) hook(queue int) func(dabchick.Event[string]) {
	inFlight, again := map[string]bool{}, map[string]bool{}
	return func(e dabchick.Event[string]) {
		body := e.Message.Body
		switch e.Kind {
		case dabchick.Sent, dabchick.Arrived:
			if _, known := inFlight[body]; known || e.Kind == dabchick.Arrived {
				again[body] = true
			}
			inFlight[body] = false
		case dabchick.Received, dabchick.Reappeared, dabchick.Released, dabchick.Returned, dabchick.Extended:
			received := e.Kind == dabchick.Received
			if inFlight[body] == received && !again[body] {
				m.t.Errorf("queue %d: %s was %v while it was in flight: %v", queue, body, e.Kind, inFlight[body])
			}
			inFlight[body] = received || e.Kind == dabchick.Extended
		}
		if m.r.IntN(8) == 0 {
			m.meddle()
		}
	}
}

const mostMeddling = 4

func (m *meddler) meddle() {
	if m.depth == mostMeddling {
		return
	}
	m.depth++
	for range m.r.IntN(3) {
		m.step()
	}
	m.depth--
}

// note writes down what it does, further in the deeper it is in the middle of something.
func (m *meddler) note(queue int, format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%*s%d: %s", 2*m.depth, "", queue, fmt.Sprintf(format, args...)))
}

// step makes one call.
func (m *meddler) step() {
	m.steps++
	ctx := context.Background()
	i := m.r.IntN(2)
	q, other := m.queues[i], m.queues[1-i]
	switch p := m.r.IntN(100); {
	case p < 20:
		body := fmt.Sprintf("%c%d", 'a'+m.r.IntN(3), m.steps)
		m.note(i, "send %s", body)
		var o dabchick.SendOptions
		if q.Options().FIFO || m.r.IntN(3) == 0 {
			o.Group = body[:1]
		}
		_, err := q.SendWith(ctx, body, o)
		m.allow(err)
	case p < 45:
		m.receive(i)
	case p < 80:
		m.settle(i, p)
	case p < 88:
		m.note(i, "sleep")
		time.Sleep(time.Second / 2)
	case p < 90:
		m.note(i, "redrive")
		_, err := q.Redrive(ctx, dabchick.RedriveOptions[string]{To: other, Max: 2})
		m.allow(err)
	case p < 92:
		m.note(i, "purge")
		_, err := q.Purge(ctx)
		m.allow(err)
	case p < 93:
		m.note(i, "pause")
		q.Pause()
	case p < 96:
		m.note(i, "resume")
		q.Resume()
	case p < 99:
		if m.settled {
			return
		}
		m.note(i, "options")
		o := q.Options()
		o.MaxInFlight, o.DeadLetter, o.MaxReceives = m.r.IntN(3), nil, 0
		if m.r.IntN(3) > 0 {
			o.DeadLetter, o.MaxReceives = other, 1+m.r.IntN(2)
		}
		if !o.FIFO {
			o.MaxInFlightPerGroup = m.r.IntN(2)
		}
		m.allow(q.SetOptions(o))
	case m.closes:
		m.note(i, "close")
		m.allow(q.Close())
	}
}

func (m *meddler) receive(i int) {
	m.note(i, "receive")
	began := m.steps
	o := dabchick.ReceiveOptions{Max: 1 + m.r.IntN(3), Wait: dabchick.Immediately}
	got, err := m.queues[i].ReceiveBatch(context.Background(), o)
	m.allow(err)
	for _, x := range got {
		nth := x.Receipt.Nth()
		m.note(i, "got %s, delivery %d", x.Body, nth)
		if d, ok := m.deleted[i][x.Body]; ok && nth == d.nth+1 && d.step < began {
			m.t.Errorf("%s was deleted, and comes again", x.Body)
		}
		if nth == 1 { // it came here anew
			delete(m.deleted[i], x.Body)
		}
		m.last[i][x.Body] = x.Receipt
	}
	m.held = append(m.held, got...)
}

// settle settles what it holds, of whichever queue.
func (m *meddler) settle(i, what int) {
	if len(m.held) == 0 {
		return
	}
	ctx, x := context.Background(), m.held[m.r.IntN(len(m.held))]
	switch {
	case what < 55:
		m.note(i, "delete %s", x.Body)
		err := x.Delete(ctx)
		m.allow(err)
		for i := range m.queues {
			if err == nil && m.last[i][x.Body] == x.Receipt {
				m.deleted[i][x.Body] = deletion{x.Receipt.Nth(), m.steps}
			}
		}
	case what < 61:
		m.note(i, "release %s", x.Body)
		m.allow(x.Release(ctx))
	case what < 64:
		m.note(i, "extend %s", x.Body)
		m.allow(x.Extend(ctx, 2*time.Second))
	case what < 67:
		m.note(i, "return %s", x.Body)
		m.allow(x.Return(ctx))
	default:
		m.note(i, "dead-letter %s", x.Body)
		m.allow(x.DeadLetter(ctx, "why"))
	}
}

// allow lets errors pass that such calls may have.
func (m *meddler) allow(err error) {
	if err != nil && !slices.ContainsFunc([]error{
		dabchick.ErrClosed, dabchick.ErrReceiptExpired, dabchick.ErrReceiptSuperseded, dabchick.ErrMessageGone,
		dabchick.ErrNoDeadLetterQueue,
	}, func(e error) bool { return errors.Is(err, e) }) {
		m.t.Error(err)
	}
}
