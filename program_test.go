package dabchick_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dabchickmq/dabchick"
)

var programOps = flag.Int64("dabchick.ops", 0, "operations of TestRandomProgram in all; 0 for three million, less under -race")

// A million operations on plain queues, on FIFO queues and on fair queues agree
// with the model, and the queues are checked after each. Replay a failure with -dabchick.seed, run longer with -dabchick.ops.
func TestRandomProgram(t *testing.T) {
	const each = 5000
	ops := *programOps
	if ops == 0 {
		ops = 3_000_000
		if dabchick.RaceEnabled {
			ops = 300_000
		}
	}
	runSeeds(t, "operations", ops, func(t *testing.T, seed uint64) int64 {
		runSeed(t, seed, each)
		return each
	})
}

func runSeed(t *testing.T, seed uint64, ops int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t, int(seed%kinds), func(n int) int { return r.IntN(n) })
		for range ops {
			if err := p.step(); err != nil {
				t.Fatalf("%v\nreplay: go test -run TestRandomProgram -dabchick.seed %d .\nthe last operations:\n%s",
					err, seed, p.tail())
			}
		}
	})
}

// The same programs, drawn by rapid, which finds a short one that fails.
func TestShrinkingProgram(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.IntRange(1, 60).Draw(rt, "steps")
		draws := rapid.SliceOfN(rapid.IntRange(0, 1<<20), steps*12, steps*12).Draw(rt, "draws")
		runDraws(t, draws, steps, rt.Fatalf)
	})
}

// FuzzProgram runs the program that bytes spell.
func FuzzProgram(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 200)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 4000 {
			return
		}
		draws := make([]int, len(program))
		for i, b := range program {
			draws[i] = int(b)
		}
		runDraws(t, draws, len(draws)/4, t.Fatalf)
	})
}

func runDraws(t *testing.T, draws []int, steps int, fatalf func(string, ...any)) {
	var failure, tail string
	synctest.Test(t, func(t *testing.T) {
		draw := func(n int) int {
			if len(draws) == 0 {
				return 0
			}
			d := draws[0] % n
			draws = draws[1:]
			return d
		}
		p := newProgram(t, draw(kinds), draw)
		for range steps {
			if err := p.step(); err != nil {
				failure, tail = err.Error(), p.tail()
				return
			}
		}
	})
	if failure != "" {
		fatalf("%s\nthe operations:\n%s", failure, tail)
	}
}

// A program drives two queues and their models with the same operations. The
// second is the dead-letter queue of the first, and now and then the other way
// round as well.
type program struct {
	t          *testing.T
	kind       int             // of both queues
	draw       func(n int) int // a number below n
	began      time.Time
	queues     [2]*dabchick.Queue[int]
	models     [2]*model
	deliveries []delivery
	body       int
	events     [2]map[dabchick.EventKind]uint64
	at         time.Duration // since it began
	trace      []line
}

// A line of a trace is formatted when somebody reads it.
type line struct {
	at     time.Duration
	format string
	args   []any
}

// The kinds of queues.
const (
	plain = iota
	fifo
	fair
	kinds
)

type delivery struct {
	queue int
	m     dabchick.Message[int]
	x     *modelMessage
	nth   int // in its queue
}

func newProgram(t *testing.T, kind int, draw func(int) int) *program {
	p := &program{t: t, draw: draw, kind: kind, began: time.Now()}
	for i := range p.queues {
		o := dabchick.Options[int]{FailFast: true, Size: func(b int) int { return int(bodySize(b)) }}
		switch p.kind {
		case fifo:
			o.FIFO = true
			if draw(3) == 0 {
				o.DedupKey = func(b int) string { return strconv.Itoa(b % 50) }
			}
		case fair:
			o.Fairness.Window = p.pick(0, 3*time.Second)
		}
		if draw(2) == 0 {
			p.events[i] = map[dabchick.EventKind]uint64{}
			o.OnEvent = func(e dabchick.Event[int]) { p.events[i][e.Kind] += uint64(max(e.Count, 1)) }
		}
		p.queues[i] = mustNew(t, o)
		p.models[i] = &model{now: p.now, o: p.queues[i].Options(), watched: o.OnEvent != nil,
			attempts: map[string]modelAttempt{}, sentAt: map[string]time.Duration{}, emptyAt: map[string]time.Duration{}}
	}
	for i := range p.queues {
		p.setOptions(i)
	}
	return p
}

// now is only changed by sleep: a program has one goroutine in its bubble.
func (p *program) now() time.Duration { return p.at }

func (p *program) say(format string, args ...any) {
	p.trace = append(p.trace, line{p.now(), format, args})
}

func (p *program) lines() (lines []string) {
	for _, l := range p.trace {
		lines = append(lines, fmt.Sprintf("%12v  ", l.at)+fmt.Sprintf(l.format, l.args...))
	}
	return lines
}

func (p *program) tail() string {
	p.trace = p.trace[max(0, len(p.trace)-60):]
	return strings.Join(p.lines(), "\n")
}

func (p *program) pick(ds ...time.Duration) time.Duration { return ds[p.draw(len(ds))] }

// step does one operation on both sides and compares all that can be seen.
func (p *program) step() error {
	ctx := context.Background()
	i := p.draw(2)
	q, m := p.queues[i], p.models[i]
	var err error
	switch op := p.draw(100); {
	case op < 25:
		p.body++
		delay := p.pick(0, 0, 0, dabchick.Immediately, 1, time.Second, 5*time.Second)
		o := p.sendOptions(delay)
		p.notice(i)
		id, got := q.SendWith(ctx, p.body, o)
		x, want := m.send(p.body, o, false)
		p.say("queue %d: send %d, delay %v, group %q, id %q: %v", i, p.body, delay, o.Group, o.DedupID, got)
		err = p.sent(got, want, id, x)
	case op < 28:
		err = p.sendBatch(i)
	case op < 45:
		timeout := p.pick(0, 0, 0, dabchick.Immediately, 1, time.Second, 3*time.Second)
		err = p.receive(i, 1+p.draw(4), timeout)
	case op < 50:
		err = p.tryReceive(i)
	case op < 70:
		err = p.settle()
	case op < 72:
		err = p.settleMany(i)
	case op < 92:
		p.sleep()
	case op < 94:
		err = p.redrive(i)
	case op < 95:
		p.say("queue %d: purge", i)
		n, got := q.Purge(ctx)
		if want := m.purge(); n != want || got != nil {
			err = fmt.Errorf("purge: %d, %v instead of %d", n, got, want)
		}
	case op < 97:
		m.expire()
		m.paused = !m.paused && p.draw(3) > 0
		p.say("queue %d: paused %v", i, m.paused)
		if m.paused {
			q.Pause()
		} else {
			q.Resume()
		}
	default:
		p.setOptions(i)
	}
	if err != nil {
		return err
	}
	return p.compare()
}

// sendOptions adds what the kind of queue asks for.
func (p *program) sendOptions(delay time.Duration) dabchick.SendOptions {
	o := dabchick.SendOptions{Delay: delay}
	switch p.kind {
	case fifo:
		o.Group = []string{"a", "a", "b", "c", "d", ""}[min(p.draw(6), p.draw(6))]
		o.DedupID = []string{"", "", "", "w", "x", "y", "z"}[p.draw(7)]
	case fair:
		o.Group = []string{"a", "a", "b", "c", ""}[p.draw(5)]
		if p.draw(50) == 0 {
			o.DedupID = "refused"
		}
	}
	return o
}

// sent compares the outcomes of a send.
func (p *program) sent(got, want error, id dabchick.ID, x *modelMessage) error {
	if err := same(got, want); err != nil || x == nil {
		return err
	}
	if x.id == (dabchick.ID{}) {
		x.id = id
	}
	if x.id != id {
		return fmt.Errorf("id %v instead of %v", id, x.id)
	}
	return nil
}

// notice makes a queue with bounds look at the time. Whether a send does depends on how
// much room there was when the queue last looked.
func (p *program) notice(i int) {
	if o := &p.models[i].o; o.MaxMessages > 0 || o.MaxBytes > 0 {
		p.queues[i].Return(context.Background(), dabchick.Receipt{})
	}
}

// storeBatch sends a batch in one of two ways.
func storeBatch(ctx context.Context, q *dabchick.Queue[int], batch []dabchick.Outgoing[int], into bool) ([]dabchick.ID, error) {
	if !into {
		return q.SendBatch(ctx, batch)
	}
	ids := make([]dabchick.ID, len(batch))
	for i := range ids {
		ids[i] = dabchick.ID{1} // of an earlier batch
	}
	return ids, q.SendInto(ctx, ids, batch)
}

func (p *program) sendBatch(i int) error {
	var batch []dabchick.Outgoing[int]
	for range p.draw(5) {
		p.body++
		o := p.sendOptions(p.pick(0, 0, time.Second, -2)) // the last is refused
		batch = append(batch, dabchick.Outgoing[int]{Body: p.body, SendOptions: o})
	}
	p.notice(i)
	m := p.models[i]
	if !m.apart(dabchick.SendOptions{}) || slices.ContainsFunc(batch, func(o dabchick.Outgoing[int]) bool { return !m.apart(o.SendOptions) }) {
		m.expire()
	}
	ids, got := storeBatch(context.Background(), p.queues[i], batch, p.body%2 == 0)
	var failed *dabchick.BatchError
	errors.As(got, &failed)
	p.say("queue %d: send batch of %d: %v", i, len(batch), got)
	for n, o := range batch {
		var want error = &dabchick.InvalidError{}
		if o.Delay != -2 {
			var x *modelMessage
			x, want = p.models[i].send(o.Body, o.SendOptions, false)
			if err := p.sent(want, want, ids[n], x); err != nil {
				return err
			}
		}
		var got error
		if failed != nil && len(failed.Failed) > 0 && failed.Failed[0].Index == n {
			got = failed.Failed[0].Err
			failed.Failed = failed.Failed[1:]
			if ids[n] != (dabchick.ID{}) {
				return fmt.Errorf("entry %d failed, and has an id", n)
			}
		}
		if err := same(got, want); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
	}
	return nil
}

func (p *program) receive(i, most int, timeout time.Duration) error {
	attempt := ""
	if p.kind == fifo && p.draw(3) == 0 || p.draw(100) == 0 {
		attempt = []string{"1", "2"}[p.draw(2)]
	}
	ms, got := p.queues[i].ReceiveBatch(context.Background(),
		dabchick.ReceiveOptions{Max: most, Visibility: timeout, AttemptID: attempt})
	p.say("queue %d: receive %d, timeout %v, attempt %q: %v, %v", i, most, timeout, attempt, bodies(ms), got)
	want, wantErr := p.models[i].receive(most, timeout, attempt)
	if err := same(got, wantErr); err != nil {
		return err
	}
	return p.received(i, ms, want)
}

func (p *program) tryReceive(i int) error {
	m, ok := p.queues[i].TryReceive()
	p.say("queue %d: try to receive: %v %v", i, ok, m.Body)
	want, err := p.models[i].receive(1, 0, "")
	if ok != (err == nil && len(want) == 1) {
		return fmt.Errorf("received %v instead of %d, %v", ok, len(want), err)
	}
	if !ok {
		return nil
	}
	return p.received(i, []dabchick.Message[int]{m}, want)
}

func (p *program) received(i int, got []dabchick.Message[int], want []*modelMessage) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d messages instead of %d", len(got), len(want))
	}
	sequence := map[string]string{}
	for n, m := range got {
		if p.kind == fifo && m.SequenceNumber() <= sequence[m.Group()] && p.queues[i].Options().VisibilityTimeout > 0 {
			return fmt.Errorf("group %q has %s after %s", m.Group(), m.SequenceNumber(), sequence[m.Group()])
		}
		sequence[m.Group()] = m.SequenceNumber()
		if err := p.sameMessage(&m, want[n]); err != nil {
			return err
		}
		p.deliveries = append(p.deliveries, delivery{i, m, want[n], want[n].here})
	}
	p.deliveries = p.deliveries[max(0, len(p.deliveries)-40):]
	return nil
}

func (p *program) sameMessage(m *dabchick.Message[int], x *modelMessage) error {
	first := time.Time{}
	if x.firstAt >= 0 {
		first = p.began.Add(x.firstAt)
	}
	origin, dead := m.Origin()
	switch {
	case m.ID != x.id || m.Body != x.body || m.Receives != x.receives:
		return fmt.Errorf("message %d, %v, receive %d instead of %d, %v, %d", m.Body, m.ID, m.Receives, x.body, x.id, x.receives)
	case m.Group() != x.group || m.DedupID() != x.dedup:
		return fmt.Errorf("message %d has group %q and id %q instead of %q and %q", m.Body, m.Group(), m.DedupID(), x.group, x.dedup)
	case !m.SentAt().Equal(p.began.Add(x.sentAt)):
		return fmt.Errorf("message %d sent at %v instead of %v", m.Body, m.SentAt().Sub(p.began), x.sentAt)
	case !m.FirstReceivedAt().Equal(first):
		return fmt.Errorf("message %d first received at %v instead of %v", m.Body, m.FirstReceivedAt(), first)
	case !m.VisibleAt().Equal(p.began.Add(x.at)):
		return fmt.Errorf("message %d visible at %v instead of %v", m.Body, m.VisibleAt().Sub(p.began), x.at)
	case dead != (x.from != nil):
		return fmt.Errorf("message %d is a dead letter: %v", m.Body, dead)
	case dead && (origin.ID != x.id || !strings.Contains(origin.Reason, x.reason)):
		return fmt.Errorf("message %d has origin %+v instead of reason %q", m.Body, origin, x.reason)
	}
	return nil
}

// settle uses the receipt of some delivery, fresh or stale.
func (p *program) settle() error {
	if len(p.deliveries) == 0 {
		return nil
	}
	ctx := context.Background()
	d := p.deliveries[len(p.deliveries)-1-min(p.draw(len(p.deliveries)), p.draw(len(p.deliveries)))]
	m := p.models[d.queue]
	var got, want error
	var what string
	switch p.draw(8) {
	case 7:
		what, got, want = "return", d.m.Return(ctx), m.giveBack(d.x, d.nth)
	case 0, 1, 2:
		what, got, want = "delete", d.m.Delete(ctx), m.delete(d.x, d.nth)
	case 3:
		what, got, want = "release", d.m.Release(ctx), m.change(d.x, d.nth, 0)
	case 4:
		timeout := p.pick(0, 1, time.Second, 10*time.Second, 100*time.Hour)
		what, got, want = fmt.Sprint("extend by ", timeout), d.m.Extend(ctx, timeout), m.change(d.x, d.nth, timeout)
	case 5:
		what, got, want = "dead-letter", d.m.DeadLetter(ctx, "by hand"), m.deadLetter(d.x, d.nth, "by hand")
	case 6:
		other := p.queues[1-d.queue]
		if p.models[1-d.queue].prompt() {
			p.models[1-d.queue].expire()
		}
		what, got, want = "delete elsewhere", other.Delete(ctx, d.m.Receipt), dabchick.ErrReceiptInvalid
	}
	p.say("queue %d: %s %d, receive %d: %v", d.queue, what, d.m.Body, d.nth, got)
	return same(got, want)
}

// settleMany deletes or changes several deliveries in one call.
func (p *program) settleMany(i int) error {
	if len(p.deliveries) == 0 {
		return nil
	}
	ctx := context.Background()
	q, m := p.queues[i], p.models[i]
	remove := p.draw(2) == 0
	if !remove || m.prompt() {
		m.expire()
	}
	var receipts []dabchick.Receipt
	var want []error
	for range 2 + p.draw(4) {
		d := p.deliveries[p.draw(len(p.deliveries))]
		receipts = append(receipts, d.m.Receipt)
		switch {
		case d.queue != i:
			want = append(want, dabchick.ErrReceiptInvalid)
		case remove:
			want = append(want, m.delete(d.x, d.nth))
		default:
			want = append(want, m.change(d.x, d.nth, time.Second))
		}
	}
	var got error
	if remove {
		got = q.Delete(ctx, receipts...)
	} else {
		got = q.ChangeVisibility(ctx, time.Second, receipts...)
	}
	p.say("queue %d: settle %d: %v", i, len(receipts), got)
	failures := make([]error, len(receipts))
	var failed *dabchick.BatchError
	if errors.As(got, &failed) {
		for _, f := range failed.Failed {
			failures[f.Index] = f.Err
		}
	}
	for n := range receipts {
		if err := same(failures[n], want[n]); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
	}
	return nil
}

// sleep lets time pass, often to just before, at or just after an instant at
// which something happens.
func (p *program) sleep() {
	d := p.pick(1, time.Millisecond, time.Second, 4*time.Second, time.Duration(1+p.draw(min(1e10, math.MaxInt))))
	if next := append(p.models[0].next(), p.models[1].next()...); len(next) > 0 && p.draw(3) > 0 {
		if to := next[p.draw(len(next))] + time.Duration(p.draw(3)-1) - p.now(); to > 0 && (to < time.Minute || p.draw(20) == 0) {
			d = to
		}
	}
	p.say("sleep %v", d)
	time.Sleep(d)
	p.at = time.Since(p.began)
}

func (p *program) redrive(i int) error {
	o := dabchick.RedriveOptions[int]{Max: p.draw(4)}
	var to *model
	if p.draw(2) == 0 {
		o.To, to = p.queues[1-i], p.models[1-i]
	}
	n, got := p.queues[i].Redrive(context.Background(), o)
	p.say("queue %d: redrive, at most %d, chosen %v: %d, %v", i, o.Max, to != nil, n, got)
	moved, sent, want := p.models[i].redrive(to, o.Max)
	if err := same(got, want); err != nil || n != moved {
		return fmt.Errorf("redriven %d instead of %d: %w", n, moved, err)
	}
	// New ids cannot be foreseen: they are taken from where the messages went.
	for _, x := range sent {
		for j, q := range p.queues {
			p.models[j].expire()
			ms, err := q.Peek(context.Background(), 1<<20)
			if err != nil {
				return err
			}
			for _, m := range ms {
				if m.Body == x.body {
					x.id = m.ID
				}
			}
		}
	}
	return nil
}

func (p *program) setOptions(i int) {
	q, m := p.queues[i], p.models[i]
	o := q.Options()
	o.VisibilityTimeout = p.pick(dabchick.Immediately, 1, time.Second, 2*time.Second, 30*time.Second)
	o.Delay = p.pick(0, 0, 0, time.Second)
	o.Retention = p.pick(dabchick.Forever, 10*time.Second, time.Minute, time.Hour)
	o.MaxMessages = []int{0, 0, 3, 20}[p.draw(4)]
	o.MaxBytes = []int64{0, 0, 5, 100}[p.draw(4)]
	o.MaxInFlight = []int{0, 0, 1, 10}[p.draw(4)]
	o.DeadLetter, o.MaxReceives, m.dead = nil, 0, nil
	if i == 0 && p.draw(4) > 0 || i == 1 && p.draw(4) == 0 {
		o.DeadLetter, o.MaxReceives, m.dead = p.queues[1-i], 1+p.draw(3), p.models[1-i]
	}
	switch p.kind {
	case fifo:
		o.DedupWindow = p.pick(time.Second, 5*time.Second, time.Minute)
		o.DedupScope = []dabchick.DedupScope{dabchick.DedupQueue, dabchick.DedupGroup}[p.draw(2)]
		o.MessageDelays = p.draw(2) == 0
	case fair:
		o.MaxInFlightPerGroup = []int{0, 0, 1, 2}[p.draw(4)]
		o.Fairness.MinInFlight = 1 + p.draw(3)
		o.Fairness.InFlightShare = []float64{0.137, 0.4, 1}[p.draw(3)]
		o.Fairness.ProcessingShare = []float64{0.139, 0.41, 1}[p.draw(3)]
		o.Fairness.QuietAfter = p.pick(2*time.Second, time.Minute, dabchick.Forever)
	}
	p.say("queue %d: timeout %v, delay %v, retention %v, at most %d messages, %d bytes, %d in flight (%d of a group), %d receives",
		i, o.VisibilityTimeout, o.Delay, o.Retention, o.MaxMessages, o.MaxBytes, o.MaxInFlight, o.MaxInFlightPerGroup, o.MaxReceives)
	require.NoError(p.t, q.SetOptions(o))
	m.setOptions(q.Options())
}

// bodies are messages that are printed as no more than those.
type bodies []dabchick.Message[int]

func (ms bodies) String() string {
	var b []int
	for _, m := range ms {
		b = append(b, m.Body)
	}
	return fmt.Sprint(b)
}

// compare holds all that can be seen of the queues against the models, and
// checks the queues' own invariants.
func (p *program) compare() error {
	ctx := context.Background()
	for i, q := range p.queues {
		m := p.models[i]
		if p.draw(2) == 0 { // else leave unnoticed what has come up
			s, err := q.Stats(ctx)
			if want := m.stats(); s != want || err != nil {
				return fmt.Errorf("queue %d: stats\n%+v, %v instead of\n%+v", i, s, err, want)
			}
			left := uint64(s.Visible + s.InFlight + s.Delayed)
			if err := p.compareGroups(i); err != nil {
				return fmt.Errorf("queue %d: %w", i, err)
			}
			if in, out := s.Sent+s.Arrived, s.Deleted+s.Expired+s.Purged+s.DeadLettered+s.Redriven; in != out+left {
				return fmt.Errorf("queue %d: %d came in, %d went out, %d are left", i, in, out, left)
			}
			if err := p.compareEvents(i, &s.Totals); err != nil {
				return err
			}
		}
		if err := q.Check(); err != nil {
			return fmt.Errorf("queue %d: %w", i, err)
		}
		if p.draw(8) > 0 {
			continue
		}
		ms, err := q.Peek(ctx, 1000)
		m.expire()
		want := m.sorted()
		if p.kind == fifo {
			want = m.messages
		}
		if err != nil || len(ms) != min(len(want), 1000) {
			return fmt.Errorf("queue %d: peek gave %d, %v instead of %d", i, len(ms), err, len(want))
		}
		for n := range ms {
			if err := p.sameMessage(&ms[n], want[n]); err != nil {
				return fmt.Errorf("queue %d: peek: %w", i, err)
			}
			if ms[n].State != m.state(want[n]) {
				return fmt.Errorf("queue %d: message %d is %v instead of %v", i, ms[n].Body, ms[n].State, m.state(want[n]))
			}
		}
	}
	return nil
}

// compareGroups holds the figures of groups against the model.
func (p *program) compareGroups(i int) error {
	groups, err := p.queues[i].Groups(context.Background())
	if err != nil {
		return err
	}
	m := p.models[i]
	m.expire()
	for _, g := range groups {
		want := dabchick.GroupStats{Name: g.Name, Noisy: m.noisy(g.Name)}
		for _, x := range m.messages {
			if x.group != g.Name {
				continue
			}
			want.OldestAge = max(want.OldestAge, m.now()-x.arrived)
			switch m.state(x) {
			case dabchick.Visible:
				want.Visible++
			case dabchick.InFlight:
				want.InFlight++
			case dabchick.Delayed:
				want.Delayed++
			}
		}
		want.Noisy = want.Noisy && want.Visible > 0
		if g != want {
			return fmt.Errorf("group\n%+v instead of\n%+v", g, want)
		}
		if one, err := p.queues[i].Group(context.Background(), g.Name); one != want || err != nil {
			return fmt.Errorf("group alone\n%+v, %v instead of\n%+v", one, err, want)
		}
	}
	for _, x := range m.messages {
		if x.group != "" && !slices.ContainsFunc(groups, func(g dabchick.GroupStats) bool { return g.Name == x.group }) {
			return fmt.Errorf("group %q is missing", x.group)
		}
	}
	return nil
}

// compareEvents holds what the hook was told against the totals.
func (p *program) compareEvents(i int, t *dabchick.Totals) error {
	if p.events[i] == nil {
		return nil
	}
	for _, of := range [...]struct {
		kind dabchick.EventKind
		want uint64
	}{
		{dabchick.Sent, t.Sent}, {dabchick.Arrived, t.Arrived}, {dabchick.Received, t.Received}, {dabchick.Deleted, t.Deleted},
		{dabchick.Expired, t.Expired}, {dabchick.Deduplicated, t.Duplicates}, {dabchick.DeadLettered, t.DeadLettered}, {dabchick.Redriven, t.Redriven},
	} {
		if got := p.events[i][of.kind]; got != of.want {
			return fmt.Errorf("queue %d: %d events %v instead of %d", i, got, of.kind, of.want)
		}
	}
	return nil
}

// same compares errors: none with none, sentinels by errors.Is, and invalid
// values by their type.
func same(got, want error) error {
	var invalid *dabchick.InvalidError
	switch {
	case got == nil && want == nil:
		return nil
	case want != nil && errors.Is(got, want):
		return nil
	case errors.As(want, &invalid) && errors.As(got, &invalid):
		return nil
	}
	return fmt.Errorf("error %v instead of %v", got, want)
}
