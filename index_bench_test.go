package dabchick

import (
	"fmt"
	"testing"
)

// BenchmarkIndex is what the choice of containers rests on: the steps of a
// cycle (send, receive, delete) on each of three designs, without locks, clocks
// and bodies, over n messages that stand by.
//
//	tree       one B-tree holds visible and hidden messages alike
//	list+tree  visible ones in a list, hidden ones in a tree
//	list+runs  visible ones in a list, hidden ones in runs with a tree behind
//
// In backlog the n are visible, in flight they are hidden.
func BenchmarkIndex(b *testing.B) {
	for _, design := range []string{"tree", "list+tree", "list+runs"} {
		for _, where := range []string{"backlog", "flight"} {
			for _, n := range []int{0, 1e3, 1e5, 1e6} {
				b.Run(fmt.Sprintf("%s/%s/n=%d", design, where, n), func(b *testing.B) {
					x := newBenched(design)
					for range n {
						x.send()
						if where == "flight" {
							x.receive()
						}
					}
					b.ReportAllocs()
					for b.Loop() {
						x.send()
						x.delete(x.receive())
					}
				})
			}
		}
	}
}

const benchTimeout = 30e9

type benched struct {
	core   core[int]
	hidden index
	ready  list
	now    int64
	place  uint64
	lone   bool // everything is in the tree
	runs   bool // hidden messages are pushed as the core does
}

func newBenched(design string) *benched {
	x := &benched{lone: design == "tree", runs: design == "list+runs"}
	x.core.spares = new(spares)
	x.hidden = newIndex(&x.core.slab)
	return x
}

func (x *benched) send() {
	slot, m := x.core.lay(0, nil, 0)
	x.now++
	x.place++
	*m = meta{at: x.now, place: x.place, home: inReady}
	if x.lone {
		m.home = inRest
		x.hidden.rest.ReplaceOrInsert(m.key(slot))
	} else {
		x.ready.append(&x.core.slab, slot, m)
	}
}

func (x *benched) receive() uint32 {
	slot := x.ready.head
	if x.lone {
		k, _ := x.hidden.rest.DeleteMin()
		slot = k.slot
	} else {
		x.ready.remove(&x.core.slab, x.core.slab.at(slot))
	}
	m := x.core.slab.at(slot)
	x.place++
	m.at, m.place = x.now+benchTimeout, x.place
	if x.runs {
		x.hidden.push(runTimeout, slot, m)
	} else {
		m.home = inRest
		x.hidden.rest.ReplaceOrInsert(m.key(slot))
	}
	return slot
}

func (x *benched) delete(slot uint32) {
	x.hidden.remove(slot, x.core.slab.at(slot))
	x.core.vacate(slot, x.core.slab.at(slot))
}
