// Command order shows a FIFO queue at work: the orders of each user are carried
// out in the order in which they were placed, one at a time and each once, though
// the shop places many of them more than once and some workers fail.
//
//	go run ./examples/order
//
// Each user is a message group. The shop does not know whether a request that
// timed out has arrived, so it sends it again, under the same deduplication id.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/examples/internal/flags"
	"github.com/dabchickmq/dabchick/worker"
)

type config struct {
	users, orders, workers int
	seed                   uint64
}

// An Order is the nth of a user.
type Order struct {
	User   string
	Number int
}

func main() {
	c, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "order:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bars := mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(40))
	bar := bars.AddBar(int64(c.users*c.orders),
		mpb.PrependDecorators(decor.Name("orders carried out "), decor.CountersNoUnit("%d of %d")))
	r, err := run(ctx, c, bar.Increment)
	if err != nil {
		bar.Abort(false)
	}
	bars.Wait()
	if err != nil {
		fmt.Fprintln(os.Stderr, "order:", err)
		os.Exit(1)
	}
	r.print(os.Stdout)
	if len(r.wrong) > 0 {
		os.Exit(1)
	}
}

func parseFlags(args []string, w io.Writer) (c config, err error) {
	f := flag.NewFlagSet("order", flag.ContinueOnError)
	f.IntVar(&c.users, "users", 6, "number of users, 1 to 100")
	f.IntVar(&c.orders, "orders", 12, "orders of each, 1 to 1000")
	f.IntVar(&c.workers, "workers", 4, "workers that carry them out, 1 to 64")
	f.Uint64Var(&c.seed, "seed", 1, "seed of what goes wrong")
	if err := flags.Parse(f, args, w); err != nil {
		return c, err
	}
	for _, n := range []struct {
		name       string
		value, max int
	}{{"users", c.users, 100}, {"orders", c.orders, 1000}, {"workers", c.workers, 64}} {
		if n.value < 1 || n.value > n.max {
			return c, fmt.Errorf("-%s is %d, allowed: 1 to %d", n.name, n.value, n.max)
		}
	}
	return c, nil
}

// run places all orders, and returns when they are carried out, or ctx ends.
func run(ctx context.Context, c config, done func()) (*report, error) {
	q, err := dabchick.New("orders", dabchick.Options[Order]{FIFO: true})
	if err != nil {
		return nil, err
	}
	r := newReport(c)
	ctx, finished := context.WithCancel(ctx)
	defer finished()
	var shop sync.WaitGroup
	for i := range c.users {
		random := rand.New(rand.NewPCG(c.seed, uint64(i)))
		shop.Go(func() { place(ctx, q, r.users[i], c.orders, random) })
	}
	random := newDice(c.seed)
	err = worker.Run(ctx, q, func(ctx context.Context, m dabchick.Message[Order]) error {
		time.Sleep(random.upTo(20 * time.Millisecond)) // the work
		switch random.upTo(10) {
		case 0:
			return errors.New("the bank does not answer")
		case 1:
			panic("a bug")
		}
		done()
		if r.carriedOut(m) {
			finished()
		}
		return nil
	}, worker.Options{
		Workers: c.workers,
		Backoff: func(int) time.Duration { return 50 * time.Millisecond },
	})
	shop.Wait()
	if err != nil {
		return nil, err
	}
	if !r.complete() {
		return nil, errors.New("interrupted")
	}
	s, err := q.Stats(context.Background())
	r.sent, r.duplicates, r.deliveries = s.Sent, s.Duplicates, s.Received
	return r, err
}

// place sends the orders of one user over a network that loses four answers in
// ten.
func place(ctx context.Context, q *dabchick.Queue[Order], user string, orders int, random *rand.Rand) {
	for n := 1; n <= orders; n++ {
		o := dabchick.SendOptions{Group: user, DedupID: fmt.Sprintf("%s-%d", user, n)}
		for answered := false; !answered; {
			if _, err := q.SendWith(ctx, Order{user, n}, o); err != nil {
				return // told to stop
			}
			answered = random.IntN(10) >= 4
		}
		time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
	}
}

// dice are random numbers for many goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{r: rand.New(rand.NewPCG(seed, 1<<32))} }

func (d *dice) upTo(n time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.r.Int64N(int64(n)))
}

// A report is what was carried out, in the order in which it was.
type report struct {
	users                        []string
	orders                       int
	mu                           sync.Mutex
	next                         map[string]int // the number of the order that is due
	lanes                        map[string][]string
	wrong                        []string
	left                         int
	sent, duplicates, deliveries uint64
}

func newReport(c config) *report {
	names := []string{"Ann", "Bob", "Cem", "Dao", "Eva", "Fio", "Gus", "Hal"}
	r := &report{orders: c.orders, next: map[string]int{}, lanes: map[string][]string{}, left: c.users * c.orders}
	for i := range c.users {
		name := names[i%len(names)]
		if i >= len(names) {
			name = fmt.Sprint(name, i/len(names)+1)
		}
		r.users = append(r.users, name)
		r.next[name] = 1
	}
	return r
}

// carriedOut notes that an order was done, and says whether it was the last.
func (r *report) carriedOut(m dabchick.Message[Order]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := m.Body
	if o.Number != r.next[o.User] {
		r.wrong = append(r.wrong, fmt.Sprintf("%s's order %d was carried out when %d was due", o.User, o.Number, r.next[o.User]))
	}
	r.next[o.User] = o.Number + 1
	mark := fmt.Sprint(o.Number)
	if m.Receives > 1 {
		mark += strings.Repeat("'", m.Receives-1)
	}
	r.lanes[o.User] = append(r.lanes[o.User], mark)
	r.left--
	return r.left == 0
}

func (r *report) complete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left <= 0
}

func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, "Orders as they were carried out; a mark for each attempt that failed:")
	for _, user := range r.users {
		fmt.Fprintf(w, "  %-6s %s\n", user, strings.Join(r.lanes[user], " "))
	}
	fmt.Fprintf(w, "%d sends, %d of them repeated; %d orders in the queue, %d deliveries.\n",
		r.sent+r.duplicates, r.duplicates, r.sent, r.deliveries)
	if len(r.wrong) == 0 {
		fmt.Fprintln(w, "Each order was carried out once, and each user's in order.")
	}
	for _, line := range r.wrong {
		fmt.Fprintln(w, "WRONG:", line)
	}
}
