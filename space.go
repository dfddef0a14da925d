package dabchick

// A space tells which places of a chunk are taken. Who owns the chunk takes places and
// chains the free ones, through what lies there.
type space struct {
	free  uint32 // freed places, chained
	fresh uint32 // places from here on were never used
	live  uint32
	// Neighbours among the chunks with room, each plus one.
	prev, next uint32
}

// spaces are those of a row of chunks, by their numbers.
type spaces struct {
	all   []*space // nil where a chunk was given back
	spare []uint32 // numbers of the chunks that were given back
	open  uint32   // first chunk with room, plus one
	empty int      // chunks that hold nothing; at most one is kept
}

const (
	chunkBits = 8
	chunkSize = 1 << chunkBits
	maxChunks = 1 << (31 - chunkBits)
	mostSlots = (maxChunks - 1) << chunkBits // that are in use at a time; not all in the first chunk can be
)

func (s *space) hasRoom() bool { return s.free != 0 || s.fresh < chunkSize }

// begin adds a chunk, and returns its number.
func (s *spaces) begin(c *space) (n uint32) {
	if last := len(s.spare) - 1; last >= 0 {
		n = s.spare[last]
		s.spare = s.spare[:last]
		s.all[n] = c
	} else {
		n = uint32(len(s.all))
		s.all = append(s.all, c)
	}
	s.empty++
	s.reopen(n, c)
	return n
}

// taken is told that a place of a chunk has been taken.
func (s *spaces) taken(c *space) {
	if c.live == 0 {
		s.empty--
	}
	c.live++
	if !c.hasRoom() {
		s.close(c)
	}
}

// given is told that a place of chunk n is given back. It returns the free one to which
// that is chained.
func (s *spaces) given(n uint32, c *space, place uint32) (next uint32) {
	if !c.hasRoom() {
		s.reopen(n, c)
	}
	next, c.free = c.free, place
	c.live--
	return next
}

// fallEmpty is told that chunk n has no message any more. It reports whether the chunk is
// to be given back, as it is the second one.
func (s *spaces) fallEmpty(n uint32) bool {
	if s.empty == 0 {
		s.empty++
		return false
	}
	s.close(s.all[n])
	*s.all[n] = space{}
	s.all[n] = nil
	s.spare = append(s.spare, n)
	return true
}

// reopen puts chunk n first among those with room.
func (s *spaces) reopen(n uint32, c *space) {
	c.prev, c.next = 0, s.open
	if s.open != 0 {
		s.all[s.open-1].prev = n + 1
	}
	s.open = n + 1
}

// close takes a chunk out of those with room.
func (s *spaces) close(c *space) {
	if c.prev != 0 {
		s.all[c.prev-1].next = c.next
	} else {
		s.open = c.next
	}
	if c.next != 0 {
		s.all[c.next-1].prev = c.prev
	}
}
