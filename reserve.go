package dabchick

// A reserve has the messages of a FIFO queue that nobody has received, but for a few. There a
// message takes half of what it takes in the slab, into which it is called up when it is to
// be delivered, to expire or to be moved.
//
// Of a group first come the messages that are in the slab, its line, and then those in
// reserve. If all are there the group has a turn, see turn. All are in arrivals.
//
// Not in reserve are delayed messages, and so none of those that came before them in their
// group; nor those of addFirst.
type reserve[T any] struct {
	chunks []*reserveChunk[T] // nil where a chunk was given back
	spaces
	spares *spares
}

// What holds pointers comes first, so that the garbage collector need not look at the rest.
type reserveChunk[T any] struct {
	bodies   [chunkSize]T
	more     *[chunkSize]*details[T] // nil until a message has any
	messages [chunkSize]reserved
	// Each message's next is the one behind it in its group, or of a free place the next
	// free one. They are apart so that those of the last messages of many groups, which are
	// written to when another comes, lie in few lines of memory.
	next [chunkSize]uint32
	space
}

// reserved is a message in reserve, but for its contents. It has been visible since it was
// sent.
type reserved struct {
	arrived link // neighbours in arrivals
	group   uint32
	seq     uint64 // 0 in a free place
	size    int64
	sentAt  int64
}

// Numbers in reserve have a bit that slots have not. So they can stand side by side.
const inReserve = 1 << 31

func isReserved(n uint32) bool { return n&inReserve != 0 }

func (s *reserve[T]) clear() { *s = reserve[T]{spares: s.spares} }

// place returns the number of a message's chunk, and where it is in that.
func (s *reserve[T]) place(n uint32) (chunk, i uint32) {
	return n &^ inReserve >> chunkBits, n % chunkSize
}

func (s *reserve[T]) at(n uint32) *reserved {
	chunk, i := s.place(n)
	return &s.chunks[chunk].messages[i]
}

// next returns where it stands which message is behind another in its group.
func (s *reserve[T]) next(n uint32) *uint32 {
	chunk, i := s.place(n)
	return &s.chunks[chunk].next[i]
}

// lookup is at for a number that may be out of date. It returns nil if there is no such
// place.
func (s *reserve[T]) lookup(n uint32) *reserved {
	if chunk, _ := s.place(n); int(chunk) >= len(s.chunks) || s.chunks[chunk] == nil {
		return nil
	}
	return s.at(n)
}

// contents returns what put has stored.
func (s *reserve[T]) contents(n uint32) (body T, more *details[T]) {
	chunk, i := s.place(n)
	c := s.chunks[chunk]
	if c.more != nil {
		more = c.more[i]
	}
	return c.bodies[i], more
}

// setMore keeps the details of a message.
func (c *reserveChunk[T]) setMore(i uint32, more *details[T]) {
	if c.more == nil {
		c.more = new([chunkSize]*details[T])
	}
	c.more[i] = more
}

// take takes a free place of a chunk, of which the reserve has to be told by taken, and
// returns its number.
func (c *reserveChunk[T]) take(chunk uint32) uint32 {
	n := c.free
	if n != 0 {
		c.free = c.next[n%chunkSize]
	} else {
		n = inReserve | chunk<<chunkBits | c.fresh
		c.fresh++
	}
	return n
}

// release frees the place of a message.
func (s *reserve[T]) release(n uint32) {
	chunk, i := s.place(n)
	c := s.chunks[chunk]
	var none T
	c.bodies[i] = none
	if c.more != nil {
		c.more[i] = nil
	}
	c.messages[i].seq = 0
	c.next[i] = s.given(chunk, &c.space, n)
	if c.live == 0 && s.fallEmpty(chunk) {
		s.chunks[chunk] = nil
		s.spares.reserves.Put(c)
	}
}

func (s *reserve[T]) grow() {
	c, _ := s.spares.reserves.Get().(*reserveChunk[T])
	if c == nil {
		c = new(reserveChunk[T])
	}
	chunk := s.begin(&c.space)
	if int(chunk) == len(s.chunks) {
		s.chunks = append(s.chunks, nil)
	}
	s.chunks[chunk] = c
}

// isSetAside says whether a message that is sent goes into reserve.
func (c *core[T]) isSetAside(e *entry[T]) bool {
	return c.fifo && (e.delay < 0 || e.delay == 0 && c.delay <= 0)
}

// setAside stores a message that is sent now and visible at once, as the last of its group. It
// returns its number in reserve. O(1).
func (c *core[T]) setAside(now int64, body T, more *details[T], group uint32, size int64) (uint32, *reserved) {
	g := c.groups.at(group)
	s := &c.reserve
	if s.open == 0 {
		s.grow()
	}
	chunk := s.open - 1
	in := s.chunks[chunk]
	n := in.take(chunk)
	s.taken(&in.space)
	i := n % chunkSize
	in.bodies[i] = body
	if more != nil {
		in.setMore(i, more)
	}
	m := &in.messages[i]
	m.seq, m.size, m.sentAt, m.group = c.draw(), size, now, group
	in.next[i] = 0
	switch last := g.reserve.tail; {
	case last != 0:
		*s.next(last) = n
	case g.line.head != 0:
		g.reserve.head = n
	default:
		g.reserve.head = n
		c.giveTurn(now, group)
	}
	g.reserve.tail = n
	c.enroll(n, &m.arrived)
	c.count(g, free, visible)
	c.bytes += size
	c.expiry = min(c.expiry, after(now, c.retention))
	return n, m
}

// callUp brings the first message that a group has in reserve into the slab, as the last of
// the group's line. It is in no list by visibility yet; the caller sees to that. O(1).
func (c *core[T]) callUp(group uint32) uint32 {
	g := c.groups.at(group)
	n := g.reserve.head
	from := c.reserve.at(n)
	body, more := c.reserve.contents(n)
	c.bytes -= from.size // which lay counts once more
	slot, m := c.lay(body, more, from.size)
	m.seq, m.sentAt, m.group = from.seq, from.sentAt, group
	m.at, m.order, m.place = from.sentAt, 0, from.seq
	m.state, m.home = visible, heldBack
	if more.isDeadLetter() {
		m.flags, m.firstAt = moved, more.firstAt
	}
	if g.line.head == 0 {
		t := c.groups.turn(group)
		m.at, m.place = t.at, t.place
		c.groups.unchain(&c.groups.inTurn, group)
	}
	g.line.append(&c.slab, slot, m)
	m.links[arrived] = from.arrived
	c.replace(from.arrived, slot)
	if g.reserve.head = *c.reserve.next(n); g.reserve.head == 0 {
		g.reserve.tail = 0
	}
	c.reserve.release(n)
	return slot
}

// callUpAll brings all messages of a group into the slab, as one is to come behind them that
// cannot be in reserve. O(n) in them, and in the groups that are ready before theirs.
func (c *core[T]) callUpAll(group uint32) {
	g := c.groups.at(group)
	if g.line.head == 0 && g.reserve.head != 0 {
		slot := c.callUp(group)
		m := c.slab.at(slot)
		m.home = inReady
		c.ready.insert(&c.slab, slot, m)
	}
	for g.reserve.head != 0 {
		c.callUp(group)
	}
}
