package dabchick

// The arrivals of a FIFO queue are one list of messages in the slab and in reserve, by their
// slots and numbers there, in the order in which they came. (Those of a standard queue are all
// in the slab, and are a plain list.)

// arrival returns the neighbours of a message there.
func (c *core[T]) arrival(n uint32) *link {
	if isReserved(n) {
		return &c.reserve.at(n).arrived
	}
	return &c.slab.at(n).links[arrived]
}

// enroll puts a message at the end, and sets its neighbours.
func (c *core[T]) enroll(n uint32, l *link) {
	*l = link{prev: c.arrivals.tail}
	if l.prev != 0 {
		c.arrival(l.prev).next = n
	} else {
		c.arrivals.head = n
	}
	c.arrivals.tail = n
}

// replace puts another message where one with these neighbours stood.
func (c *core[T]) replace(l link, n uint32) { c.relink(l, n, n) }

// strike takes out a message that has these neighbours.
func (c *core[T]) strike(l link) { c.relink(l, l.next, l.prev) }

// relink puts behind between two neighbours, seen from the first of them, and before, seen
// from the second.
func (c *core[T]) relink(l link, behind, before uint32) {
	if l.prev != 0 {
		c.arrival(l.prev).next = behind
	} else {
		c.arrivals.head = behind
	}
	if l.next != 0 {
		c.arrival(l.next).prev = before
	} else {
		c.arrivals.tail = before
	}
}

// enrolled returns the number of the send of a message, and its neighbours; or 0 if there is
// no such message any more.
func (c *core[T]) enrolled(n uint32) (seq uint64, l link) {
	if isReserved(n) {
		if m := c.reserve.lookup(n); m != nil {
			return m.seq, m.arrived
		}
	} else if m := c.slab.lookup(n); m != nil {
		return m.seq, m.links[arrived]
	}
	return 0, link{}
}

// sentAt returns when a message was sent.
func (c *core[T]) sentAt(n uint32) int64 {
	if isReserved(n) {
		return c.reserve.at(n).sentAt
	}
	return c.slab.at(n).sentAt
}

// oldestArrivals returns the first n.
func (c *core[T]) oldestArrivals(n int) (all []uint32) {
	for i := c.arrivals.head; i != 0 && len(all) < n; i = c.arrival(i).next {
		all = append(all, i)
	}
	return all
}
