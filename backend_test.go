package dabchick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/driver"
)

type backendJob struct {
	Name string
	N    int
}

// onEngine returns a queue on a driver on the engine, and the engine.
func onEngine[T any](t *testing.T, o Options[T]) (*Queue[T], *Queue[[]byte]) {
	t.Helper()
	d := newEngineDriver(t).(engineDriver)
	o.Driver = d
	q, err := New("front", o)
	require.NoError(t, err)
	return q, d.q
}

func bubble(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, t.Context()) })
}

func TestBackendCodecs(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		asJSON, behind := onEngine(t, Options[backendJob]{})
		_, err := asJSON.Send(ctx, backendJob{"a", 1})
		require.NoError(t, err)
		raw, ok := behind.TryReceive()
		require.True(t, ok)
		require.JSONEq(t, `{"Name":"a","N":1}`, string(raw.Body))
		require.NoError(t, raw.Release(ctx))
		m, ok := asJSON.TryReceive()
		require.True(t, ok)
		require.Equal(t, backendJob{"a", 1}, m.Body)
		require.NoError(t, m.Delete(ctx))

		text, behind := onEngine(t, Options[string]{})
		_, err = text.Send(ctx, "plain")
		require.NoError(t, err)
		raw, _ = behind.TryReceive()
		require.Equal(t, "plain", string(raw.Body), "a string is its bytes")

		own, behind := onEngine(t, Options[string]{Codec: reversed{}})
		_, err = own.Send(ctx, "abc")
		require.NoError(t, err)
		raw, _ = behind.TryReceive()
		require.Equal(t, "cba", string(raw.Body))
	})
}

type reversed struct{}

func (reversed) Encode(s string) ([]byte, error) {
	if s == "bad" {
		return nil, errors.New("not that")
	}
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b, nil
}

func (r reversed) Decode(b []byte) (string, error) {
	b, err := r.Encode(string(b))
	return string(b), err
}

func TestBackendCodecErrors(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, behind := onEngine(t, Options[string]{Codec: reversed{}, VisibilityTimeout: time.Second})
		_, err := q.Send(ctx, "bad")
		require.ErrorContains(t, err, `dabchick: send "front": encode body: not that`)
		ids, err := q.SendBatch(ctx, []Outgoing[string]{{Body: "a"}, {Body: "bad"}, {Body: "b"}})
		var failed *BatchError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, 1, failed.Failed[0].Index)
		require.NotZero(t, ids[0])
		require.Zero(t, ids[1])
		require.NotZero(t, ids[2], "the others are sent")
		used := []ID{ids[0], ids[0]}
		require.ErrorAs(t, q.SendInto(ctx, used, []Outgoing[string]{{Body: "bad"}, {Body: "c"}}), &failed)
		require.Zero(t, used[0])
		require.NotContains(t, []ID{{}, ids[0]}, used[1])
		require.NoError(t, q.SendInto(ctx, nil, []Outgoing[string]{{Body: "d"}}))
		s, err := behind.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, 4, s.Visible)
		_, err = q.Purge(ctx)
		require.NoError(t, err)

		numbers, behind := onEngine(t, Options[int]{VisibilityTimeout: time.Second})
		id, err := behind.Send(ctx, []byte("seven"))
		require.NoError(t, err)
		_, err = numbers.Receive(ctx)
		require.ErrorContains(t, err, id.String(), "the error names the message")
		var syntax *json.SyntaxError
		require.ErrorAs(t, err, &syntax)
		time.Sleep(time.Second)
		s, err = numbers.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, s.Visible, "it comes up again")
		_, err = behind.Send(ctx, []byte("8"))
		require.NoError(t, err)
		ms, err := numbers.ReceiveBatch(ctx, ReceiveOptions{Max: 5})
		require.NoError(t, err, "there is something else")
		require.Len(t, ms, 1)
		require.Equal(t, 8, ms[0].Body)
		require.NoError(t, ms[0].Release(ctx))
		into := make([]Message[int], 1)
		_, err = numbers.ReceiveInto(ctx, into, ReceiveOptions{})
		require.ErrorContains(t, err, id.String(), "and what came beside it is told next")
		n, err := numbers.ReceiveInto(ctx, into, ReceiveOptions{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, 8, into[0].Body, "what a backend gave is in the slice, too")
	})
}

// Sizes are the business of a backend.
func TestBackendAsksForNoSize(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		asked := 0
		q, _ := onEngine(t, Options[string]{Size: func(string) int { asked++; return 1 }})
		_, err := q.Send(ctx, "a")
		require.NoError(t, err)
		_, err = q.SendBatch(ctx, []Outgoing[string]{{Body: "b"}, {Body: "c"}})
		require.NoError(t, err)
		require.Zero(t, asked)
	})
}

type panicking struct{ stringCodec }

func (c panicking) Decode(b []byte) (string, error) {
	if string(b) == "bad" {
		panic(string(b))
	}
	return c.stringCodec.Decode(b)
}

// A panic is one of the receive. Nothing is lost by it, but a visibility timeout, which
// keeps a caller that goes on from receiving the same again at once.
func TestBackendCodecPanics(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, behind := onEngine(t, Options[string]{Codec: panicking{}, VisibilityTimeout: time.Second})
		for _, body := range []string{"a", "bad", "b"} {
			_, err := q.Send(ctx, body)
			require.NoError(t, err)
		}
		visible := func() int {
			s, err := behind.Stats(ctx)
			require.NoError(t, err)
			return s.Visible
		}
		require.PanicsWithValue(t, "bad", func() { q.ReceiveBatch(ctx, ReceiveOptions{Max: 3}) })
		require.Zero(t, visible())
		time.Sleep(time.Second)
		require.Equal(t, 3, visible())
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.Equal(t, "a", m.Body)
	})
}

func TestBackendDeadLetters(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		for name, dead := range map[string]*Queue[string]{
			"to the engine": mustQueue(t, Options[string]{}),
			"to a backend":  first(onEngine(t, Options[string]{})),
		} {
			q, _ := onEngine(t, Options[string]{DeadLetter: dead, MaxReceives: 2, VisibilityTimeout: time.Second})
			sent := time.Now()
			id, err := q.SendWith(ctx, "poison", SendOptions{Group: "g", TraceHeader: "t",
				Attributes: map[string]Attribute{"k": StringAttribute("v")}})
			require.NoError(t, err)
			for n := 1; n <= 2; n++ {
				m, ok := q.TryReceive()
				require.True(t, ok, name)
				require.Equal(t, n, m.Receives)
				time.Sleep(time.Second)
			}
			_, ok := q.TryReceive()
			require.False(t, ok)
			s, err := q.Stats(ctx)
			require.NoError(t, err)
			require.Zero(t, s.Visible+s.InFlight)
			require.EqualValues(t, 1, s.DeadLettered)

			m, ok := dead.TryReceive()
			require.True(t, ok, name)
			require.Equal(t, id, m.ID)
			require.Equal(t, 3, m.Receives, "the count goes on")
			require.True(t, m.SentAt().Equal(sent), name)
			require.Equal(t, "g", m.Group())
			require.Equal(t, "t", m.TraceHeader())
			require.Len(t, m.Attributes(), 1)
			origin, ok := m.Origin()
			require.True(t, ok)
			require.Equal(t, `received 2 times, the limit of queue "front"`, origin.Reason)
			require.Equal(t, 2, origin.Receives)

			_, err = q.Send(ctx, "given up")
			require.NoError(t, err)
			held, ok := q.TryReceive()
			require.True(t, ok)
			require.NoError(t, held.DeadLetter(ctx, "by hand"))
			m, ok = dead.TryReceive()
			require.True(t, ok)
			origin, _ = m.Origin()
			require.Equal(t, "by hand", origin.Reason)
			require.ErrorIs(t, m.DeadLetter(ctx, ""), ErrNoDeadLetterQueue)
		}
	})
}

func first[A, B any](a A, _ B) A { return a }

func mustQueue[T any](t *testing.T, o Options[T]) *Queue[T] {
	t.Helper()
	q, err := New("memory", o)
	require.NoError(t, err)
	return q
}

func TestBackendDeadLetterQueueClosed(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead := mustQueue(t, Options[string]{})
		q, _ := onEngine(t, Options[string]{DeadLetter: dead, MaxReceives: 1})
		require.NoError(t, dead.Close())
		_, err := q.Send(ctx, "x")
		require.NoError(t, err)
		for n := 1; n <= 3; n++ {
			m, ok := q.TryReceive()
			require.True(t, ok, "it goes on being delivered")
			require.ErrorIs(t, m.DeadLetter(ctx, ""), ErrClosed)
			require.NoError(t, m.Release(ctx))
		}
	})
}

func TestBackendRedrive(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead, _ := onEngine(t, Options[string]{})
		to := mustQueue(t, Options[string]{MaxMessages: 2, FailFast: true})
		for _, s := range []string{"a", "b", "c"} {
			_, err := dead.Send(ctx, s)
			require.NoError(t, err)
		}
		_, err := dead.Redrive(ctx, RedriveOptions[string]{})
		require.ErrorIs(t, err, ErrNoOrigin)
		n, err := dead.Redrive(ctx, RedriveOptions[string]{To: to})
		require.ErrorIs(t, err, ErrFull)
		require.Equal(t, 2, n)
		s, err := dead.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, s.Visible, "given back at once")
		require.EqualValues(t, 2, s.Redriven)

		n, err = to.Redrive(ctx, RedriveOptions[string]{To: dead})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		s, err = dead.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, 3, s.Visible, "back on the backend")
		s, err = to.Stats(ctx)
		require.NoError(t, err)
		require.Zero(t, s.Visible)
	})
}

func TestBackendRedriveToTheSource(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead, _ := onEngine(t, Options[string]{})
		q := mustQueue(t, Options[string]{DeadLetter: dead, MaxReceives: 1})
		_, err := q.Send(ctx, "a")
		require.NoError(t, err)
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.NoError(t, m.DeadLetter(ctx, "bug"))
		_, err = dead.Send(ctx, "from nowhere")
		require.NoError(t, err)

		n, err := dead.Redrive(ctx, RedriveOptions[string]{Source: func(o Origin) *Queue[string] {
			require.Equal(t, q.Name(), o.Queue)
			return q
		}})
		require.ErrorIs(t, err, ErrNoOrigin)
		require.Equal(t, 1, n)
		m, ok = q.TryReceive()
		require.True(t, ok)
		require.Equal(t, "a", m.Body)
		s, err := dead.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, s.Visible, "given back at once")
	})
}

func TestBackendPause(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, _ := onEngine(t, Options[string]{})
		q.Pause()
		_, err := q.Send(ctx, "x")
		require.NoError(t, err)
		_, ok := q.TryReceive()
		require.False(t, ok)
		began := time.Now()
		ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Wait: time.Second})
		require.NoError(t, err)
		require.Empty(t, ms)
		require.Equal(t, time.Second, time.Since(began))
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 2, s.EmptyReceives)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = q.Receive(short)
		require.Equal(t, context.DeadlineExceeded, err)

		got := make(chan error)
		go func() {
			_, err := q.Receive(ctx)
			got <- err
		}()
		synctest.Wait()
		q.Resume()
		require.NoError(t, <-got)
		q.Pause()
		go func() {
			_, err := q.Receive(ctx)
			got <- err
		}()
		synctest.Wait()
		require.NoError(t, q.Close())
		require.ErrorIs(t, <-got, ErrClosed)
		require.NoError(t, q.Close())
	})
}

func TestBackendPauseAgain(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, _ := onEngine(t, Options[string]{})
		q.Pause()
		got := make(chan string, 1)
		go func() {
			m, _ := q.Receive(ctx)
			got <- m.Body
		}()
		synctest.Wait()
		q.Pause()
		_, err := q.Send(ctx, "a")
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, got, "it is paused still")
		q.Resume()
		require.Equal(t, "a", <-got)
	})
}

// A dead letter has no number of the backend that it comes from.
func TestBackendSequenceNumberOfADeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		for _, fifo := range []bool{false, true} {
			dead, err := New("dead", Options[string]{FIFO: fifo})
			require.NoError(t, err)
			q, err := New("front", Options[string]{Driver: newFIFODriver(t), DeadLetter: dead, MaxReceives: 1})
			require.NoError(t, err)
			_, err = q.SendWith(ctx, "a", SendOptions{Group: "g"})
			require.NoError(t, err)
			m, ok := q.TryReceive()
			require.True(t, ok)
			require.Equal(t, "00000000000000000002", m.SequenceNumber())
			require.NoError(t, m.DeadLetter(ctx, "why"))
			m, ok = dead.TryReceive()
			require.True(t, ok)
			want := ""
			if fifo {
				want = fmt.Sprintf("%020d", m.more.number)
			}
			require.Equal(t, want, m.SequenceNumber())
		}
	})
}

func TestBackendRefusesWhatItCannotKeep(t *testing.T) {
	dead := mustQueue(t, Options[string]{})
	for field, o := range map[string]Options[string]{
		"Retention": {Retention: time.Hour}, "MaxMessages": {MaxMessages: 1},
		"MaxBytes": {MaxBytes: 1}, "MaxInFlight": {MaxInFlight: 1},
	} {
		o.Driver = engineDriver{}
		_, err := New("x", o)
		var invalid *InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	var invalid *InvalidError
	require.ErrorAs(t, dead.SetOptions(Options[string]{Driver: engineDriver{}}), &invalid)
	q, _ := onEngine(t, Options[string]{})
	require.ErrorAs(t, q.SetOptions(Options[string]{}), &invalid)
	o := q.Options()
	o.VisibilityTimeout = time.Minute
	require.NoError(t, q.SetOptions(o))
	_, err := q.Peek(context.Background(), 1)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// faulty is a driver whose calls fail, or answer too little.
type faulty struct {
	engineDriver
	err error
}

func (f faulty) Send(context.Context, []driver.Outgoing) ([]driver.Sent, error) { return nil, f.err }
func (f faulty) Receive(context.Context, driver.Receive) ([]driver.Message, error) {
	return nil, f.err
}
func (f faulty) Delete(context.Context, []string) ([]error, error) { return nil, f.err }
func (f faulty) Stats(context.Context) (driver.Stats, error)       { return driver.Stats{}, f.err }

func TestBackendErrors(t *testing.T) {
	ctx := context.Background()
	down := errors.New("backend down")
	q, err := New("front", Options[string]{Driver: faulty{newEngineDriver(t).(engineDriver), down}})
	require.NoError(t, err)
	_, err = q.Send(ctx, "x")
	require.ErrorIs(t, err, down)
	require.EqualError(t, err, `dabchick: send "front": backend down`)
	_, err = q.SendBatch(ctx, []Outgoing[string]{{Body: "x"}, {Body: "y"}})
	var failed *BatchError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Failed, 2)
	_, err = q.Receive(ctx)
	require.EqualError(t, err, `dabchick: receive "front": backend down`)
	_, ok := q.TryReceive()
	require.False(t, ok)
	_, err = q.Stats(ctx)
	require.ErrorIs(t, err, down)
	_, err = q.Purge(ctx)
	require.ErrorIs(t, err, down)
	_, err = q.Redrive(ctx, RedriveOptions[string]{})
	require.ErrorIs(t, err, down)
	r, err := q.ParseReceipt("some handle")
	require.NoError(t, err)
	require.Equal(t, "some handle", r.String())
	require.ErrorIs(t, q.Delete(ctx, r), down)
	require.ErrorIs(t, q.Delete(ctx, r, r), down)
	_, err = q.ParseReceipt("")
	require.ErrorIs(t, err, ErrReceiptInvalid)

	// Answers of the wrong length are the driver's fault, and said so.
	short, err := New("front", Options[string]{Driver: faulty{newEngineDriver(t).(engineDriver), nil}})
	require.NoError(t, err)
	_, err = short.Send(ctx, "x")
	require.ErrorContains(t, err, "driver answered 0 results for 1 messages")
	r, err = short.ParseReceipt("h")
	require.NoError(t, err)
	require.ErrorContains(t, short.Delete(ctx, r), "driver answered 0 results for 1 receipts")
	require.ErrorIs(t, short.Delete(ctx, Receipt{}), ErrReceiptInvalid)
	source := mustQueue(t, Options[string]{DeadLetter: short, MaxReceives: 1})
	_, err = source.Send(ctx, "x")
	require.NoError(t, err)
	m, ok := source.TryReceive()
	require.True(t, ok)
	require.ErrorContains(t, m.DeadLetter(ctx, ""), "driver answered 0 results for 1 messages")

	// A driver that is a queue itself may have an error of many entries for one.
	var none BatchError
	batch, err := New("front", Options[string]{Driver: faulty{newEngineDriver(t).(engineDriver), &none}})
	require.NoError(t, err)
	r, err = batch.ParseReceipt("h")
	require.NoError(t, err)
	require.ErrorIs(t, batch.Delete(ctx, r), &none)

	// The error of a context comes bare, however the driver wraps it.
	ended, cancel := context.WithCancel(ctx)
	wrapping := faulty{newEngineDriver(t).(engineDriver), &opError{"poll", "wire", context.Canceled}}
	late, err := New("front", Options[string]{Driver: cancelling{wrapping, cancel}})
	require.NoError(t, err)
	_, err = late.Receive(ended)
	require.Equal(t, context.Canceled, err)

	// A driver may answer that there is nothing, though there is time, or was.
	ended, cancel = context.WithCancel(ctx)
	idle, err := New("front", Options[string]{Driver: cancelling{faulty{newEngineDriver(t).(engineDriver), nil}, cancel}})
	require.NoError(t, err)
	_, err = idle.Receive(ended)
	require.Equal(t, context.Canceled, err)
}

// cancelling ends the context while a receive is under way.
type cancelling struct {
	faulty
	cancel func()
}

func (c cancelling) Receive(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	c.cancel()
	return c.faulty.Receive(ctx, r)
}

func TestBackendEventsAndTotals(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var kinds []string
		q, _ := onEngine(t, Options[string]{OnEvent: func(e Event[string]) {
			require.Equal(t, "front", e.Queue)
			require.Zero(t, e.Message.Receipt)
			kinds = append(kinds, e.Kind.String())
		}})
		_, err := q.Send(ctx, "x")
		require.NoError(t, err)
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.NoError(t, m.Extend(ctx, time.Minute))
		require.NoError(t, m.Release(ctx))
		for m, err := range q.Messages(ctx) {
			require.NoError(t, err)
			require.NoError(t, m.Delete(ctx))
			break
		}
		_, ok := q.TryReceive()
		require.False(t, ok)
		_, err = q.Send(ctx, "y")
		require.NoError(t, err)
		n, err := q.Purge(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, q.Close())
		require.Equal(t, "sent extended released deleted sent purged closed",
			strings.ReplaceAll(strings.Join(kinds, " "), "received ", ""))
		q.mu.Lock()
		defer q.mu.Unlock()
		require.Equal(t, Totals{Sent: 2, Received: 2, EmptyReceives: 1, Deleted: 1, Purged: 1}, q.totals)
	})
}

// What arrives from another queue, and what is sent with a delay, is told as in process.
func TestBackendEventsOfDeadLettersAndDelays(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		var told []string
		dead, _ := onEngine(t, Options[string]{OnEvent: func(e Event[string]) {
			told = append(told, fmt.Sprintf("%v %s, %v, %s", e.Kind, e.Message.Body, e.Message.State, e.Reason))
		}})
		q := mustQueue(t, Options[string]{DeadLetter: dead, MaxReceives: 1})
		_, err := dead.SendWith(ctx, "late", SendOptions{Delay: 1})
		require.NoError(t, err)
		_, err = q.Send(ctx, "x")
		require.NoError(t, err)
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.NoError(t, m.DeadLetter(ctx, "why"))
		require.Equal(t, []string{"sent late, delayed, ", "arrived x, visible, why"}, told)
		require.Equal(t, Totals{Sent: 1, Arrived: 1}, dead.totals)
	})
}

// slow is a driver whose sends take a minute, and fail.
type slow struct{ engineDriver }

func (slow) Send(context.Context, []driver.Outgoing) ([]driver.Sent, error) {
	time.Sleep(time.Minute)
	return nil, errors.New("too slow")
}

// A lease that ends while its message is on the way to a dead-letter queue that
// does not take it is over: the message is visible.
func TestLeaseEndsDuringAFailedMove(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead := mustQueue(t, Options[string]{Driver: slow{newEngineDriver(t).(engineDriver)}})
		q := mustQueue(t, Options[string]{DeadLetter: dead, MaxReceives: 1})
		for timeout, want := range map[time.Duration]State{30 * time.Second: Visible, time.Hour: InFlight} {
			_, err := q.Send(ctx, "x")
			require.NoError(t, err)
			m, ok := q.TryReceive()
			require.True(t, ok)
			require.NoError(t, m.Extend(ctx, timeout))
			require.ErrorContains(t, m.DeadLetter(ctx, ""), "too slow")
			require.NoError(t, q.Check())
			ms, err := q.Peek(ctx, 5)
			require.NoError(t, err)
			require.Len(t, ms, 1)
			require.Equal(t, want, ms[0].State)
			require.NoError(t, m.Delete(ctx), "the receipt is still the newest")
		}
	})
}

// Numbers that a queue has not given out are nobody's, even under its own key.
func TestReceiptsOfDeliveriesThatNeverWere(t *testing.T) {
	ctx := context.Background()
	q := mustQueue(t, Options[string]{})
	_, err := q.Send(ctx, "x")
	require.NoError(t, err)
	m, ok := q.TryReceive()
	require.True(t, ok)
	for _, change := range []func(r *Receipt){
		func(r *Receipt) { r.seq = 0 },
		func(r *Receipt) { r.seq += 1000 },
		func(r *Receipt) { r.nth++ },
	} {
		r := m.Receipt
		change(&r)
		require.ErrorIs(t, q.Delete(ctx, r), ErrReceiptInvalid)
		require.ErrorIs(t, q.ChangeVisibility(ctx, 0, r), ErrReceiptInvalid)
	}
	r := m.Receipt
	r.slot += 1 << 20
	require.NoError(t, q.Delete(ctx, r), "a slot that is gone held a message that is gone")
	require.ErrorIs(t, q.ChangeVisibility(ctx, 0, r), ErrMessageGone)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = q.Purge(ended)
	require.Equal(t, context.Canceled, err)
}
