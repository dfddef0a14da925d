package entry

import (
	"context"

	"github.com/google/btree"
)

// Tree is the simplest queue with leases: one tree in order of visibility. A message
// is visible when its instant has passed; a receive moves it to a later one.
var Tree = Entry[place]{
	Info: Info{Name: "btree", Kind: Limit, Leases: true,
		What: "one mutex and one google/btree (degree 64) of messages in order of visibility"},
	Open: func(s Setup) (Queue[place], error) {
		q := &tree{messages: newTree()}
		q.init(s)
		return q, nil
	},
}

type tree struct {
	bare
	messages *btree.BTreeG[timed]
}

func (q *tree) Send(_ context.Context, body []byte) error {
	now := q.now()
	q.mu.Lock()
	q.sent++
	q.messages.ReplaceOrInsert(timed{now, q.sent, body})
	q.wake()
	q.mu.Unlock()
	return nil
}

func (q *tree) Receive(context.Context) ([]byte, place, error) {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		first, ok := q.messages.Min()
		if ok && first.at <= now {
			q.messages.DeleteMin()
			first.at = now + q.visibility
			q.messages.ReplaceOrInsert(first)
			return first.body, place{first.at, first.id}, nil
		}
		if q.closed {
			return nil, place{}, errClosed
		}
		q.wait(now, first.at)
		now = q.now()
	}
}

func (q *tree) Delete(_ context.Context, at place) error {
	q.mu.Lock()
	q.messages.Delete(timed{at: at.at, id: at.id})
	q.mu.Unlock()
	return nil
}
