package dabchick_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dabchickmq/dabchick"
)

// commands read their arguments, and return what to call with them.
var commands = map[string]func(*session, *arguments) action{
	"queue":             (*session).makeQueue,
	"set":               (*session).setOptions,
	"send":              (*session).send,
	"receive":           (*session).receive,
	"delete":            (*session).delete,
	"change-visibility": (*session).changeVisibility,
	"redrive":           (*session).redrive,
	"purge":             (*session).purge,
	"close":             (*session).close,
	"advance":           (*session).advance,
	"cancel":            (*session).cancel,
	"state":             (*session).state,
	"group":             (*session).group,
	"totals":            (*session).totals,
}

// target returns the queue that a command is for: q, unless it names another.
func (s *session) target(a *arguments) queue { return s.named(a, cmp.Or(a.queue, "q")) }

func (s *session) named(a *arguments, name string) queue {
	q := s.queues[name]
	if q == nil {
		a.fail("no queue %q", name)
	}
	return q
}

// queue NAME [OPTION...] makes a queue.
func (s *session) makeQueue(a *arguments) action {
	var o options
	o.FIFO = a.flag("fifo")
	if name, ok := a.take("dedup"); ok {
		if name != "content" {
			a.fail("dedup: only content is there")
		}
		o.DedupKey = dabchick.ContentKey[string]
	}
	s.options(a, &o)
	name := a.one("name")
	if s.queues[name] != nil {
		a.fail("there is a queue %q", name)
	}
	return a.onTheSpot(func() []string {
		q, err := dabchick.New(name, o)
		if err != nil {
			return failed(err)
		}
		s.queues[name] = q
		return nil
	})
}

// set [OPTION...] changes options of a queue.
func (s *session) setOptions(a *arguments) action {
	q := s.target(a)
	if q == nil {
		return nil
	}
	o := q.Options()
	s.options(a, &o)
	return a.onTheSpot(func() []string { return failed(q.SetOptions(o)) })
}

func (s *session) options(a *arguments, o *options) {
	a.duration("visibility", &o.VisibilityTimeout)
	a.duration("delay", &o.Delay)
	a.duration("retention", &o.Retention)
	a.duration("wait", &o.ReceiveWait)
	a.duration("dedup-window", &o.DedupWindow)
	a.count("max-receives", &o.MaxReceives)
	a.count("max-in-flight", &o.MaxInFlight)
	bytes := int(o.MaxBytes)
	a.count("max-bytes", &bytes)
	o.MaxBytes = int64(bytes)
	a.share("in-flight-share", &o.Fairness.InFlightShare)
	a.count("min-in-flight", &o.Fairness.MinInFlight)
	a.share("processing-share", &o.Fairness.ProcessingShare)
	if a.flag("fail-fast") {
		o.FailFast = true
	}
	if a.flag("message-delays") {
		o.MessageDelays = true
	}
	switch name, ok := a.take("dead"); {
	case name == "none":
		o.DeadLetter = nil
	case ok:
		o.DeadLetter = s.named(a, name)
	}
	switch scope, ok := a.take("dedup-scope"); {
	case scope == "queue":
		o.DedupScope = dabchick.DedupQueue
	case scope == "group":
		o.DedupScope = dabchick.DedupGroup
	case ok:
		a.fail("dedup-scope: %q is neither queue nor group", scope)
	}
}

// send BODY... [delay=] [group=] [dedup=] [trace=] [attr:NAME=TYPE:VALUE...] sends
// messages, several in one batch. It answers which are repeats of others.
func (s *session) send(a *arguments) action {
	q := s.target(a)
	var o dabchick.SendOptions
	a.duration("delay", &o.Delay)
	o.Group, _ = a.take("group")
	o.DedupID, _ = a.take("dedup")
	o.TraceHeader, _ = a.take("trace")
	o.Attributes = a.attributes()
	var bodies []string
	for _, text := range a.words {
		bodies = append(bodies, a.expand(text)...)
	}
	a.words = nil
	if len(bodies) == 0 {
		a.fail("at least one message is needed")
	}
	return func(ctx context.Context) func() []string {
		ids := make([]dabchick.ID, 1)
		var err error
		if len(bodies) == 1 {
			ids[0], err = q.SendWith(ctx, bodies[0], o)
		} else {
			batch := make([]dabchick.Outgoing[string], len(bodies))
			for i, body := range bodies {
				batch[i] = dabchick.Outgoing[string]{Body: body, SendOptions: o}
			}
			ids, err = q.SendBatch(ctx, batch)
		}
		return func() (lines []string) {
			for i, id := range ids {
				if original, ok := s.sent[id]; ok {
					lines = append(lines, fmt.Sprintf("%s repeats %s", word(bodies[i]), word(original)))
				} else if id != (dabchick.ID{}) {
					s.sent[id] = bodies[i]
				}
			}
			return append(lines, failed(err, bodies...)...)
		}
	}
}

// receive [max=] [wait=] [visibility=] [attempt=] [show=FIELD,...] [brief] receives
// messages. brief puts their bodies on one line; receipts have numbers all the same.
func (s *session) receive(a *arguments) action {
	q := s.target(a)
	var o dabchick.ReceiveOptions
	a.count("max", &o.Max)
	a.duration("wait", &o.Wait)
	a.duration("visibility", &o.Visibility)
	o.AttemptID, _ = a.take("attempt")
	fields := a.fields(messageFields)
	brief := a.flag("brief")
	return func(ctx context.Context) func() []string {
		ms, err := q.ReceiveBatch(ctx, o)
		return func() (lines []string) {
			var bodies []string
			for _, m := range ms {
				receipt := s.label(q, m.Receipt)
				bodies = append(bodies, word(m.Body))
				lines = append(lines, fmt.Sprintf("%s receives=%d receipt=%s%s",
					word(m.Body), m.Receives, receipt, s.show(m, fields)))
			}
			switch {
			case err != nil:
				return failed(err)
			case len(ms) == 0:
				return []string{"nothing"}
			case brief:
				return []string{strings.Join(bodies, " ")}
			}
			return lines
		}
	}
}

// messageFields are what receive and state show of a message if they are asked to.
var messageFields = map[string]func(*session, message) string{
	"attributes": func(_ *session, m message) string {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(m.Attributes())) {
			a, _ := m.Attribute(name)
			all = append(all, name+":"+a.Type+":"+a.Text+string(a.Data))
		}
		return strings.Join(all, ",")
	},
	"dedup": func(s *session, m message) string {
		if id, err := dabchick.ParseID(m.DedupID()); err == nil {
			return s.id(id)
		}
		return m.DedupID()
	},
	"first": func(s *session, m message) string { return s.since(m.FirstReceivedAt()) },
	"group": func(_ *session, m message) string { return m.Group() },
	"id":    func(s *session, m message) string { return s.id(m.ID) },
	"origin": func(_ *session, m message) string {
		if o, ok := m.Origin(); ok {
			return o.Queue
		}
		return "none"
	},
	"sent": func(s *session, m message) string { return s.since(m.SentAt()) },
	"sequence": func(s *session, m message) string { // against the one shown before
		before := s.sequence
		if s.sequence = m.SequenceNumber(); s.sequence == "" {
			return "none"
		}
		return [...]string{"smaller", "same", "larger"}[1+cmp.Compare(s.sequence, before)]
	},
	"trace": func(_ *session, m message) string { return m.TraceHeader() },
	"until": func(s *session, m message) string { return s.since(m.VisibleAt()) },
}

func (s *session) show(m message, fields []string) (text string) {
	for _, f := range fields {
		text += " " + f + "=" + word(messageFields[f](s, m))
	}
	return text
}

// receiptsOf takes the words as labels of receipts, and handle= as a text to read.
// They are used with the queue that is named, or else with their own.
func (s *session) receiptsOf(a *arguments) (q queue, names []string, receipts []dabchick.Receipt, handle *string) {
	if text, ok := a.take("handle"); ok {
		return s.target(a), nil, nil, &text
	}
	for _, name := range a.words {
		r, ok := s.receipts[name]
		if !ok {
			a.fail("no receipt %q yet", name)
			continue
		}
		if q == nil {
			q = r.queue
		}
		names, receipts = append(names, name), append(receipts, r.Receipt)
	}
	if a.queue != "" {
		q = s.target(a)
	}
	if len(a.words) == 0 {
		a.fail("at least one receipt is needed")
	}
	a.words = nil
	return q, names, receipts, nil
}

// settle carries out use, after it has read a handle if there is one.
func (s *session) settle(a *arguments, use func(context.Context, queue, []dabchick.Receipt) error) action {
	q, names, receipts, handle := s.receiptsOf(a)
	return func(ctx context.Context) func() []string {
		if handle != nil {
			r, err := q.ParseReceipt(*handle)
			if err != nil {
				return func() []string { return failed(err) }
			}
			receipts = []dabchick.Receipt{r}
		}
		err := use(ctx, q, receipts)
		return func() []string { return failed(err, names...) }
	}
}

// delete RECEIPT... or delete handle=TEXT
func (s *session) delete(a *arguments) action {
	return s.settle(a, func(ctx context.Context, q queue, receipts []dabchick.Receipt) error {
		return q.Delete(ctx, receipts...)
	})
}

// change-visibility RECEIPT... TIMEOUT
func (s *session) changeVisibility(a *arguments) action {
	var d time.Duration
	if n := len(a.words) - 1; n >= 0 {
		d = a.parseDuration("timeout", a.words[n])
		a.words = a.words[:n]
	}
	return s.settle(a, func(ctx context.Context, q queue, receipts []dabchick.Receipt) error {
		return q.ChangeVisibility(ctx, d, receipts...)
	})
}

// redrive [to=QUEUE] [max=] [rate=] moves messages out of a dead-letter queue.
func (s *session) redrive(a *arguments) action {
	q := s.target(a)
	var o dabchick.RedriveOptions[string]
	if name, ok := a.take("to"); ok {
		o.To = s.named(a, name)
	}
	a.count("max", &o.Max)
	a.count("rate", &o.Rate)
	return func(ctx context.Context) func() []string {
		n, err := q.Redrive(ctx, o)
		return func() []string { return append([]string{fmt.Sprintf("moved %d", n)}, failed(err)...) }
	}
}

// purge removes all messages.
func (s *session) purge(a *arguments) action {
	q := s.target(a)
	return a.onTheSpot(func() []string {
		n, err := q.Purge(s.ctx)
		if err != nil {
			return failed(err)
		}
		return []string{fmt.Sprintf("purged %d", n)}
	})
}

// close closes a queue.
func (s *session) close(a *arguments) action {
	q := s.target(a)
	return a.onTheSpot(func() []string { return failed(q.Close()) })
}

// advance TIME lets time pass.
func (s *session) advance(a *arguments) action {
	d := a.parseDuration("time", a.one("time"))
	if d < 0 || d > 10*patience {
		a.fail("a time from 0 to %vh is needed", int(10*patience/time.Hour))
	}
	return a.onTheSpot(func() []string {
		time.Sleep(d)
		return nil
	})
}

// cancel CALL ends the context of a background call.
func (s *session) cancel(a *arguments) action {
	name := a.one("call")
	i := slices.IndexFunc(s.waiting, func(b *background) bool { return b.name == name })
	if i < 0 {
		a.fail("no call %q is waiting", name)
	}
	return a.onTheSpot(func() []string {
		s.waiting[i].cancel()
		return nil
	})
}

// state [show=FIELD,...] [age] [bytes] shows counts, and the messages without
// receiving them.
func (s *session) state(a *arguments) action {
	q := s.target(a)
	fields := a.fields(messageFields)
	age, bytes := a.flag("age"), a.flag("bytes")
	return a.onTheSpot(func() []string {
		st, err := q.Stats(s.ctx)
		if err != nil {
			return failed(err)
		}
		line := fmt.Sprintf("visible=%d in-flight=%d delayed=%d", st.Visible, st.InFlight, st.Delayed)
		if age {
			line += fmt.Sprintf(" age=%v", st.OldestAge)
		}
		if bytes {
			line += fmt.Sprintf(" bytes=%d", st.Bytes)
		}
		lines := []string{line}
		ms, err := q.Peek(s.ctx, max(1, st.Visible+st.InFlight+st.Delayed))
		for _, m := range ms {
			lines = append(lines, fmt.Sprintf("%s %v%s", word(m.Body), m.State, s.show(m, fields)))
		}
		return append(lines, failed(err)...)
	})
}

// group NAME shows the figures of a message group.
func (s *session) group(a *arguments) action {
	q := s.target(a)
	name := a.one("group")
	return a.onTheSpot(func() []string {
		g, err := q.Group(s.ctx, name)
		if err != nil {
			return failed(err)
		}
		noise := "quiet"
		if g.Noisy {
			noise = "noisy"
		}
		return []string{fmt.Sprintf("visible=%d in-flight=%d delayed=%d %s", g.Visible, g.InFlight, g.Delayed, noise)}
	})
}

// totals shows what was counted, apart from zeroes.
func (s *session) totals(a *arguments) action {
	q := s.target(a)
	return a.onTheSpot(func() []string {
		st, err := q.Stats(s.ctx)
		if err != nil {
			return failed(err)
		}
		var all []string
		for _, t := range []struct {
			name string
			n    uint64
		}{
			{"sent", st.Sent}, {"arrived", st.Arrived}, {"received", st.Received}, {"empty-receives", st.EmptyReceives},
			{"deleted", st.Deleted}, {"expired", st.Expired}, {"purged", st.Purged},
			{"dead-lettered", st.DeadLettered}, {"redriven", st.Redriven}, {"duplicates", st.Duplicates},
		} {
			if t.n > 0 {
				all = append(all, fmt.Sprintf("%s=%d", t.name, t.n))
			}
		}
		return []string{strings.Join(all, " ")}
	})
}
