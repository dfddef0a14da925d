package dabchick

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/driver"
	"github.com/dabchickmq/dabchick/driver/drivertest"
)

// engineDriver is a queue in the clothes of a driver.
type engineDriver struct{ q *Queue[[]byte] }

func newEngineDriver(tb testing.TB) driver.Queue {
	q, err := New("engine", Options[[]byte]{})
	require.NoError(tb, err)
	return engineDriver{q}
}

func newFIFODriver(tb testing.TB) driver.Queue {
	q, err := New("engine", Options[[]byte]{FIFO: true})
	require.NoError(tb, err)
	return engineDriver{q}
}

func (d engineDriver) Features() map[driver.Feature]string { return nil }

func (d engineDriver) Send(ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sent := make([]driver.Sent, len(batch))
	for i, o := range batch {
		body := bytes.Clone(o.Body)
		if o.Origin != nil {
			more := details[[]byte]{id: o.Origin.ID, origin: o.Origin, earlier: int64(o.Origin.Receives),
				attributes: o.Attributes, trace: o.Trace}
			p := parcel[[]byte]{body: body, more: &more, group: o.Group, sentAt: o.Origin.SentAt}
			sent[i] = driver.Sent{ID: o.Origin.ID, Err: d.q.arrive(&p)}
			continue
		}
		id, err := d.q.SendWith(ctx, body, SendOptions{
			Delay: d.delay(o.Delay), Group: o.Group, DedupID: o.DedupID, Attributes: o.Attributes, TraceHeader: o.Trace,
		})
		sent[i] = driver.Sent{ID: id, Err: err}
	}
	return sent, nil
}

func (d engineDriver) Receive(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	got, err := d.q.ReceiveBatch(ctx, ReceiveOptions{
		Max: r.Max, Wait: orImmediately(r.Wait), Visibility: orImmediately(r.Visibility), AttemptID: r.Attempt,
	})
	var ms []driver.Message
	for _, m := range got {
		o := driver.Message{
			ID: m.ID, Handle: m.Receipt.String(), Body: m.Body, Receives: m.Receives,
			SentAt: m.SentAt(), FirstReceivedAt: m.FirstReceivedAt(), VisibleAt: m.VisibleAt(),
			Group: m.Group(), Attributes: m.Attributes(), Trace: m.TraceHeader(),
			DedupID: m.DedupID(), Sequence: m.SequenceNumber(),
		}
		if origin, ok := m.Origin(); ok {
			o.Origin = &origin
			o.Receives -= origin.Receives // a backend counts its own
		}
		ms = append(ms, o)
	}
	return ms, err
}

func (d engineDriver) Delete(ctx context.Context, handles []string) ([]error, error) {
	errs := make([]error, len(handles))
	for i, h := range handles {
		r, err := d.q.ParseReceipt(h)
		if err == nil {
			err = d.q.Delete(ctx, r)
		}
		errs[i] = err
	}
	return errs, nil
}

func (d engineDriver) ChangeVisibility(ctx context.Context, changes []driver.Change) ([]error, error) {
	errs := make([]error, len(changes))
	for i, c := range changes {
		r, err := d.q.ParseReceipt(c.Handle)
		if err == nil {
			err = d.q.ChangeVisibility(ctx, c.Timeout, r)
		}
		errs[i] = err
	}
	return errs, nil
}

func (d engineDriver) Purge(ctx context.Context) error {
	_, err := d.q.Purge(ctx)
	return err
}

func (d engineDriver) Stats(ctx context.Context) (driver.Stats, error) {
	s, err := d.q.Stats(ctx)
	return driver.Stats{Visible: s.Visible, InFlight: s.InFlight, Delayed: s.Delayed}, err
}

func (d engineDriver) Close() error { return d.q.Close() }

// delay leaves no delay to a FIFO queue.
func (d engineDriver) delay(delay time.Duration) time.Duration {
	if delay == 0 && d.q.core.fifo {
		return 0
	}
	return orImmediately(delay)
}

func orImmediately(d time.Duration) time.Duration {
	if d == 0 {
		return Immediately
	}
	return d
}

// The built-in engine claims every feature, and passes the suite whole.
func TestEngineConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{Open: newEngineDriver, OpenFIFO: newFIFODriver})
}

// So does a queue on a driver on the engine: the seam takes nothing away.
func TestShellConformance(t *testing.T) {
	over := func(open func(testing.TB) driver.Queue) func(testing.TB) driver.Queue {
		return func(tb testing.TB) driver.Queue {
			q, err := New("shell", Options[[]byte]{Driver: open(tb)})
			require.NoError(tb, err)
			return engineDriver{q}
		}
	}
	drivertest.Run(t, drivertest.Harness{Open: over(newEngineDriver), OpenFIFO: over(newFIFODriver)})
}

// What makes a FIFO queue passes through the seam: group, deduplication id,
// attempt id and sequence number.
func TestFIFOThroughTheSeam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		engine, err := New("engine", Options[[]byte]{FIFO: true})
		require.NoError(t, err)
		q, err := New("shell", Options[string]{Driver: engineDriver{engine}, DedupKey: ContentKey[string]})
		require.NoError(t, err)
		var ids []ID
		for _, body := range []string{"one", "two", "one"} {
			id, err := q.SendWith(ctx, body, SendOptions{Group: "g"})
			require.NoError(t, err)
			ids = append(ids, id)
		}
		require.Equal(t, ids[0], ids[2])
		o := ReceiveOptions{Max: 1, AttemptID: "try"}
		first, err := q.ReceiveBatch(ctx, o)
		require.NoError(t, err)
		require.Len(t, first, 1)
		again, err := q.ReceiveBatch(ctx, o)
		require.NoError(t, err)
		require.Equal(t, first[0].Receipt, again[0].Receipt)
		m := first[0]
		require.Equal(t, []string{"one", "g", ContentKey("one")}, []string{m.Body, m.Group(), m.DedupID()})
		require.Len(t, m.SequenceNumber(), 20)
		_, ok := q.TryReceive()
		require.False(t, ok, "the group is locked")
		require.NoError(t, m.Delete(ctx))
		m, ok = q.TryReceive()
		require.True(t, ok)
		require.Equal(t, "two", m.Body)
		require.NoError(t, q.Close())

		for field, o := range map[string]Options[string]{
			"FIFO":     {FIFO: true},
			"Fairness": {Fairness: Fairness{MinInFlight: 1}},
		} {
			o.Driver = engineDriver{engine}
			_, err := New("shell", o)
			var invalid *InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, field, invalid.Field)
		}
		_, err = q.Group(ctx, "g")
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = q.Groups(ctx)
		require.ErrorIs(t, err, errors.ErrUnsupported)
	})
}

// What comes from a backend without a group cannot go into a FIFO queue. It stays
// where it is.
func TestMoveWithoutAGroupIntoFIFOIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		fifo, err := New("fifo", Options[string]{FIFO: true})
		require.NoError(t, err)
		q, err := New("shell", Options[string]{Driver: newEngineDriver(t), DeadLetter: fifo, MaxReceives: 1})
		require.NoError(t, err)
		_, err = q.Send(ctx, "x")
		require.NoError(t, err)
		var invalid *InvalidError
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.ErrorAs(t, m.DeadLetter(ctx, ""), &invalid)
		require.Equal(t, "Group", invalid.Field)
		require.NoError(t, m.Release(ctx))
		_, err = q.Redrive(ctx, RedriveOptions[string]{To: fifo})
		require.ErrorAs(t, err, &invalid)
		m, ok = q.TryReceive()
		require.True(t, ok, "it goes on being delivered")
		require.NoError(t, m.Delete(ctx))
		require.NoError(t, fifo.Check())
		require.NoError(t, q.Close())
	})
}

// A broken driver is a good one with some methods replaced.
type broken struct {
	driver.Queue
	send    func(q driver.Queue, ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error)
	receive func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error)
	delete  func(q driver.Queue, ctx context.Context, handles []string) ([]error, error)
	change  func(q driver.Queue, ctx context.Context, c []driver.Change) ([]error, error)
	purge   func(q driver.Queue, ctx context.Context) error
	stats   func(q driver.Queue, ctx context.Context) (driver.Stats, error)
	close   func(q driver.Queue) error
}

func (b broken) Send(ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
	if b.send != nil {
		return b.send(b.Queue, ctx, batch)
	}
	return b.Queue.Send(ctx, batch)
}

func (b broken) Receive(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	if b.receive != nil {
		return b.receive(b.Queue, ctx, r)
	}
	return b.Queue.Receive(ctx, r)
}

func (b broken) Delete(ctx context.Context, handles []string) ([]error, error) {
	if b.delete != nil {
		return b.delete(b.Queue, ctx, handles)
	}
	return b.Queue.Delete(ctx, handles)
}

func (b broken) ChangeVisibility(ctx context.Context, c []driver.Change) ([]error, error) {
	if b.change != nil {
		return b.change(b.Queue, ctx, c)
	}
	return b.Queue.ChangeVisibility(ctx, c)
}

func (b broken) Purge(ctx context.Context) error {
	if b.purge != nil {
		return b.purge(b.Queue, ctx)
	}
	return b.Queue.Purge(ctx)
}

func (b broken) Stats(ctx context.Context) (driver.Stats, error) {
	if b.stats != nil {
		return b.stats(b.Queue, ctx)
	}
	return b.Queue.Stats(ctx)
}

func (b broken) Close() error {
	if b.close != nil {
		return b.close(b.Queue)
	}
	return b.Queue.Close()
}

// The suite can fail: each of these faults is caught, by the case that is
// there for it.
func TestSuiteCatchesBrokenDrivers(t *testing.T) {
	eachMessage := func(change func(m *driver.Message)) broken {
		return broken{receive: func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
			ms, err := q.Receive(ctx, r)
			for i := range ms {
				change(&ms[i])
			}
			return ms, err
		}}
	}
	eachReceive := func(change func(r *driver.Receive)) broken {
		return broken{receive: func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
			change(&r)
			return q.Receive(ctx, r)
		}}
	}
	eachSend := func(change func(o *driver.Outgoing)) broken {
		return broken{send: func(q driver.Queue, ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
			var changed []driver.Outgoing
			for _, o := range batch {
				change(&o)
				changed = append(changed, o)
			}
			return q.Send(ctx, changed)
		}}
	}
	forgive := func(errs []error, err error) ([]error, error) { return make([]error, len(errs)), err }

	for fault, c := range map[string]struct {
		caught string // by this case
		driver broken
	}{
		"a nanosecond early": {"it comes up at the deadline", eachReceive(func(r *driver.Receive) { r.Visibility = max(r.Visibility-1, 0) })},
		"a nanosecond late":  {"it comes up at the deadline", eachReceive(func(r *driver.Receive) { r.Visibility++ })},
		"never comes up":     {"it comes up", eachReceive(func(r *driver.Receive) { r.Visibility = Forever })},
		"hides nothing":      {"a received message is hidden", eachReceive(func(r *driver.Receive) { r.Visibility = 0 })},
		"never waits":        {"a send wakes", eachReceive(func(r *driver.Receive) { r.Wait = 0 })},
		"waits for ever":     {"a wait ends empty", eachReceive(func(r *driver.Receive) { r.Wait *= 100 })},
		"one too many":       {"no more than asked for", eachReceive(func(r *driver.Receive) { r.Max++ })},
		"waits its whole time": {"a send wakes", broken{receive: func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
			pause(ctx, r.Wait)
			r.Wait = 0
			return q.Receive(ctx, r)
		}}},
		"a cancelled receive hides": {"a receive cancelled at the moment of hand-over", broken{receive: func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			got := make(chan []driver.Message, 1)
			inner, stop := context.WithTimeout(context.Background(), 200*time.Second)
			go func() {
				defer stop()
				ms, _ := q.Receive(inner, r)
				got <- ms
			}()
			select {
			case ms := <-got:
				return ms, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}},
		"an ended context receives": {"an ended context does nothing", broken{receive: func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
			if ctx.Err() != nil {
				ctx = context.Background()
			}
			return q.Receive(ctx, r)
		}}},
		"counts twice":        {"receive count and first receive", eachMessage(func(m *driver.Message) { m.Receives *= 2 })},
		"first receive moves": {"receive count and first receive", eachMessage(func(m *driver.Message) { m.FirstReceivedAt = time.Now() })},
		"forgets metadata":    {"metadata", eachMessage(func(m *driver.Message) { m.Attributes = nil })},
		"forgets the group":   {"metadata", eachMessage(func(m *driver.Message) { m.Group = "" })},
		"forgets the origin":  {"origin", eachMessage(func(m *driver.Message) { m.Origin = nil })},
		"cuts bodies":         {"bodies come back as they were sent", eachMessage(func(m *driver.Message) { m.Body = m.Body[:min(len(m.Body), 1000)] })},
		"new ids":             {"ids name messages", eachMessage(func(m *driver.Message) { m.ID[0]++ })},
		"ignores delays":      {"delay", eachSend(func(o *driver.Outgoing) { o.Delay = 0 })},
		"doubles delays":      {"delay", eachSend(func(o *driver.Outgoing) { o.Delay *= 2 })},
		"keeps the bytes": {"what was sent is not kept", broken{send: func(q driver.Queue, ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
			id, err := q.(engineDriver).q.Send(ctx, batch[0].Body)
			return []driver.Sent{{ID: id, Err: err}}, nil
		}}},
		"reverses batches": {"arrival order", broken{send: func(q driver.Queue, ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
			sent := make([]driver.Sent, len(batch))
			for i := len(batch) - 1; i >= 0; i-- {
				one, err := q.Send(ctx, batch[i:i+1])
				if err != nil {
					return nil, err
				}
				sent[i] = one[0]
			}
			return sent, nil
		}}},
		"drops the last of a batch": {"every entry of a batch is stored", broken{send: func(q driver.Queue, ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
			sent, err := q.Send(ctx, batch[:max(1, len(batch)-1)])
			return append(sent, make([]driver.Sent, len(batch)-len(sent))...), err
		}}},
		"does not delete": {"delete", broken{delete: func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			return make([]error, len(handles)), nil
		}}},
		"answers a delete with nothing": {"many at once", broken{delete: func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			_, err := q.Delete(ctx, handles)
			return nil, err
		}}},
		"deletes once": {"delete twice", broken{delete: func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			errs, err := q.ChangeVisibility(ctx, []driver.Change{{Handle: handles[0]}})
			if err == nil && errs[0] == nil {
				return q.Delete(ctx, handles)
			}
			return errs, err
		}}},
		"hides a stale delete": {"a superseded handle does nothing", broken{delete: func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			return forgive(q.Delete(ctx, handles))
		}}},
		"a bad entry fails all": {"entries of a batch stand by themselves", broken{delete: func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			errs, err := q.Delete(ctx, handles)
			return errs, errors.Join(append(errs, err)...)
		}}},
		"adds to what was left": {"extend", broken{change: func(q driver.Queue, ctx context.Context, c []driver.Change) ([]error, error) {
			c[0].Timeout *= 2
			return q.ChangeVisibility(ctx, c)
		}}},
		"does not release": {"release", broken{change: func(q driver.Queue, ctx context.Context, c []driver.Change) ([]error, error) {
			c[0].Timeout = max(c[0].Timeout, 1)
			return q.ChangeVisibility(ctx, c)
		}}},
		"hides a late extension": {"an expired handle changes nothing", broken{change: func(q driver.Queue, ctx context.Context, c []driver.Change) ([]error, error) {
			return forgive(q.ChangeVisibility(ctx, c))
		}}},
		"does not purge": {"purge", broken{purge: func(driver.Queue, context.Context) error { return nil }}},
		"purges what is visible only": {"purge", broken{purge: func(q driver.Queue, ctx context.Context) error {
			_, err := q.Receive(ctx, driver.Receive{Max: 100, Visibility: 1000 * time.Hour})
			return err
		}}},
		"counts in flight as visible": {"stats", broken{stats: func(q driver.Queue, ctx context.Context) (driver.Stats, error) {
			s, err := q.Stats(ctx)
			return driver.Stats{Visible: s.Visible + s.InFlight, Delayed: s.Delayed}, err
		}}},
		"locks nothing":        {"a group is locked while one of it is in flight", eachSend(func(o *driver.Outgoing) { o.Group = string(o.Body) })},
		"locks everything":     {"a group is locked while one of it is in flight", eachSend(func(o *driver.Outgoing) { o.Group = "one" })},
		"has no deduplication": {"a duplicate is swallowed", eachSend(func(o *driver.Outgoing) { o.DedupID = "" })},
		"forgets the id":       {"a duplicate is swallowed", eachMessage(func(m *driver.Message) { m.DedupID = "" })},
		"has no numbers":       {"sequence numbers rise", eachMessage(func(m *driver.Message) { m.Sequence = "1" })},
		"repeats no attempt":   {"a receive is repeated by its attempt id", eachReceive(func(r *driver.Receive) { r.Attempt = "" })},
		"unlocks by a timeout": {"order over timeouts", eachSend(func(o *driver.Outgoing) { o.Group = string(o.Body) })},
		"deletes what is stale": {"a handle is good for its timeout", broken{delete: func(q driver.Queue, ctx context.Context, handles []string) ([]error, error) {
			return forgive(q.Delete(ctx, handles))
		}}},
		"does not close": {"close", broken{close: func(q driver.Queue) error { return nil }}},
	} {
		t.Run(fault, func(t *testing.T) {
			over := func(open func(testing.TB) driver.Queue) func(testing.TB) driver.Queue {
				return func(tb testing.TB) driver.Queue {
					b := c.driver
					b.Queue = open(tb)
					return b
				}
			}
			failures := drivertest.Try(t, drivertest.Harness{Open: over(newEngineDriver), OpenFIFO: over(newFIFODriver)})
			var names []string
			for _, f := range failures {
				require.NotEmpty(t, f.Rule)
				names = append(names, f.Case)
			}
			require.Contains(t, names, c.caught)
		})
	}
	require.Empty(t, drivertest.Try(t, drivertest.Harness{Open: newEngineDriver, OpenFIFO: newFIFODriver}))
}

// An error of one entry may be in the entry's place, where it is the call's as well.
func TestSuiteTakesErrorsInTheEntrysPlace(t *testing.T) {
	require.Empty(t, drivertest.Try(t, drivertest.Harness{Open: func(tb testing.TB) driver.Queue {
		return broken{Queue: newEngineDriver(tb), send: func(q driver.Queue, ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
			sent, err := q.Send(ctx, batch)
			if err != nil && len(batch) == 1 {
				return []driver.Sent{{Err: err}}, nil
			}
			return sent, err
		}}
	}}))
}
