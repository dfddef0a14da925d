package dabchick

// handOver gives a message that is sent to the receive that has waited longest, and unlocks,
// if there is one and nothing else to heed. It is what admit and leave do, in one piece: a
// processor that was idle has to fetch the code from memory, and the receiver waits for that
// too. It needs the lock.
func (q *Queue[T]) handOver(now int64, e *entry[T], id *ID) bool {
	c, w := &q.core, q.receivers.head
	if w == nil || !e.plain() || !q.isQuiet() || q.senders.n > 0 || q.opts.Delay > 0 || q.opts.isBounded() {
		return false
	}
	d, run := c.timeout(w.visibility)
	if d <= 0 || c.counts[inFlight] >= c.maxInFlight || c.exhausted() {
		return false
	}
	// What is there already comes first. It may be on its way to the receiver, if others are
	// carrying dead letters over.
	if now >= c.hidden.bound || c.ready.head != 0 || c.backlog.peek(now) {
		return false
	}
	slot, m := c.insert(now, e.body, e.more, "", e.size)
	c.arrivals.append(&c.slab, slot, m)
	w.was = append(w.was, seen{now, 2 * c.backlog.added.count(), c.draw(), true})
	m.state, m.receives, m.firstAt = inFlight, 1, now
	m.at, m.place = after(now, d), c.draw()
	c.hidden.push(run, slot, m)
	c.counts[free]--
	c.counts[inFlight]++
	w.got = append(w.got, Message[T]{})
	q.fill(&w.got[0], slot, m)
	q.putID(id, m.seq)
	q.totals.Sent++
	q.totals.Received++
	q.wake(&q.receivers, nil)
	q.leave(now)
	return true
}
