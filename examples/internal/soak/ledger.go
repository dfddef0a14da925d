package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A ledger knows every message that has been sent and is not deleted or purged.
type ledger struct {
	shards [64]shard
	faults struct {
		sync.Mutex
		count int
		first string
	}
}

type shard struct {
	sync.Mutex
	live map[int64]*entry
}

// An entry is a message, and its newest known holder.
type entry struct {
	id       dabchick.ID
	receives int
	until    time.Time // when its holder's time ends; zero if it has let go
}

func (l *ledger) fault(format string, args ...any) {
	l.faults.Lock()
	defer l.faults.Unlock()
	if l.faults.count++; l.faults.count == 1 {
		l.faults.first = fmt.Sprintf(format, args...)
	}
}

// faulty returns how many faults there have been, and what the first is.
func (l *ledger) faulty() (count int, first string) {
	l.faults.Lock()
	defer l.faults.Unlock()
	return l.faults.count, l.faults.first
}

// check says whether there was no error.
func (l *ledger) check(err error) bool {
	if err != nil {
		l.fault("%v", err)
	}
	return err == nil
}

// with calls f with the entry of a message, or nil.
func (l *ledger) with(body int64, f func(live map[int64]*entry, e *entry)) {
	s := &l.shards[body%int64(len(l.shards))]
	s.Lock()
	defer s.Unlock()
	if s.live == nil {
		s.live = map[int64]*entry{}
	}
	f(s.live, s.live[body])
}

func (l *ledger) add(body int64) {
	l.with(body, func(live map[int64]*entry, _ *entry) { live[body] = &entry{} })
}

func (l *ledger) remove(body int64) {
	l.with(body, func(live map[int64]*entry, _ *entry) { delete(live, body) })
}

// hold notes a delivery. Two that follow each other must not overlap, whichever
// is noted first.
func (l *ledger) hold(m dabchick.Message[int64]) {
	l.with(m.Body, func(_ map[int64]*entry, e *entry) {
		now := time.Now()
		switch {
		case e == nil && now.After(m.VisibleAt()): // it is noted when another may have deleted it already
		case e == nil:
			l.fault("message %d, receive %d, was delivered after its delete, or never sent", m.Body, m.Receives)
		case e.id == m.ID && m.Receives < e.receives: // noted late
		case e.id == m.ID && m.Receives > e.receives && now.Before(e.until):
			l.fault("message %d has two holders", m.Body)
		default:
			e.id, e.receives, e.until = m.ID, m.Receives, m.VisibleAt()
		}
	})
}

// letGo is told that a holder is about to make its message visible, or to change
// until when it holds it.
func (l *ledger) letGo(m dabchick.Message[int64]) { l.keep(m, time.Time{}) }

// keep is told until when a message is held.
func (l *ledger) keep(m dabchick.Message[int64], until time.Time) {
	l.with(m.Body, func(_ map[int64]*entry, e *entry) {
		if e != nil && e.id == m.ID && e.receives == m.Receives {
			e.until = until
		}
	})
}

// settled waits until no message is on its way to a dead-letter queue: an alarm that
// has served a receiver carries it over when the receiver may have left already. It
// counts as in flight then, and is in neither queue.
func (s *soak) settled() {
	for range 500 {
		moving := 0
		for _, q := range s.queues() {
			st, err := q.Stats(context.Background())
			s.check(err)
			there, err := q.Peek(context.Background(), 4*most)
			s.check(err)
			moving += st.Visible + st.InFlight + st.Delayed - len(there)
		}
		if moving == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// audit looks whether what is in the queues, which nobody uses now, is what is in
// the ledger.
func (s *soak) audit() {
	s.settled()
	left, known := map[int64]string{}, 0
	for _, q := range s.queues() {
		st, err := q.Stats(context.Background())
		s.check(err)
		there, err := q.Peek(context.Background(), 4*most)
		s.check(err)
		if n := st.Visible + st.InFlight + st.Delayed; n != len(there) {
			s.fault("%s counts %d messages and has %d", q.Name(), n, len(there))
		}
		if in, out := st.Sent+st.Arrived, st.Deleted+st.Expired+st.Purged+st.DeadLettered+st.Redriven; in != out+uint64(len(there)) {
			s.fault("%s: %d came in, %d went out, %d are there", q.Name(), in, out, len(there))
		}
		for _, m := range there {
			if other, ok := left[m.Body]; ok {
				s.fault("message %d is in %s and in %s", m.Body, other, q.Name())
			}
			left[m.Body] = q.Name()
			s.with(m.Body, func(_ map[int64]*entry, e *entry) {
				if e == nil {
					s.fault("message %d is in %s after its delete", m.Body, q.Name())
				}
			})
		}
	}
	for i := range s.shards {
		known += len(s.shards[i].live)
	}
	if known != len(left) {
		s.fault("%d messages are in the ledger, %d in the queues", known, len(left))
	}
}
