// Command unittest is a small service with its tests, as a pattern to copy: people
// sign up, and get a welcome mail by way of a queue, however often the mail server
// fails. The tests are in service_test.go, and docs/testing.md walks through them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// A Welcome is a mail to send.
type Welcome struct{ Address string }

// A Mailer sends mails. ErrNoSuchAddress says that trying again is no use.
type Mailer interface {
	Send(ctx context.Context, address, text string) error
}

var ErrNoSuchAddress = errors.New("no such address")

// A Service welcomes people who sign up.
type Service struct {
	Mails     *dabchick.Queue[Welcome]
	DeadMails *dabchick.Queue[Welcome] // mails that were given up, for a person to look at
	mailer    Mailer
}

func NewService(mailer Mailer) (*Service, error) {
	dead, err := dabchick.New("mails-dead", dabchick.Options[Welcome]{Retention: dabchick.Forever})
	if err != nil {
		return nil, err
	}
	mails, err := dabchick.New("mails", dabchick.Options[Welcome]{
		VisibilityTimeout: time.Minute, DeadLetter: dead, MaxReceives: 30, // for 17 hours at least
	})
	if err != nil {
		return nil, err
	}
	return &Service{Mails: mails, DeadMails: dead, mailer: mailer}, nil
}

// SignUp returns at once. The mail follows.
func (s *Service) SignUp(ctx context.Context, address string) error {
	if !strings.Contains(address, "@") {
		return fmt.Errorf("%q is not an address", address)
	}
	_, err := s.Mails.Send(ctx, Welcome{address})
	return err
}

// Run sends mails until ctx ends. It takes the queue as a worker.Queue, so that a
// test can put something in between.
func (s *Service) Run(ctx context.Context, q worker.Queue[Welcome]) error {
	return worker.Run(ctx, q, s.Welcome, Backoff())
}

// Backoff waits two hours at most between tries: mail servers recover.
func Backoff() worker.Options {
	return worker.Options{Workers: 4, Backoff: worker.ExponentialBackoff(time.Second, 2*time.Hour)}
}

// Welcome is the handler.
func (s *Service) Welcome(ctx context.Context, m dabchick.Message[Welcome]) error {
	err := s.mailer.Send(ctx, m.Body.Address, "Welcome!")
	if errors.Is(err, ErrNoSuchAddress) {
		return worker.DeadLetter(err)
	}
	return err
}

func main() {
	if err := demo(); err != nil {
		fmt.Fprintln(os.Stderr, "unittest:", err)
		os.Exit(1)
	}
}

// demo signs three people up, with a mail server that is down at first.
func demo() error {
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Second)
	defer stop()
	s, err := NewService(&flaky{fails: 2})
	if err != nil {
		return err
	}
	for _, address := range []string{"ada@example.org", "nobody@example.org", "grace@example.org"} {
		if err := s.SignUp(ctx, address); err != nil {
			return err
		}
	}
	if err := s.Run(ctx, s.Mails); err != nil {
		return err
	}
	for m, ok := s.DeadMails.TryReceive(); ok; m, ok = s.DeadMails.TryReceive() {
		origin, _ := m.Origin()
		fmt.Printf("given up: %s: %s\n", m.Body.Address, origin.Reason)
	}
	fmt.Println("now look at service_test.go, and run: go test ./examples/unittest -v")
	return nil
}
