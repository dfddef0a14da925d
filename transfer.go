package dabchick

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

// moveTimeout is how long a move may take to store a message in a backend, and to delete
// it there. A dead letter is carried for whoever came upon it, and has no context of its
// own; what has been begun is finished though the caller's context ends.
const moveTimeout = 30 * time.Second

// finishing returns a context to finish a move in.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), moveTimeout)
}

// isTimeout says whether a backend has not answered in time. Who has waited for that once
// need not wait for it with each of many messages.
func isTimeout(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// carry takes a received message to a dead-letter queue: first it is stored there, then
// deleted here. A crash between the two leaves it in both. It says whether that queue has
// taken it, which it may have though there is an error.
func (b *backend[T]) carry(
	ctx context.Context, m *Message[T], to *Queue[T], receives int, why string,
) (taken bool, err error) {
	p := parcel[T]{body: m.Body, group: m.group, sentAt: m.SentAt(), firstAt: m.FirstReceivedAt()}
	p.more = b.queue.buried(m.more, m.ID, p.sentAt, time.Now(), int64(receives), why)
	defer func() { // also when a hook of that queue has panicked
		if p.taken {
			taken = true
			err = b.gone(ctx, m.Receipt, &b.queue.totals.DeadLettered,
				Event[T]{Kind: DeadLettered, Message: *m, To: to.name, Reason: why})
		}
	}()
	return false, to.arrive(&p)
}

// gone ends a move of a message that another queue has taken.
func (b *backend[T]) gone(ctx context.Context, r Receipt, total *uint64, e Event[T]) error {
	ctx, cancel := finishing(ctx)
	defer cancel()
	if err := b.settleHere(ctx, opDelete, r, 0); err != nil {
		return fmt.Errorf("it is in queue %q now, but not deleted here: %w", e.To, err)
	}
	b.tell(total, 1, e)
	return nil
}

// deadLetter moves a message by hand. Whether it is in that hand the driver knows, so it is
// hidden anew first, for as long as the move may take.
func (b *backend[T]) deadLetter(ctx context.Context, m *Message[T], reason string) error {
	to := b.queue.Options().DeadLetter
	if to == nil {
		return ErrNoDeadLetterQueue
	}
	if err := b.settleHere(ctx, opChange, m.Receipt, max(time.Until(m.VisibleAt()), 2*moveTimeout)); err != nil {
		return err
	}
	_, err := b.carry(ctx, m, to, m.Receives, reason)
	return err
}

// settleHere settles one delivery for a move, of which the queue tells something else.
func (b *backend[T]) settleHere(ctx context.Context, op settling, r Receipt, d time.Duration) error {
	if r.issuer != &b.queue.issuer {
		return ErrReceiptInvalid
	}
	errs, err := b.settleHandles(ctx, op, []string{r.handle.Value()}, d)
	if err != nil {
		return err
	}
	return errs[0]
}

// arrive stores a dead letter from another queue.
func (b *backend[T]) arrive(p *parcel[T]) error {
	ctx, cancel := finishing(context.Background())
	defer cancel()
	o, err := b.outgoing(p.body, p.more, p.group, Immediately)
	if err == nil {
		var sent []driver.Sent
		sent, err = b.driver.Send(ctx, []driver.Outgoing{o})
		switch {
		case err != nil:
		case len(sent) != 1:
			err = answersError(len(sent), 1, "messages")
		default:
			err = sent[0].Err
		}
	}
	if err != nil {
		return &opError{"arrive", b.queue.name, err}
	}
	p.taken = true
	m := Message[T]{ID: p.more.id, Body: p.body, State: Visible, queue: b.queue, more: p.more, group: p.group}
	b.tell(&b.queue.totals.Arrived, 1, Event[T]{Kind: Arrived, Message: m, Reason: p.more.origin.Reason})
	return nil
}

// redriveOne moves the next visible message, and says whether there was one.
func (b *backend[T]) redriveOne(ctx context.Context, o *RedriveOptions[T]) (moved bool, err error) {
	if o.To == nil && o.Source == nil {
		return false, ErrNoOrigin
	}
	got, err := b.fetch(ctx, driver.Receive{Max: 1, Visibility: moveTimeout})
	if err != nil || len(got) == 0 {
		return false, b.err(ctx, "receive", err)
	}
	var p parcel[T]
	var m Message[T]
	var to *Queue[T]
	letGo := b.hold(ctx, got[0].Handle)
	defer func() { // also when a hook has panicked
		letGo()
		if !p.taken {
			b.release(ctx, got[0]) // it need not wait for its timeout
			return
		}
		err = b.gone(ctx, m.Receipt, &b.queue.totals.Redriven, Event[T]{Kind: Redriven, Message: m, To: to.name})
		moved = err == nil
	}()
	var undecoded *DecodeError
	if m, undecoded = b.message(&got[0]); undecoded != nil {
		return false, undecoded
	}
	if to, err = o.destination(b.queue, m.more); err != nil {
		return false, err
	}
	_, err = to.send(ctx, &entry[T]{body: m.Body, more: m.more.fresh(), group: m.group, delay: Immediately, moved: &p})
	return false, err
}

// hold keeps a message hidden that was received for moveTimeout, while it waits for room in
// another queue, until the function that it returns is called.
func (b *backend[T]) hold(ctx context.Context, handle string) (letGo func()) {
	const every = moveTimeout / 2
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	renewing := make(chan struct{}, 1) // a lock; time in a synctest bubble goes on while it is waited for
	var t *time.Timer
	renewing <- struct{}{}
	defer func() { <-renewing }()
	t = time.AfterFunc(every, func() {
		renewing <- struct{}{}
		defer func() { <-renewing }()
		if ctx.Err() == nil {
			b.driver.ChangeVisibility(ctx, []driver.Change{{Handle: handle, Timeout: moveTimeout}})
			t.Reset(every)
		}
	})
	return func() {
		cancel()
		t.Stop()
		renewing <- struct{}{} // a renewal that is under way ends first
		<-renewing
	}
}
