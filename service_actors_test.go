package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// produce sends something, then again after a while: much by day, little at night,
// and nothing at all in some weeks.
func (s *service) produce(q *serviceQueue) {
	day := int(s.now() / (24 * time.Hour))
	next := s.upTo(12 * time.Minute)
	switch hour := int(s.now()/time.Hour) % 24; {
	case day%14 >= 9: // longer than the retention
		next = 24 * time.Hour
	case hour < 8:
		next = s.upTo(time.Hour)
	}
	s.in(next, func() { s.produce(q) })
	n := 1
	if s.r.IntN(50) == 0 {
		n = s.r.IntN(40)
	}
	if q.blocking {
		s.sendWaiting(q)
		return
	}
	if n > 1 {
		s.sendBatch(q, n)
		return
	}
	body, o := s.write(q)
	id, err := q.SendWith(context.Background(), body, o)
	s.say("%s: send %d, group %q, id %q, delay %v: %v", q.Name(), body, o.Group, o.DedupID, o.Delay, err)
	require.NoError(s.t, err)
	s.sent(q, body, o, id)
}

// write makes up a message.
func (s *service) write(q *serviceQueue) (int, dabchick.SendOptions) {
	s.body++
	body := s.body
	var o dabchick.SendOptions
	if q.groups > 0 && (q.fifo || s.r.IntN(4) > 0) {
		o.Group = string(rune('a' + min(s.r.IntN(q.groups), s.r.IntN(q.groups))))
	}
	switch {
	case q.fifo && s.r.IntN(2) == 0:
		o.DedupID = fmt.Sprint("id ", s.r.IntN(8))
	case !q.fifo && s.r.IntN(5) == 0:
		o.Delay = s.upTo(15 * time.Minute)
	}
	o.Attributes = map[string]dabchick.Attribute{checksum: dabchick.StringAttribute(sum(body, o.Group))}
	delay := o.Delay
	if delay == 0 {
		delay = q.Options().Delay
	}
	s.messages[body] = &ledgerEntry{group: o.Group, queue: q, sentAt: s.now(), hidden: s.now() + delay,
		expires: s.now() + s.retention(q)}
	return body, o
}

// sent notes what became of a send: I6.
func (s *service) sent(q *serviceQueue, body int, o dabchick.SendOptions, id dabchick.ID) {
	x := s.messages[body]
	key := o.DedupID
	if q.Options().DedupScope == dabchick.DedupGroup {
		key += " of " + o.Group
	}
	if a, ok := q.accepted[key]; ok && o.DedupID != "" && s.now() < a.at+dabchick.DefaultDedupWindow {
		require.Equal(s.t, a.id, id, "%q was sent twice in the window", o.DedupID)
		s.dismiss(body)
		return
	}
	if o.DedupID != "" {
		q.accepted[key] = acceptance{id, s.now()}
	}
	if x != nil {
		x.id = id
	}
}

// dismiss forgets a message that was not stored.
func (s *service) dismiss(body int) {
	delete(s.messages, body)
	s.gone.refused++
}

func (s *service) sendBatch(q *serviceQueue, n int) {
	var batch []dabchick.Outgoing[int]
	for range n {
		body, o := s.write(q)
		batch = append(batch, dabchick.Outgoing[int]{Body: body, SendOptions: o})
	}
	ids, err := q.SendBatch(context.Background(), batch)
	s.say("%s: send %d from %d: %v", q.Name(), n, batch[0].Body, err)
	require.NoError(s.t, err)
	for i, o := range batch {
		s.sent(q, o.Body, o.SendOptions, ids[i])
	}
}

// A waitingSend is a send that may wait for room.
type waitingSend struct {
	s      *service
	q      *serviceQueue
	body   int
	o      dabchick.SendOptions
	cancel func()
	done   atomic.Bool
	id     dabchick.ID
	err    error
}

func (s *service) sendWaiting(q *serviceQueue) {
	ctx, cancel := context.WithCancel(context.Background())
	body, o := s.write(q)
	w := &waitingSend{s: s, q: q, body: body, o: o, cancel: cancel}
	s.messages[body].waiting = true
	s.senders = append(s.senders, w)
	go func() {
		w.id, w.err = q.SendWith(ctx, body, o)
		w.done.Store(true)
		s.wake()
	}()
	s.in(s.upTo(time.Hour), cancel)
}

// wake says that a call has returned.
func (s *service) wake() {
	select {
	case s.rest <- struct{}{}:
	default:
	}
}

func (w *waitingSend) collect() bool {
	if !w.done.Load() {
		return false
	}
	w.s.say("%s: send %d: %v", w.q.Name(), w.body, w.err)
	w.cancel()
	if w.err != nil {
		require.ErrorIs(w.s.t, w.err, context.Canceled)
		w.s.dismiss(w.body)
		return true
	}
	if x := w.s.messages[w.body]; x != nil {
		x.waiting, x.sentAt, x.expires = false, w.s.now(), w.s.now()+w.s.retention(w.q)
	}
	w.s.sent(w.q, w.body, w.o, w.id)
	return true
}

// A consumer receives, and does with each message what its fate is.
type consumer struct {
	*service
	q      *serviceQueue
	index  int
	held   []dabchick.Message[int]
	cancel func() // while it waits
	done   atomic.Bool
	got    []dabchick.Message[int]
	err    error
}

// receive waits for messages for a while, or looks whether there are any.
func (c *consumer) receive() {
	o := dabchick.ReceiveOptions{Max: 1 + c.r.IntN(4), Wait: dabchick.Immediately}
	switch c.r.IntN(4) {
	case 0:
		o.Wait = c.upTo(20 * time.Second)
	case 1:
		o.Wait = c.upTo(time.Hour)
	}
	if c.r.IntN(4) == 0 {
		o.Visibility = c.upTo(5 * time.Minute)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if o.Wait == dabchick.Immediately {
		c.got, c.err = c.q.ReceiveBatch(ctx, o)
		c.cancel = cancel
		c.done.Store(true)
		c.collect()
		return
	}
	c.cancel = cancel
	if c.r.IntN(10) == 0 {
		c.in(c.upTo(o.Wait), cancel)
	}
	go func() {
		c.got, c.err = c.q.ReceiveBatch(ctx, o)
		c.done.Store(true)
		c.wake()
	}()
}

// collect takes what a receive has brought.
func (c *consumer) collect() {
	if !c.done.Load() {
		return
	}
	c.cancel()
	c.done.Store(false)
	c.cancel = nil
	if len(c.got) > 0 || c.err != nil {
		c.say("%s: consumer %d has %v, %v", c.q.Name(), c.index, bodies(c.got), c.err)
	}
	if c.err != nil {
		require.ErrorIs(c.t, c.err, context.Canceled)
	}
	got := c.got
	c.got = nil
	c.held = slices.DeleteFunc(c.held, func(h dabchick.Message[int]) bool {
		x := c.messages[h.Body]
		return x == nil || x.receipt != h.Receipt || x.hidden <= c.now()
	})
	for _, m := range got {
		c.delivered(c.q, m, got)
		c.held = append(c.held, m)
	}
	next := c.upTo(15 * time.Minute)
	for _, m := range got {
		if !c.work(m) { // it crashes, with all that it has
			c.say("%s: consumer %d crashes", c.q.Name(), c.index)
			c.held = nil
			next = c.upTo(2 * time.Hour)
			break
		}
	}
	if c.now() < c.until {
		c.in(next, c.receive)
	}
}

// work decides what becomes of a delivery, and says whether its consumer lives on.
func (c *consumer) work(m dabchick.Message[int]) bool {
	left := m.VisibleAt().Sub(c.began) - c.now()
	fate := c.r.IntN(100)
	if m.Body%17 == 0 {
		fate = 99 // nobody gets done with it
	}
	switch {
	case fate < 60:
		c.in(c.upTo(left), func() { c.settle(m, "delete") })
	case fate < 70:
		c.extend(m, 1+c.r.IntN(4))
	case fate < 76: // it stalls, and believes to be done
		c.in(left+c.upTo(2*left), func() { c.settle(m, "delete") })
	case fate < 80: // just in time, or just not
		c.in(max(0, left+time.Duration(c.r.IntN(3)-1)), func() { c.settle(m, "delete") })
	case fate < 86:
		c.in(c.upTo(left), func() { c.settle(m, "release") })
	case fate < 90:
		c.in(c.upTo(left), func() { c.settle(m, "return") })
	case fate < 93 && c.q.Options().DeadLetter != nil:
		c.in(c.upTo(left), func() { c.settle(m, "bury") })
	case fate < 96:
		return false
	}
	return true
}

// extend keeps a message for longer, then deletes it.
func (c *consumer) extend(m dabchick.Message[int], times int) {
	c.in(c.upTo(20*time.Second), func() {
		if times == 0 {
			c.settle(m, "delete")
			return
		}
		d := 10*time.Second + c.upTo(time.Minute)
		err := m.Extend(context.Background(), d)
		c.say("%s: extend %d by %v: %v", c.q.Name(), m.Body, d, err)
		c.settled(c.q, m, "extend", err)
		if err == nil {
			c.messages[m.Body].hidden = c.now() + d
			c.extend(m, times-1)
		}
	})
}

func (c *consumer) settle(m dabchick.Message[int], verb string) {
	ctx := context.Background()
	var err error
	switch verb {
	case "delete":
		err = m.Delete(ctx)
	case "release":
		err = m.Release(ctx)
	case "return":
		err = m.Return(ctx)
	case "bury":
		err = m.DeadLetter(ctx, "by hand")
		if errors.Is(err, dabchick.ErrNoDeadLetterQueue) {
			return
		}
	}
	c.say("%s: %s %d: %v", c.q.Name(), verb, m.Body, err)
	c.settled(c.q, m, verb, err)
	c.held = slices.DeleteFunc(c.held, func(h dabchick.Message[int]) bool { return h.Receipt == m.Receipt })
}

// operate does now and then what operators do.
func (s *service) operate(q *serviceQueue) {
	s.in(s.upTo(12*time.Hour), func() { s.operate(q) })
	switch p := s.r.IntN(20); {
	case p < 4:
		s.say("%s: pause", q.Name())
		q.Pause()
		s.in(s.upTo(2*time.Hour), func() {
			s.say("%s: resume", q.Name())
			q.Resume()
		})
	case p < 5:
		s.purge(q)
	case p < 9 && (q.index == 0 || q.index == 2):
		s.redrive(q)
	default:
		s.audit() // by the old options
		o := q.Options()
		o.VisibilityTimeout = s.upTo(10 * time.Minute)
		if o.DeadLetter != nil {
			o.MaxReceives = 1 + s.r.IntN(5)
		}
		if s.r.IntN(4) == 0 {
			o.Retention = time.Hour + s.upTo(10*24*time.Hour)
		}
		s.say("%s: timeout %v, receives %d, retention %v", q.Name(), o.VisibilityTimeout, o.MaxReceives, o.Retention)
		require.NoError(s.t, q.SetOptions(o))
		for _, x := range s.messages {
			if x.queue == q || x.queue.Options().DeadLetter == q.Queue {
				x.expires = min(x.expires, x.sentAt+o.Retention)
			}
		}
	}
}

// purge removes what is there, and only that.
func (s *service) purge(q *serviceQueue) {
	s.audit()
	there, err := q.Peek(context.Background(), 1<<20)
	require.NoError(s.t, err)
	n, err := q.Purge(context.Background())
	require.NoError(s.t, err)
	s.say("%s: purge: %d", q.Name(), n)
	require.Len(s.t, there, n)
	for _, m := range there {
		delete(s.messages, m.Body)
		s.gone.purged++
	}
	clear(q.accepted)
}

// redrive takes dead letters back. Each is moved once, and counts as new.
func (s *service) redrive(q *serviceQueue) {
	s.audit()
	n, err := q.Redrive(context.Background(), dabchick.RedriveOptions[int]{Max: s.r.IntN(20)})
	s.say("%s: redrive: %d, %v", q.Name(), n, err)
	if !errors.Is(err, dabchick.ErrNoOrigin) {
		require.NoError(s.t, err)
	}
	moved := 0
	for _, to := range s.queues {
		there, err := to.Peek(context.Background(), 1<<20)
		require.NoError(s.t, err)
		for _, m := range there {
			x := s.messages[m.Body]
			if x == nil || x.id == m.ID {
				continue
			}
			moved++
			require.Same(s.t, q, x.queue, "message %d has a new id", m.Body)
			require.LessOrEqual(s.t, m.Receives, 1, "somebody may have waited for it")
			x.id, x.queue, x.receives, x.returned, x.sentAt, x.hidden = m.ID, to, 0, 0, s.now(), s.now()
			x.expires = s.now() + s.retention(to)
		}
	}
	require.Equal(s.t, n, moved, "redriven messages")
}
