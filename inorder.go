package dabchick

import (
	"context"
	"math"
	"unicode/utf8"
)

// The straight ways through a FIFO queue on which nothing has to be heeded but the
// order of its groups. Each does in a few calls what the general way does in a dozen, and
// comes to the same; what is out of the usual it leaves to the general way. Most of the time
// goes into waiting for memory, and the less there is in between, the more the processor
// waits for several places at once.
//
// The backlog of a FIFO queue is never open, so the order of its messages is always 0.

// heedsOrderOnly says whether the options and the state of the queue leave nothing to
// heed but bounds and the order of groups, as long as nobody waits. It needs the lock.
func (q *Queue[T]) heedsOrderOnly() bool {
	o := &q.opts
	return o.FIFO && o.OnEvent == nil && o.Delay <= 0 && o.VisibilityTimeout > 0 && !q.paused && !q.closed
}

// isStraight says whether a send is in order, and has a group and nothing else.
func (o *SendOptions) isStraight() bool {
	return o.Group != "" && o.Delay == 0 && o.DedupID == "" && o.TraceHeader == "" && len(o.Attributes) == 0
}

// sendInOrder is send on a FIFO queue, for a message that has a group and nothing else.
func (q *Queue[T]) sendInOrder(ctx context.Context, body T, group string) (id ID, err error) {
	size := q.size(body, nil)
	c := &q.core
	hash := c.groups.hash(group) // before the lock, under which it would delay others
	reading := q.clock()
	if !q.mu.TryLock() {
		q.mu.wait()
	}
	now := q.timed(c.advance(reading))
	number := c.groups.find(hash, group)
	switch {
	case number == 0 && !utf8.ValidString(group): // what a group that is there is called was looked at
		q.leave(now)
		return id, q.fail("send", checkText("Group", group))
	case !q.orderOnly || c.exhausted() || -c.counts[free] >= c.maxMessages || size > c.maxBytes-c.bytes:
		return q.sendLocked(ctx, now, &entry[T]{body: body, group: group, size: size})
	case number == 0:
		number = c.groups.begin(hash, group)
	}
	if c.slab.open != 0 && c.groups.at(number).first() == 0 {
		q.putID(&id, c.addFirst(now, body, number, size))
	} else {
		_, m := c.setAside(now, body, nil, number, size)
		q.putID(&id, m.seq)
	}
	q.totals.Sent++
	q.mu.Unlock()
	return id, nil
}

// addFirst is add for the only message of its group, which is visible at once. It returns
// its number. While there is not much in the queue such a message is received soon, so it is
// not set aside, if there is a slot at hand.
func (c *core[T]) addFirst(now int64, body T, group uint32, size int64) uint64 {
	slot, m := c.lay(body, nil, size)
	m.seq, m.sentAt, m.group = c.draw(), now, group
	m.at, m.order, m.place = now, 0, c.draw()
	m.state, m.home = visible, inReady
	g := c.groups.at(group)
	c.count(g, free, visible)
	c.enroll(slot, &m.links[arrived])
	g.line.append(&c.slab, slot, m)
	c.ready.append(&c.slab, slot, m)
	c.expiry = min(c.expiry, after(now, c.retention))
	return m.seq
}

// takeInOrder is takeNext and leave, if it returns true. It needs orderOnly.
func (q *Queue[T]) takeInOrder(now int64, m *Message[T]) bool {
	c := &q.core
	if c.counts[inFlight] >= c.maxInFlight {
		return false
	}
	slot := c.nextInTurn(math.MaxUint64)
	if slot == 0 {
		return false
	}
	e := c.slab.at(slot)
	switch {
	case c.spent(e):
		return false
	case e.home == inReady:
		c.ready.remove(&c.slab, e)
	}
	g := c.groups.at(e.group)
	e.receives++
	e.flags &^= stay
	if e.firstAt == never {
		e.firstAt = now
	}
	e.at, e.order, e.place = after(now, c.visibility), 0, c.draw()
	e.state = inFlight
	c.count(g, visible, inFlight)
	c.hidden.push(runTimeout, slot, e)
	q.fill(m, slot, e)
	q.totals.Received++
	q.mu.Unlock()
	return true
}

// deleteInOrder is the settling of a delete and leave, if it returns true. It needs
// orderOnly.
func (q *Queue[T]) deleteInOrder(now int64, r *Receipt) bool {
	c := &q.core
	if r.issuer != &q.issuer {
		return false
	}
	m, standing := c.find(r)
	if standing != newest || !m.held(now) {
		return false
	}
	slot := r.slot
	c.hidden.remove(slot, m)
	c.strike(m.links[arrived])
	c.count(c.groups.at(m.group), inFlight, free)
	c.leaveGroup(slot, m)
	c.vacate(slot, m)
	q.totals.Deleted++
	q.mu.Unlock()
	return true
}

// count counts a message of a group in another state.
func (c *core[T]) count(g *group, from, to state) {
	c.counts[from]--
	c.counts[to]++
	g.counts[from]--
	g.counts[to]++
}
