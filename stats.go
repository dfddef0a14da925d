package dabchick

import (
	"context"
	"time"
)

// Stats are figures of a queue at one instant. Those of the built-in engine
// are exact and belong together.
type Stats struct {
	Visible  int // messages waiting to be received
	InFlight int // received, and neither settled nor timed out; or on the way to another queue
	Delayed  int // in the delay that they were sent with

	// Bytes is the sum of the sizes of all messages; see Options.Size.
	Bytes int64
	// OldestAge is how long the oldest message has been in this queue, in
	// whatever state; 0 if there is none. In a dead-letter queue it counts
	// from the move.
	OldestAge time.Duration
	// LongestWait is how long the message that has been deliverable for longest
	// has been so; 0 if there is none. Neither delays nor what is in flight enter
	// into it, nor what a FIFO queue holds back: it shows whether there are
	// enough consumers. A backend does not tell it.
	LongestWait time.Duration

	WaitingReceivers int // calls that wait for a message
	WaitingSenders   int // calls that wait for room

	Paused bool
	Closed bool

	// Totals count since the queue was made.
	Totals
}

// Totals count what has happened to the messages of a queue since it was made.
// A queue on a backend counts what went through its own calls.
//
// Sent + Arrived = Deleted + Expired + Purged + DeadLettered + Redriven + what
// is still there.
type Totals struct {
	Sent          uint64 // stored by a send or a redrive
	Arrived       uint64 // came as dead letters
	Received      uint64 // deliveries
	Returned      uint64 // deliveries that were returned, and do not count
	EmptyReceives uint64 // receives that returned no message and no error
	Deleted       uint64
	Expired       uint64 // past their retention
	Purged        uint64
	DeadLettered  uint64 // moved to the dead-letter queue
	Redriven      uint64 // moved to another queue by Redrive
	Duplicates    uint64 // sends that repeated another, and stored nothing
}

// noticed is how many messages are moved under the lock before others get a turn. In
// tests it is less, see TestMain.
var noticed = 1024

// Stats returns the figures of the queue. The built-in engine never blocks and
// returns no error. It takes O(1), and once for each message that came up
// since it was last asked, without holding others up for that.
func (q *Queue[T]) Stats(ctx context.Context) (Stats, error) {
	if q.backend != nil {
		return q.backend.stats(ctx)
	}
	now := q.enter(q.clock())
	for n := 1; q.surface(now); n++ {
		if n%noticed == 0 {
			q.leave(now)
			now = q.enter(now)
		}
	}
	c := &q.core
	var s Stats
	if at, ok := c.oldest(); ok {
		s.OldestAge = time.Duration(now - at)
	}
	if at, ok := c.waiting(); ok {
		s.LongestWait = time.Duration(now - at)
	}
	added, n, bytes := c.backlog.sums(now) // last, as it may grow meanwhile
	s.Visible = c.counts[visible] + n
	s.InFlight = c.counts[inFlight] + c.counts[moving]
	s.Delayed = c.counts[delayed]
	s.Bytes = c.bytes + bytes
	s.WaitingReceivers, s.WaitingSenders = q.receivers.n, q.senders.n
	s.Paused, s.Closed = q.paused, q.closed
	s.Totals = q.totals
	s.Sent += added
	q.leave(now)
	return s, nil
}

// Peek returns up to n messages without receiving them. Of a standard queue:
// first what is visible, in the order in which it became so, which is the order
// of delivery but for noisy groups; then what is hidden, in the order in which it
// will come up. Of a FIFO queue: all in the order in which they were sent. The
// messages have no receipts.
//
// It takes O(n) under the lock, or O(n log n) with groups. An n below 1 gives an
// *InvalidError. A queue on a backend returns an error that is
// errors.ErrUnsupported.
func (q *Queue[T]) Peek(ctx context.Context, n int) ([]Message[T], error) {
	if n < 1 {
		return nil, q.fail("peek", &InvalidError{"n", n, "at least 1"})
	}
	if q.backend != nil {
		return nil, q.fail("peek", errNotOnBackend)
	}
	now := q.enter(q.clock())
	defer q.leave(now)
	c := &q.core
	var slots []uint32
	if c.fifo {
		slots = c.oldestArrivals(n)
	} else {
		for range n {
			if !q.surface(now) {
				break
			}
		}
		slots = c.visible(n)
		slots = append(slots, c.hidden.list(n-len(slots))...)
	}
	messages := make([]Message[T], 0, len(slots))
	for _, slot := range slots {
		if isReserved(slot) {
			messages = append(messages, q.showReserved(slot))
		} else if m := c.slab.at(slot); !m.isUnderWay() {
			messages = append(messages, Message[T]{})
			q.show(now, &messages[len(messages)-1], slot, m)
		}
	}
	return messages, nil
}

// GroupStats are figures of one message group at one instant.
type GroupStats struct {
	Name     string
	Visible  int // on a FIFO queue also those that are held back by one in flight
	InFlight int
	Delayed  int
	// OldestAge is how long the oldest message of the group has been in this
	// queue, in whatever state.
	OldestAge time.Duration
	// Noisy says that the messages of the group wait for those of others. See
	// Fairness.
	Noisy bool
}

// Group returns the figures of a message group; they are zero if it has no
// messages. It takes O(1). A queue on a backend returns an error that is
// errors.ErrUnsupported.
func (q *Queue[T]) Group(ctx context.Context, name string) (GroupStats, error) {
	if q.backend != nil {
		return GroupStats{}, q.fail("group", errNotOnBackend)
	}
	now := q.enter(q.clock())
	defer q.leave(now)
	if n := q.core.groups.lookup(name); n != 0 {
		return q.groupStats(now, n), nil
	}
	return GroupStats{Name: name}, nil
}

// Groups returns the figures of all groups that have messages, in no order. It
// takes O(1) for each group, and lets others have turns: groups that change
// meanwhile may be there or not. A queue on a backend returns an error that is
// errors.ErrUnsupported.
func (q *Queue[T]) Groups(ctx context.Context) ([]GroupStats, error) {
	if q.backend != nil {
		return nil, q.fail("groups", errNotOnBackend)
	}
	now := q.enter(q.clock())
	var all []GroupStats
	for n := uint32(1); n < q.core.groups.fresh; n++ {
		if q.core.groups.at(n).first() != 0 {
			all = append(all, q.groupStats(now, n))
		}
		if int(n)%noticed == 0 {
			q.leave(now)
			now = q.enter(q.clock())
		}
	}
	q.leave(now)
	return all, nil
}

func (q *Queue[T]) groupStats(now int64, n uint32) GroupStats {
	c := &q.core
	g := c.groups.at(n)
	s := GroupStats{
		Name:     g.name,
		Visible:  int(g.counts[visible]),
		InFlight: int(g.counts[inFlight] + g.counts[moving]),
		Delayed:  int(g.counts[delayed]),
		Noisy:    !c.fifo && c.noisy(now, n),
	}
	if first := g.first(); first != 0 {
		s.OldestAge = time.Duration(now - c.arrivedAt(first))
	}
	return s
}
