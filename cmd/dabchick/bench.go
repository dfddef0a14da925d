package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"
)

// mostConcurrent is how many calls a benchmark may have under way.
const mostConcurrent = 256

type benchFlags struct {
	target
	messages, concurrency, batch, size int
}

func (p *program) benchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure sending, receiving and deleting", Args: arguments(),
		Long: `bench makes a queue of its own at the endpoint, sends messages to it, receives
all and deletes them, and prints for each of the three how many messages a
second that were, and how long the calls took. The queue is deleted in the end.
The figures include the AWS SDK and this program.

Beware: on SQS itself every call costs money.`,
		Example: "  dabchick bench\n  dabchick bench -messages 50000 -concurrency 32 -batch 10 -json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.bench(cmd.Context(), f) },
	}
	f.target.flags(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.messages, "messages", 5000, "`number` of messages, 1 to 100000")
	flags.IntVar(&f.concurrency, "concurrency", 8, "`number` of calls at a time, 1 to 256")
	flags.IntVar(&f.batch, "batch", 1, "`number` of messages in a call, 1 to 10")
	flags.IntVar(&f.size, "size", 100, "`bytes` of a message, 1 to 102400")
	return cmd
}

func (f *benchFlags) check() error {
	for _, n := range []struct {
		flag        string
		value, most int
	}{
		{"messages", f.messages, 100_000}, {"concurrency", f.concurrency, mostConcurrent},
		{"batch", f.batch, mostEntries}, {"size", f.size, 102_400},
	} {
		if n.value < 1 || n.value > n.most {
			return usagef("-%s is %d, allowed: 1 to %d", n.flag, n.value, n.most)
		}
	}
	return nil
}

// A measurement is of one kind of call.
type measurement struct {
	What      string  `json:"what"`
	Messages  int     `json:"messages"`
	Calls     int     `json:"calls"`
	PerSecond float64 `json:"messagesPerSecond"`
	P50       float64 `json:"p50ms"`
	P90       float64 `json:"p90ms"`
	P99       float64 `json:"p99ms"`
	Max       float64 `json:"maxms"`
}

func (p *program) bench(ctx context.Context, f benchFlags) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	c, err := p.connect(ctx, f.target)
	if err != nil {
		return err
	}
	c.queue = "dabchick-bench-" + strings.ToLower(rand.Text()[:10])
	made, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &c.queue, Attributes: map[string]string{"VisibilityTimeout": "43200"}, // nothing comes back meanwhile
	})
	if err != nil {
		return c.explain(err)
	}
	c.url = made.QueueUrl
	defer func() {
		_, e := c.DeleteQueue(context.WithoutCancel(ctx), &sqs.DeleteQueueInput{QueueUrl: c.url})
		switch {
		case e != nil && err != nil:
			err = fmt.Errorf("%w; queue %s could not be deleted", err, c.queue)
		case e != nil:
			err = fmt.Errorf("queue %s could not be deleted: %w", c.queue, c.explain(e))
		}
	}()
	b := bench{client: c, benchFlags: f, body: strings.Repeat("x", f.size)}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if !p.json {
		fmt.Fprintln(table, "\tmessages/s\tcalls\tp50 ms\tp90 ms\tp99 ms\tmax ms\t")
	}
	for _, phase := range []struct {
		what string
		call func(ctx context.Context, n int) (int, error)
	}{{"send", b.send}, {"receive", b.receive}, {"delete", b.remove}} {
		bar := p.newProgress(fmt.Sprintf("%-7s", phase.what), f.messages)
		m, err := b.measure(ctx, phase.call, bar)
		bar.end()
		if err != nil {
			return fmt.Errorf("%s: %w", phase.what, c.explain(err))
		}
		m.What = phase.what
		if p.json {
			if err := p.emit(m); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%.0f\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n", m.What, m.PerSecond, m.Calls, m.P50, m.P90, m.P99, m.Max)
	}
	return table.Flush()
}

// A bench is the work that is measured.
type bench struct {
	*client
	benchFlags
	body string

	mu       sync.Mutex
	received []types.Message
}

// measure makes calls, each for a batch, until all messages are done.
func (b *bench) measure(ctx context.Context, call func(ctx context.Context, n int) (int, error), bar *progress) (measurement, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var left, done atomic.Int64
	left.Store(int64(b.messages))
	took := make([][]time.Duration, b.concurrency)
	began := time.Now()
	var wg sync.WaitGroup
	for w := range b.concurrency {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := b.batch
				if before := int(left.Add(int64(-n))) + n; before <= 0 {
					return
				} else if before < n {
					n = before
				}
				for n > 0 && ctx.Err() == nil { // a receive may bring fewer
					at := time.Now()
					some, err := call(ctx, n)
					if err != nil {
						stop(err)
						return
					}
					took[w] = append(took[w], time.Since(at))
					n -= some
					done.Add(int64(some))
					bar.add(some)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return measurement{}, context.Cause(ctx)
	}
	return summary(int(done.Load()), time.Since(began), slices.Concat(took...)), nil
}

// summary needs at least one call.
func summary(messages int, total time.Duration, took []time.Duration) measurement {
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))]) / float64(time.Millisecond)
	}
	return measurement{
		Messages: messages, Calls: len(took), PerSecond: float64(messages) / max(total.Seconds(), 1e-9),
		P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: at(1),
	}
}

func (b *bench) send(ctx context.Context, n int) (int, error) {
	if b.batch == 1 {
		_, err := b.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: b.url, MessageBody: &b.body})
		return 1, err
	}
	in := &sqs.SendMessageBatchInput{QueueUrl: b.url}
	for i := range n {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &b.body})
	}
	out, err := b.SendMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%s: %s", aws.ToString(out.Failed[0].Code), aws.ToString(out.Failed[0].Message))
	}
	return n, err
}

func (b *bench) receive(ctx context.Context, n int) (int, error) {
	out, err := b.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: b.url, MaxNumberOfMessages: int32(n), WaitTimeSeconds: 20})
	if err != nil {
		return 0, err
	}
	if len(out.Messages) == 0 {
		return 0, errors.New("messages that were sent did not come within 20s")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received = append(b.received, out.Messages...)
	return len(out.Messages), nil
}

func (b *bench) remove(ctx context.Context, n int) (int, error) {
	b.mu.Lock()
	some := b.received[:min(n, len(b.received))]
	b.received = b.received[len(some):]
	b.mu.Unlock()
	if b.batch == 1 {
		_, err := b.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: b.url, ReceiptHandle: some[0].ReceiptHandle})
		return 1, err
	}
	return n, b.delete(ctx, some)
}
