package dabchick

import (
	"hash/maphash"
	"time"
)

// groups are the message groups of a queue, by name and by number. Numbers are
// used again, so that groups that come and go allocate nothing.
//
// A group lives while it has messages, and on a fair queue for a while longer,
// so that what it took lately is not forgotten when its backlog is drained.
type groups struct {
	registry
	seed    maphash.Seed  // of the hashes of names; read without the lock
	fair    bool          // of a standard queue
	linger  time.Duration // how long an empty group is kept
	spares  *spares
	retired bool // a registry was given back
}

// A registry is the part of groups that is dropped when there are none.
type registry struct {
	numbers directory // by name
	chunks  []*[groupChunk]group
	tenants []*[groupChunk]tenant // nil unless fair
	turns   []*[groupChunk]turn   // nil if fair
	fresh   uint32                // numbers from here on were never used; 0 is never used
	spare   []uint32              // numbers given back
	peak    int                   // how many there were at once, since the memory was taken up
	inTurn  chain                 // those of a FIFO queue that have a turn, in order
	idle    chain                 // those without messages, in the order in which they fell empty
}

// A group is the messages that one group name has in a queue. It is a cache line, without
// what only turns or fairness want to know.
type group struct {
	name    string
	reserve chain          // those of a FIFO queue that are in reserve, in order of arrival
	line    list           // all others, in order of arrival
	counts  [states]uint32 // as core.counts
	hash    uint32
}

// A tenant is the part of a group that is for fairness.
type tenant struct {
	shown  list // the visible messages, in order
	listed key  // as which the group is among the heads, or zero if it is not
	use    usage
	sentAt int64 // when its last message came

	emptyAt int64
	link    // neighbours among the idle
}

const groupChunk = 64

// first returns the slot or number of the first message of a group, or 0.
func (g *group) first() uint32 {
	if g.line.head != 0 {
		return g.line.head
	}
	return g.reserve.head
}

// chain is the ends of a chain.
type chain struct{ head, tail uint32 }

// newGroups returns the groups of a queue, but for clear.
func newGroups(fair bool, spares *spares) groups {
	return groups{seed: maphash.MakeSeed(), fair: fair, spares: spares}
}

// clear drops all groups, and gives their memory back.
func (s *groups) clear() {
	s.registry = registry{fresh: 1}
}

// retire gives back the memory of groups that have all ended, for the next ones; but not if
// most of it was of no use this time.
func (s *groups) retire() {
	if s.peak >= int(s.fresh)/4 {
		s.peak, s.retired = 0, true
		former := s.registry
		s.spares.groups.Put(&former)
	}
	s.clear()
}

// revive takes up memory that was given back, if it is still there.
func (s *groups) revive() {
	if former, _ := s.spares.groups.Get().(*registry); former != nil {
		s.registry = *former
	}
}

func (s *groups) at(n uint32) *group { return &s.chunks[n/groupChunk][n%groupChunk] }

func (s *groups) turn(n uint32) *turn { return &s.turns[n/groupChunk][n%groupChunk] }

func (s *groups) tenant(n uint32) *tenant { return &s.tenants[n/groupChunk][n%groupChunk] }

func (s *groups) hash(name string) uint32 { return uint32(maphash.String(s.seed, name)) }

// lookup returns the number of the group of a name, or 0.
func (s *groups) lookup(name string) uint32 { return s.find(s.hash(name), name) }

// find is lookup by the hash of the name too.
func (s *groups) find(hash uint32, name string) uint32 {
	t := s.numbers.table(hash)
	if t == nil {
		return 0
	}
	mask := uint32(len(t.places) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch p := t.places[i]; {
		case p.number == 0:
			return 0
		case p.hash == hash && s.at(p.number).name == name:
			return p.number
		}
	}
}

// join returns the number of the group of a name, which is about to get a message, given the
// hash of the name. O(1).
func (s *groups) join(now int64, hash uint32, name string) uint32 {
	s.forget(now)
	n := s.find(hash, name)
	switch {
	case n == 0:
		return s.begin(hash, name)
	case s.fair && s.at(n).line.head == 0:
		t := s.tenant(n)
		s.unchain(&s.idle, n)
		if s.forgotten(now, t) {
			t.use = usage{}
		}
	}
	return n
}

// begin returns the number of a new group.
func (s *groups) begin(hash uint32, name string) uint32 {
	if s.fresh == 1 && s.retired {
		s.revive()
	}
	var n uint32
	if last := len(s.spare) - 1; last >= 0 {
		n = s.spare[last]
		s.spare = s.spare[:last]
	} else {
		n = s.fresh
		s.fresh++
		if int(n/groupChunk) == len(s.chunks) {
			s.chunks = append(s.chunks, new([groupChunk]group))
			if s.fair {
				s.tenants = append(s.tenants, new([groupChunk]tenant))
			} else {
				s.turns = append(s.turns, new([groupChunk]turn))
			}
		}
	}
	s.peak = max(s.peak, int(s.fresh)-1-len(s.spare))
	s.numbers.put(hash, n)
	*s.at(n) = group{name: name, hash: hash, line: list{kind: grouped}}
	if s.fair {
		*s.tenant(n) = tenant{shown: list{kind: placed}}
	}
	return n
}

// leave is told that a group has no messages any more.
func (s *groups) leave(now int64, n uint32) {
	if !s.fair {
		s.end(n)
		return
	}
	s.tenant(n).emptyAt = now
	s.enchain(&s.idle, n)
	s.forget(now)
}

// forgotten says whether an empty group has been so for too long to matter.
func (s *groups) forgotten(now int64, t *tenant) bool { return now >= after(t.emptyAt, s.linger) }

// forget drops groups that have been empty for long, two at most so that no
// call has to drop many.
func (s *groups) forget(now int64) {
	for range 2 {
		n := s.idle.head
		if n == 0 || !s.forgotten(now, s.tenant(n)) {
			break
		}
		s.unchain(&s.idle, n)
		s.end(n)
	}
}

// end drops a group. When none is left, the memory goes back.
func (s *groups) end(n uint32) {
	g := s.at(n)
	s.numbers.drop(g.hash, n)
	*g = group{}
	s.spare = append(s.spare, n)
	if len(s.spare) == int(s.fresh)-1 && len(s.chunks) > 1 {
		s.retire()
	}
}

// neighbours returns those of a group in the one chain that there is for groups of its kind.
func (s *groups) neighbours(n uint32) *link {
	if s.fair {
		return &s.tenant(n).link
	}
	return &s.turn(n).link
}

// enchain puts a group at the end of its chain.
func (s *groups) enchain(c *chain, n uint32) {
	*s.neighbours(n) = link{prev: c.tail}
	if c.tail != 0 {
		s.neighbours(c.tail).next = n
	} else {
		c.head = n
	}
	c.tail = n
}

// unchain takes a group out of its chain.
func (s *groups) unchain(c *chain, n uint32) {
	l := *s.neighbours(n)
	if l.prev != 0 {
		s.neighbours(l.prev).next = l.next
	} else {
		c.head = l.next
	}
	if l.next != 0 {
		s.neighbours(l.next).prev = l.prev
	} else {
		c.tail = l.prev
	}
}

// heedGroups makes the core ready for groups: from now on it has to be told at
// once what comes up.
func (c *core[T]) heedGroups() {
	c.grouped = true
	c.use.upTo = c.now
}

// join returns the number of the group of a name, which is about to get a message.
func (c *core[T]) join(name string) uint32 {
	return c.groups.join(c.now, c.groups.hash(name), name)
}

// joinGroup makes a new message the last of its group.
func (c *core[T]) joinGroup(slot uint32, m *meta, name string) {
	m.group = c.join(name)
	g := c.groups.at(m.group)
	if c.fifo {
		c.callUpAll(m.group)
	} else {
		c.groups.tenant(m.group).sentAt = c.now
	}
	g.line.append(&c.slab, slot, m)
}

// leaveGroup takes a lifted message out of its group. On a FIFO queue the group
// goes on with the next one.
func (c *core[T]) leaveGroup(slot uint32, m *meta) {
	g := c.groups.at(m.group)
	first := g.line.head == slot
	g.line.remove(&c.slab, m)
	switch next := g.line.head; {
	case next == 0 && g.reserve.head != 0:
		c.giveTurn(c.now, m.group)
	case next == 0:
		c.groups.leave(c.now, m.group)
	case c.fifo && first:
		c.promote(next)
	}
}

// setInGroup is the part of set that concerns groups.
func (c *core[T]) setInGroup(at int64, m *meta, s state) {
	if !c.fifo && (m.state == inFlight) != (s == inFlight) {
		c.measure(at, m)
	}
	if m.group == 0 {
		c.groups.forget(c.now) // else a queue that has no more groups would keep the former ones
		return
	}
	g := c.groups.at(m.group)
	g.counts[m.state]--
	g.counts[s]++
	if c.groupLimit > 0 {
		c.relist(m.group)
	}
}

// groupName returns the name of a message's group, or "".
func (c *core[T]) groupName(m *meta) string {
	if m.group == 0 {
		return ""
	}
	return c.groups.at(m.group).name
}
