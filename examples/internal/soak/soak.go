package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dabchickmq/dabchick"
)

// most bounds the messages of a queue, and with that the memory of a soak.
const most = 50_000

type queue = dabchick.Queue[int64]

type soak struct {
	ledger
	jobs, orders, dead, deadOrders, probe *queue
	began                                 time.Time
	goroutines                            int // before anything was started

	// Whoever uses the queues holds gate for reading; who wants to see them at
	// rest, for writing.
	gate                       sync.RWMutex
	body                       atomic.Int64
	operations, redeliveries   atomic.Int64
	deleted, crashed, canceled atomic.Int64
	buried, purged, redriven   atomic.Int64
	wakeUps                    histogram
	samples                    []sample
}

func newSoak() (*soak, error) {
	s := &soak{began: time.Now(), goroutines: runtime.NumGoroutine()}
	var err error
	add := func(name string, o dabchick.Options[int64]) *queue {
		q, e := dabchick.New(name, o)
		err = errors.Join(err, e)
		return q
	}
	s.dead = add("dead", dabchick.Options[int64]{Retention: dabchick.Forever})
	s.deadOrders = add("dead orders", dabchick.Options[int64]{FIFO: true, Retention: dabchick.Forever})
	s.probe = add("probe", dabchick.Options[int64]{})
	s.jobs = add("jobs", dabchick.Options[int64]{VisibilityTimeout: time.Second, Retention: dabchick.Forever,
		MaxMessages: most, DeadLetter: s.dead, MaxReceives: 4})
	s.orders = add("orders", dabchick.Options[int64]{FIFO: true, VisibilityTimeout: time.Second, Retention: dabchick.Forever,
		MaxMessages: most, DeadLetter: s.deadOrders, MaxReceives: 4})
	return s, err
}

func (s *soak) queues() []*queue { return []*queue{s.jobs, s.orders, s.dead, s.deadOrders} }

// run lets everybody work for a time, then ends them and adds up.
func (s *soak) run(length time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var working sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for range cores {
		for _, q := range []*queue{s.jobs, s.orders} {
			working.Go(func() { s.produce(ctx, q) })
			working.Go(func() { s.consume(ctx, q) })
			working.Go(func() { s.consume(ctx, q) })
		}
	}
	working.Go(func() { s.consume(ctx, s.dead) })
	working.Go(func() { s.consume(ctx, s.deadOrders) })
	working.Go(func() { s.operate(ctx) })
	working.Go(func() { s.probeSends(ctx) })
	working.Go(func() { s.probeReceives(ctx) })
	s.observe(ctx, length)
	working.Wait()
	s.audit()
	for _, q := range append(s.queues(), s.probe) {
		s.check(q.Close())
	}
}

// share is how much of their time producers send: it rises and falls in ten
// seconds, so that queues fill and drain.
func (s *soak) share() float64 {
	phase := time.Since(s.began) % (10 * time.Second)
	return max(0, 1-float64(phase)/float64(6*time.Second))
}

func (s *soak) produce(ctx context.Context, q *queue) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for ctx.Err() == nil {
		if r.Float64() > s.share() {
			time.Sleep(time.Millisecond)
			continue
		}
		for full := false; !full && r.IntN(64) > 0; {
			full = s.sendSome(ctx, q, r)
		}
	}
}

// sendSome sends a message, or ten, and says whether there was no room.
func (s *soak) sendSome(ctx context.Context, q *queue, r *rand.Rand) (full bool) {
	batch := make([]dabchick.Outgoing[int64], 1+9*(r.IntN(4)/3))
	s.gate.RLock()
	defer s.gate.RUnlock()
	for i := range batch {
		batch[i].Body = s.body.Add(1)
		if q == s.orders {
			batch[i].Group = fmt.Sprint(r.IntN(5000))
		} else if r.IntN(50) == 0 {
			batch[i].Delay = time.Duration(r.Int64N(int64(time.Second)))
		}
		s.add(batch[i].Body)
	}
	full, err := s.sendSoon(ctx, q, batch)
	s.operations.Add(int64(len(batch)))
	s.check(err)
	return full
}

// sendSoon sends, and waits a moment for room; what did not come in is struck out.
func (s *soak) sendSoon(ctx context.Context, q *queue, batch []dabchick.Outgoing[int64]) (full bool, err error) {
	soon, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err = q.SendBatch(soon, batch)
	var failed *dabchick.BatchError
	switch {
	case errors.As(err, &failed):
		for _, f := range failed.Failed {
			s.remove(batch[f.Index].Body)
			if !errors.Is(f.Err, context.DeadlineExceeded) && !errors.Is(f.Err, context.Canceled) {
				return true, f.Err
			}
		}
		return true, nil
	case err != nil: // before anything was stored
		for _, o := range batch {
			s.remove(o.Body)
		}
		return true, nil
	}
	return false, nil
}

func (s *soak) consume(ctx context.Context, q *queue) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	var stalled []dabchick.Message[int64]
	for ctx.Err() == nil {
		s.gate.RLock()
		wait, cancel := ctx, func() {}
		if r.IntN(20) == 0 {
			wait, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(200))*time.Microsecond)
		}
		o := dabchick.ReceiveOptions{Max: 1 + r.IntN(10), Wait: 2 * time.Millisecond,
			Visibility: 300*time.Millisecond + time.Duration(r.Int64N(int64(700*time.Millisecond)))}
		ms, err := q.ReceiveBatch(wait, o)
		cancel()
		s.operations.Add(1)
		switch {
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
			s.canceled.Add(1)
		case err != nil:
			s.check(err)
		}
		for _, m := range ms {
			if m.Receives > 1 {
				s.redeliveries.Add(1)
			}
			s.hold(m)
		}
		for _, m := range ms {
			if q == s.dead || q == s.deadOrders {
				if r.IntN(3) > 0 { // the rest is for the redrive
					s.delete(m)
				}
				continue
			}
			p := r.IntN(1000)
			if m.Body%500 == 0 {
				p = 0 // nobody gets done with it
			}
			switch {
			case p < 2: // it crashes, with what it has
				s.crashed.Add(1)
			case p < 6:
				stalled = append(stalled, m)
			case p < 20:
				s.settle(m, m.Release)
			case p < 30:
				s.settle(m, m.Return)
			case p < 40:
				s.extend(m, time.Duration(r.Int64N(int64(time.Second))))
			case p < 42:
				s.letGo(m)
				if s.check(stale(m.DeadLetter(context.Background(), "buried by hand"))) {
					s.buried.Add(1)
				}
			case m.Receives > 1:
				s.deleteLate(m)
			default:
				s.delete(m)
			}
			s.operations.Add(1)
		}
		if len(stalled) > 100 { // they wake up, and believe to be done
			for _, m := range stalled {
				s.deleteLate(m)
			}
			stalled = stalled[:0]
		}
		s.gate.RUnlock()
		if q == s.dead || q == s.deadOrders {
			time.Sleep(300 * time.Millisecond) // dead letters are looked at when there is time
		}
	}
}

// stale takes the errors of receipts that are not good any more for none.
func stale(err error) error {
	for _, ok := range []error{dabchick.ErrReceiptExpired, dabchick.ErrReceiptSuperseded, dabchick.ErrMessageGone} {
		if errors.Is(err, ok) {
			return nil
		}
	}
	return err
}

// settle makes a message visible again.
func (s *soak) settle(m dabchick.Message[int64], act func(context.Context) error) {
	s.letGo(m)
	s.check(stale(act(context.Background())))
}

func (s *soak) extend(m dabchick.Message[int64], d time.Duration) {
	called := time.Now()
	s.letGo(m) // it may be shorter than what was left
	err := m.Extend(context.Background(), d)
	if s.check(stale(err)); err == nil {
		s.keep(m, called.Add(d))
	}
}

func (s *soak) delete(m dabchick.Message[int64]) {
	err := m.Delete(context.Background())
	if s.check(stale(err)); err == nil {
		s.remove(m.Body)
		s.deleted.Add(1)
	}
}

// deleteLate deletes a message that may have become a dead letter meanwhile. A
// delete of that would be no error, and the message would be there.
func (s *soak) deleteLate(m dabchick.Message[int64]) {
	if m.Extend(context.Background(), time.Minute) == nil {
		s.delete(m)
	}
}

// operate does now and then what operators do.
func (s *soak) operate(ctx context.Context) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for round := 1; ctx.Err() == nil; round++ {
		time.Sleep(200 * time.Millisecond)
		q := s.queues()[r.IntN(4)]
		switch round % 5 {
		case 0:
			q.Pause()
			time.Sleep(50 * time.Millisecond)
			q.Resume()
		case 1:
			o := q.Options()
			o.VisibilityTimeout = 300*time.Millisecond + time.Duration(r.Int64N(int64(time.Second)))
			s.check(q.SetOptions(o))
		case 2, 3:
			from := []*queue{s.dead, s.deadOrders}[r.IntN(2)]
			s.gate.Lock() // so that nobody is in the way when it is looked at
			s.redrive(ctx, from)
			s.gate.Unlock()
		case 4:
			s.gate.Lock()
			if round%100 == 4 {
				s.purge(q)
			}
			if round%25 == 4 {
				s.audit()
			}
			s.gate.Unlock()
		}
	}
}

// redrive takes some dead letters back to where they came from. They count as new.
// It does not wait for room for long: those who make it are kept out meanwhile.
func (s *soak) redrive(ctx context.Context, from *queue) {
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	n, err := from.Redrive(ctx, dabchick.RedriveOptions[int64]{Max: 100})
	s.redriven.Add(int64(n))
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		s.check(err)
	}
}

func (s *soak) purge(q *queue) {
	there, err := q.Peek(context.Background(), math.MaxInt) // dead letters may be more than there are places for jobs
	s.check(err)
	n, err := q.Purge(context.Background())
	s.check(err)
	if n != len(there) {
		s.fault("purged %d messages of %d", n, len(there))
	}
	for _, m := range there {
		s.remove(m.Body)
	}
	s.purged.Add(int64(n))
}

// probeSends and probeReceives measure how long after a send the receiver that
// waits for it runs.
func (s *soak) probeSends(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
		_, err := s.probe.Send(context.Background(), int64(time.Since(s.began)))
		s.check(err)
	}
}

func (s *soak) probeReceives(ctx context.Context) {
	for m, err := range s.probe.Messages(ctx) {
		if err != nil {
			return
		}
		s.wakeUps.add(time.Since(s.began) - time.Duration(m.Body))
		s.check(m.Delete(context.Background()))
	}
}
