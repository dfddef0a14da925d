package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// A Reply is what a server has to say about a search.
type Reply struct {
	Search  string
	Server  int
	Attempt int
	Kind    replyKind
	Offer   Offer
	Airline string // that failed
	Reason  string
}

type replyKind int

const (
	taken    replyKind = iota // the server begins
	offered                   // with Offer
	declined                  // an airline has failed
	finished                  // all airlines have been asked
)

// A server takes searches, asks the airlines, and sends replies.
type server struct {
	n        int
	searches *wire
	replies  *dabchick.Queue[Reply]
	seed     uint64
	stop     context.CancelFunc
	ended    chan struct{}
}

// errDead is what a dead server's calls would return, if it were there to see it.
var errDead = errors.New("the server is dead")

// A wire is a server's connection to the queue of searches. When the server is dead
// nothing goes over it any more: nobody settles what the server had received.
type wire struct {
	*dabchick.Queue[Search]
	cut atomic.Bool
}

func (w *wire) Receive(ctx context.Context) (dabchick.Message[Search], error) {
	if w.cut.Load() {
		return dabchick.Message[Search]{}, errDead
	}
	return w.Queue.Receive(ctx)
}

func (w *wire) Delete(ctx context.Context, receipts ...dabchick.Receipt) error {
	if w.cut.Load() {
		return errDead
	}
	return w.Queue.Delete(ctx, receipts...)
}

func (w *wire) ChangeVisibility(ctx context.Context, d time.Duration, receipts ...dabchick.Receipt) error {
	if w.cut.Load() {
		return errDead
	}
	return w.Queue.ChangeVisibility(ctx, d, receipts...)
}

func (w *wire) Return(ctx context.Context, receipts ...dabchick.Receipt) error {
	if w.cut.Load() {
		return errDead
	}
	return w.Queue.Return(ctx, receipts...)
}

// startServer returns a server that works until it is killed or closed.
func startServer(n int, searches *dabchick.Queue[Search], replies *dabchick.Queue[Reply], seed uint64) *server {
	ctx, stop := context.WithCancel(context.Background())
	s := &server{
		n: n, searches: &wire{Queue: searches}, replies: replies, seed: seed,
		stop: stop, ended: make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		// An error can only be that of a wire that was cut.
		worker.Run(ctx, s.searches, s.handle, worker.Options{
			Workers: 4, Grace: dabchick.Immediately,
			Backoff: func(int) time.Duration { return time.Second },
		})
	}()
	return s
}

// kill ends the server in the middle of whatever it does.
func (s *server) kill() {
	s.searches.cut.Store(true)
	s.stop()
	<-s.ended
}

// close ends the server in good order: what it holds, it gives back.
func (s *server) close() {
	s.stop()
	<-s.ended
}

// handle asks all airlines at the same time. Each has a few seconds.
func (s *server) handle(ctx context.Context, m dabchick.Message[Search]) error {
	if err := s.reply(ctx, m, Reply{Kind: taken}); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var offers atomic.Int32
	var wg sync.WaitGroup
	for _, a := range airlines {
		wg.Go(func() {
			o, err := a.ask(asking, m.Body, s.seed, m.Receives)
			if err != nil {
				s.reply(ctx, m, Reply{Kind: declined, Airline: a.name, Reason: err.Error()})
				return
			}
			o.Server = s.n
			if s.reply(ctx, m, Reply{Kind: offered, Offer: o}) == nil {
				offers.Add(1)
			}
		})
	}
	wg.Wait()
	if offers.Load() == 0 {
		return fmt.Errorf("no airline has an offer: %w", context.Cause(ctx))
	}
	return s.reply(ctx, m, Reply{Kind: finished})
}

func (s *server) reply(ctx context.Context, m dabchick.Message[Search], r Reply) error {
	if s.searches.cut.Load() {
		return errDead
	}
	r.Search, r.Server, r.Attempt = m.Body.ID, s.n, m.Receives
	_, err := s.replies.Send(ctx, r)
	return err
}
