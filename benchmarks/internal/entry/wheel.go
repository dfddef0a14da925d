package entry

import (
	"context"
	"time"
)

// Wheel hides messages in a timing wheel that goes round once in the visibility
// timeout, and so needs neither a second wheel nor a second round. It takes O(1)
// for everything, and is only as exact as a spoke is wide.
var Wheel = Entry[spoked]{
	Info: Info{Name: "ring+wheel", Kind: Limit, Leases: true,
		What: "one mutex, a ring of visible messages and a timing wheel of hidden ones, exact to a 4096th of the timeout"},
	Open: func(s Setup) (Queue[spoked], error) {
		q := &wheel{}
		q.init(s)
		q.tick = max(q.visibility/spokes, 1)
		q.slots = make([]slot, 1) // 0 is no slot
		return q, nil
	},
}

const spokes = 4096

type wheel struct {
	bare
	visible ring
	tick    time.Duration
	turned  int64              // ticks that were looked at
	heads   [2 * spokes]uint32 // first slot of each spoke
	slots   []slot             // hidden messages
	free    uint32
	n       int
}

// A slot holds a hidden message, in a list of those of its spoke.
type slot struct {
	timed
	previous, next uint32
	given          uint32 // how often it was taken, to know a receipt that is over
}

type spoked struct{ slot, given uint32 }

func (q *wheel) Send(_ context.Context, body []byte) error {
	q.mu.Lock()
	q.sent++
	q.visible.push(timed{0, q.sent, body})
	q.wake()
	q.mu.Unlock()
	return nil
}

func (q *wheel) Receive(context.Context) ([]byte, spoked, error) {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		q.turn(now)
		if q.visible.n > 0 {
			t := q.visible.pop()
			t.at = now + q.visibility
			return t.body, q.hide(t), nil
		}
		if q.closed {
			return nil, spoked{}, errClosed
		}
		var next time.Duration
		if q.n > 0 {
			next = now + q.tick
		}
		q.wait(now, next)
		now = q.now()
	}
}

func (q *wheel) Delete(_ context.Context, r spoked) error {
	q.mu.Lock()
	if s := &q.slots[r.slot]; s.given == r.given {
		q.unhide(r.slot)
	}
	q.mu.Unlock()
	return nil
}

func (q *wheel) spoke(at time.Duration) *uint32 {
	return &q.heads[int64(at/q.tick)%int64(len(q.heads))]
}

// turn makes visible what is hidden on the spokes that have passed.
func (q *wheel) turn(now time.Duration) {
	due := int64(now / q.tick)
	if q.n == 0 {
		q.turned = due
	}
	for ; q.turned < due && q.n > 0; q.turned++ {
		head := &q.heads[q.turned%int64(len(q.heads))]
		for *head != 0 {
			q.visible.push(q.slots[*head].timed)
			q.unhide(*head)
		}
	}
}

func (q *wheel) hide(t timed) spoked {
	i := q.free
	if i == 0 {
		i = uint32(len(q.slots))
		q.slots = append(q.slots, slot{})
	} else {
		q.free = q.slots[i].next
	}
	head := q.spoke(t.at)
	s := &q.slots[i]
	s.timed, s.previous, s.next = t, 0, *head
	if *head != 0 {
		q.slots[*head].previous = i
	}
	*head = i
	q.n++
	return spoked{i, s.given}
}

func (q *wheel) unhide(i uint32) {
	s := &q.slots[i]
	if s.previous != 0 {
		q.slots[s.previous].next = s.next
	} else {
		*q.spoke(s.at) = s.next
	}
	if s.next != 0 {
		q.slots[s.next].previous = s.previous
	}
	s.body = nil
	s.given++
	s.next, q.free = q.free, i
	q.n--
}
