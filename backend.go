package dabchick

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

// A backend puts a driver under a Queue. What SQS would do on its side and a
// driver need not know is done here: codec, dead-letter policy, redrive, pause,
// events.
type backend[T any] struct {
	queue  *Queue[T]
	driver driver.Queue
	codec  Codec[T]

	// resumed is closed when a pause ends; nil while there is none. open ends, by
	// shut, when one begins, or the queue is closed: receives that wait in the driver
	// wait no longer. Guarded by the queue's mu.
	resumed chan struct{}
	open    context.Context
	shut    func()
	// quit is closed when the queue is closed.
	quit chan struct{}
	// untold are messages that cannot be decoded and came beside others: the next
	// receives tell of them, one each. Guarded by the queue's mu.
	untold []*DecodeError
}

// leastPoll is the least time from one question to the driver to the next, while there is
// nothing: a driver that was asked to wait, and does not, is not asked in a busy loop.
const leastPoll = 25 * time.Millisecond

var errNotOnBackend = fmt.Errorf("%w by a queue on a backend", errors.ErrUnsupported)

func newBackend[T any](q *Queue[T], o *Options[T]) *backend[T] {
	b := &backend[T]{queue: q, driver: o.Driver, codec: o.Codec, quit: make(chan struct{})}
	b.open, b.shut = context.WithCancel(context.Background())
	return b
}

// err leaves the error of ctx bare if that has ended, however the driver wraps it. That of
// another context, of a driver that gives up by itself, say, it wraps like all else.
func (b *backend[T]) err(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if end := ctx.Err(); end != nil && errors.Is(err, end) {
		return end
	}
	return &opError{op, b.queue.name, err}
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
	var events []Event[T]
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
		events = append(events, Event[T]{Kind: Sent, Message: m})
	}
	b.tell(&b.queue.totals.Sent, len(events), events...)
}

// receive asks the driver, unless there is an error to tell of.
func (b *backend[T]) receive(ctx context.Context, o ReceiveOptions) ([]Message[T], error) {
	if e := b.nextUntold(); e != nil {
		return nil, b.queue.fail("receive", e)
	}
	return b.ask(ctx, o)
}

// ask asks the driver until there is a message, a dead letter not counted, or the wait
// is over. It returns at least one message, or an error, if the wait is Forever.
func (b *backend[T]) ask(ctx context.Context, o ReceiveOptions) ([]Message[T], error) {
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
		asked := time.Now()
		got, err := b.poll(ctx, r)
		switch err {
		case nil:
		case errAgain:
			continue
		case errWait:
			b.tell(&b.queue.totals.EmptyReceives, 1)
			return nil, nil
		default:
			return nil, b.err(ctx, "receive", err)
		}
		ms, undecoded := b.deliveries(ctx, got)
		if len(ms) > 0 || undecoded != nil {
			return ms, undecoded
		}
		if len(got) == 0 {
			if wait != Forever && time.Since(start) >= wait {
				b.tell(&b.queue.totals.EmptyReceives, 1)
				return nil, nil
			}
			b.rest(ctx, min(leastPoll, r.Wait)-time.Since(asked))
		}
		if err := ctx.Err(); err != nil { // the driver had nothing to say of it
			return nil, err
		}
	}
}

// rest waits for d, or until ctx, the queue or its being open ends.
func (b *backend[T]) rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	b.queue.mu.Lock()
	open := b.open
	b.queue.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-open.Done():
	case <-ctx.Done():
	}
}

// poll asks the driver once, when the queue is not paused. It returns errWait if it was
// paused for all of the wait, and errAgain if a pause or the end of the queue came upon
// the driver waiting.
func (b *backend[T]) poll(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	open, err := b.awaitResume(ctx, r.Wait)
	if err != nil {
		return nil, err
	}
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(open, cancel)()
	got, err := b.fetch(polling, r)
	if end := polling.Err(); end != nil && ctx.Err() == nil && errors.Is(err, end) {
		err = errAgain
	}
	return got, err
}

// fetch receives from the driver, and gives back at once what nobody has asked for.
func (b *backend[T]) fetch(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	got, err := b.driver.Receive(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(got) > r.Max {
		spare := slices.DeleteFunc(slices.Clone(got[r.Max:]), func(m driver.Message) bool {
			return slices.ContainsFunc(got[:r.Max], func(kept driver.Message) bool { return kept.Handle == m.Handle })
		})
		b.release(ctx, spare...)
		got = got[:r.Max]
	}
	return got, nil
}

// release makes messages visible that were received and go to nobody. Their attempts
// are spent.
func (b *backend[T]) release(ctx context.Context, ms ...driver.Message) {
	if len(ms) == 0 {
		return
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	changes := make([]driver.Change, len(ms))
	for i := range ms {
		changes[i].Handle = ms[i].Handle
	}
	b.driver.ChangeVisibility(ctx, changes)
}

func answersError(got, want int, of string) error {
	return fmt.Errorf("driver answered %d results for %d %s", got, want, of)
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
	var events []Event[T]
	for i, err := range errs {
		failed = failed.add(index[i], err)
		if err == nil {
			events = append(events, Event[T]{Kind: kind})
		}
	}
	b.tell(total, len(events), events...)
	return b.queue.failBatch(op.String(), failed)
}

// settleHandles has as many errors as handles, or one for all.
func (b *backend[T]) settleHandles(
	ctx context.Context, op settling, handles []string, d time.Duration,
) (errs []error, err error) {
	if len(handles) == 0 {
		return nil, nil
	}
	if op == opDelete {
		errs, err = b.driver.Delete(ctx, handles)
	} else {
		changes := make([]driver.Change, len(handles))
		for i, h := range handles {
			changes[i] = driver.Change{Handle: h, Timeout: d}
		}
		errs, err = b.driver.ChangeVisibility(ctx, changes)
	}
	if err == nil && len(errs) != len(handles) {
		err = answersError(len(errs), len(handles), "receipts")
	}
	return errs, err
}

func (b *backend[T]) purge(ctx context.Context) (int, error) {
	s, err := b.driver.Stats(ctx)
	if err == nil {
		err = b.driver.Purge(ctx)
	}
	if err != nil {
		return 0, b.err(ctx, "purge", err)
	}
	b.queue.mu.Lock()
	b.untold = nil
	b.queue.mu.Unlock()
	n := s.Visible + s.InFlight + s.Delayed
	b.tell(&b.queue.totals.Purged, n, Event[T]{Kind: Purged, Count: n})
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

// awaitResume waits while the queue is paused, for no longer than wait. It returns a
// context that ends with the next pause, or with the queue.
func (b *backend[T]) awaitResume(ctx context.Context, wait time.Duration) (open context.Context, err error) {
	var over <-chan time.Time
	for {
		b.queue.mu.Lock()
		resumed, open, closed := b.resumed, b.open, b.queue.closed
		b.queue.mu.Unlock()
		switch {
		case closed:
			return nil, ErrClosed
		case resumed == nil:
			return open, nil
		case over == nil && wait != Forever:
			t := time.NewTimer(wait)
			defer t.Stop()
			over = t.C
		}
		select {
		case <-resumed:
		case <-b.quit:
		case <-over:
			return nil, errWait
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// setPaused needs the queue's lock.
func (b *backend[T]) setPaused(paused bool) {
	if paused {
		b.resumed = make(chan struct{})
		b.shut()
		return
	}
	close(b.resumed)
	b.resumed = nil
	b.open, b.shut = context.WithCancel(context.Background())
}

func (b *backend[T]) close() error {
	close(b.quit)
	b.queue.mu.Lock()
	b.shut()
	b.queue.mu.Unlock()
	return b.driver.Close()
}

// tell adds n to one of the queue's totals, which may be nil, and tells events: all of a
// call at once, so that a hook that panics takes nothing from the count.
func (b *backend[T]) tell(total *uint64, n int, events ...Event[T]) {
	q := b.queue
	now := q.enter(q.clock())
	if total != nil {
		*total += uint64(n)
	}
	if q.listening() {
		for _, e := range events {
			e.Queue, e.Time = q.name, q.time(now)
			e.Message.Receipt = Receipt{}
			q.events = append(q.events, e)
		}
	}
	q.leave(now)
}
