package sqshttp

import (
	"context"
	"fmt"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A backing is the queue underneath one of the service's: a *dabchick.Queue of texts
// or of bytes.
type backing interface {
	Name() string
	ParseReceipt(handle string) (dabchick.Receipt, error)
	Delete(ctx context.Context, receipts ...dabchick.Receipt) error
	ChangeVisibility(ctx context.Context, d time.Duration, receipts ...dabchick.Receipt) error
	Purge(ctx context.Context) (int, error)
	Stats(ctx context.Context) (dabchick.Stats, error)
	Close() error

	send(ctx context.Context, body string, o dabchick.SendOptions) (dabchick.ID, error)
	sendBatch(ctx context.Context, batch []dabchick.Outgoing[string]) ([]dabchick.ID, error)
	receive(ctx context.Context, s *Service, in *receiveInput, o dabchick.ReceiveOptions) ([]receivedMessage, error)
	// redrive moves a task's messages to a queue, or if to is nil, each to what source says
	// of the queue that it came from, or to that queue itself.
	redrive(ctx context.Context, t *moveTask, to backing, source func(name string) backing, progress func(moved, total int)) (int, error)

	// apply gives the queue the options that are in the settings, and leaves the others.
	apply(set *settings, dead backing) error
	// full says whether receives find nothing because too much is in flight.
	full(ctx context.Context) bool
}

// bodies makes a backing of a queue with bodies of type T.
type bodies[T []byte | string] struct{ *dabchick.Queue[T] }

// Register makes a queue that the program has made one of the service's, under its
// name, so that it is reached by clients and natively. Bodies that clients send are
// texts; one that was sent natively and has bytes that SQS would refuse is shown with
// U+FFFD in their place.
//
// The queue belongs to the service from then on, which closes it when it is deleted or
// the service is closed. Change its options by attributes, not by SetOptions: the
// service would not know. If it has a DeadLetter, register that first. A queue of bytes
// and one of texts cannot exchange dead letters. Its OnEvent may send and receive by
// clients of the service, but not make, change or delete queues, nor start move tasks.
// A panic in it goes to the request that caused the event; in a move task, for which no
// request waits, it ends the program.
//
// A name that SQS would refuse, or that is taken, gives an *Error. A time or a number of
// receives that SQS's attributes cannot say, such as a timeout of half a second, a Driver,
// or a DeadLetter that is not of this service gives a *dabchick.InvalidError. Nothing has
// changed then. Options for which SQS has no attribute, such as bounds, stay as they are.
func Register[T []byte | string](s *Service, q *dabchick.Queue[T]) error {
	name, o := q.Name(), q.Options()
	if err := checkQueueName(name, o.FIFO); err != nil {
		return err
	}
	set, err := settingsOf(o)
	if err != nil {
		return err
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	if _, taken := s.queues[name]; taken {
		return queueNameExists.because("A queue already exists with the name %s", name)
	}
	if o.DeadLetter != nil {
		if err := s.setDeadLetter(set, bodies[T]{o.DeadLetter}, o.MaxReceives); err != nil {
			return err
		}
	}
	_, err = s.add(name, bodies[T]{q}, set, nil)
	return err
}

// settingsOf returns the settings that a queue has already.
func settingsOf[T []byte | string](o dabchick.Options[T]) (*settings, error) {
	set := defaults(o.FIFO)
	_, set.bytes = any(*new(T)).([]byte)
	if o.Driver != nil {
		return nil, &dabchick.InvalidError{Field: "Driver", Value: o.Driver, Allowed: "none"}
	}
	for i, have := range [4]struct {
		field string
		d     time.Duration
	}{
		visibilitySeconds: {"VisibilityTimeout", o.VisibilityTimeout},
		delaySeconds:      {"Delay", o.Delay},
		retentionSeconds:  {"Retention", o.Retention},
		waitSeconds:       {"ReceiveWait", o.ReceiveWait},
	} {
		d := have.d
		if d == dabchick.Immediately {
			d = 0
		}
		least, most := durations[i].least, durations[i].most
		if n := int(d / time.Second); d%time.Second != 0 || n < least || n > most {
			return nil, &dabchick.InvalidError{Field: have.field, Value: d, Allowed: fmt.Sprintf("whole seconds from %d to %d", least, most)}
		}
		set.seconds[i] = int(d / time.Second)
	}
	set.contentKey = o.FIFO && o.DedupKey != nil
	set.ownKey = set.contentKey
	if o.FIFO && o.DedupScope == dabchick.DedupGroup {
		set.scope = "messageGroup"
	}
	return set, nil
}

// setDeadLetter notes the dead-letter queue that a queue has already. It needs a lock.
func (s *Service) setDeadLetter(set *settings, dead backing, most int) error {
	if most > mostReceives {
		return &dabchick.InvalidError{Field: "MaxReceives", Value: most, Allowed: fmt.Sprintf("1 to %d", mostReceives)}
	}
	for name, q := range s.queues {
		if q.q == dead {
			set.target, set.maxReceives = name, most
			set.redrive = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, s.arn(name), most)
			return nil
		}
	}
	return &dabchick.InvalidError{Field: "DeadLetter", Value: dead.Name(), Allowed: "a queue of this service"}
}

func (b bodies[T]) send(ctx context.Context, body string, o dabchick.SendOptions) (dabchick.ID, error) {
	return b.SendWith(ctx, T(body), o)
}

func (b bodies[T]) sendBatch(ctx context.Context, batch []dabchick.Outgoing[string]) ([]dabchick.ID, error) {
	as := make([]dabchick.Outgoing[T], len(batch))
	for i, m := range batch {
		as[i] = dabchick.Outgoing[T]{Body: T(m.Body), SendOptions: m.SendOptions}
	}
	return b.SendBatch(ctx, as)
}

func (b bodies[T]) receive(ctx context.Context, s *Service, in *receiveInput, o dabchick.ReceiveOptions) ([]receivedMessage, error) {
	began := time.Now()
	ms, err := b.ReceiveBatch(ctx, o)
	var out []receivedMessage
	for i := range ms {
		out = append(out, received(s, &ms[i], in, began))
	}
	return out, err
}

func (b bodies[T]) redrive(ctx context.Context, t *moveTask, to backing, source func(name string) backing, progress func(moved, total int)) (int, error) {
	o := dabchick.RedriveOptions[T]{Max: t.total, Rate: t.rate, Progress: progress}
	o.Source = func(origin dabchick.Origin) *dabchick.Queue[T] {
		now, _ := source(origin.Queue).(bodies[T])
		return now.Queue
	}
	if to != nil {
		o.To = to.(bodies[T]).Queue
	}
	return b.Redrive(ctx, o)
}

func (b bodies[T]) apply(set *settings, dead backing) error {
	o := b.Options()
	span := func(i int) time.Duration { return time.Duration(set.seconds[i]) * time.Second }
	o.VisibilityTimeout = orImmediately(span(visibilitySeconds))
	o.Delay = span(delaySeconds)
	o.Retention = span(retentionSeconds)
	o.ReceiveWait = span(waitSeconds)
	o.DedupScope = dabchick.DedupQueue
	if set.scope == "messageGroup" {
		o.DedupScope = dabchick.DedupGroup
	}
	o.DeadLetter, o.MaxReceives = nil, 0
	if dead != nil {
		o.DeadLetter, o.MaxReceives = dead.(bodies[T]).Queue, set.maxReceives
	}
	return b.SetOptions(o)
}

func orImmediately(d time.Duration) time.Duration {
	if d == 0 {
		return dabchick.Immediately
	}
	return d
}

func (b bodies[T]) full(ctx context.Context) bool {
	most := b.Options().MaxInFlight
	stats, err := b.Stats(ctx)
	return err == nil && most > 0 && stats.InFlight >= most
}
