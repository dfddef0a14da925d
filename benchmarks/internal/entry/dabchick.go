package entry

import (
	"context"
	"slices"

	"github.com/dabchickmq/dabchick"
)

// Dabchick is the library as a program uses it, with the zero Options unless a
// workload needs a timeout or groups.
var Dabchick = Entry[dabchick.Receipt]{
	Info: Info{Name: "dabchick", Kind: Own, Leases: true, Groups: true, Batches: 1 << 20,
		What: "Queue[[]byte] with the zero Options, by its public API"},
	Open: func(s Setup) (Queue[dabchick.Receipt], error) {
		q, err := dabchick.New("benchmark", dabchick.Options[[]byte]{VisibilityTimeout: s.Visibility, FIFO: s.FIFO})
		return &own{q: q}, err
	},
}

type own struct {
	q     *dabchick.Queue[[]byte]
	batch []dabchick.Outgoing[[]byte] // of the last send in batches
	ids   []dabchick.ID               // and what it was told
	got   []dabchick.Message[[]byte]  // in the last receive in batches
}

func (o *own) Send(ctx context.Context, body []byte) error {
	_, err := o.q.Send(ctx, body)
	return err
}

func (o *own) SendGroup(ctx context.Context, group string, body []byte) error {
	_, err := o.q.SendWith(ctx, body, dabchick.SendOptions{Group: group})
	return err
}

func (o *own) Receive(ctx context.Context) ([]byte, dabchick.Receipt, error) {
	m, err := o.q.Receive(ctx)
	return m.Body, m.Receipt, err
}

func (o *own) Delete(ctx context.Context, receipt dabchick.Receipt) error {
	return o.q.Delete(ctx, receipt)
}

func (o *own) SendBatch(ctx context.Context, bodies [][]byte) error {
	o.batch = slices.Grow(o.batch[:0], len(bodies))[:len(bodies)]
	for i, body := range bodies {
		o.batch[i].Body = body
	}
	o.ids = slices.Grow(o.ids[:0], len(bodies))[:len(bodies)]
	return o.q.SendInto(ctx, o.ids, o.batch)
}

func (o *own) ReceiveBatch(ctx context.Context, n int, receipts []dabchick.Receipt) ([]dabchick.Receipt, error) {
	o.got = slices.Grow(o.got[:0], n)[:n]
	got, err := o.q.ReceiveInto(ctx, o.got, dabchick.ReceiveOptions{Wait: dabchick.Forever})
	for i := range o.got[:got] {
		receipts = append(receipts, o.got[i].Receipt)
	}
	return receipts, err
}

func (o *own) DeleteBatch(ctx context.Context, receipts []dabchick.Receipt) error {
	return o.q.Delete(ctx, receipts...)
}

func (o *own) Close() error { return o.q.Close() }
