package dabchick

import (
	"math"
	"slices"

	"github.com/google/btree"
)

// An index orders the hidden messages by the instant at which they come up,
// and those of one instant by the order in which they were placed.
//
// Most traffic arrives in order: a queue hides what it hands out for the same
// timeout each time, so each deadline is later than the one before. Such
// messages go onto the end of a run, a plain list, and come off it in O(1)
// from any position. What is out of order goes into the B-tree, in O(log n).
// There is a run for each cause, so that odd timeouts given call by call do
// not push the regular ones into the tree.
//
// The least of all is the least of the heads and of the tree's minimum.
type index struct {
	slab *slab
	runs [runs]list
	rest *btree.BTreeG[key]
	// Nothing hidden is due before this instant. It may be too early, when the
	// message that it was taken from has gone; never too late.
	bound int64
}

// A home names the container that holds a message by visibility.
type home uint8

const (
	runArrival home = iota // sent or released while overdue messages waited to be moved
	runDelay               // sent with the queue's own delay
	runTimeout             // received with the queue's own timeout
	runOther               // a delay or timeout of its own
	runs
	inRest   // the index's tree
	inReady  // the core's list of visible messages
	inGroup  // the list of visible messages of its group, on a standard queue
	heldBack // visible, but behind another of its group on a FIFO queue, or just called up
	nowhere  // held by a move to another queue, or on its way out of the backlog
)

// A key is a message's position in the tree. It is a copy of three fields of its
// meta, so a message leaves the tree before any of them changes.
type key struct {
	at           int64
	order, place uint64
	slot         uint32
}

func (m *meta) key(slot uint32) key { return key{m.at, m.order, m.place, slot} }

func (k key) less(o key) bool {
	if k.at != o.at {
		return k.at < o.at
	}
	return k.order < o.order || k.order == o.order && k.place < o.place
}

// treeDegree was best from 100,000 items up, and as good as any below.
const treeDegree = 64

func newTree() *btree.BTreeG[key] { return btree.NewG(treeDegree, key.less) }

func newIndex(s *slab) index {
	return index{slab: s, rest: newTree(), bound: math.MaxInt64}
}

// push adds a message by its at and place. It goes onto the end of run if it
// is in order there.
func (x *index) push(run home, slot uint32, m *meta) {
	if m.at < x.bound {
		x.bound = m.at
	}
	l := &x.runs[run]
	if l.tail != 0 {
		t := x.slab.at(l.tail)
		if m.before(t) {
			m.home = inRest
			x.rest.ReplaceOrInsert(m.key(slot))
			return
		}
	}
	m.home = run
	l.append(x.slab, slot, m)
}

// follows says whether a message that comes up at an instant, and is placed now, is in
// order at the end of a run.
func (x *index) follows(run home, at int64) bool {
	tail := x.runs[run].tail
	return tail == 0 || x.slab.at(tail).at <= at
}

// append is push for a message that follows.
func (x *index) append(run home, slot uint32, m *meta) {
	x.bound = min(x.bound, m.at)
	m.home = run
	x.runs[run].append(x.slab, slot, m)
}

// remove takes out a message that is in the index.
func (x *index) remove(slot uint32, m *meta) {
	if m.home == inRest {
		x.rest.Delete(m.key(slot))
		return
	}
	x.runs[m.home].remove(x.slab, m)
}

// due returns the slot of the least message if it comes up by now, or 0. It
// costs one comparison while nothing is due.
func (x *index) due(now int64) uint32 {
	if now < x.bound {
		return 0
	}
	return x.overdue(now)
}

// overdue is due, and makes bound exact.
func (x *index) overdue(now int64) uint32 {
	var first uint32
	var least *meta
	for i := range x.runs {
		if slot := x.runs[i].head; slot != 0 {
			if m := x.slab.at(slot); least == nil || m.before(least) {
				first, least = slot, m
			}
		}
	}
	if x.rest.Len() > 0 {
		if k, _ := x.rest.Min(); least == nil || x.slab.at(k.slot).before(least) {
			first, least = k.slot, x.slab.at(k.slot)
		}
	}
	x.bound = math.MaxInt64
	if least != nil {
		x.bound = least.at
	}
	if x.bound > now {
		return 0
	}
	return first
}

// list returns the slots of the first n messages in order. O(n).
func (x *index) list(n int) []uint32 {
	var keys []key
	for _, l := range x.runs {
		for slot, i := l.head, 0; slot != 0 && i < n; i++ {
			m := x.slab.at(slot)
			keys = append(keys, m.key(slot))
			slot = m.links[placed].next
		}
	}
	left := n
	x.rest.Ascend(func(k key) bool {
		if left > 0 {
			keys = append(keys, k)
		}
		left--
		return left > 0
	})
	slices.SortFunc(keys, func(a, b key) int {
		if a.less(b) {
			return -1
		}
		return 1
	})
	keys = keys[:min(n, len(keys))]
	slots := make([]uint32, len(keys))
	for i, k := range keys {
		slots[i] = k.slot
	}
	return slots
}
