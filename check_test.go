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

// leaveBe gives the message that next returned a place, if it has none, or none of its own
// since it has just been called up.
func (c *core[T]) leaveBe(slot uint32, m *meta) {
	if m.home == nowhere || m.home == heldBack {
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
	aside, err := c.checkReserve(&counts, &bytes)
	if err != nil {
		return fmt.Errorf("reserve: %w", err)
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
	return c.checkArrivals(len(live) + aside)
}

func (c *core[T]) checkArrivals(live int) error {
	n := 0
	var err error
	if c.fifo {
		n, err = c.checkInOrder()
	} else {
		err = c.slab.checkList(&c.arrivals, func(slot uint32, m *meta) error {
			if n++; m.is(moved) {
				return fmt.Errorf("slot %d is a dead letter", slot)
			}
			return nil
		}, func(a, b *meta) bool { return a.seq < b.seq && a.sentAt <= b.sentAt })
	}
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

// checkInOrder proves the list of arrivals of a FIFO queue, and returns how many there are.
func (c *core[T]) checkInOrder() (n int, err error) {
	var prev uint32
	var last uint64
	var lastAt int64
	for slot := c.arrivals.head; slot != 0; slot = c.arrival(slot).next {
		seq, l := c.enrolled(slot)
		switch at := c.sentAt(slot); {
		case l.prev != prev:
			return n, fmt.Errorf("%d comes after %d, and says %d", slot, prev, l.prev)
		case seq <= last || at < lastAt:
			return n, fmt.Errorf("%d is out of order", slot)
		default:
			last, lastAt = seq, at
		}
		prev = slot
		n++
	}
	if c.arrivals.tail != prev {
		return n, fmt.Errorf("the last is %d, and should be %d", c.arrivals.tail, prev)
	}
	return n, nil
}

// checkReserve proves that the reserve has what its groups believe, and adds that to what
// was counted. It returns how many messages there are.
func (c *core[T]) checkReserve(counts *[states]int, bytes *int64) (n int, err error) {
	if len(c.reserve.chunks) != len(c.reserve.all) {
		return 0, fmt.Errorf("%d chunks, %d spaces", len(c.reserve.chunks), len(c.reserve.all))
	}
	live, err := c.reserve.spaces.check(0, func(n uint32) (uint32, bool) {
		return *c.reserve.next(n), c.reserve.at(n).seq == 0
	})
	if err != nil {
		return 0, err
	}
	for _, place := range live {
		m := c.reserve.at(place)
		if m.seq == 0 || m.seq > c.drawn || after(m.sentAt, c.retention) < c.expiry {
			return 0, fmt.Errorf("%d has number %d of %d, and was sent at %d", place, m.seq, c.drawn, m.sentAt)
		}
		*bytes += m.size
	}
	counts[visible] += len(live)
	counts[free] -= len(live)

	s := &c.groups
	turns := 0
	for number := uint32(1); number < s.fresh; number++ {
		g := s.at(number)
		last := uint32(0)
		for i := g.reserve.head; i != 0; i = *c.reserve.next(i) {
			m := c.reserve.at(i)
			if m.group != number || last != 0 && m.seq <= c.reserve.at(last).seq {
				return 0, fmt.Errorf("%d of group %d is in %d, behind %d", i, m.group, number, last)
			}
			last = i
			n++
		}
		if g.reserve.tail != last {
			return 0, fmt.Errorf("the last of group %d is %d, and should be %d", number, g.reserve.tail, last)
		}
		if tail := g.line.tail; tail != 0 && last != 0 && c.slab.at(tail).seq >= c.reserve.at(g.reserve.head).seq {
			return 0, fmt.Errorf("the reserve of group %d is older than its line", number)
		}
		if g.line.head == 0 && last != 0 {
			turns++
		}
	}
	if n != len(live) {
		return 0, fmt.Errorf("%d of groups, and %d in all", n, len(live))
	}
	var prev uint32
	for number := s.inTurn.head; number != 0; number = s.turn(number).next {
		t := s.turn(number)
		if g := s.at(number); g.line.head != 0 || g.reserve.head == 0 || t.prev != prev || t.at > c.now || t.place > c.drawn {
			return 0, fmt.Errorf("group %d has a turn at %d, behind %d", number, t.at, prev)
		}
		if prev != 0 && (t.at < s.turn(prev).at || t.place <= s.turn(prev).place) {
			return 0, fmt.Errorf("the turn of group %d is out of order", number)
		}
		prev = number
		turns--
	}
	if turns != 0 || s.inTurn.tail != prev {
		return 0, fmt.Errorf("%d groups without their turn; the last is %d, and should be %d", turns, s.inTurn.tail, prev)
	}
	return n, nil
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
	if len(s.chunks) != len(s.all) {
		return nil, fmt.Errorf("%d chunks, %d spaces", len(s.chunks), len(s.all))
	}
	for n, c := range s.chunks {
		if (c == nil) != (s.all[n] == nil) {
			return nil, fmt.Errorf("chunk %d: %v, its space: %v", n, c == nil, s.all[n] == nil)
		}
	}
	const never = 1 // slot
	return s.spaces.check(never, func(slot uint32) (uint32, bool) {
		m := s.at(slot)
		return m.links[placed].next, m.seq == 0
	})
}

// check proves the chains of chunks with room and of free places, by what is told of such a
// place, and returns the places that are in use. Those before first are neither.
func (s *spaces) check(first uint32, free func(uint32) (next uint32, ok bool)) (live []uint32, err error) {
	open := make([]bool, len(s.all))
	var prev uint32
	for n := s.open; n != 0; n = s.all[n-1].next {
		if open[n-1] || s.all[n-1].prev != prev {
			return nil, fmt.Errorf("chunk %d is chained wrongly", n-1)
		}
		open[n-1] = true
		prev = n
	}
	empty, absent := 0, 0
	for n, c := range s.all {
		if c == nil {
			absent++
			continue
		}
		var unused [chunkSize]bool
		for i := range first {
			unused[i] = n == 0
		}
		for place := c.free; place != 0; {
			chunk, i := place&^inReserve>>chunkBits, place%chunkSize
			next, ok := free(place)
			if int(chunk) != n || i >= c.fresh || unused[i] || !ok {
				return nil, fmt.Errorf("place %d is wrongly free", place)
			}
			unused[i] = true
			place = next
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
		for i := g.reserve.head; i != 0; i = *c.reserve.next(i) {
			counts[visible]++
			counts[free]--
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

// ReserveChunks returns how many chunks of messages that nobody has received the queue holds.
func (q *Queue[T]) ReserveChunks() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.core.reserve.all) - len(q.core.reserve.spare)
}
