package queuetest

import (
	"context"
	"strconv"
	"time"

	"github.com/dabchickmq/dabchick"
)

// Await returns the first event of a kind, and for which each match says true. If
// it has not happened yet Await waits for it, within at most; the test fails with
// the histories of all messages if it does not come. In a synctest bubble that
// takes no real time.
func (s *Spy[T]) Await(within time.Duration, kind dabchick.EventKind, match ...func(dabchick.Event[T]) bool) dabchick.Event[T] {
	s.t.Helper()
	return s.AwaitNth(1, within, kind, match...)
}

// AwaitNth is Await for the n-th such event, from 1.
func (s *Spy[T]) AwaitNth(n int, within time.Duration, kind dabchick.EventKind, match ...func(dabchick.Event[T]) bool) dabchick.Event[T] {
	s.t.Helper()
	if n < 1 {
		s.t.Fatalf("queuetest: n is %d, allowed: at least 1", n)
	}
	if e, ok := s.wait(n, within, kind, match); ok {
		return e
	}
	s.t.Fatalf("queuetest: no message was %v within %v (for the %s time)\n%s", kind, within, ordinal(n), s.all())
	panic("unreachable")
}

// Never fails the test if an event of a kind, and for which each match says true,
// has happened, or happens within some time. It waits that time.
func (s *Spy[T]) Never(within time.Duration, kind dabchick.EventKind, match ...func(dabchick.Event[T]) bool) {
	s.t.Helper()
	if e, ok := s.wait(1, within, kind, match); ok {
		s.t.Fatalf("queuetest: a message was %v, after %v\n%s", kind, e.Time.Sub(s.began), s.History(e.Message.ID))
	}
}

// wait returns the n-th event that matches. Queues tell only when they are looked at
// that a timeout has ended, so it looks a thousand times, or each second; after so many
// looks they become rarer, as otherwise years would have too many.
func (s *Spy[T]) wait(n int, within time.Duration, kind dabchick.EventKind, match []func(dabchick.Event[T]) bool) (dabchick.Event[T], bool) {
	end := time.NewTimer(within)
	defer end.Stop()
	const looks = 1000
	began, every := time.Now(), min(max(within/looks, time.Millisecond), time.Second)
	look := time.NewTimer(every)
	defer look.Stop()
	matches := func(e dabchick.Event[T]) bool {
		for _, m := range match {
			if !m(e) {
				return false
			}
		}
		return e.Kind == kind
	}
	seen := 0
	for over := false; ; {
		s.look()
		events, moved := s.since(seen)
		seen += len(events)
		for _, e := range events {
			if matches(e) {
				n--
			}
			if n == 0 {
				return e, true
			}
		}
		if over {
			return dabchick.Event[T]{}, false
		}
		select {
		case <-moved:
		case <-look.C:
			look.Reset(max(every, (time.Since(began) / looks).Truncate(time.Second)))
		case <-end.C:
			over = true // a last look
		}
	}
}

// since returns the events after the first n, and what is closed when more come.
func (s *Spy[T]) since(n int) ([]dabchick.Event[T], <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[n:], s.moved
}

// AssertSent fails the test unless n messages were sent.
func (s *Spy[T]) AssertSent(n int) bool { s.t.Helper(); return s.assert(n, dabchick.Sent) }

// AssertHandled fails the test unless n messages were deleted: their work is done.
func (s *Spy[T]) AssertHandled(n int) bool { s.t.Helper(); return s.assert(n, dabchick.Deleted) }

// AssertDeadLettered fails the test unless n messages were moved to a dead-letter
// queue.
func (s *Spy[T]) AssertDeadLettered(n int) bool {
	s.t.Helper()
	return s.assert(n, dabchick.DeadLettered)
}

func (s *Spy[T]) assert(n int, kind dabchick.EventKind) bool {
	s.t.Helper()
	got := len(s.Events(kind))
	if got != n {
		s.t.Errorf("queuetest: %d messages were %v, and should have been %d\n%s", got, kind, n, s.all())
	}
	return got == n
}

// AssertOnce fails the test unless no message was delivered more than once: neither
// because it came up again, nor because it was returned.
func (s *Spy[T]) AssertOnce() bool {
	s.t.Helper()
	deliveries := map[dabchick.ID]int{}
	for _, e := range s.Events(dabchick.Received, dabchick.HandedBack) {
		if e.Kind == dabchick.Received {
			deliveries[e.Message.ID]++
		} else { // nobody has seen it
			deliveries[e.Message.ID]--
		}
	}
	again := s.history(func(e *dabchick.Event[T]) bool { return deliveries[e.Message.ID] > 1 })
	if again != "" {
		s.t.Errorf("queuetest: messages were delivered more than once\n%s", again)
	}
	return again == ""
}

// AssertNothingLeft fails the test unless the queues that are watched are empty: no
// message is visible, in flight or delayed. Give the queues that should be, or none
// for all; those that should not are those with dead letters, mostly.
func (s *Spy[T]) AssertNothingLeft(queues ...*dabchick.Queue[T]) bool {
	s.t.Helper()
	if len(queues) == 0 {
		queues = s.queues
	}
	ok := true
	for _, q := range queues {
		stats, err := q.Stats(context.Background())
		if err != nil {
			s.t.Errorf("queuetest: %v", err)
			ok = false
			continue
		}
		if stats.Visible+stats.InFlight+stats.Delayed == 0 {
			continue
		}
		ok = false
		there := map[dabchick.ID]bool{}
		for _, e := range s.Events() {
			switch {
			case e.Queue != q.Name() || e.Message.ID == (dabchick.ID{}) && e.Kind != dabchick.Purged:
			case e.Kind == dabchick.Deduplicated: // it may be deleted by now
			case e.Kind == dabchick.Deleted || e.Kind == dabchick.Expired || e.Kind == dabchick.DeadLettered || e.Kind == dabchick.Redriven:
				delete(there, e.Message.ID)
			case e.Kind == dabchick.Purged:
				clear(there)
			default:
				there[e.Message.ID] = true
			}
		}
		s.t.Errorf("queuetest: queue %q has %d visible, %d in flight and %d delayed messages left\n%s",
			q.Name(), stats.Visible, stats.InFlight, stats.Delayed,
			s.history(func(e *dabchick.Event[T]) bool { return there[e.Message.ID] }))
	}
	return ok
}

func (s *Spy[T]) all() string {
	none := dabchick.ID{}
	if text := s.history(func(e *dabchick.Event[T]) bool { return e.Message.ID != none }); text != "" {
		return text
	}
	return "nothing has happened to any message"
}

func ordinal(n int) string {
	switch n {
	case 1:
		return "first"
	case 2:
		return "second"
	case 3:
		return "third"
	}
	return strconv.Itoa(n) + "th"
}
