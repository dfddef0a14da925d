package dabchick_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/dabchickmq/dabchick"
)

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
