package dabchick

// A slab keeps the metadata of messages in chunks that never move, so that a
// slot number stays good for as long as its message lives. It holds no
// pointers: however many messages it holds, the garbage collector has nothing
// to visit in it.
//
// Slot 0 is never handed out; it stands for "none" in every link.
type slab struct {
	chunks []*chunk // nil where a chunk was given back
	spaces
}

type chunk struct {
	meta [chunkSize]meta
	space
}

// meta is what the core knows of a message apart from its contents.
// Instants are nanoseconds since the queue was made.
type meta struct {
	// What most calls look at comes first, in few cache lines.
	links    [3]link // neighbours in a list of each kind
	group    uint32  // number of its message group, or 0
	state    state
	home     home // the container that holds it by visibility
	flags    flags
	returned uint8  // receives that do not count, because they were returned
	seq      uint64 // number of the send, odd if through the backlog; names the message; 0 in a free slot
	receives int64  // deliveries by this queue; with seq it names a delivery
	size     int64
	at       int64 // hidden until then, or visible since then
	// order breaks ties of at with what comes through the backlog. It is twice the
	// number of messages that had been added there when this one became visible, or
	// the odd number of one that was there itself; 0 in a hidden message.
	order   uint64
	place   uint64 // breaks further ties; drawn anew whenever the message is placed
	sentAt  int64
	firstAt int64 // instant of the first receive, or never
}

// counted returns how many deliveries by this queue count.
func (m *meta) counted() int64 { return m.receives - int64(m.returned) }

// Flags are what is true or not of a message.
type flags uint8

const (
	moved       flags = 1 << iota // came here as a dead letter
	stay                          // the dead-letter queue refused it: deliver it once more
	ownDelay                      // was sent with a delay that is not the queue's
	fromBacklog                   // was in the backlog
	repeated                      // its latest delivery has gone to a second receive with the same attempt id
	unwanted                      // was deleted on its way to another queue
)

// before says whether a visible message became so before another did.
func (m *meta) before(o *meta) bool {
	if m.at != o.at {
		return m.at < o.at
	}
	return m.order < o.order || m.order == o.order && m.place < o.place
}

func (m *meta) is(f flags) bool { return m.flags&f != 0 }

type link struct{ prev, next uint32 }

// The kinds of lists that a message can be in, one of each at a time.
const (
	placed  = iota // by visibility
	arrived        // by arrival in this queue
	grouped        // by arrival in its message group
)

func (s *slab) at(slot uint32) *meta {
	return &s.chunks[slot>>chunkBits].meta[slot%chunkSize]
}

// lookup is at for a slot number that comes from outside. It returns nil when
// no such slot exists.
func (s *slab) lookup(slot uint32) *meta {
	if n := slot >> chunkBits; int(n) >= len(s.chunks) || s.chunks[n] == nil {
		return nil
	}
	return s.at(slot)
}

// hasRoom says whether there are n slots to take, for sure.
func (s *slab) hasRoom(n int) bool { return len(s.chunks)+n/chunkSize < maxChunks }

// take takes a free slot of chunk n, of which the slab has to be told by taken. Its meta is
// zero but for links.
func (c *chunk) take(n uint32) uint32 {
	slot := c.free
	if slot != 0 {
		c.free = c.meta[slot%chunkSize].links[placed].next
	} else {
		slot = n<<chunkBits | c.fresh
		c.fresh++
	}
	return slot
}

// drop parts with a chunk that has nothing in it.
func (s *slab) drop(n uint32) {
	spareChunks.Put(s.chunks[n])
	s.chunks[n] = nil
}

// grow adds a chunk, and returns its number.
func (s *slab) grow() uint32 {
	c, _ := spareChunks.Get().(*chunk)
	if c == nil {
		c = new(chunk)
	}
	n := s.begin(&c.space)
	if int(n) == len(s.chunks) {
		s.chunks = append(s.chunks, nil)
	}
	s.chunks[n] = c
	if n == 0 {
		c.fresh = 1
	}
	return n
}

// A list is a chain of slots through the links of one kind. Its zero value,
// with the kind set, is empty.
type list struct {
	kind       uint32
	head, tail uint32
}

func (l *list) append(s *slab, slot uint32, m *meta) {
	m.links[l.kind] = link{prev: l.tail}
	if l.tail != 0 {
		s.at(l.tail).links[l.kind].next = slot
	} else {
		l.head = slot
	}
	l.tail = slot
}

// A row is messages one after the other in the two lists that most messages are in,
// by visibility and by arrival. Its zero value is empty.
type row struct {
	first, last uint32
	tail        *meta // of last
}

func (r *row) append(slot uint32, m *meta) {
	m.links[placed], m.links[arrived] = link{prev: r.last}, link{prev: r.last}
	if r.tail == nil {
		r.first = slot
	} else {
		r.tail.links[placed].next, r.tail.links[arrived].next = slot, slot
	}
	r.last, r.tail = slot, m
}

// extend appends a row that is not empty.
func (l *list) extend(s *slab, r *row) {
	s.at(r.first).links[l.kind].prev = l.tail
	if l.tail != 0 {
		s.at(l.tail).links[l.kind].next = r.first
	} else {
		l.head = r.first
	}
	l.tail = r.last
}

// insertAfter puts slot behind the member after, or first if after is 0.
func (l *list) insertAfter(s *slab, after, slot uint32, m *meta) {
	next := l.head
	if after != 0 {
		a := &s.at(after).links[l.kind]
		next = a.next
		a.next = slot
	} else {
		l.head = slot
	}
	if next != 0 {
		s.at(next).links[l.kind].prev = slot
	} else {
		l.tail = slot
	}
	m.links[l.kind] = link{after, next}
}

// insert puts slot where it belongs by (at, order, place). Its time depends on how many
// stand before it; the core uses it for what stood at the head lately.
func (l *list) insert(s *slab, slot uint32, m *meta) {
	prev := uint32(0)
	for next := l.head; next != 0; {
		n := s.at(next)
		if m.before(n) {
			break
		}
		prev, next = next, n.links[l.kind].next
	}
	l.insertAfter(s, prev, slot, m)
}

func (l *list) remove(s *slab, m *meta) {
	k := m.links[l.kind]
	if k.prev != 0 {
		s.at(k.prev).links[l.kind].next = k.next
	} else {
		l.head = k.next
	}
	if k.next != 0 {
		s.at(k.next).links[l.kind].prev = k.prev
	} else {
		l.tail = k.prev
	}
}

// first returns the first n members of a list, or all.
func (s *slab) first(l *list, n int) (slots []uint32) {
	for slot := l.head; slot != 0 && len(slots) < n; slot = s.at(slot).links[l.kind].next {
		slots = append(slots, slot)
	}
	return slots
}
