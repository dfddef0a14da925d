package dabchick

// How messages of the backlog come into the core: one by one, each when it is the next
// to deliver, past its retention, or to be shown; or, when a batch is received, those that
// lie side by side, in quickBatch.

// isNext says whether the first message of the backlog comes before all others that
// have no group; slot is the first of ready, or 0.
func (c *core[T]) isNext(slot uint32) bool {
	if slot == 0 {
		slot = c.hidden.due(c.backlog.firstAt)
	}
	return (slot == 0 || c.isBefore(c.slab.at(slot))) && !c.exhausted()
}

// isBefore says whether the first message of the backlog became visible before
// another message did.
func (c *core[T]) isBefore(m *meta) bool {
	b := c.backlog
	return b.firstAt < m.at || b.firstAt == m.at && numberOf(b.taken) < m.order
}

// bring takes the first message of the backlog in. It is in no place yet, and does
// not count; the caller sees to both. The slab must have room.
func (c *core[T]) bring() (uint32, *meta) {
	number, at := numberOf(c.backlog.taken), c.backlog.firstAt
	body, more, size := c.backlog.take()
	slot, m := c.lay(body, more, size)
	m.seq, m.order = number, number
	m.sentAt, m.at = at, at
	m.flags = fromBacklog
	c.taken.append(&c.slab, slot, m)
	return slot, m
}

// bringTo takes the first message of the backlog into ready, behind the message in
// slot after, or before all if that is 0.
func (c *core[T]) bringTo(after uint32) uint32 {
	slot, m := c.bring()
	c.set(c.now, m, visible)
	m.home = inReady
	c.ready.insertAfter(&c.slab, after, slot, m)
	return slot
}

// bringAmong takes messages of the backlog into ready, until they or others make up
// the first n there. What is overdue must have been noticed, or n of it. O(n).
func (c *core[T]) bringAmong(n int) {
	prev, slot := uint32(0), c.ready.head
	for range n {
		if c.backlog.peek(c.now) && c.isNext(slot) {
			prev = c.bringTo(prev)
			continue
		}
		if slot == 0 {
			break
		}
		prev, slot = slot, c.slab.at(slot).links[placed].next
	}
}

// numberOf returns the number of a message that is the nth of the backlog.
func numberOf(n uint64) uint64 { return 2*n + 1 }
