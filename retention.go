package dabchick

import (
	"math"
	"time"
)

// expired returns the slot of a message that is past its retention, or 0. It
// costs one comparison while there is none.
func (c *core[T]) expired(now int64) uint32 {
	if now <= c.expiry {
		return 0
	}
	slot := c.arrivals.head
	c.expiry = math.MaxInt64
	if slot != 0 {
		c.expiry = after(c.sentAt(slot), c.retention)
	}
	if s := c.taken.head; s != 0 {
		if t := after(c.slab.at(s).sentAt, c.retention); t < c.expiry {
			slot, c.expiry = s, t
		}
	}
	if k, ok := c.bySent.Min(); ok {
		if t := after(k.at, c.retention); t < c.expiry {
			slot, c.expiry = k.slot, t
		}
	}
	if !c.backlog.peek(now) {
		c.expiry = min(c.expiry, after(now, c.retention)) // what may be added from now on
	} else if t := after(c.backlog.firstAt, c.retention); t < c.expiry {
		switch {
		case now <= t:
			c.expiry = t
		case !c.exhausted():
			c.expiry = t
			slot, _ = c.bring()
		case now <= c.expiry: // it waits for a slot, past its retention
			c.expiry, slot = t, 0
		}
	}
	switch {
	case now <= c.expiry:
		return 0
	case isReserved(slot):
		return c.callUp(c.reserve.at(slot).group)
	}
	return slot
}

// setRetention changes the retention of all messages.
func (c *core[T]) setRetention(d time.Duration) {
	c.retention = d
	c.expiry = math.MinInt64
}

// oldest returns the instant at which the longest-standing message arrived.
func (c *core[T]) oldest() (at int64, ok bool) {
	at = math.MaxInt64
	for _, slot := range [...]uint32{c.arrivals.head, c.taken.head, c.transfers.head} {
		if slot != 0 {
			at, ok = min(at, c.arrivedAt(slot)), true
		}
	}
	if c.backlog.peek(c.now) {
		at, ok = min(at, c.backlog.firstAt), true
	}
	return at, ok
}

// arrivedAt returns the instant at which a message came into this queue.
func (c *core[T]) arrivedAt(n uint32) int64 {
	if !isReserved(n) && c.slab.at(n).is(moved) {
		return c.cell(n).more.arrivedAt
	}
	return c.sentAt(n)
}

// waiting returns the instant since which the message that has been deliverable
// for longest has been so, of those that were noticed. A queue that has come up
// to now by surface has no others.
func (c *core[T]) waiting() (at int64, ok bool) {
	at = math.MaxInt64
	if slot := c.ready.head; slot != 0 {
		at, ok = c.slab.at(slot).at, true
	}
	if c.backlog.peek(c.now) {
		at, ok = min(at, c.backlog.firstAt), true
	}
	if n := c.groups.inTurn.head; n != 0 {
		at, ok = min(at, c.groups.turn(n).at), true
	}
	if k, any := c.heads.Min(); any {
		at, ok = min(at, k.at), true
	}
	return at, ok
}
