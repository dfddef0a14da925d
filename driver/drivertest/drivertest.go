// Package drivertest judges backends: it is the conformance suite for anything
// that claims to be a [driver.Queue].
//
// A backend's own test calls [Run]. Each case proves one rule, which it names,
// and where the rule is SQS's, it is named after its documentation. A backend
// that cannot keep a rule declares so in Features; the case is then skipped with
// the reason that it gives.
package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

// A Harness says how to test a backend.
type Harness struct {
	// Open returns a queue that is new and empty, with no dead-letter policy.
	// The suite closes it. It is called twice where a case needs two.
	Open func(tb testing.TB) driver.Queue
	// OpenFIFO returns such a queue that is FIFO. nil is for a backend that has
	// none.
	OpenFIFO func(tb testing.TB) driver.Queue

	// RealTime is for a backend that does not live in this process. Without
	// it each case runs in a testing/synctest bubble, in fake time.
	RealTime bool
	// Unit is the shortest timeout that the suite uses: one second, say. All
	// others are small multiples of it. 0 means a second.
	Unit time.Duration
	// Tick is how long before a deadline a message must surely still be
	// hidden, and Late how long after it the message must surely be visible.
	// In fake time 0 means a nanosecond before, and at the deadline itself; in
	// real time a fifth of Unit for both.
	Tick, Late time.Duration
}

// Run runs all cases as subtests of t.
func Run(t *testing.T, h Harness) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h.run(t, func(t *testing.T) {
				if reason := h.play(t, t, c); reason != "" {
					t.Skip(reason)
				}
			})
		})
	}
}

// A Failure is a case that a backend did not pass.
type Failure struct {
	Case    string
	Rule    string // the rule that is broken
	Message string
}

// Try runs all cases and returns the failures, rather than failing t. It is for
// proving that a broken backend is caught. It needs fake time.
func Try(t *testing.T, h Harness) (failures []Failure) {
	for _, c := range cases {
		r := &recorder{}
		h.run(t, func(t *testing.T) {
			done := make(chan struct{})
			go func() { // fatal ends the goroutine
				defer close(done)
				h.play(t, r, c)
			}()
			<-done
		})
		if r.message != "" {
			failures = append(failures, Failure{c.name, c.rule, r.message})
		}
	}
	return failures
}

// run runs a test in the time that the harness asks for.
func (h *Harness) run(t *testing.T, test func(t *testing.T)) {
	if h.Unit == 0 {
		h.Unit = time.Second
	}
	if h.RealTime {
		if h.Tick == 0 {
			h.Tick = h.Unit / 5
		}
		if h.Late == 0 {
			h.Late = h.Unit / 5
		}
		test(t)
		return
	}
	if h.Tick == 0 {
		h.Tick = time.Nanosecond
	}
	synctest.Test(t, test)
}

// play runs one case, or returns why it cannot be asked of this backend.
func (h *Harness) play(tb testing.TB, r reporter, c testCase) (skip string) {
	open := h.Open
	if c.fifo {
		if open = h.OpenFIFO; open == nil {
			return "the backend has no FIFO queues"
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := open(tb)
	e := &env{reporter: r, h: h, tb: tb, ctx: ctx, q: q, rule: c.rule}
	defer func() {
		cancel()
		for _, q := range append(e.others, q) {
			if err := q.Close(); err != nil {
				e.failf("close: %v", err)
			}
		}
	}()
	lacks := q.Features()
	for _, f := range c.needs {
		if reason, ok := lacks[f]; ok {
			return fmt.Sprintf("no %s: %s", f, reason)
		}
	}
	c.run(e)
	return ""
}

// A testCase proves one rule.
type testCase struct {
	name  string
	rule  string
	needs []driver.Feature
	fifo  bool // it needs a FIFO queue
	run   func(e *env)
}

// A reporter takes failures: a *testing.T, or a recorder.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

type recorder struct{ message string }

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	if r.message == "" {
		r.message = fmt.Sprintf(format, args...)
	}
	runtime.Goexit()
}

// An env is what a case works with. Its methods fail the case when a call does
// not do what it must.
type env struct {
	reporter
	h      *Harness
	tb     testing.TB
	ctx    context.Context // ends with the case
	q      driver.Queue
	others []driver.Queue
	rule   string
}

func (e *env) failf(format string, args ...any) {
	e.Helper()
	e.Fatalf("%s\nthe rule: %s", fmt.Sprintf(format, args...), e.rule)
}

func (e *env) check(ok bool, format string, args ...any) {
	e.Helper()
	if !ok {
		e.failf(format, args...)
	}
}

// unit returns n times the shortest timeout.
func (e *env) unit(n int) time.Duration { return time.Duration(n) * e.h.Unit }

// sleepToJustBefore and sleepPast bracket a deadline that is d away.
func (e *env) sleepToJustBefore(d time.Duration) { time.Sleep(d - e.h.Tick) }
func (e *env) sleepPast()                        { time.Sleep(e.h.Tick + e.h.Late) }

// settle lets everything come to rest that runs.
func (e *env) settle() {
	if e.h.RealTime {
		time.Sleep(e.h.Tick)
		return
	}
	synctest.Wait()
}

// second opens another queue, and returns an env for it.
func (e *env) second() *env {
	other := *e
	other.q, other.others = e.h.Open(e.tb), nil
	e.others = append(e.others, other.q)
	return &other
}

// send stores messages with these bodies.
func (e *env) send(bodies ...string) []driver.ID {
	e.Helper()
	batch := make([]driver.Outgoing, len(bodies))
	for i, b := range bodies {
		batch[i].Body = []byte(b)
	}
	return e.sendAll(batch...)
}

func (e *env) sendAll(batch ...driver.Outgoing) []driver.ID {
	e.Helper()
	sent, err := e.q.Send(e.ctx, batch)
	e.check(err == nil, "send: %v", err)
	e.check(len(sent) == len(batch), "send: %d results for %d messages", len(sent), len(batch))
	ids := make([]driver.ID, len(sent))
	for i, s := range sent {
		e.check(s.Err == nil, "send: entry %d: %v", i, s.Err)
		e.check(s.ID != driver.ID{}, "send: entry %d has no id", i)
		ids[i] = s.ID
	}
	return ids
}

// receive returns up to most messages without waiting, hidden for ten units.
func (e *env) receive(most int) []driver.Message {
	e.Helper()
	return e.receiveFor(most, e.unit(10))
}

func (e *env) receiveFor(most int, visibility time.Duration) []driver.Message {
	e.Helper()
	ms, err := e.q.Receive(e.ctx, driver.Receive{Max: most, Visibility: visibility})
	e.check(err == nil, "receive: %v", err)
	e.check(len(ms) <= most, "received %d messages, asked for at most %d", len(ms), most)
	for _, m := range ms {
		e.check(m.Handle != "", "a message without a handle")
	}
	return ms
}

// one receives the one message that must be there.
func (e *env) one() driver.Message {
	e.Helper()
	return e.oneFor(e.unit(10))
}

func (e *env) oneFor(visibility time.Duration) driver.Message {
	e.Helper()
	ms := e.receiveFor(1, visibility)
	e.check(len(ms) == 1, "nothing to receive, a message was expected")
	return ms[0]
}

// none asserts that nothing is visible.
func (e *env) none() {
	e.Helper()
	ms := e.receive(1)
	e.check(len(ms) == 0, "received a message, none was expected")
}

// bodies receives what is visible, up to n, over as many calls as it takes.
func (e *env) bodies(n int) []string {
	e.Helper()
	var got []string
	for len(got) < n {
		ms := e.receive(min(n-len(got), 10))
		if len(ms) == 0 {
			break
		}
		for _, m := range ms {
			got = append(got, string(m.Body))
		}
	}
	return got
}

func (e *env) delete(handles ...string) []error {
	e.Helper()
	errs, err := e.q.Delete(e.ctx, handles)
	e.check(err == nil, "delete: %v", err)
	e.check(len(errs) == len(handles), "delete: %d results for %d handles", len(errs), len(handles))
	return errs
}

func (e *env) change(handle string, d time.Duration) error {
	e.Helper()
	errs, err := e.q.ChangeVisibility(e.ctx, []driver.Change{{Handle: handle, Timeout: d}})
	e.check(err == nil, "change visibility: %v", err)
	e.check(len(errs) == 1, "change visibility: %d results for 1 change", len(errs))
	return errs[0]
}

func (e *env) must(err error) {
	e.Helper()
	e.check(err == nil, "%v", err)
}

func (e *env) equal(got, want any) {
	e.Helper()
	if g, ok := got.([]byte); ok {
		e.check(bytes.Equal(g, want.([]byte)), "%d bytes that differ from the %d sent", len(g), len(want.([]byte)))
		return
	}
	g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
	e.check(g == w, "%s, where %s was expected", g, w)
}

// A waiting is a receive in a goroutine of its own.
type waiting struct {
	ms   []driver.Message
	err  error
	took time.Duration
}

// wait starts a receive that waits for up to d.
func (e *env) wait(ctx context.Context, most int, d time.Duration) <-chan waiting {
	began := time.Now()
	c := make(chan waiting, 1)
	go func() {
		ms, err := e.q.Receive(ctx, driver.Receive{Max: most, Wait: d, Visibility: e.unit(100)})
		c <- waiting{ms, err, time.Since(began)}
	}()
	return c
}

// waits asserts that a receive has not returned.
func (e *env) waits(c <-chan waiting) {
	e.Helper()
	e.settle()
	select {
	case w := <-c:
		e.failf("the receive returned with %d messages, %v, and should wait", len(w.ms), w.err)
	default:
	}
}

// returns asserts that a receive returns, now in fake time, or within Late.
func (e *env) returns(c <-chan waiting) waiting {
	e.Helper()
	e.settle()
	if e.h.RealTime {
		select {
		case w := <-c:
			return w
		case <-time.After(e.h.Late + e.unit(5)):
		}
	} else {
		select {
		case w := <-c:
			return w
		default:
		}
	}
	e.failf("the receive still waits")
	panic("unreachable")
}

// returnsWith asserts that a receive returns with one message of that body.
func (e *env) returnsWith(c <-chan waiting, body string) driver.Message {
	e.Helper()
	w := e.returns(c)
	e.must(w.err)
	e.check(len(w.ms) == 1, "the receive returned %d messages", len(w.ms))
	e.equal(string(w.ms[0].Body), body)
	return w.ms[0]
}
