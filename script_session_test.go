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

// A call does what a command asks for, in whatever goroutine, and returns how to
// write its answer. The answer gives names to what is in it, and is written by the
// session.
type call func(ctx context.Context) (answer func() []string)

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

func (s *session) start(run call) {
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

// arguments are what follows the name of a command. Whoever reads them takes them
// out; what is left in the end is an error.
type arguments struct {
	verb       string
	words      []string
	named      map[string]string
	queue      string // after @
	background bool   // & at the end
	err        error  // the first thing that was wrong
}

// parseArguments splits a command at spaces. A word, or the value behind =, may be
// quoted as in Go.
func parseArguments(command string) (*arguments, error) {
	a := &arguments{named: map[string]string{}}
	for rest := strings.TrimSpace(command); rest != ""; rest = strings.TrimLeft(rest, " ") {
		if rest == "&" {
			a.background = true
			break
		}
		end := strings.IndexAny(rest, ` ="`)
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		rest = rest[end:]
		hasValue := strings.HasPrefix(rest, "=") && name != ""
		if hasValue {
			rest = rest[1:]
		}
		var text string
		if strings.HasPrefix(rest, `"`) && (hasValue || name == "") {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("a quote that does not end: %s", rest)
			}
			text, _ = strconv.Unquote(quoted)
			rest = rest[len(quoted):]
		} else {
			end := strings.IndexByte(rest, ' ')
			if end < 0 {
				end = len(rest)
			}
			text, rest = rest[:end], rest[end:]
			if !hasValue {
				text = name + text
			}
		}
		switch queue, isQueue := strings.CutPrefix(name, "@"); {
		case hasValue:
			if _, ok := a.named[name]; ok {
				return nil, fmt.Errorf("%q is given twice", name)
			}
			a.named[name] = text
		case isQueue:
			a.queue = queue
		case a.verb == "":
			a.verb = text
		default:
			a.words = append(a.words, text)
		}
	}
	if a.verb == "" {
		return nil, errors.New("no command")
	}
	return a, nil
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// check returns what was wrong, or that something was left.
func (a *arguments) check() error {
	for name := range a.named {
		a.fail("unknown argument %q", name)
	}
	if len(a.words) > 0 {
		a.fail("unknown argument %q", a.words[0])
	}
	return a.err
}

// take returns the value of a named argument, and whether it was given.
func (a *arguments) take(name string) (string, bool) {
	text, ok := a.named[name]
	delete(a.named, name)
	return text, ok
}

// flag says whether a word is among the words.
func (a *arguments) flag(name string) bool {
	i := slices.Index(a.words, name)
	if i >= 0 {
		a.words = slices.Delete(a.words, i, i+1)
	}
	return i >= 0
}

// one returns the only word.
func (a *arguments) one(what string) string {
	if len(a.words) != 1 {
		a.fail("one %s is needed, got %d words", what, len(a.words))
		a.words = []string{""}
	}
	text := a.words[0]
	a.words = nil
	return text
}

func (a *arguments) parseDuration(what, text string) time.Duration {
	if text == "forever" {
		return dabchick.Forever
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		a.fail("%s: %q is not a duration such as 30s or forever", what, text)
	}
	return d
}

// duration reads an option in which 0 stands for a default; "0" is a real zero.
func (a *arguments) duration(name string, d *time.Duration) {
	if text, ok := a.take(name); ok {
		if *d = a.parseDuration(name, text); *d == 0 {
			*d = dabchick.Immediately
		}
	}
}

func (a *arguments) count(name string, n *int) {
	if text, ok := a.take(name); ok {
		var err error
		if *n, err = strconv.Atoi(text); err != nil {
			a.fail("%s: %q is not a number", name, text)
		}
	}
}

func (a *arguments) share(name string, f *float64) {
	if text, ok := a.take(name); ok {
		var err error
		if *f, err = strconv.ParseFloat(text, 64); err != nil {
			a.fail("%s: %q is not a number", name, text)
		}
	}
}
