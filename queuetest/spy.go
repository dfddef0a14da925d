// Package queuetest is for the tests of programs that use queues. A [Spy] records
// the life of every message, waits for what shall happen or shall not, and asserts;
// a failure prints the history of the messages that it is about. [Drain] runs a
// handler on all that is there, in the calling goroutine. A [Chaos] stands between a
// queue and its consumer, and does what networks and slow programs do.
//
// It uses package testing only, and is at its best in a testing/synctest bubble,
// where hours of timeouts pass in milliseconds: see docs/testing.md.
package queuetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A Spy records everything that happens to the messages of queues. Make one with
// [Watch]. Its methods may be called concurrently, but for Await and Never, which
// like t.Fatal belong into the goroutine of the test.
//
// Its assertions count what has happened since Watch. They fail the test by t.Error
// and go on.
type Spy[T any] struct {
	t      testing.TB
	began  time.Time
	queues []*dabchick.Queue[T]

	mu     sync.Mutex
	events []dabchick.Event[T]
	moved  chan struct{} // closed when an event comes
}

// Watch starts to record the events of queues: those of one test, a queue and its
// dead-letter queue, say. It replaces their Options.OnEvent by one that calls the
// former one first, so that it must not run beside another change of options.
//
// A queue notices at the next call that a timeout has ended. A Spy looks at its
// queues before it answers, so that its answers are up to date.
func Watch[T any](t testing.TB, queues ...*dabchick.Queue[T]) *Spy[T] {
	t.Helper()
	s := &Spy[T]{t: t, began: time.Now(), queues: queues, moved: make(chan struct{})}
	for _, q := range queues {
		o := q.Options()
		before := o.OnEvent
		o.OnEvent = func(e dabchick.Event[T]) {
			if before != nil {
				before(e)
			}
			s.record(e)
		}
		if err := q.SetOptions(o); err != nil {
			t.Fatalf("queuetest: %v", err)
		}
	}
	return s
}

func (s *Spy[T]) record(e dabchick.Event[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	close(s.moved)
	s.moved = make(chan struct{})
}

// look lets the queues notice what has come up.
func (s *Spy[T]) look() {
	for _, q := range s.queues {
		q.Stats(context.Background())
	}
}

// Events returns what has happened, in order, of the kinds given or of all kinds.
func (s *Spy[T]) Events(kinds ...dabchick.EventKind) []dabchick.Event[T] {
	s.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []dabchick.Event[T]
	for _, e := range s.events {
		if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
			found = append(found, e)
		}
	}
	return found
}

// Bodies returns the bodies of the messages to which something of a kind has
// happened, in that order; one to which it happened twice is there twice.
func (s *Spy[T]) Bodies(kind dabchick.EventKind) []T {
	bodies := []T{}
	for _, e := range s.Events(kind) {
		bodies = append(bodies, e.Message.Body)
	}
	return bodies
}

// History tells the life of a message, an event a line, with the time since Watch.
func (s *Spy[T]) History(id dabchick.ID) string {
	return s.history(func(e *dabchick.Event[T]) bool { return e.Message.ID == id })
}

// history tells the lives of messages that have an event of which of says true.
func (s *Spy[T]) history(of func(*dabchick.Event[T]) bool) string {
	events := s.Events()
	chosen := map[dabchick.ID]bool{}
	for i := range events {
		if of(&events[i]) {
			chosen[events[i].Message.ID] = true
		}
	}
	var b strings.Builder
	told := map[dabchick.ID]bool{}
	for i := range events {
		id := events[i].Message.ID
		if !chosen[id] || told[id] {
			continue
		}
		if told[id] = true; len(told) > mostHistories {
			fmt.Fprintf(&b, "... and %d messages more\n", len(chosen)-mostHistories)
			break
		}
		fmt.Fprintf(&b, "message %v: %s\n", id, brief(events[i].Message.Body))
		for _, e := range events[i:] {
			if e.Message.ID == id {
				fmt.Fprintf(&b, "  %12v  %s\n", e.Time.Sub(s.began), describe(&e))
			}
		}
	}
	return b.String()
}

// mostHistories is of how many messages a failure tells.
const mostHistories = 10

func describe[T any](e *dabchick.Event[T]) string {
	text := fmt.Sprintf("%s: %v", e.Queue, e.Kind)
	switch e.Kind {
	case dabchick.Received, dabchick.Reappeared, dabchick.Deleted, dabchick.Released:
		text += fmt.Sprintf(", delivery %d", e.Message.Receives)
	case dabchick.Extended:
		text += fmt.Sprintf(" for %v, delivery %d", e.Message.VisibleAt().Sub(e.Time), e.Message.Receives)
	case dabchick.DeadLettered, dabchick.Redriven:
		text += " to " + e.To
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

func brief(body any) string {
	if b, ok := body.([]byte); ok {
		body = string(b)
	}
	text := fmt.Sprintf("%+v", body)
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:80], "") + "..."
	}
	return text
}
