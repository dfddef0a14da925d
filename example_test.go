package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
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

// In a FIFO queue, what belongs to one user is done in order, one after the
// other; users do not wait for each other.
func ExampleOptions_fifo() {
	ctx := context.Background()
	q, _ := dabchick.New("orders", dabchick.Options[string]{FIFO: true})
	q.SendWith(ctx, "Ann pays", dabchick.SendOptions{Group: "ann"})
	q.SendWith(ctx, "Ann cancels", dabchick.SendOptions{Group: "ann"})
	q.SendWith(ctx, "Bob pays", dabchick.SendOptions{Group: "bob"})

	ann, _ := q.TryReceive()
	bob, _ := q.TryReceive() // Ann's next is held back
	_, ok := q.TryReceive()
	fmt.Println(ann.Body, "-", bob.Body, "-", ok)

	ann.Delete(ctx)
	ann, _ = q.TryReceive()
	fmt.Println(ann.Body)
	// Output:
	// Ann pays - Bob pays - false
	// Ann cancels
}

// A sender who does not know whether a message was sent sends it again: under
// the same id it is stored once.
func ExampleSendOptions_dedup() {
	ctx := context.Background()
	q, _ := dabchick.New("orders", dabchick.Options[string]{FIFO: true})
	o := dabchick.SendOptions{Group: "ann", DedupID: "payment-17"}
	first, _ := q.SendWith(ctx, "pay 10", o)
	second, _ := q.SendWith(ctx, "pay 10", o)
	s, _ := q.Stats(ctx)
	fmt.Println(first == second, s.Visible, s.Duplicates)
	// Output: true 1 1
}

// Bodies that are equal are sent once in five minutes.
func ExampleContentKey() {
	ctx := context.Background()
	q, _ := dabchick.New("mail", dabchick.Options[string]{FIFO: true, DedupKey: dabchick.ContentKey[string]})
	for range 3 {
		q.SendWith(ctx, "Welcome, Ann", dabchick.SendOptions{Group: "ann"})
	}
	s, _ := q.Stats(ctx)
	fmt.Println(s.Visible, s.Duplicates)
	// Output: 1 2
}

// A tenant who floods a queue does not keep others waiting.
func ExampleFairness() {
	ctx := context.Background()
	q, _ := dabchick.New("reports", dabchick.Options[string]{})
	for range 100 {
		q.SendWith(ctx, "report for the large tenant", dabchick.SendOptions{Group: "large"})
	}
	q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 30}) // keeps 30 workers busy
	q.SendWith(ctx, "report for the small tenant", dabchick.SendOptions{Group: "small"})

	large, _ := q.Group(ctx, "large")
	m, _ := q.TryReceive()
	fmt.Println(large.Visible, "waiting, noisy:", large.Noisy)
	fmt.Println("next:", m.Body)
	// Output:
	// 70 waiting, noisy: true
	// next: report for the small tenant
}

// A receive whose answer was lost is repeated under the same attempt id.
func ExampleReceiveOptions_attempt() {
	ctx := context.Background()
	q, _ := dabchick.New("orders", dabchick.Options[string]{FIFO: true})
	q.SendWith(ctx, "pay", dabchick.SendOptions{Group: "ann"})
	o := dabchick.ReceiveOptions{AttemptID: "try-1"}
	lost, _ := q.ReceiveBatch(ctx, o)
	again, _ := q.ReceiveBatch(ctx, o)
	fmt.Println(lost[0].Receipt == again[0].Receipt, again[0].Receives)
	// Output: true 1
}

// At most one call at a time to each customer's server, however many workers
// there are.
func ExampleOptions_groups() {
	ctx := context.Background()
	q, _ := dabchick.New("webhooks", dabchick.Options[string]{MaxInFlightPerGroup: 1})
	for _, body := range []string{"ada: invoice", "ada: receipt", "bob: invoice"} {
		customer, _, _ := strings.Cut(body, ":")
		q.SendWith(ctx, body, dabchick.SendOptions{Group: customer})
	}
	first, _ := q.Receive(ctx)
	second, _ := q.Receive(ctx)
	fmt.Println(first.Body, "and", second.Body)
	_, ok := q.TryReceive()
	fmt.Println("another one:", ok)
	first.Delete(ctx)
	third, _ := q.Receive(ctx)
	fmt.Println("then", third.Body)
	// Output:
	// ada: invoice and bob: invoice
	// another one: false
	// then ada: receipt
}
