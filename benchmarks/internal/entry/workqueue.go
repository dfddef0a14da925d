package entry

import (
	"context"

	"k8s.io/client-go/util/workqueue"
)

// Workqueue is the queue of Kubernetes controllers. Its items are keys rather than
// messages, so each message is an item of its own here: the pointer to it.
var Workqueue = Entry[*work]{
	Info: Info{Name: "workqueue", Kind: Peer,
		What: "k8s.io/client-go/util/workqueue 0.37.2, NewTyped without metrics; it has no leases"},
	Open: func(Setup) (Queue[*work], error) { return workQueue{workqueue.NewTyped[*work]()}, nil },
}

type work struct{ body []byte }

type workQueue struct {
	q *workqueue.Typed[*work]
}

func (q workQueue) Send(_ context.Context, body []byte) error {
	q.q.Add(&work{body})
	return nil
}

func (q workQueue) Receive(context.Context) ([]byte, *work, error) {
	w, shut := q.q.Get()
	if shut {
		return nil, nil, errClosed
	}
	return w.body, w, nil
}

func (q workQueue) Delete(_ context.Context, w *work) error {
	q.q.Done(w)
	return nil
}

func (q workQueue) Close() error {
	q.q.ShutDown()
	return nil
}
