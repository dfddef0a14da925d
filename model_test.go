package dabchick_test

import (
	"cmp"
	"math"
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

	accepted []modelSend
	attempts map[string]modelAttempt

	// For fairness, from the first message with a group on.
	grouped bool
	since   time.Duration
	holds   []modelHold
	sentAt  map[string]time.Duration
	emptyAt map[string]time.Duration
}

// modelSend is a send with a deduplication id.
type modelSend struct {
	group, id string
	at        time.Duration
	x         *modelMessage
}

type modelAttempt struct {
	at     time.Duration
	got    []*modelMessage
	orders []int
}

// modelHold is a time that a message was in flight.
type modelHold struct {
	group    string
	from, to time.Duration
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
	returned int // of these, those that do not count
	receives int
	from     *model // of a dead letter
	reason   string
	group    string
	dedup    string
	ownDelay bool
	moving   bool
	heldFrom time.Duration // -1 while it is not in flight
}

// place gives a message the instant at which it comes up.
func (m *model) place(x *modelMessage, at time.Duration) {
	m.placed++
	x.at, x.order = at, m.placed
}

// expire drops what is past its retention.
func (m *model) expire() {
	late := func(x *modelMessage) bool {
		return m.o.Retention != dabchick.Forever && m.now() > x.sentAt+m.o.Retention
	}
	for i := slices.IndexFunc(m.messages, late); i >= 0; i = slices.IndexFunc(m.messages, late) {
		m.totals.Expired++
		m.remove(m.messages[i])
	}
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

// choose returns the message to deliver, among those placed up to the number last.
// On a FIFO queue it goes on with the group of prev.
func (m *model) choose(prev *modelMessage, last int) *modelMessage {
	visible := slices.DeleteFunc(m.sorted(), func(x *modelMessage) bool { return x.at > m.now() || x.moving })
	if m.o.FIFO {
		if prev != nil {
			if x := m.follower(prev); x != nil && slices.Contains(visible, x) {
				return x
			}
		}
		visible = slices.DeleteFunc(visible, func(x *modelMessage) bool { return m.first(x.group) != x })
	}
	visible = slices.DeleteFunc(visible, func(x *modelMessage) bool { return x.order > last || m.full(x.group) })
	var best *modelMessage
	for _, x := range visible {
		if !m.noisy(x.group) {
			return x
		}
		if best == nil || m.inFlight(x.group) < m.inFlight(best.group) {
			best = x
		}
	}
	return best
}

// first returns the oldest message of a group.
func (m *model) first(group string) *modelMessage {
	for _, x := range m.messages {
		if x.group == group {
			return x
		}
	}
	return nil
}

// eldest returns the oldest message of a FIFO queue that can be delivered.
func (m *model) eldest() *modelMessage {
	for _, x := range m.messages {
		if x.at <= m.now() && !x.moving && m.first(x.group) == x {
			return x
		}
	}
	return nil
}

// follower returns the message sent after x in its group.
func (m *model) follower(x *modelMessage) *modelMessage {
	for _, y := range m.messages[slices.Index(m.messages, x)+1:] {
		if y.group == x.group {
			return y
		}
	}
	return nil
}

func (m *model) inFlight(group string) (n int) {
	for _, x := range m.messages {
		if x.group == group && !x.moving && m.state(x) == dabchick.InFlight {
			n++
		}
	}
	return n
}

func (m *model) full(group string) bool {
	limit := m.o.MaxInFlightPerGroup
	return limit > 0 && group != "" && m.inFlight(group) >= limit
}

func (m *model) noisy(group string) bool {
	f := m.o.Fairness
	if m.o.FIFO || group == "" || f.QuietAfter != dabchick.Forever && m.now() >= m.sentAt[group]+f.QuietAfter {
		return false
	}
	total := 0
	for _, x := range m.messages {
		if !x.moving && m.state(x) == dabchick.InFlight {
			total++
		}
	}
	n := m.inFlight(group)
	if n >= f.MinInFlight && float64(n) > f.InFlightShare*float64(total) {
		return true
	}
	used := m.use(func(g string) bool { return g == group })
	return f.ProcessingShare < 1 && used > 7.77e-10 && used > f.ProcessingShare*m.use(func(string) bool { return true })
}

// use adds up how long messages of some groups were in flight, each instant
// with the weight that it has now.
func (m *model) use(of func(group string) bool) (sum float64) {
	weigh := func(h modelHold) {
		if h.from = max(h.from, m.since); h.from < h.to && of(h.group) {
			window := float64(m.o.Fairness.Window)
			sum -= math.Exp(-float64(m.now()-h.to)/window) * math.Expm1(-float64(h.to-h.from)/window)
		}
	}
	for _, h := range m.holds {
		weigh(h)
	}
	for _, x := range m.messages {
		if x.heldFrom >= 0 {
			weigh(modelHold{x.group, x.heldFrom, min(m.now(), x.at)})
		}
	}
	return sum
}

// letGo ends the time of a message in flight.
func (m *model) letGo(x *modelMessage) {
	if x.heldFrom >= 0 {
		m.holds = append(m.holds, modelHold{x.group, x.heldFrom, min(m.now(), x.at)})
		x.heldFrom = -1
	}
}

// heed is told that a group is named.
func (m *model) heed(group string) {
	if group != "" && !m.grouped {
		m.grouped, m.since = true, m.now()
	}
}

// join is told that a message with a group comes.
func (m *model) join(group string) {
	if group == "" {
		return
	}
	m.heed(group)
	if at, ok := m.emptyAt[group]; ok && m.first(group) == nil && m.now() >= at+m.o.Fairness.Window {
		for i, h := range m.holds {
			if h.group == group {
				m.holds[i].group = "forgotten " + group
			}
		}
	}
	m.sentAt[group] = m.now()
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
	first := m.first(x.group) == x
	m.letGo(x)
	m.messages = slices.DeleteFunc(m.messages, func(y *modelMessage) bool { return x == y })
	y := m.first(x.group)
	if y == nil {
		m.emptyAt[x.group] = m.now()
	} else if m.o.FIFO && first && y.at <= m.now() && !y.moving {
		m.place(y, m.now()) // its group goes behind others
	}
}

// apart says whether a send does not look at the queue, and so does not notice what
// has expired: see backlog. It shows in whether a delete comes before the expiry.
func (m *model) apart(o dabchick.SendOptions) bool {
	return o.Group == "" && o.Delay == 0 && o.DedupID == "" &&
		!m.o.FIFO && m.o.Delay <= 0 && m.o.MaxMessages == 0 && m.o.MaxBytes == 0 && m.o.OnEvent == nil
}

// send stores a message, unless it would be refused, or repeats another.
func (m *model) send(body int, o dabchick.SendOptions, redriven bool) (*modelMessage, error) {
	delay := o.Delay
	if redriven || !m.apart(o) {
		m.expire()
	}
	m.heed(o.Group)
	switch {
	case m.o.MaxBytes > 0 && bodySize(body) > m.o.MaxBytes:
		return nil, &dabchick.InvalidError{}
	case redriven:
	case m.o.FIFO && (o.Group == "" || delay != 0 && !m.o.MessageDelays), !m.o.FIFO && o.DedupID != "":
		return nil, &dabchick.InvalidError{}
	}
	if m.o.FIFO && o.DedupID == "" && m.o.DedupKey != nil && !redriven {
		o.DedupID = m.o.DedupKey(body)
	}
	repeated := modelSend{id: o.DedupID, at: m.now()}
	if m.o.DedupScope == dabchick.DedupGroup {
		repeated.group = o.Group
	}
	if o.DedupID != "" && !redriven {
		for _, s := range m.accepted {
			if s.group == repeated.group && s.id == repeated.id && m.now() < s.at+m.o.DedupWindow {
				m.totals.Duplicates++
				return s.x, nil
			}
		}
	}
	switch {
	case m.o.MaxMessages > 0 && len(m.messages) >= m.o.MaxMessages,
		m.o.MaxBytes > 0 && m.bytes()+bodySize(body) > m.o.MaxBytes:
		return nil, dabchick.ErrFull
	}
	if delay == 0 {
		delay = m.o.Delay
	}
	x := &modelMessage{body: body, hidden: dabchick.Delayed, sentAt: m.now(), arrived: m.now(), firstAt: -1,
		group: o.Group, dedup: o.DedupID, ownDelay: o.Delay != 0, heldFrom: -1}
	if o.DedupID != "" && !redriven {
		repeated.x = x
		m.accepted = append(m.accepted, repeated)
	}
	m.join(x.group)
	m.place(x, m.now()+max(delay, 0))
	m.messages = append(m.messages, x)
	m.totals.Sent++
	return x, nil
}

// receive delivers up to most of the messages that are visible before it
// begins, and moves those that have had their last delivery.
func (m *model) receive(most int, timeout time.Duration, attempt string) ([]*modelMessage, error) {
	m.expire()
	if attempt != "" && !m.o.FIFO {
		return nil, &dabchick.InvalidError{}
	}
	if m.paused {
		m.totals.EmptyReceives++
		return nil, nil
	}
	if timeout == 0 {
		timeout = m.o.VisibilityTimeout
	}
	if got := m.repeat(timeout, attempt); got != nil {
		return got, nil
	}
	full := func() bool { return m.o.MaxInFlight > 0 && m.inFlightInAll() >= m.o.MaxInFlight }
	if full() {
		return nil, dabchick.ErrInFlightLimit
	}
	var got []*modelMessage
	for again := true; again; {
		again = false
		var spent []*modelMessage
		var prev *modelMessage
		last := m.placed
		for len(got) < most && !full() && len(spent) < dabchick.Noticed() {
			x := m.choose(prev, last)
			if x == nil {
				break
			}
			m.letGo(x)
			if m.dead != nil && x.here-x.returned >= m.o.MaxReceives {
				x.moving = true
				spent = append(spent, x)
				continue
			}
			x.here++
			x.receives++
			if x.firstAt < 0 {
				x.firstAt = m.now()
			}
			x.hidden = dabchick.InFlight
			m.place(x, m.now()+max(timeout, 0))
			if timeout > 0 {
				x.heldFrom = m.now()
			}
			m.totals.Received++
			got = append(got, x)
			prev = x
		}
		for _, x := range spent {
			m.bury(x, "limit")
			again = len(got) == 0 // others may follow
		}
	}
	if len(got) == 0 {
		m.totals.EmptyReceives++
	} else if attempt != "" {
		a := modelAttempt{at: m.now(), got: got}
		for _, x := range got {
			a.orders = append(a.orders, x.order)
		}
		m.attempts[attempt] = a
	}
	return got, nil
}

// repeat delivers again what an attempt got, if all of that is as it was.
func (m *model) repeat(timeout time.Duration, attempt string) []*modelMessage {
	a, ok := m.attempts[attempt]
	if !ok || m.now() >= a.at+5*time.Minute {
		return nil
	}
	for i, x := range a.got {
		if !slices.Contains(m.messages, x) || x.order != a.orders[i] || m.state(x) != dabchick.InFlight {
			delete(m.attempts, attempt)
			return nil
		}
	}
	for i, x := range a.got {
		m.place(x, m.now()+max(timeout, 0))
		a.orders[i] = x.order
		if timeout <= 0 {
			m.letGo(x)
		}
	}
	return a.got
}

func (m *model) inFlightInAll() (n int) {
	for _, x := range m.messages {
		if !x.moving && m.state(x) == dabchick.InFlight {
			n++
		}
	}
	return n
}

// bury moves a message to the dead-letter queue.
func (m *model) bury(x *modelMessage, reason string) {
	m.totals.DeadLettered++
	y := *x
	y.here, y.returned, y.from, y.reason, y.arrived, y.moving, y.heldFrom = 0, 0, m, reason, m.now(), false, -1
	if m.o.FIFO {
		y.sentAt, y.dedup = m.now(), x.id.String()
	}
	m.dead.expire()
	m.dead.join(y.group)
	m.dead.place(&y, m.now())
	m.dead.messages = append(m.dead.messages, &y)
	m.dead.totals.Arrived++
	m.dead.expire() // it may be past its retention there
	m.remove(x)
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

// prompt says whether every call looks at the time.
func (m *model) prompt() bool { return m.watched || m.grouped || m.o.FIFO }

// delete does not always look at the time, so it may find what has passed its
// retention since the last call that did.
func (m *model) delete(x *modelMessage, nth int) error {
	if m.prompt() {
		m.expire()
	}
	err := m.find(x, nth)
	if err == dabchick.ErrMessageGone {
		return nil
	}
	if err == nil && m.o.FIFO && m.state(x) != dabchick.InFlight {
		return dabchick.ErrReceiptExpired
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
	if d <= 0 {
		m.letGo(x)
	}
	m.place(x, m.now()+max(d, 0))
	return nil
}

// giveBack returns a delivery.
func (m *model) giveBack(x *modelMessage, nth int) error {
	err := m.change(x, nth, 0)
	if err == nil {
		m.totals.Returned++
		x.returned++
		x.receives--
		if x.receives == 0 {
			x.firstAt = -1
		}
	}
	return err
}

// setOptions replaces the options. On a FIFO queue a new delay is good for what
// waits for the old one, too.
func (m *model) setOptions(o dabchick.Options[int]) {
	m.expire()
	for _, x := range m.messages {
		if o.FIFO && o.Delay != m.o.Delay && m.state(x) == dabchick.Delayed && !x.ownDelay {
			m.place(x, max(m.now(), x.sentAt+o.Delay))
		}
	}
	m.accepted = slices.DeleteFunc(m.accepted, func(s modelSend) bool { return m.now() >= s.at+m.o.DedupWindow })
	m.o = o
	m.expire()
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
	for total := m.count(dabchick.Visible); moved < total && (most == 0 || moved < most); moved++ {
		x := m.choose(nil, math.MaxInt)
		if m.o.FIFO {
			x = m.eldest()
		}
		if x == nil {
			break
		}
		dest := to
		if dest == nil {
			dest = x.from
		}
		if dest == nil {
			return moved, sent, dabchick.ErrNoOrigin
		}
		o := dabchick.SendOptions{Delay: dabchick.Immediately, Group: x.group, DedupID: x.dedup}
		y, err := dest.send(x.body, o, true)
		if err != nil {
			return moved, sent, err
		}
		m.remove(x)
		m.totals.Redriven++
		sent = append(sent, y)
	}
	return moved, sent, nil
}

func (m *model) purge() int {
	m.expire()
	n := len(m.messages)
	m.messages, m.accepted, m.holds, m.since = nil, nil, nil, m.now()
	clear(m.attempts)
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
		if x.at <= m.now() && (!m.o.FIFO || m.first(x.group) == x) && !m.full(x.group) {
			s.LongestWait = max(s.LongestWait, m.now()-x.at)
		}
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
