package dabchick_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"github.com/dabchickmq/dabchick"
)

type (
	queue   = *dabchick.Queue[string]
	message = dabchick.Message[string]
	options = dabchick.Options[string]
)

// A session is the queues of a script, and what the script has names for.
type session struct {
	ctx   context.Context
	began time.Time

	queues   map[string]queue
	receipts map[string]receipt
	labels   map[dabchick.Receipt]string
	ids      map[dabchick.ID]string // names of ids that were shown
	sent     map[dabchick.ID]string // bodies of messages by the ids that sends returned
	sequence string                 // the number that was shown last
	waiting  []*background
	calls    int // that were made in the background
}

// A receipt is what a label stands for.
type receipt struct {
	dabchick.Receipt
	queue queue
}

// An action does what a command asks for, in whatever goroutine, and returns how to
// write its answer. The answer gives names to what is in it, and is written by the
// session.
type action func(ctx context.Context) (answer func() []string)

// onTheSpot is a call that cannot be made in the background: later commands need
// what it does.
func (a *arguments) onTheSpot(answer func() []string) action {
	if a.background {
		a.fail("it cannot be in the background")
	}
	return func(context.Context) func() []string { return answer }
}

// A background call is one that the script does not wait for.
type background struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{} // closed when the fields below are set
	answer func() []string
	at     time.Duration // since the session began
}

func newSession(ctx context.Context) *session {
	return &session{
		ctx: ctx, began: time.Now(), queues: map[string]queue{},
		receipts: map[string]receipt{}, labels: map[dabchick.Receipt]string{},
		ids: map[dabchick.ID]string{}, sent: map[dabchick.ID]string{},
	}
}

// patience is more than any script waits for one call.
const patience = 365 * 24 * time.Hour

// do carries out a command and returns its answer, and those of background calls
// that have returned meanwhile.
func (s *session) do(command string) ([]string, error) {
	a, err := parseArguments(command)
	if err != nil {
		return nil, err
	}
	read, ok := commands[a.verb]
	if !ok {
		return nil, fmt.Errorf("unknown command %q, there are %s", a.verb, commandNames())
	}
	run := read(s, a)
	if err := a.check(); err != nil {
		return nil, err
	}
	var answer []string
	if a.background {
		s.start(run)
	} else {
		ctx, cancel := context.WithTimeout(s.ctx, patience)
		answer = run(ctx)()
		cancel()
	}
	return append(answer, s.returned()...), nil
}

func (s *session) start(run action) {
	ctx, cancel := context.WithCancel(s.ctx)
	s.calls++
	b := &background{name: fmt.Sprintf("w%d", s.calls), cancel: cancel, done: make(chan struct{})}
	s.waiting = append(s.waiting, b)
	go func() {
		defer close(b.done)
		b.answer = run(ctx)
		b.at = time.Since(s.began)
	}()
}

// returned writes the answers of background calls that have returned, in the order
// in which they did.
func (s *session) returned() (lines []string) {
	synctest.Wait()
	var done []*background
	s.waiting = slices.DeleteFunc(s.waiting, func(b *background) bool {
		select {
		case <-b.done:
			b.cancel()
			done = append(done, b)
			return true
		default:
			return false
		}
	})
	slices.SortStableFunc(done, func(a, b *background) int { return cmp.Compare(a.at, b.at) })
	for _, b := range done {
		for _, line := range b.answer() {
			lines = append(lines, fmt.Sprintf("%s at %v: %s", b.name, b.at, line))
		}
	}
	return lines
}

// end cancels what still waits, and returns an invariant of a queue that does not
// hold.
func (s *session) end() error {
	for _, b := range s.waiting {
		b.cancel()
		<-b.done
	}
	for _, q := range s.queues {
		if err := q.Check(); err != nil {
			return fmt.Errorf("queue %s: %w", q.Name(), err)
		}
	}
	return nil
}

// label returns the name of a receipt; equal ones have the same.
func (s *session) label(q queue, r dabchick.Receipt) string {
	name, ok := s.labels[r]
	if !ok {
		name = fmt.Sprintf("r%d", len(s.labels)+1)
		s.labels[r] = name
		s.receipts[name] = receipt{r, q}
	}
	return name
}

// id returns the name of an id.
func (s *session) id(id dabchick.ID) string {
	name, ok := s.ids[id]
	if !ok {
		name = fmt.Sprintf("i%d", len(s.ids)+1)
		s.ids[id] = name
	}
	return name
}

// since writes an instant as the time since the session began.
func (s *session) since(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Sub(s.began).String()
}

// word writes a text so that it is one word of a script.
func word(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"=@&`, r) }) {
		return strconv.QuoteToASCII(text)
	}
	return text
}

// failed writes an error without the operation and the queue before it. Those of
// a batch are one line each, with the name of their entry.
func failed(err error, names ...string) (lines []string) {
	var batch *dabchick.BatchError
	switch {
	case err == nil:
	case errors.As(err, &batch):
		for _, f := range batch.Failed {
			lines = append(lines, fmt.Sprintf("%s: error: %v", word(names[f.Index]), f.Err))
		}
	default:
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		lines = append(lines, fmt.Sprintf("error: %v", err))
	}
	return lines
}
