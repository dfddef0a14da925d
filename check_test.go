package dabchick

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/btree"
)

// Check looks at the whole of a queue at rest, and returns the first invariant
// that does not hold. O(n).
func (q *Queue[T]) Check() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := errors.Join(q.core.check(), q.accepted.check(), q.attempts.check()); err != nil {
		return err
	}
	switch {
	case q.opts.isBounded() && q.BacklogOpen() && (q.backlog.most.Load() > q.most() || q.backlog.mostBytes-q.mostBytes() > 0):
		return fmt.Errorf("senders may add more than there is room for")
	case len(q.moves) > 0 || len(q.events) > 0 || q.telling:
		return fmt.Errorf("%d moves and %d events left over", len(q.moves), len(q.events))
	case q.receivers.n+q.senders.n == 0 && q.alarm.at != never:
		return fmt.Errorf("an alarm is set for nobody")
	case q.receivers.n > 0 && !q.paused && q.opts.MaxInFlight == 0:
		if slot := q.core.next(q.core.now, math.MaxUint64); slot != 0 {
			q.core.leaveBe(slot, q.core.slab.at(slot))
			return fmt.Errorf("a receiver waits while there is a message")
		}
	}
	return nil
}

// leaveBe gives the message that next returned a place, if it has none.
func (c *core[T]) leaveBe(slot uint32, m *meta) {
	if m.home == nowhere {
		c.putBack(slot, m, seen{at: m.at, order: m.order, place: m.place})
	}
}

// BacklogOpen says whether senders do without the queue's lock.
func (q *Queue[T]) BacklogOpen() bool { return q.backlog.most.Load() > 0 }

// Chunks returns how many chunks of messages the queue holds.
func (q *Queue[T]) Chunks() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.core.slab.chunks {
		if c != nil {
			n++
		}
	}
	return n
}

// Remembered returns how many deduplication ids the queue remembers, and for how
// many it has room.
func (q *Queue[T]) Remembered() (n, room int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &q.accepted
	for _, t := range m.numbers.tables {
		n += t.taken
		room += len(t.places)
	}
	return n, max(room, len(m.pages)*memoryPage)
}

// check proves that a memory finds what it has, and has nothing else to find.
func (m *memory[K, V]) check() error {
	there, before := 0, int64(math.MinInt64)
	for n := m.oldest; n < m.next; n++ {
		e := m.at(n)
		if e.at < before {
			return fmt.Errorf("what was put in at %d is remembered behind that of %d", e.at, before)
		}
		before = e.at
		if e.gone {
			continue
		}
		there++
		if found, number := m.find(e.key); found != e || number != numberAt(n) {
			return fmt.Errorf("what was put in under %v is not found", e.key)
		}
	}
	for _, t := range m.numbers.tables {
		there -= t.taken
	}
	if there != 0 {
		return fmt.Errorf("%d values are remembered beyond those that can be found", there)
	}
	return nil
}

// GroupRoom returns how many groups the queue has had to have room for at once.
func (q *Queue[T]) GroupRoom() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.core.groups.fresh) - 1
}

// check proves what stands above type core.
func (c *core[T]) check() error {
	live, err := c.slab.check()
	if err != nil {
		return fmt.Errorf("slab: %w", err)
	}
	for n, k := range c.slab.chunks {
		if (n < len(c.cells) && c.cells[n] != nil) && k == nil {
			return fmt.Errorf("cells without their chunk %d", n)
		}
	}
	// Every message is in one place by visibility.
	homes := newHomes(&c.slab)
	if err := c.slab.checkList(&c.ready, func(slot uint32, m *meta) error {
		homes.put(slot, inReady)
		if m.state != visible {
			return fmt.Errorf("state %d in ready", m.state)
		}
		return nil
	}, before); err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	if err := c.hidden.check(homes); err != nil {
		return fmt.Errorf("hidden: %w", err)
	}
	if err := c.checkGroups(homes); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	// What is overdue in hidden comes after all of ready.
	if first := c.hidden.due(c.now); first != 0 && c.ready.tail != 0 {
		if !before(c.slab.at(c.ready.tail), c.slab.at(first)) {
			return fmt.Errorf("slot %d is overdue before the end of ready", first)
		}
	}
	var counts [states]int
	var bytes int64
	placed, carried := 0, int32(0)
	for _, slot := range live {
		m, home := c.slab.at(slot), nowhere
		if homes.has(slot) {
			placed++
			home = homes.of[slot] - 1
		} else if m.state == inFlight {
			carried++
		} else if m.state != moving {
			return fmt.Errorf("slot %d is in no container", slot)
		}
		if m.home != home {
			return fmt.Errorf("slot %d is in %d and believes to be in %d", slot, home, m.home)
		}
		counts[m.state]++
		counts[free]--
		bytes += m.size
		if m.seq%2 == 0 && m.seq > c.drawn || m.seq%2 == 1 && m.seq >= numberOf(c.backlog.taken) || m.seq == 0 || m.place > c.drawn {
			return fmt.Errorf("slot %d has number %d of %d", slot, m.seq, c.drawn)
		}
		if m.state == visible && m.at > c.now {
			return fmt.Errorf("slot %d is visible before its time", slot)
		}
		if m.state == inFlight && m.receives == 0 {
			return fmt.Errorf("slot %d is in flight without a receive", slot)
		}
		if (m.firstAt == never) != (m.counted() == 0 && (!m.is(moved) || c.cell(slot).more.earlier == 0)) {
			return fmt.Errorf("slot %d has %d receives and was first received at %d", slot, m.receives, m.firstAt)
		}
		if after(m.sentAt, c.retention) < c.expiry {
			return fmt.Errorf("slot %d expires before the bound", slot)
		}
	}
	if homes.found != placed {
		return fmt.Errorf("%d placed messages, of which %d are live", homes.found, placed)
	}
	if carried != c.carried {
		return fmt.Errorf("%d messages are carried, and %d are counted", carried, c.carried)
	}
	if counts != c.counts || bytes != c.bytes {
		return fmt.Errorf("counts %v and %d bytes, but there are %v and %d", c.counts, c.bytes, counts, bytes)
	}
	return c.checkArrivals(len(live))
}

func (c *core[T]) checkArrivals(live int) error {
	n := 0
	err := c.slab.checkList(&c.arrivals, func(slot uint32, m *meta) error {
		if n++; m.is(moved) && !c.fifo {
			return fmt.Errorf("slot %d is a dead letter", slot)
		}
		return nil
	}, func(a, b *meta) bool { return a.seq < b.seq && a.sentAt <= b.sentAt })
	if err != nil {
		return fmt.Errorf("arrivals: %w", err)
	}
	err = c.slab.checkList(&c.taken, func(slot uint32, m *meta) error {
		if n++; !m.is(fromBacklog) || m.seq%2 == 0 || m.group != 0 {
			return fmt.Errorf("slot %d was not in the backlog", slot)
		}
		return nil
	}, func(a, b *meta) bool { return a.seq < b.seq && a.sentAt <= b.sentAt })
	if err != nil {
		return fmt.Errorf("taken from the backlog: %w", err)
	}
	transfers := 0
	err = c.slab.checkList(&c.transfers, func(slot uint32, m *meta) error {
		if transfers++; !m.is(moved) {
			return fmt.Errorf("slot %d is no dead letter", slot)
		}
		if _, ok := c.bySent.Get(key{at: m.sentAt, place: m.seq, slot: slot}); !ok {
			return fmt.Errorf("slot %d is not ordered by its send", slot)
		}
		return nil
	}, func(a, b *meta) bool { return a.seq < b.seq })
	if err != nil {
		return fmt.Errorf("transfers: %w", err)
	}
	if n+transfers != live || transfers != c.bySent.Len() {
		return fmt.Errorf("%d arrivals, %d transfers, %d by send, %d messages", n, transfers, c.bySent.Len(), live)
	}
	return nil
}

// homes says by slot in which container a message was found. Programs check after
// each step, so this and what follows do without maps.
type homes struct {
	of    []home // plus one
	found int    // messages
}

func newHomes(s *slab) *homes { return &homes{of: make([]home, len(s.chunks)<<chunkBits)} }

func (h *homes) has(slot uint32) bool { return h.of[slot] != 0 }

func (h *homes) put(slot uint32, in home) {
	if !h.has(slot) {
		h.found++
	}
	h.of[slot] = in + 1
}

func before(a, b *meta) bool { return a.before(b) }

// check proves that every message of the index is in one container, in order.
func (x *index) check(homes *homes) error {
	for i := range x.runs {
		if err := x.slab.checkList(&x.runs[i], func(slot uint32, m *meta) error {
			if homes.has(slot) {
				return fmt.Errorf("slot %d twice", slot)
			}
			homes.put(slot, home(i))
			return x.checkBound(slot, m)
		}, before); err != nil {
			return fmt.Errorf("run %d: %w", i, err)
		}
	}
	var err error
	x.rest.Ascend(btree.ItemIteratorG[key](func(k key) bool {
		m := x.slab.at(k.slot)
		if homes.has(k.slot) {
			err = fmt.Errorf("slot %d twice", k.slot)
		} else if m.at != k.at || m.place != k.place || m.seq == 0 {
			err = fmt.Errorf("the tree has slot %d at %d/%d, which is at %d/%d", k.slot, k.at, k.place, m.at, m.place)
		} else {
			err = x.checkBound(k.slot, m)
		}
		homes.put(k.slot, inRest)
		return err == nil
	}))
	return err
}

func (x *index) checkBound(slot uint32, m *meta) error {
	if m.at < x.bound {
		return fmt.Errorf("slot %d is due at %d, before the bound %d", slot, m.at, x.bound)
	}
	return nil
}

// check proves the chains of the slab, and returns the slots that are in use.
func (s *slab) check() (live []uint32, err error) {
	open := make([]bool, len(s.chunks))
	var prev uint32
	for n := s.open; n != 0; n = s.chunks[n-1].next {
		if open[n-1] || s.chunks[n-1].prev != prev {
			return nil, fmt.Errorf("chunk %d is chained wrongly", n-1)
		}
		open[n-1] = true
		prev = n
	}
	empty, absent := 0, 0
	for n, c := range s.chunks {
		if c == nil {
			absent++
			continue
		}
		var unused [chunkSize]bool
		unused[0] = n == 0
		for slot := c.free; slot != 0; slot = s.at(slot).links[placed].next {
			i := slot % chunkSize
			if int(slot>>chunkBits) != n || i >= c.fresh || unused[i] || c.meta[i].seq != 0 {
				return nil, fmt.Errorf("slot %d is wrongly free", slot)
			}
			unused[i] = true
		}
		others := len(live)
		for i := range c.fresh {
			if !unused[i] {
				live = append(live, uint32(n)<<chunkBits|i)
			}
		}
		if used := len(live) - others; used != int(c.live) {
			return nil, fmt.Errorf("chunk %d counts %d, has %d", n, c.live, used)
		}
		if room := c.free != 0 || c.fresh < chunkSize; room != open[n] {
			return nil, fmt.Errorf("chunk %d has room: %v", n, room)
		}
		if c.live == 0 {
			empty++
		}
	}
	if empty != s.empty || empty > 1 || absent != len(s.spare) {
		return nil, fmt.Errorf("%d empty chunks, counted %d; %d absent, %d spare", empty, s.empty, absent, len(s.spare))
	}
	return live, nil
}

// checkList walks a list both ways and holds its order against less.
func (s *slab) checkList(l *list, each func(uint32, *meta) error, less func(a, b *meta) bool) error {
	var prev uint32
	steps := 0
	for slot := l.head; slot != 0; slot = s.at(slot).links[l.kind].next {
		m := s.at(slot)
		if m.links[l.kind].prev != prev {
			return fmt.Errorf("slot %d comes after %d, and says %d", slot, prev, m.links[l.kind].prev)
		}
		if prev != 0 && !less(s.at(prev), m) {
			return fmt.Errorf("slot %d is out of order", slot)
		}
		if err := each(slot, m); err != nil {
			return err
		}
		prev = slot
		if steps++; steps > math.MaxInt32 {
			return fmt.Errorf("a circle")
		}
	}
	if l.tail != prev {
		return fmt.Errorf("the last is %d, and should be %d", l.tail, prev)
	}
	return nil
}

// checkGroups proves that each message with a group is in the line of that
// group, and that what may be delivered is where it is delivered from.
func (c *core[T]) checkGroups(homes *homes) error {
	s := &c.groups
	heads := 0
	members := make([]int, s.fresh)
	for n := uint32(1); n < s.fresh; n++ {
		g := s.at(n)
		if g.name == "" {
			continue
		}
		if found := s.lookup(g.name); found != n {
			return fmt.Errorf("%q is number %d and %d", g.name, n, found)
		}
		var counts [states]uint32
		err := c.slab.checkList(&g.line, func(slot uint32, m *meta) error {
			members[n]++
			counts[m.state]++
			counts[free]--
			if m.group != n {
				return fmt.Errorf("slot %d of group %d is in %d", slot, m.group, n)
			}
			first := g.line.head == slot
			switch {
			case c.fifo && m.home == heldBack:
				homes.put(slot, heldBack)
				if first || m.state != visible {
					return fmt.Errorf("slot %d is held back, in state %d, first %v", slot, m.state, first)
				}
			case c.fifo && m.state == visible && !first:
				return fmt.Errorf("slot %d can be delivered before the first of its group", slot)
			}
			return nil
		}, func(a, b *meta) bool { return a.seq < b.seq })
		if err != nil {
			return fmt.Errorf("%q: %w", g.name, err)
		}
		if counts != g.counts {
			return fmt.Errorf("%q counts %v and has %v", g.name, g.counts, counts)
		}
		if c.fifo {
			continue
		}
		t := s.tenant(n)
		if err := c.slab.checkList(&t.shown, func(slot uint32, m *meta) error {
			homes.put(slot, inGroup)
			if m.state != visible || m.group != n {
				return fmt.Errorf("slot %d of group %d is shown in state %d", slot, m.group, m.state)
			}
			return nil
		}, before); err != nil {
			return fmt.Errorf("%q, visible: %w", g.name, err)
		}
		var head key
		if slot := t.shown.head; slot != 0 && !c.full(n) {
			heads++
			m := c.slab.at(slot)
			head = m.key(n)
			if _, ok := c.heads.Get(head); !ok {
				return fmt.Errorf("%q is not among the heads", g.name)
			}
		}
		if t.listed != head {
			return fmt.Errorf("%q is listed as %v, and is %v", g.name, t.listed, head)
		}
	}
	if heads != c.heads.Len() {
		return fmt.Errorf("%d heads of %d groups", c.heads.Len(), heads)
	}
	var prev uint32
	for n := s.idle.head; n != 0; n = s.tenant(n).next {
		if t := s.tenant(n); t.prev != prev || members[n] > 0 {
			return fmt.Errorf("%q with %d messages is idle, behind %d", s.at(n).name, members[n], t.prev)
		}
		prev = n
	}
	if s.idle.tail != prev {
		return fmt.Errorf("the last idle is %d, and should be %d", s.idle.tail, prev)
	}
	return nil
}
