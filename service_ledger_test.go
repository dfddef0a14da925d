package dabchick_test

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// A ledgerEntry is what is known of a message that is somewhere. Once it is
// deleted, purged or expired it is only counted.
type ledgerEntry struct {
	id       dabchick.ID // zero while its send waits
	group    string
	sentAt   time.Duration
	waiting  bool // its send may still fail
	receives int  // as its last delivery counted, less what was returned
	returned int  // in this queue
	queue    *serviceQueue
	receipt  dabchick.Receipt // the newest
	hidden   time.Duration    // nobody may get it before
	expires  time.Duration    // not before
}

const checksum = "sum"

// sum is what a message carries beside its number.
func sum(body int, group string) string { return strconv.Itoa(body*7919%10007) + group }

// must ends the run if something does not hold.
func (s *service) must(holds bool, format string, args ...any) {
	if !holds {
		s.t.Helper()
		s.t.Fatalf(format, args...)
	}
}

// delivered holds a delivery against what is known: I2, I3, I5, I7, I9, I10.
func (s *service) delivered(q *serviceQueue, m dabchick.Message[int], batch []dabchick.Message[int]) {
	x := s.messages[m.Body]
	s.must(x != nil, "message %d was delivered by %s, and is gone or was never sent", m.Body, q.Name())
	a, _ := m.Attribute(checksum)
	s.must(a.Text == sum(m.Body, x.group) && m.Group() == x.group, "contents of message %d", m.Body)
	s.must(x.id == m.ID || x.waiting, "id of message %d", m.Body)
	s.must(x.hidden <= s.now(), "message %d came too early, or has another holder", m.Body)
	s.must(m.Receives == x.receives+1, "message %d has %d receives after %d", m.Body, m.Receives, x.receives)
	s.found(q, m, x)
	if o := q.Options(); o.DeadLetter != nil {
		s.must(m.Receipt.Nth()-x.returned <= o.MaxReceives, "message %d came too often", m.Body)
	}
	if q.fifo {
		s.deliveredInOrder(q, m, x, batch)
	}
	x.receives, x.receipt = m.Receives, m.Receipt
	x.hidden = m.VisibleAt().Sub(s.began)
}

// found is told where a message is. It may have moved to the dead-letter queue of
// the one where it was.
func (s *service) found(q *serviceQueue, m dabchick.Message[int], x *ledgerEntry) {
	if x.queue == q {
		return
	}
	origin, _ := m.Origin()
	s.must(origin.Queue == x.queue.Name() && x.queue.Options().DeadLetter == q.Queue, "message %d has moved from %s to %s", m.Body, x.queue.Name(), q.Name())
	s.must(x.hidden <= s.now(), "message %d has moved to %s while it was held", m.Body, q.Name())
	s.move(x, q)
}

// move notes that a message is in another queue.
func (s *service) move(x *ledgerEntry, q *serviceQueue) {
	x.queue, x.returned = q, 0
	x.expires = min(x.expires, x.sentAt+s.retention(q))
}

// retention is the shortest that a message of a queue may have, there or as a dead
// letter.
func (s *service) retention(q *serviceQueue) time.Duration {
	d := q.Options().Retention
	if dead := q.Options().DeadLetter; dead != nil {
		d = min(d, dead.Options().Retention)
	}
	return d
}

// deliveredInOrder: nothing of the group that was sent before is in flight, unless
// it came in the same receive, and first deliveries come in order.
func (s *service) deliveredInOrder(q *serviceQueue, m dabchick.Message[int], x *ledgerEntry, batch []dabchick.Message[int]) {
	number := m.SequenceNumber()
	if m.Receipt.Nth() == 1 {
		s.must(number > q.ordered[x.group], "message %d came out of the order of group %q", m.Body, x.group)
		q.ordered[x.group] = number
	}
	for _, c := range s.consumers {
		for _, h := range c.held {
			if h.Group() != x.group || c.q != q || h.Body == m.Body {
				continue
			}
			y := s.messages[h.Body]
			if y == nil || y.receipt != h.Receipt || y.hidden <= s.now() || y.expires < s.now() || h.SequenceNumber() > number {
				continue
			}
			together := false
			for _, b := range batch {
				together = together || b.Body == h.Body
			}
			s.must(together, "message %d came while %d of group %q was in flight", m.Body, h.Body, x.group)
		}
	}
}

// settled holds the outcome of a settling call against what is known: I4.
func (s *service) settled(q *serviceQueue, m dabchick.Message[int], verb string, err error) {
	x := s.messages[m.Body]
	now := s.now()
	away := x == nil || x.queue != q || x.expires < now ||
		x.hidden <= now && x.queue == q && q.Options().DeadLetter != nil && m.Receipt.Nth()-x.returned >= q.Options().MaxReceives // or it was moved
	removed := false
	if verb == "delete" {
		stats, statsErr := q.Stats(context.Background())
		require.NoError(s.t, statsErr)
		removed = stats.Deleted > q.deleted
		q.deleted = stats.Deleted
	}
	newest := x != nil && x.receipt == m.Receipt
	held := newest && x.hidden > now
	switch {
	case errors.Is(err, dabchick.ErrMessageGone):
		s.must(away || !newest, "message %d is gone", m.Body)
	case errors.Is(err, dabchick.ErrReceiptExpired):
		s.must(!held, "receipt of message %d expired", m.Body)
	case errors.Is(err, dabchick.ErrReceiptSuperseded):
		s.must(!newest, "receipt of message %d superseded", m.Body)
	default:
		s.must(err == nil, "%s of message %d: %v", verb, m.Body, err)
		s.must(newest || verb == "delete" && !removed, "a stale receipt settled message %d", m.Body)
		s.must(held || verb == "delete" && !(q.fifo && removed), "a receipt that had expired settled message %d", m.Body)
		s.must(verb != "delete" || removed || !held || away, "message %d was deleted, and was not there", m.Body)
	}
	if err != nil {
		return
	}
	switch {
	case removed:
		delete(s.messages, m.Body)
		s.gone.deleted++
	case verb == "delete": // it was gone
	case verb == "extend":
		// The one who extends says until when.
	case verb == "bury":
		x.hidden = now
		for _, to := range s.queues {
			if to.Queue == q.Options().DeadLetter {
				s.move(x, to)
			}
		}
	case verb == "return":
		x.receives--
		x.returned++
		x.hidden = now
	default:
		x.hidden = now
	}
}

func (s *service) auditHourly() {
	s.audit()
	s.in(s.upTo(2*time.Hour), s.auditHourly)
}

// audit looks for every message: I1, I8, I9.
func (s *service) audit() {
	for _, q := range s.queues { // what has expired may make room for somebody
		_, err := q.Stats(context.Background())
		require.NoError(s.t, err)
	}
	s.settle()
	found := map[int]*serviceQueue{}
	expired := uint64(0)
	for _, q := range s.queues {
		require.NoError(s.t, q.Check(), q.Name())
		st, err := q.Stats(context.Background())
		require.NoError(s.t, err)
		expired += st.Expired
		ms, err := q.Peek(context.Background(), 1<<20)
		require.NoError(s.t, err)
		states := map[dabchick.State]int{}
		for _, m := range ms {
			states[m.State]++
			x := s.messages[m.Body]
			s.must(x != nil, "message %d is in %s, and should be gone", m.Body, q.Name())
			s.must(found[m.Body] == nil, "message %d is in two queues", m.Body)
			found[m.Body] = q
			s.must(x.id == m.ID, "id of message %d", m.Body)
			s.must(x.receives == m.Receives, "message %d has %d receives instead of %d", m.Body, m.Receives, x.receives)
			s.found(q, m, x)
		}
		require.Equal(s.t, []int{states[dabchick.Visible], states[dabchick.InFlight], states[dabchick.Delayed]},
			[]int{st.Visible, st.InFlight, st.Delayed}, "counts of %s", q.Name())
		require.Equal(s.t, st.Sent+st.Arrived, st.Deleted+st.Expired+st.Purged+st.DeadLettered+st.Redriven+uint64(len(ms)), q.Name())
	}
	for body, x := range s.messages {
		if found[body] != nil || x.waiting {
			continue
		}
		s.must(x.expires < s.now(), "message %d is in no queue", body)
		delete(s.messages, body)
		s.gone.expired++
	}
	require.EqualValues(s.t, expired, s.gone.expired, "expired messages")
	s.say("audit: %d messages, %+v", len(s.messages), s.gone)
}
