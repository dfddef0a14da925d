package dabchick

import (
	"math"
	"time"
)

// On a FIFO queue a message may be delivered if it is visible and no earlier
// message of its group is in flight, delayed, or on its way to the dead-letter
// queue. Messages of one receive do not hold each other back.
//
// So only the first message of a group can begin a delivery, and only such
// messages are in ready: a receive never looks at one that is held back. Those
// behind the first are reached through it, in the same receive.

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
	slot := c.slab.at(prev).links[grouped].next
	if slot == 0 {
		return 0
	}
	if m := c.slab.at(slot); m.isUnderWay() || m.at > now {
		return 0
	}
	return slot
}

// passed is the last message of a FIFO queue that a redrive has passed over, as it could
// not be moved. All that stood before it is moved, or was passed over too.
type passed struct {
	seq  uint64 // 0 if there is none
	slot uint32
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
	if m := c.slab.lookup(at.slot); at.seq != 0 && m != nil && m.seq == at.seq {
		slot = m.links[arrived].next
	}
	for n := 0; slot != 0; n++ {
		m := c.slab.at(slot)
		switch {
		case m.home == inReady:
			return slot, true
		case n == noticed:
			return 0, false
		}
		*at = passed{m.seq, slot}
		slot = m.links[arrived].next
	}
	return c.next(now, math.MaxUint64), true
}

// redelay gives the messages that wait for the end of the queue's delay another
// one, as SQS does on FIFO queues. Those whose delay is over now are left to be
// noticed. O(n log n) in the messages sent within the old delay.
func (c *core[T]) redelay(now int64, d time.Duration) {
	first := uint32(0)
	for slot := c.arrivals.tail; slot != 0 && after(c.slab.at(slot).sentAt, c.delay) > now; {
		first, slot = slot, c.slab.at(slot).links[arrived].prev
	}
	for slot := first; slot != 0; slot = c.slab.at(slot).links[arrived].next {
		m := c.slab.at(slot)
		if m.state != delayed || m.is(ownDelay) {
			continue
		}
		c.lift(slot, m)
		c.hide(now, slot, m, max(d-time.Duration(now-m.sentAt), 0), delayed, runOther)
	}
}
