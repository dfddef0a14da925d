package dabchick_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A model is a queue too simple to be wrong: a slice that is searched from end
// to end. It is written from the rules and knows nothing of how the queue does
// it. Instants are durations since the program began.
type model struct {
	now      func() time.Duration
	o        dabchick.Options[int]
	dead     *model
	messages []*modelMessage
	placed   int
	paused   bool
	watched  bool // has a hook
	totals   dabchick.Totals
}

type modelMessage struct {
	id       dabchick.ID
	body     int
	at       time.Duration  // hidden until then, or visible since
	order    int            // among those of one instant
	hidden   dabchick.State // what it is while it is hidden
	sentAt   time.Duration
	firstAt  time.Duration // -1 for never
	arrived  time.Duration
	here     int // receives in this queue
	receives int
	from     *model // of a dead letter
	reason   string
}

// place gives a message the instant at which it comes up.
func (m *model) place(x *modelMessage, at time.Duration) {
	m.placed++
	x.at, x.order = at, m.placed
}

// expire drops what is past its retention.
func (m *model) expire() {
	kept := m.messages[:0]
	for _, x := range m.messages {
		if m.o.Retention != dabchick.Forever && m.now() > x.sentAt+m.o.Retention {
			m.totals.Expired++
			continue
		}
		kept = append(kept, x)
	}
	m.messages = kept
}

func (m *model) state(x *modelMessage) dabchick.State {
	if x.at <= m.now() {
		return dabchick.Visible
	}
	return x.hidden
}

// sorted returns the messages by the instant at which they come up.
func (m *model) sorted() []*modelMessage {
	s := slices.Clone(m.messages)
	slices.SortFunc(s, func(a, b *modelMessage) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
	})
	return s
}

// visible returns the messages that can be delivered, in order.
func (m *model) visible() []*modelMessage {
	return slices.DeleteFunc(m.sorted(), func(x *modelMessage) bool { return x.at > m.now() })
}

func (m *model) count(s dabchick.State) (n int) {
	for _, x := range m.messages {
		if m.state(x) == s {
			n++
		}
	}
	return n
}

func (m *model) bytes() (n int64) {
	for _, x := range m.messages {
		n += bodySize(x.body)
	}
	return n
}

// bodySize is the Options.Size of all programs.
func bodySize(body int) int64 { return int64(body % 10) }

func (m *model) remove(x *modelMessage) {
	m.messages = slices.DeleteFunc(m.messages, func(y *modelMessage) bool { return x == y })
}

// send stores a message, unless it would be refused.
func (m *model) send(body int, delay time.Duration) (*modelMessage, error) {
	m.expire()
	switch {
	case m.o.MaxBytes > 0 && bodySize(body) > m.o.MaxBytes:
		return nil, &dabchick.InvalidError{}
	case m.o.MaxMessages > 0 && len(m.messages) >= m.o.MaxMessages,
		m.o.MaxBytes > 0 && m.bytes()+bodySize(body) > m.o.MaxBytes:
		return nil, dabchick.ErrFull
	}
	if delay == 0 {
		delay = m.o.Delay
	}
	x := &modelMessage{body: body, hidden: dabchick.Delayed, sentAt: m.now(), arrived: m.now(), firstAt: -1}
	m.place(x, m.now()+max(delay, 0))
	m.messages = append(m.messages, x)
	m.totals.Sent++
	return x, nil
}

// receive delivers up to most of the messages that are visible before it
// begins, and moves those that have had their last delivery.
func (m *model) receive(most int, timeout time.Duration) ([]*modelMessage, error) {
	m.expire()
	if m.paused {
		m.totals.EmptyReceives++
		return nil, nil
	}
	if timeout == 0 {
		timeout = m.o.VisibilityTimeout
	}
	var got []*modelMessage
	full := func() bool { return m.o.MaxInFlight > 0 && m.count(dabchick.InFlight) >= m.o.MaxInFlight }
	if full() {
		return nil, dabchick.ErrInFlightLimit
	}
	for _, x := range m.visible() {
		if len(got) == most || len(got) > 0 && full() {
			break
		}
		if m.dead != nil && x.here >= m.o.MaxReceives {
			m.bury(x, "limit")
			continue
		}
		x.here++
		x.receives++
		if x.firstAt < 0 {
			x.firstAt = m.now()
		}
		x.hidden = dabchick.InFlight
		m.place(x, m.now()+max(timeout, 0))
		m.totals.Received++
		got = append(got, x)
	}
	if len(got) == 0 {
		m.totals.EmptyReceives++
	}
	return got, nil
}

// bury moves a message to the dead-letter queue.
func (m *model) bury(x *modelMessage, reason string) {
	m.remove(x)
	m.totals.DeadLettered++
	y := *x
	y.here, y.from, y.reason, y.arrived = 0, m, reason, m.now()
	m.dead.expire()
	m.dead.place(&y, m.now())
	m.dead.messages = append(m.dead.messages, &y)
	m.dead.totals.Arrived++
}

// find says what is wrong with the nth delivery of a message, if it is not the
// latest.
func (m *model) find(x *modelMessage, nth int) error {
	switch {
	case !slices.Contains(m.messages, x):
		return dabchick.ErrMessageGone
	case x.here > nth:
		return dabchick.ErrReceiptSuperseded
	}
	return nil
}

// delete does not look at the time, so it may find what has passed its retention
// since the last call that did. With a hook every call looks.
func (m *model) delete(x *modelMessage, nth int) error {
	if m.watched {
		m.expire()
	}
	err := m.find(x, nth)
	if err == dabchick.ErrMessageGone {
		return nil
	}
	if err == nil {
		m.remove(x)
		m.totals.Deleted++
	}
	return err
}

// change gives a delivery a new timeout; d <= 0 releases it.
func (m *model) change(x *modelMessage, nth int, d time.Duration) error {
	m.expire()
	err := m.find(x, nth)
	switch {
	case err != nil:
		return err
	case m.state(x) != dabchick.InFlight:
		return dabchick.ErrReceiptExpired
	}
	m.place(x, m.now()+max(d, 0))
	return nil
}

func (m *model) deadLetter(x *modelMessage, nth int, reason string) error {
	m.expire()
	err := m.find(x, nth)
	switch {
	case err != nil:
		return err
	case m.state(x) != dabchick.InFlight:
		return dabchick.ErrReceiptExpired
	case m.dead == nil:
		return dabchick.ErrNoDeadLetterQueue
	}
	m.bury(x, reason)
	return nil
}

// redrive moves visible messages out, and returns what it moved: pairs of the
// message here and the new one there.
func (m *model) redrive(to *model, most int) (moved int, sent []*modelMessage, err error) {
	m.expire()
	for _, x := range m.visible() {
		if most > 0 && moved == most {
			break
		}
		dest := to
		if dest == nil {
			dest = x.from
		}
		if dest == nil {
			return moved, sent, dabchick.ErrNoOrigin
		}
		y, err := dest.send(x.body, dabchick.Immediately)
		if err != nil {
			return moved, sent, err
		}
		m.remove(x)
		m.totals.Redriven++
		moved++
		sent = append(sent, y)
	}
	return moved, sent, nil
}

func (m *model) purge() int {
	m.expire()
	n := len(m.messages)
	m.messages = nil
	m.totals.Purged += uint64(n)
	return n
}

func (m *model) stats() dabchick.Stats {
	m.expire()
	s := dabchick.Stats{
		Visible:  m.count(dabchick.Visible),
		InFlight: m.count(dabchick.InFlight),
		Delayed:  m.count(dabchick.Delayed),
		Bytes:    m.bytes(),
		Paused:   m.paused,
		Totals:   m.totals,
	}
	for _, x := range m.messages {
		s.OldestAge = max(s.OldestAge, m.now()-x.arrived)
	}
	return s
}

// next returns the instants at which something happens by itself.
func (m *model) next() (at []time.Duration) {
	for _, x := range m.messages {
		if x.at > m.now() {
			at = append(at, x.at)
		}
		if m.o.Retention != dabchick.Forever {
			at = append(at, x.sentAt+m.o.Retention)
		}
	}
	return at
}
