package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/queuetest"
)

func newService(t *testing.T, mailer Mailer) (*Service, *queuetest.Spy[Welcome]) {
	t.Helper()
	s, err := NewService(mailer)
	if err != nil {
		t.Fatal(err)
	}
	return s, queuetest.Watch(t, s.Mails, s.DeadMails)
}

// What a call sends.
func TestSignUpSendsOneMail(t *testing.T) {
	s, spy := newService(t, nil)
	if err := s.SignUp(t.Context(), "ada@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := s.SignUp(t.Context(), "not an address"); err == nil {
		t.Error("no error")
	}
	spy.AssertSent(1)
	if got := spy.Bodies(dabchick.Sent)[0].Address; got != "ada@example.org" {
		t.Error(got)
	}
}

// What a handler does with a message, step by step in the goroutine of the test.
func TestUnknownAddressIsGivenUpAtOnce(t *testing.T) {
	s, spy := newService(t, &flaky{})
	s.SignUp(t.Context(), "nobody@example.org")
	queuetest.Drain(t, s.Mails, s.Welcome, Backoff())
	spy.AssertDeadLettered(1)
	spy.AssertNothingLeft(s.Mails)
}

// Twelve hours of a mail server that is down, with the service as it runs in
// production, take milliseconds.
func TestMailSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &outage{until: time.Now().Add(12 * time.Hour)}
		s, spy := newService(t, server)
		stop := start(t, s) // s.Run in a goroutine
		s.SignUp(t.Context(), "ada@example.org")

		spy.Never(11*time.Hour, dabchick.Deleted)
		spy.Await(3*time.Hour, dabchick.Deleted)
		stop()
		spy.AssertHandled(1)
		spy.AssertNothingLeft()
	})
}

// Whatever goes wrong between the queue and the workers, each mail is sent at least
// once. A failure says which seed repeats it.
func TestNobodyIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &flaky{fails: 20}
		s, spy := newService(t, server)
		chaos := queuetest.NewChaos(t, s.Mails, queuetest.Faults{
			Duplicate: 0.1, Reorder: 0.2, LateDelete: 0.1, ExpiredReceipt: 0.1, LostDelete: 0.1, SlowReceive: 0.2,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx, chaos) })
		for i := range 100 {
			s.SignUp(t.Context(), fmt.Sprintf("user%02d@example.org", i))
		}
		spy.AwaitNth(100, 24*time.Hour, dabchick.Deleted)
		cancel()
		running.Wait()
		spy.AssertNothingLeft()
		server.mu.Lock()
		defer server.mu.Unlock()
		slices.Sort(server.sent)
		if n := len(slices.Compact(server.sent)); n != 100 {
			t.Errorf("%d of 100 people were welcomed", n)
		}
	})
}

func TestDemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := demo(); err != nil {
			t.Error(err)
		}
	})
}

// start runs the service until stop is called.
func start(t *testing.T, s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, s.Mails) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// outage is a mail server that is down for a time.
type outage struct {
	flaky
	until time.Time
}

func (o *outage) Send(ctx context.Context, address, text string) error {
	if time.Now().Before(o.until) {
		return fmt.Errorf("connection refused")
	}
	return o.flaky.Send(ctx, address, text)
}
