package queuetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/queuetest"
	"github.com/dabchickmq/dabchick/worker"
)

// A handler that fails twice, in fake time: two hours of backoff take no time.
func Example() {
	test := func(t *testing.T) {
		q, _ := dabchick.New("mails", dabchick.Options[string]{})
		spy := queuetest.Watch(t, q)
		q.Send(t.Context(), "welcome, Ada")

		send := func(ctx context.Context, m dabchick.Message[string]) error {
			if m.Receives < 3 {
				return errors.New("mail server is down")
			}
			return nil
		}
		o := worker.Options{Backoff: func(int) time.Duration { return time.Hour }}
		for range 3 {
			queuetest.Drain(t, q, send, o)
			time.Sleep(time.Hour)
		}
		spy.AssertHandled(1)
		spy.AssertNothingLeft()
		for _, e := range spy.Events() {
			fmt.Println(e.Kind, e.Message.Receives)
		}
	}
	_ = func(t *testing.T) { synctest.Test(t, test) } // a test in your package
}

func ExampleChaos() {
	_ = func(t *testing.T) {
		q, _ := dabchick.New("payments", dabchick.Options[string]{})
		c := queuetest.NewChaos(t, q, queuetest.Faults{Duplicate: 0.2, LateDelete: 0.1, SlowReceive: 0.2})
		pay := func(ctx context.Context, m dabchick.Message[string]) error { return nil }
		worker.Run(t.Context(), c, pay, worker.Options{Workers: 4}) // c in the place of q
	}
}
