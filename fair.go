package dabchick

import (
	"math"
	"time"
)

// Fairness says when a message group of a standard queue is noisy: it has
// visible messages, has sent something lately, and takes more than its share of
// the consumers, by one of two measures. While messages of other groups are
// visible, those of noisy groups wait. Messages without a group are tenants of
// their own, and never noisy.
//
// The zero Fairness has the values of SQS's fair queues. They suit many tenants:
// of fewer than ten busy groups each takes more than a tenth, and then, as all
// are noisy, the one with the fewest messages in flight goes first. Shares of 1
// switch fairness off, and messages come in order of arrival whatever their group.
// It does not concern FIFO queues.
type Fairness struct {
	// InFlightShare is the share of all messages in flight above which a group
	// is noisy, if it has MinInFlight of them. 0 means 0.1; 1 is never exceeded.
	InFlightShare float64
	// MinInFlight is how many messages of a group are in flight at least when
	// InFlightShare makes it noisy. 0 means 30.
	MinInFlight int
	// ProcessingShare is the share of recent processing time above which a group
	// is noisy. Processing time is what messages spend in flight, those that
	// still are included; it is counted from the queue's first message with a
	// group on. 0 means 0.1; 1 is never exceeded.
	ProcessingShare float64
	// Window is how long "recent" is: of the processing time of an instant the
	// 1/e-th part counts after it. 0 means 5 minutes.
	Window time.Duration
	// QuietAfter is how long after its last send a group is not noisy any more,
	// whatever backlog it has. 0 means 5 minutes; Forever lets it be noisy until
	// its backlog is drained.
	QuietAfter time.Duration
}

func (f Fairness) settled() (Fairness, error) {
	if err := firstError(
		checkShare("Fairness.InFlightShare", f.InFlightShare),
		checkCount("Fairness.MinInFlight", int64(f.MinInFlight)),
		checkShare("Fairness.ProcessingShare", f.ProcessingShare),
		checkDuration("Fairness.Window", f.Window, false),
		checkDuration("Fairness.QuietAfter", f.QuietAfter, false),
	); err != nil {
		return f, err
	}
	for _, share := range []*float64{&f.InFlightShare, &f.ProcessingShare} {
		if *share == 0 {
			*share = 0.1
		}
	}
	if f.MinInFlight == 0 {
		f.MinInFlight = 30
	}
	for _, d := range []*time.Duration{&f.Window, &f.QuietAfter} {
		if *d == 0 {
			*d = 5 * time.Minute
		}
	}
	return f, nil
}

func checkShare(field string, share float64) error {
	if share >= 0 && share <= 1 {
		return nil
	}
	return &InvalidError{field, share, "from 0 to 1"}
}

// usage is how many messages were in flight lately: an average in which an
// instant counts less the longer it is ago.
type usage struct {
	mean float64
	upTo int64
}

// pass takes into account that n messages were in flight until an instant.
func (u *usage) pass(at int64, n int, window time.Duration) {
	if at <= u.upTo {
		return
	}
	age := float64(at-u.upTo) / float64(window)
	if age < 1e-9 { // most calls, and then this is as exact
		u.mean += (float64(n) - u.mean) * age
	} else {
		u.mean = u.mean*math.Exp(-age) - float64(n)*math.Expm1(-age)
	}
	u.upTo = at
}

// negligible is what is left of one message after more than twenty windows.
const negligible = 7.77e-10

// measure brings the usage of a message's group, and of all, up to an instant at
// which their numbers in flight change.
func (c *core[T]) measure(at int64, m *meta) {
	c.use.pass(at, c.counts[inFlight], c.fair.Window)
	if m.group != 0 {
		n := int(c.groups.at(m.group).counts[inFlight])
		c.groups.tenant(m.group).use.pass(at, n, c.fair.Window)
	}
}

// noisy says whether a group takes more than its share now.
func (c *core[T]) noisy(now int64, number uint32) bool {
	f := &c.fair
	g, t := c.groups.at(number), c.groups.tenant(number)
	n := int(g.counts[inFlight])
	if g.counts[visible] == 0 || now >= after(t.sentAt, f.QuietAfter) {
		return false
	}
	if n >= f.MinInFlight && float64(n) > f.InFlightShare*float64(c.counts[inFlight]) {
		return true
	}
	if f.ProcessingShare == 1 {
		return false // whatever the rounding
	}
	c.use.pass(now, c.counts[inFlight], f.Window)
	t.use.pass(now, n, f.Window)
	return t.use.mean > negligible && t.use.mean > f.ProcessingShare*c.use.mean
}

// fairest returns the slot of the message to deliver now: the first one that is
// not of a noisy group, or else the first of the noisy group with the fewest
// messages in flight. It passes over noisy groups only, of which there are no
// more than the shares allow for: one over each.
func (c *core[T]) fairest(now int64, last uint64) uint32 {
	plain := key{at: math.MaxInt64, place: math.MaxUint64}
	if slot := c.ready.head; slot != 0 {
		m := c.slab.at(slot)
		plain = m.key(slot)
	}
	var quiet, loud uint32
	least := uint32(math.MaxUint32) // in flight, of loud
	c.heads.Ascend(func(k key) bool {
		if !k.less(plain) || k.at == now && k.place > last {
			return false
		}
		if !c.noisy(now, k.slot) {
			quiet = k.slot
		} else if n := c.groups.at(k.slot).counts[inFlight]; n < least {
			loud, least = k.slot, n
		}
		return quiet == 0
	})
	switch {
	case quiet != 0:
		return c.groups.tenant(quiet).shown.head
	case plain.slot != 0 && plain.place <= last:
		return plain.slot
	case loud != 0:
		return c.groups.tenant(loud).shown.head
	}
	return 0
}

// enlist puts a visible message behind those of its group, on a standard queue.
func (c *core[T]) enlist(slot uint32, m *meta) {
	c.groups.tenant(m.group).shown.append(&c.slab, slot, m)
	m.home = inGroup
	c.relist(m.group)
}

// reenlist puts a visible message back where it was among those of its group.
func (c *core[T]) reenlist(slot uint32, m *meta) {
	c.groups.tenant(m.group).shown.insert(&c.slab, slot, m)
	m.home = inGroup
	c.relist(m.group)
}

// delist takes a visible message out of those of its group.
func (c *core[T]) delist(m *meta) {
	c.groups.tenant(m.group).shown.remove(&c.slab, m)
	c.relist(m.group)
}

// relist brings heads up to date when the visible messages of a group, or how
// many it has in flight, have changed.
func (c *core[T]) relist(n uint32) {
	t := c.groups.tenant(n)
	var k key
	if slot := t.shown.head; slot != 0 && !c.full(n) {
		m := c.slab.at(slot)
		k = m.key(n)
	}
	if k == t.listed {
		return
	}
	if t.listed != (key{}) {
		c.heads.Delete(t.listed)
	}
	if t.listed = k; k != (key{}) {
		c.heads.ReplaceOrInsert(k)
	}
}

// full says whether a group may not have more messages in flight.
func (c *core[T]) full(n uint32) bool {
	return c.groupLimit > 0 && int(c.groups.at(n).counts[inFlight]) >= c.groupLimit
}

// setGroupLimit changes how many messages of a group may be in flight. O(n log n)
// in the groups if there was such a limit, or is one now.
func (c *core[T]) setGroupLimit(n int) {
	if n == c.groupLimit {
		return
	}
	c.groupLimit = n
	for n := uint32(1); n < c.groups.fresh; n++ {
		c.relist(n)
	}
}

// visible returns the first n visible messages of a standard queue, in the order
// in which they became so. O(n log n), or O(n) without groups; with a limit on
// groups also O(g log g) in their number.
func (c *core[T]) visible(n int) []uint32 {
	c.bringAmong(n)
	if c.heads.Len() == 0 && c.groupLimit == 0 {
		return c.slab.first(&c.ready, n)
	}
	// Only the n groups whose first messages are the oldest can contribute.
	next := newTree()
	offer := func(slot uint32) {
		if slot != 0 {
			m := c.slab.at(slot)
			next.ReplaceOrInsert(m.key(slot))
		}
	}
	offer(c.ready.head)
	if c.groupLimit == 0 {
		c.heads.Ascend(func(k key) bool {
			offer(c.groups.tenant(k.slot).shown.head)
			return next.Len() <= n
		})
	} else { // full groups are not among the heads
		for n := uint32(1); n < c.groups.fresh; n++ {
			offer(c.groups.tenant(n).shown.head)
		}
	}
	var slots []uint32
	for len(slots) < n && next.Len() > 0 {
		k, _ := next.DeleteMin()
		slots = append(slots, k.slot)
		offer(c.slab.at(k.slot).links[placed].next)
	}
	return slots
}
