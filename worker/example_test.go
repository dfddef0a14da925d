package worker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// A handler returns nil when the work is done. An error retries the message.
func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background())
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	q.Send(ctx, "resize beach.jpg")

	err := worker.Run(ctx, q, func(ctx context.Context, m dabchick.Message[string]) error {
		if m.Receives == 1 {
			return errors.New("disk full")
		}
		fmt.Println(m.Body, "done, attempt", m.Receives)
		stop()
		return nil
	}, worker.Options{
		Backoff: func(receives int) time.Duration { return time.Millisecond },
	})
	s, _ := q.Stats(context.Background())
	fmt.Println(err, s.Visible+s.InFlight, "left")
	// Output:
	// resize beach.jpg done, attempt 2
	// <nil> 0 left
}

// A job that cannot succeed goes to the dead-letter queue at once, with the
// reason.
func ExampleDeadLetter() {
	ctx, stop := context.WithCancel(context.Background())
	dead, _ := dabchick.New("broken", dabchick.Options[string]{})
	q, _ := dabchick.New("jobs", dabchick.Options[string]{DeadLetter: dead, MaxReceives: 5})
	q.Send(ctx, "resize notes.txt")

	worker.Run(ctx, q, func(ctx context.Context, m dabchick.Message[string]) error {
		defer stop()
		return worker.DeadLetter(errors.New("not a picture"))
	}, worker.Options{})
	m, _ := dead.TryReceive()
	origin, _ := m.Origin()
	fmt.Println(m.Body, "-", origin.Reason)
	// Output: resize notes.txt - not a picture
}

// Rows that are inserted together: a batch is full, or half a second old. One that
// the database refuses does not hold up the others.
func ExampleRunBatch() {
	ctx, stop := context.WithCancel(context.Background())
	q, _ := dabchick.New("readings", dabchick.Options[int]{})
	for n := range 5 {
		q.Send(ctx, n)
	}
	insert := func(ms []dabchick.Message[int]) (refused []int) {
		fmt.Println("insert", len(ms), "rows")
		return []int{3}
	}
	err := worker.RunBatch(ctx, q, func(ctx context.Context, ms []dabchick.Message[int]) error {
		defer stop()
		verdicts := make(worker.Each, len(ms))
		for _, i := range insert(ms) {
			verdicts[i] = worker.Discard(errors.New("out of range"))
		}
		return verdicts
	}, worker.Options{BatchSize: 100, BatchWait: 500 * time.Millisecond})
	s, _ := q.Stats(context.Background())
	fmt.Println(err, s.Visible+s.InFlight, "left")
	// Output:
	// insert 5 rows
	// <nil> 0 left
}

// A program that is started now and then does what is there, and ends.
func ExamplePool_Drain() {
	ctx := context.Background()
	q, _ := dabchick.New("letters", dabchick.Options[string]{})
	q.Send(ctx, "to Ada")
	q.Send(ctx, "to Grace")
	p, _ := worker.New(q, func(ctx context.Context, m dabchick.Message[string]) error {
		fmt.Println("sent", m.Body)
		return nil
	}, worker.Options{})
	err := p.Drain(ctx)
	fmt.Println(p.Stats().Handled, err)
	// Output:
	// sent to Ada
	// sent to Grace
	// 2 <nil>
}
