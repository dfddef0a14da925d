package dabchick

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/driver"
)

// A hostile driver is the engine behind all that may go wrong on the way, and a driver that
// is wrong itself: answers that are lost, late, of the wrong length or none at all, errors
// of contexts that have not ended, more messages than asked for, the same one twice,
// panics. It does the work, or does not, and loses nothing.
type hostile struct {
	driver.Queue
	mu *sync.Mutex
	r  *rand.Rand
	at int // of so many calls about one goes wrong in each way
}

func over[T any](t *testing.T, d driver.Queue, o Options[T]) *Queue[T] {
	t.Helper()
	o.Driver = d
	q, err := New("front", o)
	require.NoError(t, err)
	return q
}

func newHostile(t *testing.T, seed uint64) (hostile, *Queue[[]byte]) {
	d := newEngineDriver(t)
	return hostile{d, new(sync.Mutex), rand.New(rand.NewPCG(seed, 0)), 12}, d.(engineDriver).q
}

func (h hostile) pick(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.r.IntN(n)
}

var (
	errLost   = errors.New("the answer was lost")
	errHasEnd = fmt.Errorf("wire: %w", context.DeadlineExceeded)
)

// fault goes wrong before a call, or not.
func (h hostile) fault() error {
	switch h.pick(h.at) {
	case 0:
		return errors.New("connection refused")
	case 1:
		return []error{errHasEnd, context.DeadlineExceeded, context.Canceled}[h.pick(3)]
	case 2:
		time.Sleep(time.Duration(h.pick(3000)) * time.Millisecond) // whatever the context says
	case 3:
		panic("driver")
	}
	return nil
}

// answer goes wrong after a call, or not.
func answer[R any](h hostile, rs []R, err error) ([]R, error) {
	if err != nil {
		return rs, err
	}
	switch h.pick(h.at) {
	case 0:
		return nil, errLost
	case 1:
		return nil, nil
	case 2:
		return append(rs, *new(R)), nil
	case 3:
		return rs[:len(rs)-1], nil
	case 4:
		panic("driver")
	}
	return rs, nil
}

func (h hostile) Send(ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
	if err := h.fault(); err != nil {
		return nil, err
	}
	sent, err := h.Queue.Send(ctx, batch)
	return answer(h, sent, err)
}

func (h hostile) Receive(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	if err := h.fault(); err != nil {
		return nil, err
	}
	switch h.pick(h.at) {
	case 0:
		r.Max += h.pick(3)
	case 1:
		r.Wait /= 2
	}
	ms, err := h.Queue.Receive(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	switch h.pick(h.at) {
	case 0:
		return nil, errLost
	case 1:
		return ms, errLost
	case 2:
		return append(ms, ms...), nil
	case 3:
		panic("driver")
	}
	return ms, nil
}

func (h hostile) Delete(ctx context.Context, handles []string) ([]error, error) {
	if err := h.fault(); err != nil {
		return nil, err
	}
	errs, err := h.Queue.Delete(ctx, handles)
	return answer(h, errs, err)
}

func (h hostile) ChangeVisibility(ctx context.Context, changes []driver.Change) ([]error, error) {
	if err := h.fault(); err != nil {
		return nil, err
	}
	errs, err := h.Queue.ChangeVisibility(ctx, changes)
	return answer(h, errs, err)
}

// moody is a codec that does not always decode what it can.
type moody struct {
	stringCodec
	h hostile
}

func (m moody) Decode(b []byte) (string, error) {
	if m.h.pick(m.h.at) == 0 {
		return "", errMoody
	}
	return string(b), nil
}

var errMoody = errors.New("not now")

// caught runs a call that may panic, and says whether it did.
func caught(call func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	call()
	return false
}

// Whatever a driver does, nothing that was sent is lost, nobody waits for ever, what a
// queue counts is what its callers have seen, and an error that is a context's alone is
// that of the call.
func TestBackendOnAHostileDriver(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) { playHostile(t, seed) })
		if t.Failed() {
			t.Logf("seed %d", seed)
			return
		}
	}
}

func playHostile(t *testing.T, seed uint64) {
	deadDriver, deadEngine := newHostile(t, seed)
	dead := over(t, deadDriver, Options[string]{Codec: moody{h: deadDriver}})
	d, engine := newHostile(t, seed+1000)
	q := over(t, d, Options[string]{
		DeadLetter: dead, MaxReceives: 3, VisibilityTimeout: 5 * time.Second, Codec: moody{h: d},
	})
	background, stop := context.WithCancel(t.Context())

	var mu sync.Mutex
	sent, done := map[string]bool{}, map[string]bool{}
	var received, deleted, panics, undecoded uint64
	check := func(ctx context.Context, err error) {
		for _, bare := range []error{context.Canceled, context.DeadlineExceeded} {
			if err == bare && ctx.Err() != bare {
				t.Errorf("%v, and the context has %v", err, ctx.Err())
			}
		}
		if _, ok := errors.AsType[*DecodeError](err); ok != errors.Is(err, errMoody) {
			t.Errorf("%v does not say which message it is about", err)
		} else if ok {
			mu.Lock()
			undecoded++
			mu.Unlock()
		}
	}
	settle := func(ctx context.Context, m Message[string]) {
		switch d.pick(7) {
		case 0:
			check(ctx, m.Release(ctx))
		case 1:
			check(ctx, m.Extend(ctx, 7*time.Second))
		case 2:
			check(ctx, m.DeadLetter(ctx, "why"))
		case 3:
		default:
			mu.Lock()
			done[m.Body] = true
			mu.Unlock()
			err := m.Delete(ctx)
			check(ctx, err)
			if err == nil {
				mu.Lock()
				deleted++
				mu.Unlock()
			}
		}
	}
	var all sync.WaitGroup
	loop := func(call func(ctx context.Context)) {
		all.Go(func() {
			for background.Err() == nil {
				ctx, cancel := context.WithTimeout(background, time.Duration(d.pick(20_000))*time.Millisecond)
				if caught(func() { call(ctx) }) {
					mu.Lock()
					panics++
					mu.Unlock()
				}
				cancel()
				time.Sleep(time.Duration(d.pick(2000)) * time.Millisecond)
			}
		})
	}
	n := 0
	loop(func(ctx context.Context) {
		var batch []Outgoing[string]
		for range 1 + d.pick(3) {
			n++
			batch = append(batch, Outgoing[string]{Body: fmt.Sprint(n)})
		}
		ids, err := q.SendBatch(ctx, batch)
		check(ctx, err)
		for i, id := range ids {
			if id != (ID{}) {
				mu.Lock()
				sent[batch[i].Body] = true
				mu.Unlock()
			}
		}
	})
	for range 3 {
		loop(func(ctx context.Context) {
			most := 1 + d.pick(4)
			ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: most, Wait: time.Duration(d.pick(8000)) * time.Millisecond})
			check(ctx, err)
			if len(ms) > most {
				t.Errorf("%d messages instead of %d", len(ms), most)
			}
			mu.Lock()
			received += uint64(len(ms))
			mu.Unlock()
			for _, m := range ms {
				caught(func() { settle(ctx, m) })
			}
		})
	}
	loop(func(ctx context.Context) {
		m, err := q.Receive(ctx)
		check(ctx, err)
		if err == nil {
			mu.Lock()
			received++
			mu.Unlock()
			settle(ctx, m)
		}
	})
	loop(func(ctx context.Context) {
		_, err := dead.Redrive(ctx, RedriveOptions[string]{To: q})
		check(ctx, err)
	})
	loop(func(ctx context.Context) {
		q.Pause()
		time.Sleep(time.Duration(d.pick(3000)) * time.Millisecond)
		q.Resume()
	})
	time.Sleep(10 * time.Minute)
	stop()
	all.Wait()

	q.mu.Lock()
	totals := q.totals
	q.mu.Unlock()
	require.Equal(t, received, totals.Received)
	require.Equal(t, deleted, totals.Deleted)
	require.NoError(t, engine.Check())
	there := map[string]bool{}
	for _, e := range []*Queue[[]byte]{engine, deadEngine} {
		ms, err := e.Peek(t.Context(), 1<<20)
		require.NoError(t, err)
		for _, m := range ms {
			there[string(m.Body)] = true
		}
	}
	for body := range sent {
		if !done[body] && !there[body] {
			t.Errorf("message %s is lost", body)
		}
	}
	require.NotZero(t, panics)
	require.NotZero(t, undecoded)
	require.NotZero(t, totals.DeadLettered)

	result := make(chan error)
	go func() {
		for {
			var err error
			if !caught(func() { _, err = q.Receive(t.Context()) }) && errors.Is(err, ErrClosed) {
				result <- err
				return
			}
		}
	}()
	time.Sleep(time.Minute)
	began := time.Now()
	require.NoError(t, q.Close())
	<-result
	// The receive that is under way may bring a spent message and carry it over: four
	// calls, each of which may take 3 s.
	require.LessOrEqual(t, time.Since(began), 12*time.Second)
}

// More than was asked for goes to others, not to a receiver who does not see it.
func TestBackendAnswersTooMuch(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		d := broken{Queue: newEngineDriver(t)}
		d.receive = func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
			r.Max += 2
			ms, err := q.Receive(ctx, r)
			return append(ms, ms[0]), err // which is no reason to give back the first
		}
		q := over(t, d, Options[string]{})
		for _, body := range []string{"a", "b", "c"} {
			_, err := q.Send(ctx, body)
			require.NoError(t, err)
		}
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.Equal(t, "a", m.Body)
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, []int{2, 1}, []int{s.Visible, s.InFlight})
		require.EqualValues(t, 1, s.Received)
		require.NoError(t, m.Delete(ctx))
		into := make([]Message[string], 1)
		n, err := q.ReceiveInto(ctx, into, ReceiveOptions{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		s, err = q.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, []int{1, 1}, []int{s.Visible, s.InFlight})
	})
}

// A pause and the end of the queue reach receives that wait in the driver, also in one
// whose Close does not.
func TestBackendPauseReachesWhoWaits(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q := over(t, broken{Queue: newEngineDriver(t), close: func(driver.Queue) error { return nil }}, Options[string]{})
		got, ended := make(chan string, 2), make(chan error, 1)
		go func() {
			for m, err := range q.Messages(ctx) {
				if err != nil {
					ended <- err
					return
				}
				got <- m.Body
			}
		}()
		for _, body := range []string{"a", "b"} {
			synctest.Wait()
			q.Pause()
			synctest.Wait()
			_, err := q.Send(ctx, body)
			require.NoError(t, err)
			synctest.Wait()
			require.Empty(t, got, "it is paused")
			q.Resume()
			require.Equal(t, body, <-got)
		}
		synctest.Wait()
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			q.Pause()
		}()
		ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Wait: 3 * time.Second})
		require.NoError(t, err)
		require.Empty(t, ms)
		require.Equal(t, 3*time.Second, time.Since(began), "a pause takes nothing from the wait")
		q.Resume()
		synctest.Wait()
		require.NoError(t, q.Close())
		synctest.Wait()
		require.ErrorIs(t, <-ended, ErrClosed)
		_, err = q.Receive(ctx)
		require.EqualError(t, err, `dabchick: receive "front": queue closed`)
	})
}

// A driver's own time limits are not the caller's, and are told with call and queue.
func TestBackendErrorOfAnotherContext(t *testing.T) {
	ctx := context.Background()
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		q := over(t, faulty{newEngineDriver(t).(engineDriver), end}, Options[string]{})
		_, sending := q.Send(ctx, "x")
		_, receiving := q.Receive(ctx)
		_, counting := q.Stats(ctx)
		_, purging := q.Purge(ctx)
		r, err := q.ParseReceipt("x")
		require.NoError(t, err)
		source := mustQueue(t, Options[string]{DeadLetter: q, MaxReceives: 1})
		_, err = source.Send(ctx, "x")
		require.NoError(t, err)
		m, ok := source.TryReceive()
		require.True(t, ok)
		burying := m.DeadLetter(ctx, "")
		require.NoError(t, m.Release(ctx))
		_, redriving := source.Redrive(ctx, RedriveOptions[string]{To: q})
		for call, err := range map[string]error{
			`dabchick: send "front": `: sending, `dabchick: receive "front": `: receiving, `dabchick: stats "front": `: counting,
			`dabchick: purge "front": `: purging, `dabchick: delete "front": `: q.Delete(ctx, r),
			`dabchick: dead-letter "memory": dabchick: arrive "front": `: burying,
			`dabchick: redrive "memory": dabchick: send "front": `:       redriving,
		} {
			require.ErrorIs(t, err, end)
			require.EqualError(t, err, call+end.Error())
		}
	}
}

// A hook that panics takes nothing from the count of its call.
func TestBackendCountsThoughAHookPanics(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		told := map[EventKind]int{}
		hook := func(e Event[string]) {
			if told[e.Kind]++; told[e.Kind] == 1 && e.Kind != Paused {
				panic("hook")
			}
		}
		q, _ := onEngine(t, Options[string]{OnEvent: hook, VisibilityTimeout: time.Second})
		require.PanicsWithValue(t, "hook", func() { q.SendBatch(ctx, []Outgoing[string]{{Body: "a"}, {Body: "b"}}) })
		require.PanicsWithValue(t, "hook", func() { q.ReceiveBatch(ctx, ReceiveOptions{Max: 2}) })
		time.Sleep(time.Second)
		ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: 2})
		require.NoError(t, err)
		require.Len(t, ms, 2)
		require.PanicsWithValue(t, "hook", func() { q.Delete(ctx, ms[0].Receipt, ms[1].Receipt) })
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, Totals{Sent: 2, Received: 4, Deleted: 2}, s.Totals)
		q.Pause() // and what the hook did not get to see it sees at the next call
		require.Equal(t, map[EventKind]int{Sent: 2, Received: 4, Deleted: 2, Paused: 1}, told)
	})
}
