package dabchick

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unique"

	"github.com/dabchickmq/dabchick/driver"
)

// A backend puts a driver under a Queue. What SQS would do on its side and a
// driver need not know is done here: codec, dead-letter policy, redrive, pause,
// events.
type backend[T any] struct {
	queue  *Queue[T]
	driver driver.Queue
	codec  Codec[T]

	// resumed is closed when a pause ends; nil while there is none. Guarded by
	// the queue's mu.
	resumed chan struct{}
	// quit is closed when the queue is closed.
	quit chan struct{}
}

// moveTimeout is how long a dead letter may take into a backend. The move is
// made for whoever came upon the message, and has no context of its own.
const moveTimeout = 30 * time.Second

var errNotOnBackend = fmt.Errorf("%w by a queue on a backend", errors.ErrUnsupported)

func newBackend[T any](q *Queue[T], o *Options[T]) *backend[T] {
	return &backend[T]{queue: q, driver: o.Driver, codec: o.Codec, quit: make(chan struct{})}
}

// err leaves the error of a context that ended bare.
func (b *backend[T]) err(ctx context.Context, op string, err error) error {
	if end := ctx.Err(); end != nil && errors.Is(err, end) {
		return end
	}
	return b.queue.fail(op, err)
}

// outgoing encodes a message.
func (b *backend[T]) outgoing(body T, more *details[T], group string, delay time.Duration) (driver.Outgoing, error) {
	data, err := b.codec.Encode(body)
	if err != nil {
		return driver.Outgoing{}, fmt.Errorf("encode body: %w", err)
	}
	if delay == 0 {
		delay = b.queue.Options().Delay
	}
	o := driver.Outgoing{Body: data, Group: group, Delay: max(delay, 0)}
	if more != nil {
		o.DedupID, o.Attributes, o.Trace, o.Origin = more.dedup, more.attributes, more.trace, more.origin
	}
	return o, nil
}

func (b *backend[T]) send(ctx context.Context, e *entry[T]) (ID, error) {
	s := &sending[T]{entries: []entry[T]{*e}, ids: make([]ID, 1)}
	b.sendBatch(ctx, s)
	return s.ids[0], b.err(ctx, "send", s.failed.first())
}

// sendBatch encodes and sends all entries of s in one call.
func (b *backend[T]) sendBatch(ctx context.Context, s *sending[T]) {
	var batch []driver.Outgoing
	var entries []entry[T]
	for _, e := range s.entries {
		o, err := b.outgoing(e.body, e.more, e.group, e.delay)
		if err != nil {
			s.failed = s.failed.add(e.index, err)
			continue
		}
		batch = append(batch, o)
		entries = append(entries, e)
	}
	s.entries = entries
	if len(batch) == 0 {
		return
	}
	sent, err := b.driver.Send(ctx, batch)
	if err == nil && len(sent) != len(batch) {
		err = answersError(len(sent), len(batch), "messages")
	}
	if err != nil {
		s.fail(err)
		return
	}
	for i, r := range sent {
		e := entries[i]
		if r.Err != nil {
			s.failed = s.failed.add(e.index, r.Err)
			continue
		}
		s.ids[e.index] = r.ID
		if e.moved != nil {
			e.moved.taken = true
		}
		m := Message[T]{ID: r.ID, Body: e.body, State: Visible, queue: b.queue, more: e.more, group: e.group, firstAt: never}
		m.sentAt = b.queue.clock()
		m.comeAt = after(m.sentAt, batch[i].Delay)
		if batch[i].Delay > 0 {
			m.State = Delayed
		}
		b.tell(&b.queue.totals.Sent, 1, &Event[T]{Kind: Sent, Message: m})
	}
	s.entries = nil
}

// receive asks the driver until there is a message, a dead letter not counted,
// or the wait is over. It returns at least one message if the wait is Forever.
func (b *backend[T]) receive(ctx context.Context, o ReceiveOptions) ([]Message[T], error) {
	b.queue.mu.Lock()
	wait := b.queue.wait(o)
	r := driver.Receive{Max: o.Max, Visibility: max(o.Visibility, 0), Attempt: o.AttemptID}
	if o.Visibility == 0 {
		r.Visibility = max(b.queue.opts.VisibilityTimeout, 0)
	}
	b.queue.mu.Unlock()
	start := time.Now()
	for {
		r.Wait = wait
		if wait != Forever {
			r.Wait = max(wait-time.Since(start), 0)
		}
		if err := b.awaitResume(ctx, r.Wait); err != nil {
			if err == errWait {
				b.tell(&b.queue.totals.EmptyReceives, 1, nil)
				return nil, nil
			}
			return nil, b.err(ctx, "receive", err)
		}
		got, err := b.driver.Receive(ctx, r)
		if err != nil {
			return nil, b.err(ctx, "receive", err)
		}
		ms, err := b.deliveries(ctx, got)
		if len(ms) > 0 || err != nil {
			return ms, b.err(ctx, "receive", err)
		}
		if wait != Forever && time.Since(start) >= wait && len(got) == 0 {
			b.tell(&b.queue.totals.EmptyReceives, 1, nil)
			return nil, nil
		}
		if err := ctx.Err(); err != nil { // the driver had nothing to say of it
			return nil, err
		}
	}
}

// deliveries decodes what the driver gave, and carries away those that have had
// their last delivery. A body that cannot be decoded is an error only if there
// is nothing to return beside it; its message comes up again.
func (b *backend[T]) deliveries(ctx context.Context, got []driver.Message) ([]Message[T], error) {
	opts := b.queue.Options()
	var ms []Message[T]
	var undecoded error
	for i := range got {
		m, err := b.message(&got[i])
		if err != nil {
			undecoded = err
			continue
		}
		if opts.DeadLetter != nil && got[i].Receives > opts.MaxReceives {
			why := limitReason(opts.MaxReceives, b.queue.name)
			if b.carry(ctx, &m, opts.DeadLetter, m.Receives-1, why) == nil {
				continue
			}
		}
		ms = append(ms, m)
		b.tell(&b.queue.totals.Received, 1, &Event[T]{Kind: Received, Message: m})
	}
	if len(ms) > 0 {
		undecoded = nil
	}
	return ms, undecoded
}

func (b *backend[T]) message(d *driver.Message) (Message[T], error) {
	body, err := b.codec.Decode(d.Body)
	if err != nil {
		return Message[T]{}, fmt.Errorf("decode body of message %v: %w", d.ID, err)
	}
	q := b.queue
	m := Message[T]{
		ID:       d.ID,
		Body:     body,
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
		m.more = &details[T]{dedup: d.DedupID, sequence: d.Sequence, trace: d.Trace, attributes: d.Attributes, origin: d.Origin}
	}
	if o := d.Origin; o != nil {
		// As in the built-in engine, a dead letter goes on being the message
		// that it was.
		m.ID = o.ID
		m.Receives += o.Receives
		m.sentAt = q.instant(o.SentAt)
	}
	return m, nil
}

// carry takes a received message to a dead-letter queue: first it is stored
// there, then deleted here. A crash between the two leaves it in both.
func (b *backend[T]) carry(ctx context.Context, m *Message[T], to *Queue[T], receives int, why string) error {
	p := parcel[T]{body: m.Body, group: m.group, sentAt: m.SentAt(), firstAt: m.FirstReceivedAt()}
	p.more = b.queue.buried(m.more, m.ID, p.sentAt, time.Now(), int64(receives), why)
	if err := to.arrive(&p); err != nil {
		return err
	}
	if err := b.delete(ctx, m.Receipt); err != nil {
		return err
	}
	b.tell(&b.queue.totals.DeadLettered, 1, &Event[T]{Kind: DeadLettered, Message: *m, To: to.name, Reason: why})
	return nil
}

func (b *backend[T]) deadLetter(ctx context.Context, m *Message[T], reason string) error {
	to := b.queue.Options().DeadLetter
	if to == nil {
		return ErrNoDeadLetterQueue
	}
	return b.carry(ctx, m, to, m.Receives, reason)
}

func (b *backend[T]) arrive(p *parcel[T]) error {
	ctx, cancel := context.WithTimeout(context.Background(), moveTimeout)
	defer cancel()
	o, err := b.outgoing(p.body, p.more, p.group, Immediately)
	if err != nil {
		return err
	}
	sent, err := b.driver.Send(ctx, []driver.Outgoing{o})
	switch {
	case err != nil:
		return err
	case len(sent) != 1:
		return answersError(len(sent), 1, "messages")
	case sent[0].Err != nil:
		return sent[0].Err
	}
	p.taken = true
	m := Message[T]{ID: p.more.id, Body: p.body, State: Visible, queue: b.queue, more: p.more, group: p.group}
	b.tell(&b.queue.totals.Arrived, 1, &Event[T]{Kind: Arrived, Message: m, Reason: p.more.origin.Reason})
	return nil
}

func answersError(got, want int, of string) error {
	return fmt.Errorf("driver answered %d results for %d %s", got, want, of)
}

func (b *backend[T]) redriveOne(ctx context.Context, o *RedriveOptions[T]) (bool, error) {
	if o.To == nil && o.Source == nil {
		return false, ErrNoOrigin
	}
	got, err := b.driver.Receive(ctx, driver.Receive{Max: 1, Visibility: moveTimeout})
	if err != nil || len(got) == 0 {
		return false, err
	}
	m, err := b.message(&got[0])
	var to *Queue[T]
	if err == nil {
		to, err = o.destination(b.queue, m.more)
	}
	if err == nil {
		_, err = to.send(ctx, &entry[T]{body: m.Body, more: m.more.fresh(), group: m.group, delay: Immediately, moved: new(parcel[T])})
	}
	if err != nil {
		// The attempt is spent, but the message need not wait for its timeout.
		b.driver.ChangeVisibility(context.WithoutCancel(ctx), []driver.Change{{Handle: got[0].Handle}})
		return false, err
	}
	if err := b.delete(context.WithoutCancel(ctx), m.Receipt); err != nil {
		return false, err
	}
	b.tell(&b.queue.totals.Redriven, 1, &Event[T]{Kind: Redriven, Message: m, To: to.name})
	return true, nil
}

func (b *backend[T]) delete(ctx context.Context, r Receipt) error {
	errs, err := b.driver.Delete(ctx, []string{r.handle.Value()})
	if err == nil && len(errs) != 1 {
		err = answersError(len(errs), 1, "receipts")
	}
	return firstError(append(errs, err)...)
}

func (b *backend[T]) settleOne(ctx context.Context, op settling, r Receipt, d time.Duration) error {
	var failed *BatchError
	err := b.settle(ctx, op, []Receipt{r}, d)
	if errors.As(err, &failed) && len(failed.Failed) > 0 {
		return b.err(ctx, op.String(), failed.Failed[0].Err)
	}
	return err
}

func (b *backend[T]) settle(ctx context.Context, op settling, receipts []Receipt, d time.Duration) error {
	var failed *BatchError
	var handles []string
	var index []int
	for i, r := range receipts {
		if r.issuer != &b.queue.issuer {
			failed = failed.add(i, ErrReceiptInvalid)
			continue
		}
		handles = append(handles, r.handle.Value())
		index = append(index, i)
	}
	errs, err := b.settleHandles(ctx, op, handles, max(d, 0))
	if err == nil && len(errs) != len(handles) {
		err = answersError(len(errs), len(handles), "receipts")
	}
	if err != nil {
		return b.err(ctx, op.String(), err)
	}
	kind, total := Released, (*uint64)(nil)
	switch {
	case op == opDelete:
		kind, total = Deleted, &b.queue.totals.Deleted
	case d > 0:
		kind = Extended
	}
	for i, err := range errs {
		failed = failed.add(index[i], err)
		if err == nil {
			b.tell(total, 1, &Event[T]{Kind: kind})
		}
	}
	return b.queue.failBatch(op.String(), failed)
}

func (b *backend[T]) settleHandles(ctx context.Context, op settling, handles []string, d time.Duration) ([]error, error) {
	if len(handles) == 0 {
		return nil, nil
	}
	if op == opDelete {
		return b.driver.Delete(ctx, handles)
	}
	changes := make([]driver.Change, len(handles))
	for i, h := range handles {
		changes[i] = driver.Change{Handle: h, Timeout: d}
	}
	return b.driver.ChangeVisibility(ctx, changes)
}

func (b *backend[T]) purge(ctx context.Context) (int, error) {
	s, err := b.driver.Stats(ctx)
	if err == nil {
		err = b.driver.Purge(ctx)
	}
	if err != nil {
		return 0, b.err(ctx, "purge", err)
	}
	n := s.Visible + s.InFlight + s.Delayed
	b.tell(&b.queue.totals.Purged, n, &Event[T]{Kind: Purged, Count: n})
	return n, nil
}

func (b *backend[T]) stats(ctx context.Context) (Stats, error) {
	d, err := b.driver.Stats(ctx)
	if err != nil {
		return Stats{}, b.err(ctx, "stats", err)
	}
	q := b.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{
		Visible:  d.Visible,
		InFlight: d.InFlight,
		Delayed:  d.Delayed,
		Paused:   q.paused,
		Closed:   q.closed,
		Totals:   q.totals,
	}, nil
}

// awaitResume waits while the queue is paused, for no longer than wait.
func (b *backend[T]) awaitResume(ctx context.Context, wait time.Duration) error {
	b.queue.mu.Lock()
	resumed := b.resumed
	b.queue.mu.Unlock()
	if resumed == nil {
		return nil
	}
	var over <-chan time.Time
	if wait != Forever {
		t := time.NewTimer(wait)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-resumed:
		return nil
	case <-b.quit:
		return ErrClosed
	case <-over:
		return errWait
	case <-ctx.Done():
		return ctx.Err()
	}
}

// setPaused needs the queue's lock.
func (b *backend[T]) setPaused(paused bool) {
	if b.resumed != nil {
		close(b.resumed)
		b.resumed = nil
	}
	if paused {
		b.resumed = make(chan struct{})
	}
}

func (b *backend[T]) close() error {
	close(b.quit)
	return b.driver.Close()
}

// tell adds n to one of the queue's totals, and tells an event. Either may be nil.
func (b *backend[T]) tell(total *uint64, n int, e *Event[T]) {
	q := b.queue
	now := q.enter(q.clock())
	if total != nil {
		*total += uint64(n)
	}
	if q.listening() && e != nil {
		e.Queue, e.Time = q.name, q.time(now)
		e.Message.Receipt = Receipt{}
		q.events = append(q.events, *e)
	}
	q.leave(now)
}
