package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/dabchickmq/dabchick"
)

// Options are the settings of a pool. The zero Options are one worker and the
// defaults told below.
type Options struct {
	// Workers is how many handlers run at a time, or at most with Scale. 0 means
	// 1.
	Workers int
	// Scale makes the number of workers follow the backlog. nil, the default,
	// keeps it as it is.
	Scale *Scale

	// Limiter says when the next message may be received: a
	// *rate.Limiter of golang.org/x/time/rate, say. A worker waits for it before
	// it receives, so that no lease runs meanwhile. nil means no limit.
	Limiter Limiter

	// Renew is the part of the visibility timeout after which the lease of a
	// running handler is renewed, for a whole timeout from then. 0 means 0.5;
	// 1 means never: the handler then has one timeout.
	Renew float64
	// MaxLease is how long after its receive a lease is renewed at most. 0 means
	// 12 hours, which is SQS's limit.
	MaxLease time.Duration

	// Backoff is how long a message that failed stays hidden, by how often it
	// was received, from 1. nil means ExponentialBackoff(time.Second,
	// 15*time.Minute). It is also how long a worker waits when a receive failed
	// for the nth time in a row, but for a *dabchick.DecodeError: that is a message
	// that failed. Less than 0 counts as 0. It must not panic.
	Backoff func(receives int) time.Duration

	// Grace is how long running handlers have to finish when the pool stops. 0
	// means 30 s; dabchick.Immediately none.
	Grace time.Duration
	// Patience is how long after that, with its context ended, a handler has to
	// return before it is abandoned. 0 means 5 s; dabchick.Immediately none.
	Patience time.Duration

	// BatchSize is how many messages a batch handler gets at most. 0 means 10.
	// Other handlers get one at a time.
	BatchSize int
	// BatchWait is how long a batch that has a first message waits to be full. 0,
	// the default, means not at all. Its messages are renewed meanwhile; it waits for no
	// longer than half of MaxLease, or of the visibility timeout if that is longer or
	// Renew is 1.
	BatchWait time.Duration

	// StuckAfter is how long a handler may run before it is reported, once, with
	// the stack of its goroutine: in the log, and to OnEvent. The program stands
	// still for as long as it takes to write all stacks. 0, the default, means
	// never.
	StuckAfter time.Duration

	// OnEvent, if not nil, is called for what happens to the messages of the pool,
	// by the goroutine that did it: several calls may run at a time, but those of
	// one message come one after the other, those of Stuck and of an abandoned
	// handler excepted. The handler, or its end, waits for it, so it should be quick.
	// It must not panic.
	OnEvent func(Event)

	// Logger gets what somebody should know: panics, lost leases, abandoned handlers
	// and calls of the queue that failed as errors; failures of handlers, messages that
	// cannot be decoded, handlers that are stuck, and renewals that failed and are tried
	// again as warnings; and how many workers there are, with Scale, as information. nil
	// means none.
	Logger *slog.Logger
}

// A Limiter spaces out the messages of a pool.
type Limiter interface {
	// Wait returns nil when the next message may be received, or an error, the
	// context's if that has ended.
	Wait(ctx context.Context) error
}

type noLimit struct{}

func (noLimit) Wait(context.Context) error { return nil }

// settled returns the options with the defaults filled in. Those of batches are for
// batch handlers only.
func (o Options) settled(batches bool) (Options, error) {
	invalid := func(field string, value any, allowed string) (Options, error) {
		return o, &dabchick.InvalidError{Field: field, Value: value, Allowed: allowed}
	}
	switch {
	case o.Workers < 0:
		return invalid("Workers", o.Workers, "at least 1, or 0 for 1")
	case !(o.Renew >= 0 && o.Renew <= 1):
		return invalid("Renew", o.Renew, "from 0 to 1")
	case !batches && o.BatchSize != 0:
		return invalid("BatchSize", o.BatchSize, "0, unless the handler is one for batches")
	case !batches && o.BatchWait != 0:
		return invalid("BatchWait", o.BatchWait, "0, unless the handler is one for batches")
	case o.BatchSize < 0:
		return invalid("BatchSize", o.BatchSize, "at least 1, or 0 for 10")
	case o.BatchWait < 0:
		return invalid("BatchWait", o.BatchWait, "0 or more")
	case o.StuckAfter < 0:
		return invalid("StuckAfter", o.StuckAfter, "0 or more")
	case o.MaxLease < 0:
		return invalid("MaxLease", o.MaxLease, "0 or more")
	case o.Grace < 0 && o.Grace != dabchick.Immediately:
		return invalid("Grace", o.Grace, "0 or more, or Immediately")
	case o.Patience < 0 && o.Patience != dabchick.Immediately:
		return invalid("Patience", o.Patience, "0 or more, or Immediately")
	}
	o.Workers = max(o.Workers, 1)
	if o.Limiter == nil {
		o.Limiter = noLimit{}
	}
	if o.Renew == 0 {
		o.Renew = 0.5
	}
	if o.MaxLease == 0 {
		o.MaxLease = 12 * time.Hour
	}
	if o.Backoff == nil {
		o.Backoff = ExponentialBackoff(time.Second, 15*time.Minute)
	}
	if o.Grace == 0 {
		o.Grace = 30 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.BatchSize == 0 {
		o.BatchSize = 10
	}
	if o.Scale != nil {
		s, err := o.Scale.settled(&o)
		if err != nil {
			return o, err
		}
		o.Scale = &s
	}
	o.Grace, o.Patience = max(o.Grace, 0), max(o.Patience, 0)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// ExponentialBackoff returns a Backoff that starts with about first, doubles with
// each receive, and never exceeds longest. Both are at least 0. Each time is drawn from
// the upper half of its range, so that messages that failed together do not come back
// together.
func ExponentialBackoff(first, longest time.Duration) func(receives int) time.Duration {
	first, longest = max(first, 0), max(longest, 0)
	return func(receives int) time.Duration {
		d := min(first, longest)
		for n := 1; n < receives && 0 < d && d < longest; n++ {
			d += min(d, longest-d) // doubled, up to longest
		}
		return d/2 + rand.N(d/2+1)
	}
}
