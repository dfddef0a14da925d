package worker

import "time"

// Stats are figures of a pool at one instant.
type Stats struct {
	Workers int // those that are there, without those that are about to leave
	Running int // those that have messages: their handlers run, or their batches fill; abandoned ones not included

	// Each message that was handed to a handler which has ended, or could not be
	// decoded, counts in one of these: see Outcome.
	Handled      uint64
	Retried      uint64
	Discarded    uint64
	DeadLettered uint64 // by the verdict; not those that have run out of attempts
	Returned     uint64
	Abandoned    uint64
	Lost         uint64

	Failed   uint64 // messages whose handler returned an error for them or did not return, or that cannot be decoded
	Panicked uint64 // of these, those of handlers that panicked

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

// counter returns the one that counts an outcome.
func (s *Stats) counter(o Outcome) *uint64 {
	switch o {
	case Handled:
		return &s.Handled
	case Retried:
		return &s.Retried
	case Discarded:
		return &s.Discarded
	case DeadLettered:
		return &s.DeadLettered
	case Returned:
		return &s.Returned
	case Abandoned:
		return &s.Abandoned
	}
	return &s.Lost
}

// messages returns how many messages have had an outcome.
func (s *Stats) messages() (n uint64) {
	for o := Handled; o <= Lost; o++ {
		n += *s.counter(o)
	}
	return n
}

func (s *Stats) add(t *Stats) {
	for o := Handled; o <= Lost; o++ {
		*s.counter(o) += *t.counter(o)
	}
	s.Failed += t.Failed
	s.Panicked += t.Panicked
	s.HandlerTime += t.HandlerTime
}

// count adds a message whose handler has ended, or was abandoned.
func (s *Stats) count(o Outcome, err error, took time.Duration) {
	*s.counter(o)++
	s.HandlerTime += took
	if err != nil {
		s.Failed++
	}
	if hasPanicked(err) {
		s.Panicked++
	}
}
