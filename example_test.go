package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

// This is the program of the README; a test holds the two together.
func Example() {
	ctx := context.Background()
	jobs, err := dabchick.New("thumbnails", dabchick.Options[string]{
		VisibilityTimeout: 2 * time.Minute, // how long a worker has for a job
	})
	if err != nil {
		log.Fatal(err)
	}
	jobs.Send(ctx, "beach.jpg")

	m, _ := jobs.Receive(ctx) // hidden from all other workers now
	fmt.Println("working on", m.Body)
	m.Release(ctx) // give it back; a worker that dies does so when its time is up

	m, _ = jobs.Receive(ctx) // so it comes up again, for anybody
	fmt.Println("working on", m.Body, "again, attempt", m.Receives)
	m.Delete(ctx) // done: now it is gone

	_, ok := jobs.TryReceive()
	fmt.Println("anything left:", ok)
	// Output:
	// working on beach.jpg
	// working on beach.jpg again, attempt 2
	// anything left: false
}

func ExampleNew() {
	type Job struct{ Picture, Text string }
	dead, err := dabchick.New("memes-dead", dabchick.Options[Job]{Retention: dabchick.Forever})
	if err != nil {
		log.Fatal(err)
	}
	q, err := dabchick.New("memes", dabchick.Options[Job]{
		VisibilityTimeout: time.Minute,
		DeadLetter:        dead,
		MaxReceives:       5,
		MaxMessages:       100_000, // senders wait when it is full
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(q.Name(), q.Options().VisibilityTimeout)

	_, err = dabchick.New("memes", dabchick.Options[Job]{MaxMessages: -1})
	fmt.Println(err)
	// Output:
	// memes 1m0s
	// dabchick: new "memes": MaxMessages is -1, allowed: 0 or more
}

// A receipt names one delivery. Who comes too late is told so, and does no
// harm to the one who has the message now.
func ExampleMessage_Delete() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	q.Send(ctx, "job")

	slow, _ := q.Receive(ctx)
	slow.Release(ctx) // as if its visibility timeout had passed
	other, _ := q.Receive(ctx)

	err := slow.Delete(ctx)
	fmt.Println(errors.Is(err, dabchick.ErrReceiptSuperseded), err)
	fmt.Println(other.Delete(ctx))
	// Output:
	// true dabchick: delete "jobs": receipt superseded by a later receive
	// <nil>
}

func ExampleMessage_Extend() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{VisibilityTimeout: 30 * time.Second})
	q.Send(ctx, "a long job")
	m, _ := q.Receive(ctx)

	// Another ten minutes from now, whatever was left.
	fmt.Println(m.Extend(ctx, 10*time.Minute))
	// Output: <nil>
}

func ExampleMessage_DeadLetter() {
	ctx := context.Background()
	dead, _ := dabchick.New("dead", dabchick.Options[string]{})
	q, _ := dabchick.New("pictures", dabchick.Options[string]{DeadLetter: dead, MaxReceives: 3})
	q.Send(ctx, "broken.png")

	m, _ := q.Receive(ctx)
	m.DeadLetter(ctx, "not a PNG file") // no use in trying again

	d, _ := dead.Receive(ctx)
	origin, _ := d.Origin()
	fmt.Println(d.Body, "from", origin.Queue+":", origin.Reason)
	// Output: broken.png from pictures: not a PNG file
}

func ExampleQueue_Messages() {
	q, _ := dabchick.New("numbers", dabchick.Options[int]{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := range 3 {
		q.Send(ctx, i)
	}
	for m, err := range q.Messages(ctx) {
		if err != nil {
			fmt.Println("stopped:", err)
			break
		}
		fmt.Println(m.Body)
		m.Delete(ctx)
		if m.Body == 2 {
			cancel() // the next receive ends the loop
		}
	}
	// Output:
	// 0
	// 1
	// 2
	// stopped: context canceled
}

func ExampleQueue_SendWith() {
	ctx := context.Background()
	q, _ := dabchick.New("mail", dabchick.Options[string]{})
	q.SendWith(ctx, "a reminder", dabchick.SendOptions{
		Delay:      24 * time.Hour,
		Group:      "user-7",
		Attributes: map[string]dabchick.Attribute{"lang": dabchick.StringAttribute("en")},
	})
	s, _ := q.Stats(ctx)
	fmt.Println(s.Visible, "visible,", s.Delayed, "delayed")
	// Output: 0 visible, 1 delayed
}

// Each entry of a batch succeeds or fails by itself.
func ExampleQueue_SendBatch() {
	ctx := context.Background()
	q, _ := dabchick.New("mail", dabchick.Options[string]{MaxMessages: 2, FailFast: true})
	_, err := q.SendBatch(ctx, []dabchick.Outgoing[string]{{Body: "a"}, {Body: "b"}, {Body: "c"}})

	var failed *dabchick.BatchError
	if errors.As(err, &failed) {
		for _, f := range failed.Failed {
			fmt.Println("entry", f.Index, "failed:", f.Err)
		}
	}
	fmt.Println(errors.Is(err, dabchick.ErrFull))
	// Output:
	// entry 2 failed: queue full
	// true
}

func ExampleQueue_SendInto() {
	ctx := context.Background()
	q, _ := dabchick.New("mail", dabchick.Options[string]{})
	batch := []dabchick.Outgoing[string]{{Body: "a"}, {Body: "b"}}
	ids := make([]dabchick.ID, len(batch)) // for all batches to come
	if err := q.SendInto(ctx, ids, batch); err != nil {
		log.Fatal(err)
	}
	m, _ := q.Receive(ctx)
	fmt.Println(m.ID == ids[0])
	// Output: true
}

func ExampleQueue_ReceiveBatch() {
	ctx := context.Background()
	q, _ := dabchick.New("mail", dabchick.Options[string]{})
	for _, s := range []string{"a", "b", "c"} {
		q.Send(ctx, s)
	}
	ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{
		Max:        10,
		Wait:       20 * time.Second, // for the first; it does not wait to fill up
		Visibility: time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range ms {
		fmt.Println(m.Body)
	}
	// Output:
	// a
	// b
	// c
}

func ExampleQueue_ReceiveInto() {
	ctx := context.Background()
	q, _ := dabchick.New("mail", dabchick.Options[string]{})
	for _, s := range []string{"a", "b", "c"} {
		q.Send(ctx, s)
	}
	ms := make([]dabchick.Message[string], 2) // for all batches to come
	for range 2 {
		n, err := q.ReceiveInto(ctx, ms, dabchick.ReceiveOptions{Wait: dabchick.Forever})
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range ms[:n] {
			fmt.Println(m.Body)
		}
	}
	// Output:
	// a
	// b
	// c
}

func ExampleQueue_Redrive() {
	ctx := context.Background()
	dead, _ := dabchick.New("dead", dabchick.Options[string]{})
	q, _ := dabchick.New("orders", dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1})
	q.Send(ctx, "order 17")
	m, _ := q.Receive(ctx)
	m.DeadLetter(ctx, "a bug, mended by now")

	n, err := dead.Redrive(ctx, dabchick.RedriveOptions[string]{
		Rate:     100, // a second
		Progress: func(moved, total int) { fmt.Println(moved, "of", total) },
	})
	fmt.Println(n, err)
	m, _ = q.Receive(ctx)
	fmt.Println(m.Body, "attempt", m.Receives)
	// Output:
	// 1 of 1
	// 1 <nil>
	// order 17 attempt 1
}

func ExampleQueue_SetOptions() {
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	o := q.Options()
	o.VisibilityTimeout = 5 * time.Minute
	o.MaxInFlight = 100
	fmt.Println(q.SetOptions(o))
	// Output: <nil>
}

func ExampleQueue_Peek() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	q.Send(ctx, "a")
	q.Send(ctx, "b")
	q.Receive(ctx)
	ms, _ := q.Peek(ctx, 10)
	for _, m := range ms {
		fmt.Println(m.Body, m.State)
	}
	// Output:
	// b visible
	// a in flight
}

func ExampleQueue_Close() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	q.Send(ctx, "a")
	q.Send(ctx, "b")
	m, _ := q.Receive(ctx)

	q.Close()
	_, err := q.Receive(ctx)
	fmt.Println(errors.Is(err, dabchick.ErrClosed))
	fmt.Println(m.Delete(ctx)) // what is in hand can be finished
	s, _ := q.Stats(ctx)
	fmt.Println("left behind:", s.Visible)
	// Output:
	// true
	// <nil>
	// left behind: 1
}

func ExampleEvent() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{
		OnEvent: func(e dabchick.Event[string]) {
			fmt.Println(e.Kind, e.Message.Body, e.Message.Receives)
		},
	})
	q.Send(ctx, "a")
	m, _ := q.Receive(ctx)
	m.Release(ctx)
	m, _ = q.Receive(ctx)
	m.Delete(ctx)
	// Output:
	// sent a 0
	// received a 1
	// released a 1
	// received a 2
	// deleted a 2
}

// Handles travel as text, and cannot be made up.
func ExampleQueue_ParseReceipt() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	q.Send(ctx, "a")
	m, _ := q.Receive(ctx)
	handle := m.Receipt.String()

	r, err := q.ParseReceipt(handle)
	fmt.Println(r == m.Receipt, err)
	fmt.Println(q.Delete(ctx, r))
	_, err = q.ParseReceipt("guessed")
	fmt.Println(err)
	// Output:
	// true <nil>
	// <nil>
	// dabchick: parse receipt "jobs": receipt invalid
}

// A message that was received too often, and not deleted, goes to the dead-letter
// queue when a receive comes upon it once more.
func ExampleOptions_deadLetter() {
	ctx := context.Background()
	dead, _ := dabchick.New("dead", dabchick.Options[string]{})
	q, _ := dabchick.New("pictures", dabchick.Options[string]{DeadLetter: dead, MaxReceives: 2})
	q.Send(ctx, "broken.png")
	for m, ok := q.TryReceive(); ok; m, ok = q.TryReceive() {
		fmt.Println("attempt", m.Receives, "fails")
		m.Release(ctx)
	}

	d, _ := dead.TryReceive()
	origin, _ := d.Origin()
	fmt.Println(d.Body+":", origin.Reason)
	// Output:
	// attempt 1 fails
	// attempt 2 fails
	// broken.png: received 2 times, the limit of queue "pictures"
}

// A bounded queue makes its senders wait until there is room.
func ExampleOptions_bounds() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{MaxMessages: 2})
	var consumer sync.WaitGroup
	consumer.Go(func() {
		for range 5 {
			m, _ := q.Receive(ctx)
			m.Delete(ctx)
		}
	})
	most := 0
	for range 5 {
		q.Send(ctx, "job")
		s, _ := q.Stats(ctx)
		most = max(most, s.Visible+s.InFlight)
	}
	consumer.Wait()
	fmt.Println("never more than two:", most <= 2)
	// Output: never more than two: true
}

// What nobody has worked on is given back without spending an attempt.
func ExampleMessage_Return() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	q.Send(ctx, "a")
	m, _ := q.Receive(ctx)
	fmt.Println(m.Return(ctx))
	m, _ = q.Receive(ctx)
	fmt.Println("attempt", m.Receives)
	// Output:
	// <nil>
	// attempt 1
}

// While a queue is paused, it takes messages and delivers none.
func ExampleQueue_Pause() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	q.Pause()
	q.Send(ctx, "a")
	_, ok := q.TryReceive()
	fmt.Println(ok)
	q.Resume()
	_, ok = q.TryReceive()
	fmt.Println(ok)
	// Output:
	// false
	// true
}

// Counts are exact at every moment.
func ExampleQueue_Stats() {
	ctx := context.Background()
	q, _ := dabchick.New("jobs", dabchick.Options[string]{})
	for _, s := range []string{"a", "b", "c", "d"} {
		q.Send(ctx, s)
	}
	m, _ := q.Receive(ctx)
	m.Delete(ctx)
	q.Receive(ctx)
	s, _ := q.Stats(ctx)
	fmt.Println(s.Visible, "visible,", s.InFlight, "in flight,", s.Bytes, "bytes")
	fmt.Println(s.Sent, "sent,", s.Received, "deliveries,", s.Deleted, "deleted")
	// Output:
	// 2 visible, 1 in flight, 3 bytes
	// 4 sent, 2 deliveries, 1 deleted
}
