package dabchick

import (
	"bytes"
	"context"
	"slices"
	"unique"

	"github.com/dabchickmq/dabchick/driver"
)

// deliveries decodes what the driver gave, and carries away those that have had
// their last delivery. A body that cannot be decoded is an error only if there
// is nothing to return beside it, and else that of a later receive.
func (b *backend[T]) deliveries(ctx context.Context, got []driver.Message) ([]Message[T], error) {
	opts := b.queue.Options()
	var ms []Message[T]
	var events []Event[T]
	var undecoded []*DecodeError
	var refused error
	for i := range got {
		m, err := b.message(&got[i])
		if err != nil {
			undecoded = append(undecoded, err)
			continue
		}
		if opts.DeadLetter != nil && got[i].Receives > opts.MaxReceives && !isTimeout(refused) {
			var taken bool
			why := limitReason(opts.MaxReceives, b.queue.name)
			if taken, refused = b.carry(ctx, &m, opts.DeadLetter, m.Receives-1, why); taken {
				continue // if it was not deleted, it comes up again
			}
		}
		ms = append(ms, m)
		events = append(events, Event[T]{Kind: Received, Message: m})
	}
	var first error
	if len(ms) == 0 && len(undecoded) > 0 {
		first, undecoded = b.queue.fail("receive", undecoded[0]), undecoded[1:]
	}
	b.keepUntold(undecoded)
	if len(ms) > 0 {
		b.tell(&b.queue.totals.Received, len(ms), events...)
	}
	return ms, first
}

func (b *backend[T]) keepUntold(undecoded []*DecodeError) {
	if len(undecoded) > 0 {
		b.queue.mu.Lock()
		b.untold = append(b.untold, undecoded...)
		b.queue.mu.Unlock()
	}
}

// nextUntold returns an error that no receive has returned yet, or nil. As each receive
// of many asks for it first, there are never more than came beside others to those that
// were under way at a time.
func (b *backend[T]) nextUntold() *DecodeError {
	q := b.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(b.untold) == 0 || q.paused || q.closed {
		return nil
	}
	e := b.untold[0]
	b.untold = slices.Delete(b.untold, 0, 1)
	return e
}

// message returns the delivery that a driver's message is to the program.
func (b *backend[T]) message(d *driver.Message) (Message[T], *DecodeError) {
	q := b.queue
	m := Message[T]{
		ID:       d.ID,
		Receives: d.Receives,
		Receipt:  Receipt{issuer: &q.issuer, handle: unique.Make(d.Handle)},
		State:    InFlight,
		queue:    q,
		sentAt:   q.instant(d.SentAt),
		firstAt:  q.instant(d.FirstReceivedAt),
		comeAt:   q.instant(d.VisibleAt),
		group:    d.Group,
	}
	if d.DedupID != "" || d.Sequence != "" || d.Trace != "" || d.Attributes != nil || d.Origin != nil {
		m.more = &details[T]{
			dedup: d.DedupID, sequence: d.Sequence, trace: d.Trace, attributes: d.Attributes, origin: d.Origin,
		}
	}
	if o := d.Origin; o != nil {
		// As in the built-in engine, a dead letter goes on being the message
		// that it was.
		m.ID = o.ID
		m.Receives += o.Receives
		m.sentAt = q.instant(o.SentAt)
	}
	var err error
	if m.Body, err = b.codec.Decode(d.Body); err != nil {
		data := bytes.Clone(d.Body) // the codec may have kept it
		return m, &DecodeError{m.ID, m.group, m.Receives, m.Receipt, data, err}
	}
	return m, nil
}
