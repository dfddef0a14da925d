package entry

import (
	"context"

	"github.com/google/btree"
)

// RingTree keeps what is visible out of the tree.
var RingTree = Entry[place]{
	Info: Info{Name: "ring+btree", Kind: Limit, Leases: true,
		What: "one mutex, a ring of visible messages and a google/btree (degree 64) of hidden ones"},
	Open: func(s Setup) (Queue[place], error) {
		q := &ringTree{hidden: newTree()}
		q.init(s)
		return q, nil
	},
}

type ringTree struct {
	bare
	visible ring
	hidden  *btree.BTreeG[timed]
}

func (q *ringTree) Send(_ context.Context, body []byte) error {
	q.mu.Lock()
	q.sent++
	q.visible.push(timed{0, q.sent, body})
	q.wake()
	q.mu.Unlock()
	return nil
}

func (q *ringTree) Receive(context.Context) ([]byte, place, error) {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		first, ok := q.hidden.Min()
		for ok && first.at <= now {
			q.hidden.DeleteMin()
			q.visible.push(first)
			first, ok = q.hidden.Min()
		}
		if q.visible.n > 0 {
			t := q.visible.pop()
			t.at = now + q.visibility
			q.hidden.ReplaceOrInsert(t)
			return t.body, place{t.at, t.id}, nil
		}
		if q.closed {
			return nil, place{}, errClosed
		}
		q.wait(now, first.at)
		now = q.now()
	}
}

func (q *ringTree) Delete(_ context.Context, at place) error {
	q.mu.Lock()
	q.hidden.Delete(timed{at: at.at, id: at.id})
	q.mu.Unlock()
	return nil
}
