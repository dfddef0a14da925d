package dabchick

import (
	"math"
	"time"
)

// On a FIFO queue a message may be delivered if it is visible and no earlier
// message of its group is in flight, delayed, or on its way to the dead-letter
// queue. Messages of one receive do not hold each other back.
//
// So only the first message of a group can begin a delivery. If it is in reserve its
// group has a turn, else it is in ready when it is visible; the next message is the first of
// the two. A receive never looks at one that is held back. Those behind the first are
// reached through it, in the same receive.

// A turn is since when the first message of a group can be received, while that is in reserve.
type turn struct {
	at    int64
	place uint64
	link  // neighbours among the groups that have a turn, which are in order
}

func (t *turn) before(m *meta) bool { return t.at < m.at || t.at == m.at && t.place < m.place }

// giveTurn is told that all messages of a group are in reserve now.
func (c *core[T]) giveTurn(now int64, group uint32) {
	t := c.groups.turn(group)
	t.at, t.place = now, c.draw()
	c.groups.enchain(&c.groups.inTurn, group)
}

// nextInTurn is next on a FIFO queue. There what has come up was noticed before.
func (c *core[T]) nextInTurn(last uint64) uint32 {
	slot := c.ready.head
	if n := c.groups.inTurn.head; n != 0 {
		t := c.groups.turn(n)
		if slot == 0 || t.before(c.slab.at(slot)) {
			if t.place > last {
				return 0
			}
			return c.callUp(n)
		}
	}
	if slot == 0 || c.slab.at(slot).place > last {
		return 0
	}
	return slot
}

// isHeldBack says whether a message of a FIFO queue, visible or not, is behind
// another of its group.
func (c *core[T]) isHeldBack(slot uint32, m *meta) bool {
	return c.fifo && c.groups.at(m.group).line.head != slot
}

// promote is told that a message has become the first of its group.
func (c *core[T]) promote(slot uint32) {
	if m := c.slab.at(slot); m.home == heldBack {
		c.show(c.now, slot, m)
	}
}

// follower returns the slot of the message behind prev in its group, if that is
// visible, or 0. It can be delivered together with prev.
func (c *core[T]) follower(now int64, prev uint32) uint32 {
	p := c.slab.at(prev)
	slot := p.links[grouped].next
	if slot == 0 {
		g := c.groups.at(p.group)
		if g.reserve.head == 0 {
			return 0
		}
		slot = c.callUp(p.group)
	}
	if m := c.slab.at(slot); m.isUnderWay() || m.at > now {
		return 0
	}
	return slot
}

// passed is how far a redrive has come along the arrivals of a FIFO queue: the last message
// that it has looked at and could not move. That may be gone or elsewhere the next time; then
// the redrive looks from the first on for those that came later.
type passed struct {
	seq  uint64 // 0 if there is none
	slot uint32
	upTo uint64 // the latest seq there was: none up to it is looked at again
}

// nextToMove returns the slot of the message that a redrive moves next, or 0. On a FIFO
// queue that is the oldest of those behind what was passed over, and then what next
// returns; ready is in another order, as a group of which something was moved is last
// there. After a number of steps it gives up for now, and returns false.
func (c *core[T]) nextToMove(now int64, at *passed) (slot uint32, looked bool) {
	if !c.fifo {
		return c.next(now, math.MaxUint64), true
	}
	slot = c.arrivals.head
	if seq, l := c.enrolled(at.slot); at.seq != 0 && seq == at.seq {
		slot = l.next
	}
	for n := 0; slot != 0; n++ {
		seq, l := c.enrolled(slot)
		if seq > at.upTo {
			if found := c.movable(slot); found != 0 {
				return found, true
			}
		}
		if n == noticed {
			return 0, false
		}
		*at = passed{seq, slot, max(seq, at.upTo)}
		slot = l.next
	}
	return c.next(now, math.MaxUint64), true
}

// movable returns the slot of a message of the arrivals if it can be delivered, or 0.
func (c *core[T]) movable(n uint32) uint32 {
	if isReserved(n) {
		if group := c.reserve.at(n).group; c.groups.at(group).first() == n {
			return c.callUp(group)
		}
	} else if c.slab.at(n).home == inReady {
		return n
	}
	return 0
}

// redelay gives the messages that wait for the end of the queue's delay another
// one, as SQS does on FIFO queues. Those whose delay is over now are left to be
// noticed. O(n log n) in the messages sent within the old delay.
func (c *core[T]) redelay(now int64, d time.Duration) {
	first := uint32(0)
	for slot := c.arrivals.tail; slot != 0 && after(c.sentAt(slot), c.delay) > now; {
		first, slot = slot, c.arrival(slot).prev
	}
	for slot := first; slot != 0; slot = c.arrival(slot).next {
		if isReserved(slot) {
			continue
		}
		m := c.slab.at(slot)
		if m.state != delayed || m.is(ownDelay) {
			continue
		}
		c.lift(slot, m)
		c.hide(now, slot, m, max(d-time.Duration(now-m.sentAt), 0), delayed, runOther)
	}
}
