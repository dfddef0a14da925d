package dabchick

import (
	"sync/atomic"
	"time"
	"unique"
)

// The short ways through a queue, which most calls go. What is done here is done by the
// general ways too, step by step; in one piece it takes less, as there is less to ask,
// and as the processor can wait for several lines of memory at once.

// isCalm says whether all that may be delivered is in the backlog, or comes up now.
func (q *Queue[T]) isCalm(now int64) bool {
	return q.calm && now <= q.core.expiry && q.core.ready.head == 0
}

// quick delivers the next message into dst, hidden for d or for the queue's own timeout
// if d is 0, if the queue is calm and that message is plainly the next: the first of the
// backlog, or one that came up after all else was taken. It needs the lock.
func (q *Queue[T]) quick(now int64, dst *Message[T], d time.Duration) bool {
	c, b := &q.core, q.backlog
	d, run := c.timeout(d)
	if !q.isCalm(now) || d <= 0 || c.counts[inFlight] >= c.maxInFlight {
		return false
	}
	at := after(now, d)
	if now >= c.hidden.bound || !b.hasFirst(now) || c.exhausted() {
		return q.quickOther(now, dst, at, run)
	}
	if b.first == nil {
		b.nextPage()
	}
	if !b.first.isPlain(b.place) {
		return q.quickOther(now, dst, at, run)
	}
	if c.slab.open == 0 {
		c.grow()
	}
	e, number := &b.first.mail[b.place], numberOf(b.taken)
	sentAt := b.firstAt
	if !b.looked {
		sentAt = b.sentAt(int64(e.at), now)
	}
	n := c.slab.open - 1
	in := c.slab.chunks[n]
	slot := in.take(n)
	c.slab.taken(&in.space)
	c.cells[n][slot%chunkSize].body = e.body
	m := &in.meta[slot%chunkSize]
	m.seq, m.flags, m.state, m.receives, m.size = number, fromBacklog, inFlight, 1, int64(e.size)
	m.sentAt, m.firstAt, m.at, m.place = sentAt, now, at, c.draw()
	c.taken.append(&c.slab, slot, m)
	if c.hidden.follows(run, at) {
		c.hidden.append(run, slot, m)
	} else {
		c.hidden.push(run, slot, m)
	}
	c.counts[free]--
	c.counts[inFlight]++
	c.bytes += m.size
	q.totals.Received++

	q.putID(&dst.ID, number)
	dst.Receipt = Receipt{&q.issuer, number, delivery{1, slot}, unique.Handle[string]{}}
	dst.Body, dst.Receives, dst.State, dst.queue, dst.more, dst.group = e.body, 1, InFlight, q, nil, ""
	dst.sentAt, dst.firstAt, dst.comeAt = sentAt, now, at

	b.weighed += m.size
	*e = mail[T]{}
	b.taken++
	b.looked = false
	if b.place++; b.place == len(b.first.mail) {
		b.endPage()
	}
	return true
}

// quickOther is quick for a message of the backlog that is not plain, and for one that has
// come up; in run it is hidden until at then.
func (q *Queue[T]) quickOther(now int64, dst *Message[T], at int64, run home) bool {
	c := &q.core
	var slot uint32
	var m *meta
	if waits := q.backlog.peek(now); now < c.hidden.bound {
		if !waits || c.exhausted() {
			return false
		}
		slot, m = c.bring()
		m.firstAt = now
		c.counts[free]--
	} else {
		if slot = c.hidden.due(now); waits || slot == 0 {
			return false
		}
		if m = c.slab.at(slot); m.home == inRest || c.spent(m) {
			return false
		}
		touch(m)
		dst.more = c.cell(slot).more // so that it is fetched while the lists are mended
		c.hidden.runs[m.home].remove(&c.slab, m)
		c.counts[m.state]--
		m.flags &^= stay
		if m.firstAt == never {
			m.firstAt = now
		}
	}
	c.counts[inFlight]++
	m.state = inFlight
	m.receives++
	m.at, m.order, m.place = at, 0, c.draw()
	if c.hidden.follows(run, at) {
		c.hidden.append(run, slot, m)
	} else {
		c.hidden.push(run, slot, m)
	}
	q.totals.Received++
	q.fill(dst, slot, m)
	return true
}

// quickBatch puts into got, which is empty, what quick would deliver from the backlog,
// message by message, as long as there is room, up to most. It needs the lock.
func (q *Queue[T]) quickBatch(now int64, got []Message[T], most int, d time.Duration) []Message[T] {
	c, b := &q.core, q.backlog
	d, run := c.timeout(d)
	at, hidden := after(now, d), &c.hidden.runs[run]
	if !q.isCalm(now) || d <= 0 || now >= c.hidden.bound || !c.hidden.follows(run, at) {
		return got
	}
	most = min(most, cap(got), c.maxInFlight-c.counts[inFlight])
	for len(got) < most && b.peek(now) && c.slab.hasRoom(largePage) {
		mails := b.plain(most - len(got))
		if len(mails) == 0 {
			break
		}
		to, number, size := got[len(got):][:len(mails)], numberOf(b.taken), int64(0)
		var all row
		for i := range mails {
			e, dst, sentAt := &mails[i], &to[i], b.firstAt
			if i > 0 {
				sentAt = b.sentAt(int64(e.at), now)
			}
			slot, m := c.lay(e.body, nil, int64(e.size))
			size += m.size
			m.seq, m.flags, m.state, m.home = number, fromBacklog, inFlight, run
			m.sentAt, m.firstAt, m.at, m.place, m.receives = sentAt, now, at, c.draw(), 1
			all.append(slot, m)

			q.putID(&dst.ID, number)
			dst.Receipt = Receipt{&q.issuer, number, delivery{1, slot}, unique.Handle[string]{}}
			dst.Body, dst.Receives, dst.State, dst.queue, dst.more, dst.group = e.body, 1, InFlight, q, nil, ""
			dst.sentAt, dst.firstAt, dst.comeAt = sentAt, now, at
			number += 2
		}
		c.taken.extend(&c.slab, &all)
		hidden.extend(&c.slab, &all)
		b.pass(mails, size)
		got = got[:len(got)+len(mails)]
	}
	n := len(got)
	if n > 0 {
		c.hidden.bound = min(c.hidden.bound, at)
	}
	c.counts[free] -= n
	c.counts[inFlight] += n
	q.totals.Received += uint64(n)
	return got
}

// quickDelete deletes the message of which r names the latest delivery, if the queue is
// calm and there is nothing special about the message: it came through the backlog, and
// is hidden in one of the runs. The caller counts it by deleted. It needs the lock.
func (q *Queue[T]) quickDelete(r *Receipt) bool {
	c := &q.core
	if !q.calm || r.issuer != &q.issuer {
		return false
	}
	m := c.slab.lookup(r.slot)
	if m == nil || m.seq != r.seq || uint32(m.receives) != r.nth || m.state != inFlight || m.home >= runs || !m.is(fromBacklog) {
		return false
	}
	c.hidden.runs[m.home].remove(&c.slab, m)
	c.taken.remove(&c.slab, m)
	n := r.slot >> chunkBits
	in := c.slab.chunks[n]
	c.bytes -= m.size
	c.cells[n][r.slot%chunkSize] = cell[T]{}
	*m = meta{}
	m.links[placed].next = c.slab.given(n, &in.space, r.slot)
	if in.live == 0 && c.slab.fallEmpty(n) {
		c.dropChunk(n)
	}
	return true
}

// deleted counts messages that quickDelete has deleted. It needs the lock.
func (q *Queue[T]) deleted(n int) {
	q.core.counts[inFlight] -= n
	q.core.counts[free] += n
	q.totals.Deleted += uint64(n)
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
