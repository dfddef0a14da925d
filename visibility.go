package dabchick

import (
	"math"
	"time"

	"github.com/google/btree"
)

// A core is a queue without locks, clocks and waiting: the messages, when each
// may be delivered, and which delivery may still settle it. Every method that
// depends on time takes now, which the caller gets from advance.
//
// What always holds:
//
//   - A message is in exactly one place by visibility: in ready, in hidden, in
//     its group's list, held back behind others of its group, or nowhere while
//     it is being moved to another queue. Then its state is moving, or it is still
//     in flight: for the receiver that moves it, as one of those in carried.
//   - What is in the backlog is visible, and in no other place. All else that is
//     said here is of what was taken out of it.
//   - ready holds visible messages only, in the order in which they became so:
//     by (at, order, place), strictly rising.
//   - On a FIFO queue most of what nobody has received is in reserve, and in no other
//     place; see there. Of the others only the first message of a group, the
//     oldest that is here, is in ready. A visible one that is not the first is held back.
//   - On a standard queue a visible message with a group is in the list of its
//     group, ordered as ready, and heads has the first of each such list whose
//     group is not full: while it may not have more messages in flight.
//   - hidden holds what is in flight or delayed, overdue or not, and what
//     became visible while something overdue stood there, by (at, order, place).
//     What is overdue in it comes after all of ready.
//   - So the next message to deliver is the first of ready, or else the first
//     of hidden if its instant has come, unless the first of the backlog comes
//     before it; on a FIFO queue, where what came up is noticed first, it is the first
//     of ready or of the group whose turn it is. Nothing has to be done at the instant
//     when a timeout ends.
//   - counts tells how many messages are in each state as last noticed. Those
//     that came up unnoticed are the overdue ones in hidden; surface notices.
//   - A message is in arrivals, in taken if it was in the backlog, or in transfers if it
//     came as a dead letter to a standard queue, and there in order of arrival.
//   - (seq, receives) names one delivery for ever: seq is never used again, and
//     receives only grows once a delivery was handed out.
type core[T any] struct {
	slab    slab
	cells   []*[chunkSize]cell[T]
	backlog *backlog[T]
	spares  *spares
	reserve reserve[T]

	ready  list
	heads  *btree.BTreeG[key] // of the groups with visible messages; slot is the group
	hidden index
	groups groups

	arrivals  list               // sent here, so in order of sentAt too
	taken     list               // the same for those that were in the backlog
	transfers list               // moved here as dead letters
	bySent    *btree.BTreeG[key] // the transfers by the sentAt that they brought along
	expiry    int64              // nothing passes its retention before this instant

	counts [states]int // that of free is the number of all others, negative
	bytes  int64       // sum of sizes
	now    int64       // the latest instant seen
	drawn  uint64      // the last number given out as seq or place

	visibility  time.Duration
	delay       time.Duration
	retention   time.Duration
	maxReceives int64 // 0 without a dead-letter queue

	// Bounds, or the largest number there is without them.
	maxMessages int
	maxBytes    int64
	maxInFlight int

	fifo       bool
	grouped    bool  // groups have been seen: what comes up has to be noticed at once
	carried    int32 // messages in flight that their receivers move to another queue
	fair       Fairness
	groupLimit int   // of messages of a group in flight, on a standard queue; 0 for none
	use        usage // of all groups, and of the messages without one
}

// A cell is the part of a message that holds pointers.
type cell[T any] struct {
	body T
	more *details[T]
}

type state uint8

const (
	free state = iota
	visible
	inFlight
	delayed
	moving // on its way into another queue, but for those that are carried
	states
)

const never = math.MinInt64

// after returns the instant d after now, or the last one there is.
func after(now int64, d time.Duration) int64 {
	if t := now + int64(d); t >= now {
		return t
	}
	return math.MaxInt64
}

// clear empties the core and makes it ready for use, and returns how many messages
// there were, without those that are on their way to another queue. The numbers
// and the time go on, so that receipts from before stay recognisable.
func (c *core[T]) clear() int {
	n := c.backlog.clear() - c.counts[free] - c.counts[moving] - int(c.carried)
	c.slab = slab{}
	c.cells = nil
	c.ready = list{kind: placed}
	c.heads = newTree()
	c.groups.clear()
	c.use = usage{upTo: c.now}
	c.hidden = newIndex(&c.slab)
	c.reserve.clear()
	c.arrivals = list{kind: arrived}
	c.taken = list{kind: arrived}
	c.transfers = list{kind: arrived}
	c.bySent = newTree()
	c.expiry = after(c.now, c.retention)
	c.counts = [states]int{}
	c.carried = 0
	c.bytes = 0
	return n
}

// advance takes note of the time and returns it. A reading that another caller
// has overtaken on the way to the lock counts as the later one: time does not
// run backwards in a core.
func (c *core[T]) advance(now int64) int64 {
	c.now = max(c.now, now)
	return c.now
}

// size returns the sum of the sizes of all messages. The backlog must be shut.
func (c *core[T]) size() int64 { return c.bytes + c.backlog.bytes - c.backlog.weighed }

func (c *core[T]) draw() uint64 {
	c.drawn += 2 // odd numbers are the backlog's
	return c.drawn
}

// len returns how many messages there are.
func (c *core[T]) len() int { return c.backlog.len() - c.counts[free] }

func (c *core[T]) cell(slot uint32) *cell[T] {
	return &c.cells[slot>>chunkBits][slot%chunkSize]
}

// add stores a message that is sent now and returns its slot, unless isSetAside. A delay of 0
// means the queue's own. O(1) for that and for no delay, else O(log n).
func (c *core[T]) add(now int64, e *entry[T]) (uint32, *meta) {
	slot, m := c.insert(now, e.body, e.more, e.group, e.size)
	if c.fifo {
		c.enroll(slot, &m.links[arrived])
	} else {
		c.arrivals.append(&c.slab, slot, m)
	}
	delay, run := e.delay, runOther
	if delay == 0 {
		delay, run = c.delay, runDelay
	} else {
		m.flags |= ownDelay
	}
	if delay <= 0 {
		c.show(now, slot, m)
	} else {
		c.hide(now, slot, m, delay, delayed, run)
	}
	return slot, m
}

// transfer stores a dead letter on a standard queue. more says its history. It keeps the
// instants of its sending and first receive, in O(log n) in dead letters.
func (c *core[T]) transfer(now int64, body T, more *details[T], group string, size, sentAt, firstAt int64) (uint32, *meta) {
	slot, m := c.insert(sentAt, body, more, group, size)
	m.firstAt = firstAt
	m.flags |= moved
	c.transfers.append(&c.slab, slot, m)
	c.bySent.ReplaceOrInsert(key{at: m.sentAt, place: m.seq, slot: slot})
	c.show(now, slot, m)
	return slot, m
}

func (c *core[T]) insert(sentAt int64, body T, more *details[T], group string, size int64) (uint32, *meta) {
	slot, m := c.lay(body, more, size)
	m.seq, m.sentAt = c.draw(), sentAt
	if group != "" {
		c.joinGroup(slot, m, group)
	}
	c.expiry = min(c.expiry, after(sentAt, c.retention))
	return slot, m
}

// exhausted says whether there is no room for another message: whether each slot will be
// needed, as those in reserve come to have one too.
func (c *core[T]) exhausted() bool { return -c.counts[free] >= mostSlots }

// lay puts the contents of a message into a free slot.
func (c *core[T]) lay(body T, more *details[T], size int64) (uint32, *meta) {
	if c.slab.open == 0 {
		c.grow()
	}
	n := c.slab.open - 1
	in := c.slab.chunks[n]
	slot := in.take(n)
	c.slab.taken(&in.space)
	e := &c.cells[n][slot%chunkSize]
	e.body, e.more = body, more
	m := &in.meta[slot%chunkSize]
	m.firstAt, m.size, m.home = never, size, nowhere
	c.bytes += size
	return slot, m
}

// grow makes room in the slab, and for the contents of what will be there.
func (c *core[T]) grow() {
	n := int(c.slab.grow())
	cells, _ := c.spares.cells.Get().(*[chunkSize]cell[T])
	if cells == nil {
		cells = new([chunkSize]cell[T])
	}
	if n == len(c.cells) {
		c.cells = append(c.cells, nil)
	}
	c.cells[n] = cells
}

// drop removes a message for good.
func (c *core[T]) drop(slot uint32, m *meta) {
	if m.state == inFlight && m.isUnderWay() {
		c.carried--
	}
	c.lift(slot, m)
	switch {
	case c.fifo:
		c.strike(m.links[arrived])
	case m.is(fromBacklog):
		c.taken.remove(&c.slab, m)
	case m.is(moved):
		c.transfers.remove(&c.slab, m)
		c.bySent.Delete(key{at: m.sentAt, place: m.seq, slot: slot})
	default:
		c.arrivals.remove(&c.slab, m)
	}
	c.set(c.now, m, free)
	if m.group != 0 {
		c.leaveGroup(slot, m)
	}
	c.vacate(slot, m)
}

// vacate frees the slot of a message that is in no list any more.
func (c *core[T]) vacate(slot uint32, m *meta) {
	c.bytes -= m.size
	n := slot >> chunkBits
	in := c.slab.chunks[n]
	c.cells[n][slot%chunkSize] = cell[T]{}
	*m = meta{}
	m.links[placed].next = c.slab.given(n, &in.space, slot)
	if in.live == 0 && c.slab.fallEmpty(n) {
		c.dropChunk(n)
	}
}

// dropChunk parts with a chunk of the slab that has nothing in it.
func (c *core[T]) dropChunk(n uint32) {
	c.slab.drop(n)
	c.spares.cells.Put(c.cells[n])
	c.cells[n] = nil
}

// set changes the state of a message, which happened at an instant.
func (c *core[T]) set(at int64, m *meta, s state) {
	if c.grouped {
		c.setInGroup(at, m, s)
	}
	c.counts[m.state]--
	c.counts[s]++
	m.state = s
}

// lift takes a message out of its place by visibility.
func (c *core[T]) lift(slot uint32, m *meta) {
	switch m.home {
	case nowhere, heldBack:
	case inReady:
		c.ready.remove(&c.slab, m)
	case inGroup:
		c.delist(m)
	default:
		c.hidden.remove(slot, m)
	}
	m.home = nowhere
}

// show makes a lifted message visible from now, behind all that are visible.
func (c *core[T]) show(now int64, slot uint32, m *meta) {
	m.at, m.order, m.place = now, 2*c.backlog.added.count(), c.draw()
	c.set(now, m, visible)
	if c.hidden.due(now) != 0 && !c.isHeldBack(slot, m) {
		c.hidden.push(runArrival, slot, m)
		return
	}
	c.reveal(slot, m)
}

// reveal puts a lifted visible message where it is delivered from, behind all
// that are there.
func (c *core[T]) reveal(slot uint32, m *meta) {
	switch {
	case m.group != 0 && !c.fifo:
		c.enlist(slot, m)
	case m.group != 0 && c.isHeldBack(slot, m):
		m.home = heldBack
	default:
		m.home = inReady
		c.ready.append(&c.slab, slot, m)
	}
}

// hide makes a lifted message come up d from now.
func (c *core[T]) hide(now int64, slot uint32, m *meta, d time.Duration, s state, run home) {
	m.at, m.order, m.place = after(now, d), 0, c.draw()
	c.set(now, m, s)
	c.hidden.push(run, slot, m)
}

// next returns the slot of the message to deliver now, or 0. It may have no place
// yet: who asks takes it. Messages that were placed after the number last do not
// count.
func (c *core[T]) next(now int64, last uint64) uint32 {
	if c.fifo {
		return c.nextInTurn(last)
	}
	slot := c.ready.head
	if c.backlog.peek(now) && c.isNext(slot) {
		if !c.grouped {
			slot, _ = c.bring()
			return slot
		}
		slot = c.bringTo(0)
	}
	switch {
	case c.grouped && c.heads.Len() > 0:
		return c.fairest(now, last)
	case slot == 0 && !(c.grouped && c.groupLimit > 0): // else what is due is noticed first
		slot = c.hidden.due(now)
	}
	if slot == 0 || c.slab.at(slot).place > last {
		return 0
	}
	return slot
}

// soonest returns the next instant at which a hidden message comes up.
func (c *core[T]) soonest() int64 {
	c.hidden.overdue(never)
	return c.hidden.bound
}

// surface notices the first of the messages that came up unnoticed, and puts it
// where it is delivered from. It returns its slot, or 0, and the state that it
// came from.
func (c *core[T]) surface(now int64) (uint32, state) {
	slot := c.hidden.due(now)
	if slot == 0 {
		return 0, free
	}
	m := c.slab.at(slot)
	was := m.state
	c.lift(slot, m)
	c.set(m.at, m, visible)
	c.reveal(slot, m)
	return slot, was
}

// spent says whether a message has had its last delivery from this queue.
func (c *core[T]) spent(m *meta) bool {
	return c.maxReceives > 0 && m.counted() >= c.maxReceives && !m.is(stay)
}

// seen says where a message was before it was taken from its place.
type seen struct {
	at           int64
	order, place uint64
	first        bool // it had never been received
}

// deliver counts a delivery of the message that next returned, and hides it
// for d, or for the queue's own timeout if d is 0.
func (c *core[T]) deliver(now int64, slot uint32, m *meta, d time.Duration) seen {
	was := seen{m.at, m.order, m.place, m.firstAt == never}
	c.lift(slot, m)
	m.receives++
	m.flags &^= stay | repeated
	if was.first {
		m.firstAt = now
	}
	c.hold(now, slot, m, d)
	return was
}

// timeout returns for how long a receive hides messages, and in which run: for d, or for
// the queue's own timeout if d is 0.
func (c *core[T]) timeout(d time.Duration) (time.Duration, home) {
	if d == 0 {
		return c.visibility, runTimeout
	}
	return d, runOther
}

// hold hides a lifted message for who has received it, for d or for the queue's own timeout
// if d is 0. One that is below 0 leaves it visible.
func (c *core[T]) hold(now int64, slot uint32, m *meta, d time.Duration) {
	d, run := c.timeout(d)
	if d <= 0 {
		c.show(now, slot, m)
	} else {
		c.hide(now, slot, m, d, inFlight, run)
	}
}

// undeliver puts a message back as if the delivery had not been.
func (c *core[T]) undeliver(slot uint32, m *meta, was seen) {
	c.lift(slot, m)
	m.receives--
	if was.first {
		m.firstAt = never
	}
	c.putBack(slot, m, was)
}

// giveBack makes a message that is in flight visible, and takes back that it was
// received. The receipt stays used up.
func (c *core[T]) giveBack(now int64, slot uint32, m *meta) {
	c.lift(slot, m)
	if m.returned < math.MaxUint8 {
		m.returned++
	}
	if m.counted() == 0 && (!m.is(moved) || c.cell(slot).more.earlier == 0) {
		m.firstAt = never
	}
	c.show(now, slot, m)
}

// detach takes a message out for a move to another queue. On a FIFO queue it holds back
// its group until it is dropped or put back. Till then it is moving; but one that its
// receiver moves stays in flight, also past the end of its timeout: if another message had
// its place, there would be one too many in flight when the move is refused.
func (c *core[T]) detach(slot uint32, m *meta, s state) seen {
	was := seen{at: m.at, order: m.order, place: m.place}
	c.lift(slot, m)
	if s == inFlight {
		c.carried++
	}
	c.set(c.now, m, s)
	return was
}

// isUnderWay says whether a message is on its way to another queue.
func (m *meta) isUnderWay() bool { return m.home == nowhere && m.state != free }

// putBack returns a message that next had given to the place that it had.
func (c *core[T]) putBack(slot uint32, m *meta, was seen) {
	m.at, m.order, m.place = was.at, was.order, was.place
	c.set(c.now, m, visible)
	switch {
	case c.isHeldBack(slot, m):
		m.home = heldBack
	case c.fifo || m.group == 0:
		m.home = inReady
		c.ready.insert(&c.slab, slot, m)
	default:
		c.reenlist(slot, m)
	}
}

// keep returns a carried message to its receiver, or makes it visible if its timeout
// has ended.
func (c *core[T]) keep(now int64, slot uint32, m *meta) {
	c.carried--
	if m.at <= now {
		c.show(now, slot, m)
		return
	}
	m.place = c.draw()
	c.hidden.push(runOther, slot, m)
}
