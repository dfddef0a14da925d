package dabchick

import (
	"context"
	"sync/atomic"
	"unicode/utf8"
)

// The straight ways through a FIFO queue on which nothing has to be heeded but the
// order of its groups. Each does in one stretch what the general way does in a dozen
// calls, and comes to the same; what is out of the usual it leaves to the general way.
// Most of the time of a call goes into waiting for memory, and in one stretch the
// processor waits for several places at once.
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
	return o.Group != "" && o.Delay == 0 && o.DedupID == "" && o.TraceHeader == "" && len(o.Attributes) == 0 &&
		utf8.ValidString(o.Group)
}

// sendInOrder is send on a FIFO queue, for a message that has a group and nothing else.
func (q *Queue[T]) sendInOrder(ctx context.Context, body T, group string) (id ID, err error) {
	size := q.size(body, nil)
	reading := q.clock()
	if !q.mu.TryLock() {
		q.mu.wait()
	}
	now := q.timed(q.core.advance(reading))
	if c := &q.core; !q.orderOnly || c.slab.full() || -c.counts[free] >= c.maxMessages || size > c.maxBytes-c.bytes {
		return q.sendLocked(ctx, now, &entry[T]{body: body, group: group, size: size})
	}
	q.putID(&id, q.core.addInOrder(now, body, group, size))
	q.totals.Sent++
	q.mu.Unlock()
	return id, nil
}

// addInOrder is add for a message that is visible at once. It returns its number.
func (c *core[T]) addInOrder(now int64, body T, group string, size int64) uint64 {
	n := c.groups.join(now, c.groups.hash(group), group)
	g := c.groups.at(n)
	if last := g.line.tail; last != 0 {
		touch(c.slab.at(last))
	}
	slot, m := c.lay(body, nil, size)
	m.seq, m.sentAt, m.group = c.draw(), now, n
	m.at, m.order, m.place = now, 0, c.draw()
	m.state = visible
	c.count(g, free, visible)
	c.arrivals.append(&c.slab, slot, m)
	g.line.append(&c.slab, slot, m)
	m.home = heldBack
	if g.line.head == slot {
		m.home = inReady
		c.ready.append(&c.slab, slot, m)
	}
	c.expiry = min(c.expiry, after(now, c.retention))
	return m.seq
}

// takeInOrder is takeNext and leave, if it returns true. It needs orderOnly.
func (q *Queue[T]) takeInOrder(now int64, m *Message[T]) bool {
	c := &q.core
	slot := c.ready.head
	if slot == 0 || c.counts[inFlight] >= c.maxInFlight {
		return false
	}
	e := c.slab.at(slot)
	if c.spent(e) {
		return false
	}
	g := c.groups.at(e.group)
	c.ready.remove(&c.slab, e)
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
	slot, g := r.slot, c.groups.at(m.group)
	first := g.line.head == slot
	c.hidden.remove(slot, m)
	c.arrivals.remove(&c.slab, m)
	g.line.remove(&c.slab, m)
	c.count(g, inFlight, free)
	if next := g.line.head; next == 0 {
		c.groups.leave(now, m.group)
	} else if n := c.slab.at(next); first && n.home == heldBack {
		n.at, n.order, n.place = now, 0, c.draw()
		n.home = inReady
		c.ready.append(&c.slab, next, n)
	}
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

// touch makes the processor fetch the start of a message that is written to soon. What
// is read at regular distances, call by call, the processor fetches ahead; what is only
// written it does not, and then it is the unlocking that waits. It remembers few
// instructions that read, by some bits of their addresses. So there are four: which of
// them it remembers depends on where the compiler puts them.
func touch(m *meta) {
	atomic.LoadUint32(&m.group)
	atomic.LoadUint32(&m.links[grouped].next)
	atomic.LoadUint32(&m.links[arrived].next)
	atomic.LoadUint32(&m.links[placed].next)
}
