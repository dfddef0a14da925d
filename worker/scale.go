package worker

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/dabchickmq/dabchick"
)

// Scale makes the number of workers follow the backlog, between Min and
// Options.Workers: up at once, down when fewer would have been enough for all of
// CoolDown. The queue needs a method Stats for it, as a *dabchick.Queue has.
type Scale struct {
	// Min is the least number of workers. It may be 0: then a first message
	// waits for the next look.
	Min int
	// Backlog is how many messages there may be for each worker, those that it
	// works on included. 0 means no such target.
	Backlog float64
	// Wait is how long a message shall wait for a worker at most. What a worker
	// gets done in that time is measured. 0 means no such target; one of the two
	// is needed. With both, the larger number of workers counts.
	Wait time.Duration
	// Every is how often the pool looks at the queue. 0 means a second.
	Every time.Duration
	// CoolDown is how long fewer workers must have been enough before there are
	// fewer. 0 means a minute; dabchick.Immediately no time at all.
	CoolDown time.Duration
	// OnChange, if not nil, is called for each change of the number of workers.
	// The pool does not look at the queue until it has returned.
	OnChange func(Change)
}

// A Change is a change of the number of workers, and what it was made for.
type Change struct {
	Time        time.Time
	From, To    int
	Visible     int           // messages that wait
	Running     int           // handlers of this pool that run
	LongestWait time.Duration // of a message that could be handled; 0 if the queue does not tell
	HandlerTime time.Duration // of a message, lately; 0 if none has been handled
}

func (s Scale) settled(o *Options) (Scale, error) {
	invalid := func(field string, value any, allowed string) (Scale, error) {
		return s, &dabchick.InvalidError{Field: "Scale." + field, Value: value, Allowed: allowed}
	}
	switch {
	case s.Min < 0 || s.Min > o.Workers:
		return invalid("Min", s.Min, "from 0 to Workers")
	case !(s.Backlog >= 0) || math.IsInf(s.Backlog, 0):
		return invalid("Backlog", s.Backlog, "0 or more")
	case s.Wait < 0:
		return invalid("Wait", s.Wait, "0 or more")
	case s.Backlog == 0 && s.Wait == 0:
		return invalid("Backlog", s.Backlog, "more than 0, unless Wait is set")
	case s.Every < 0:
		return invalid("Every", s.Every, "0 or more")
	case s.CoolDown < 0 && s.CoolDown != dabchick.Immediately:
		return invalid("CoolDown", s.CoolDown, "0 or more, or Immediately")
	}
	if s.Every == 0 {
		s.Every = time.Second
	}
	if s.CoolDown == 0 {
		s.CoolDown = time.Minute
	}
	return s, nil
}

// need returns how many workers a situation asks for, within no bounds.
func (s *Scale) need(c *Change) int {
	var n float64
	if s.Backlog > 0 {
		n = math.Ceil(float64(c.Visible+c.Running) / s.Backlog)
	}
	if s.Wait > 0 {
		// What waits has to be begun within Wait. What is worked on shows how
		// many workers the present stream of messages needs.
		work := float64(c.Visible)
		if c.HandlerTime > 0 {
			work *= float64(c.HandlerTime) / float64(s.Wait)
		}
		byWait := max(float64(c.Running), math.Ceil(work))
		if c.LongestWait > s.Wait {
			byWait = max(byWait, float64(c.From+1)) // it was not enough
		}
		n = max(n, byWait)
	}
	return int(min(n, math.MaxInt32))
}

// A scaler decides how many workers there are.
type scaler struct {
	Scale
	most    int
	enough  int       // the most that was needed since
	since   time.Time // from when on fewer than there are would have been enough; zero if not
	handled uint64    // by then, and how long that took
	took    time.Duration
	mean    time.Duration // of a message, lately
}

// measure takes note of the handlers that have ended.
func (s *scaler) measure(t *Stats) {
	n := t.messages()
	if n == s.handled {
		return
	}
	mean := (t.HandlerTime - s.took) / time.Duration(n-s.handled)
	if s.mean > 0 {
		mean = (s.mean + mean) / 2
	}
	s.handled, s.took, s.mean = n, t.HandlerTime, mean
}

// decide returns how many workers there shall be.
func (s *scaler) decide(c *Change) int {
	n := min(max(s.need(c), s.Min), s.most)
	if n >= c.From {
		s.since = time.Time{}
		return n
	}
	if s.since.IsZero() {
		s.since, s.enough = c.Time, n
	}
	s.enough = max(s.enough, n)
	if c.Time.Sub(s.since) < s.CoolDown {
		return c.From
	}
	n = s.enough
	s.since = time.Time{}
	return n
}

// statser is a queue that tells how many messages it has.
type statser interface {
	Stats(ctx context.Context) (dabchick.Stats, error)
}

// scale looks at the queue now and then, and starts and stops workers, until the
// pool stops.
func (p *Pool[T]) scale(receiving context.Context) {
	s := scaler{Scale: *p.o.Scale, most: p.o.Workers}
	queue := p.queue.(statser) // New has made sure
	ticker := time.NewTicker(s.Every)
	defer ticker.Stop()
	for {
		stats := p.Stats()
		s.measure(&stats)
		backlog, err := queue.Stats(receiving)
		switch {
		case receiving.Err() != nil:
			return
		case backlog.Closed || errors.Is(err, dabchick.ErrClosed): // there may be no worker to notice
			p.fail(dabchick.ErrClosed)
			return
		case err != nil:
			p.log.Error("backlog not known", "error", err)
		default:
			c := Change{
				Time: time.Now(), From: stats.Workers, Visible: backlog.Visible, Running: stats.Running,
				LongestWait: backlog.LongestWait, HandlerTime: s.mean,
			}
			// Handlers that have yet to finish before their workers leave run, too.
			c.To = min(s.decide(&c), max(c.From, s.most-p.leaving()))
			if c.To != c.From {
				p.resize(receiving, c.From, c.To)
				p.log.Info("workers", "from", c.From, "to", c.To, "visible", c.Visible, "running", c.Running)
				if s.OnChange != nil {
					s.OnChange(c)
				}
			}
		}
		select {
		case <-ticker.C:
		case <-receiving.Done():
			return
		}
	}
}

// leaving returns how many workers are about to leave.
func (p *Pool[T]) leaving() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.leases {
		if l.leaving {
			n++
		}
	}
	return n
}

// resize starts workers, or lets idle ones stop, and others when they have
// finished what they do.
func (p *Pool[T]) resize(receiving context.Context, from, to int) {
	for ; from < to; from++ {
		p.start(receiving)
	}
	if from == to {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, busy := range []bool{false, true} {
		for l := range p.leases {
			if from > to && !l.leaving && l.isHeld() == busy {
				l.leaving = true
				l.quit()
				from--
			}
		}
	}
}
