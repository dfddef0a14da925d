package worker

import "time"

// Stats are figures of a pool at one instant.
type Stats struct {
	Workers int // those that are there, without those that are about to leave
	Running int // handlers that run, those abandoned not included

	// Each message that was handed to a handler which has ended counts in one of
	// these.
	Handled      uint64 // done and deleted
	Retried      uint64 // hidden for a backoff, or for as long as RetryAfter said
	Discarded    uint64
	DeadLettered uint64 // by the verdict; not those that have run out of attempts
	Returned     uint64 // given back because the pool stops
	Abandoned    uint64 // given back while the handler still ran
	Lost         uint64 // the verdict came too late: the lease had ended

	Failed   uint64 // handlers that returned an error or did not return
	Panicked uint64 // of these, those that panicked

	// HandlerTime is what handlers that have ended took, all together.
	HandlerTime time.Duration
}

// Idle returns how many workers wait for a message.
func (s Stats) Idle() int { return max(s.Workers-s.Running, 0) }

// Stats returns the figures of the pool. It may be called at any time, and takes
// O(n) in the workers.
func (p *Pool[T]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.retired
	for l := range p.leases {
		if !l.leaving {
			s.Workers++
		}
		l.mu.Lock()
		s.add(&l.stats)
		if l.held {
			s.Running++
		}
		l.mu.Unlock()
	}
	return s
}

func (s *Stats) add(t *Stats) {
	s.Handled += t.Handled
	s.Retried += t.Retried
	s.Discarded += t.Discarded
	s.DeadLettered += t.DeadLettered
	s.Returned += t.Returned
	s.Abandoned += t.Abandoned
	s.Lost += t.Lost
	s.Failed += t.Failed
	s.Panicked += t.Panicked
	s.HandlerTime += t.HandlerTime
}

type outcome uint8

const (
	handled outcome = iota
	retried
	discarded
	deadLettered
	returned
	abandoned
	lost
)

// count adds a message whose handler has ended, or was abandoned.
func (s *Stats) count(o outcome, err error, took time.Duration) {
	*[...]*uint64{&s.Handled, &s.Retried, &s.Discarded, &s.DeadLettered, &s.Returned, &s.Abandoned, &s.Lost}[o]++
	s.HandlerTime += took
	if err != nil {
		s.Failed++
	}
	if hasPanicked(err) {
		s.Panicked++
	}
}
