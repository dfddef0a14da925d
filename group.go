package dabchick

import "time"

// groups are the message groups of a queue, by name and by number. Numbers are
// used again, so that groups that come and go allocate nothing.
//
// A group lives while it has messages, and on a fair queue for a while longer,
// so that what it took lately is not forgotten when its backlog is drained.
type groups struct {
	byName map[string]uint32
	chunks []*[groupChunk]group
	fresh  uint32        // numbers from here on were never used; 0 is never used
	spare  []uint32      // numbers given back
	idle   chain         // those without messages, in the order in which they fell empty
	linger time.Duration // how long an empty group is kept
}

// A group is the messages that one group name has in a queue.
type group struct {
	name   string
	line   list // all of them, in order of arrival
	shown  list // on a standard queue: the visible ones, in order
	listed key  // as which the group is among the heads, or zero if it is not
	counts [states]int

	// For fairness.
	use    usage
	sentAt int64 // when its last message came

	emptyAt    int64
	prev, next uint32 // neighbours among the idle
}

const groupChunk = 64

// chain is the ends of a chain.
type chain struct{ head, tail uint32 }

func newGroups(linger time.Duration) groups { return groups{fresh: 1, linger: linger} }

func (s *groups) at(n uint32) *group { return &s.chunks[n/groupChunk][n%groupChunk] }

// lookup returns the group of a name, or nil.
func (s *groups) lookup(name string) *group {
	if n := s.byName[name]; n != 0 {
		return s.at(n)
	}
	return nil
}

// join returns the number of the group of a name, which is about to get a
// message. O(1).
func (s *groups) join(now int64, name string) uint32 {
	s.forget(now)
	if n := s.byName[name]; n != 0 {
		if g := s.at(n); g.line.head == 0 {
			s.unchain(g)
			if s.forgotten(now, g) {
				g.use = usage{}
			}
		}
		return n
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
		}
	}
	if s.byName == nil {
		s.byName = map[string]uint32{}
	}
	s.byName[name] = n
	*s.at(n) = group{name: name, line: list{kind: grouped}, shown: list{kind: placed}}
	return n
}

// leave is told that a group has no messages any more.
func (s *groups) leave(now int64, n uint32) {
	g := s.at(n)
	g.emptyAt = now
	g.prev, g.next = s.idle.tail, 0
	if g.prev != 0 {
		s.at(g.prev).next = n
	} else {
		s.idle.head = n
	}
	s.idle.tail = n
	s.forget(now)
}

// forgotten says whether an empty group has been so for too long to matter.
func (s *groups) forgotten(now int64, g *group) bool { return now >= after(g.emptyAt, s.linger) }

// forget drops groups that have been empty for long, two at most so that no
// call has to drop many. When none is left, the memory goes back.
func (s *groups) forget(now int64) {
	for range 2 {
		n := s.idle.head
		if n == 0 || !s.forgotten(now, s.at(n)) {
			break
		}
		g := s.at(n)
		s.unchain(g)
		delete(s.byName, g.name)
		*g = group{}
		s.spare = append(s.spare, n)
	}
	if len(s.byName) == 0 && len(s.chunks) > 1 {
		*s = newGroups(s.linger)
	}
}

// unchain takes a group out of the idle ones.
func (s *groups) unchain(g *group) {
	if g.prev != 0 {
		s.at(g.prev).next = g.next
	} else {
		s.idle.head = g.next
	}
	if g.next != 0 {
		s.at(g.next).prev = g.prev
	} else {
		s.idle.tail = g.prev
	}
}

// heedGroups makes the core ready for groups: from now on it has to be told at
// once what comes up.
func (c *core[T]) heedGroups() {
	c.grouped = true
	c.use.upTo = c.now
}

// joinGroup makes a new message the last of its group.
func (c *core[T]) joinGroup(slot uint32, m *meta, name string) {
	m.group = c.groups.join(c.now, name)
	g := c.groups.at(m.group)
	g.sentAt = c.now
	g.line.append(&c.slab, slot, m)
}

// leaveGroup takes a lifted message out of its group. On a FIFO queue the group
// goes on with the next one.
func (c *core[T]) leaveGroup(slot uint32, m *meta) {
	g := c.groups.at(m.group)
	first := g.line.head == slot
	g.line.remove(&c.slab, m)
	switch next := g.line.head; {
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
		return
	}
	g := c.groups.at(m.group)
	g.counts[m.state]--
	g.counts[s]++
	if c.groupLimit > 0 {
		c.relist(m.group, g)
	}
}

// groupName returns the name of a message's group, or "".
func (c *core[T]) groupName(m *meta) string {
	if m.group == 0 {
		return ""
	}
	return c.groups.at(m.group).name
}
