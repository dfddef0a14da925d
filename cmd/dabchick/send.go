package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"
)

const (
	mostEntries = 10      // of a batch
	mostBytes   = 1 << 20 // of a batch, and of a message
)

type sendFlags struct {
	target
	delay        time.Duration
	group, dedup string
	attributes   []string
	zero         zeroes // the delay, if it is given
}

func (p *program) sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use: "send QUEUE [BODY]", Short: "Send a message, or each line of standard input", Args: arguments("QUEUE", "[BODY]"),
		Long: `send sends BODY and prints the message's id. Without BODY it sends each line of
standard input as a message, ten in a call, in their order; empty lines are left
out, as SQS takes no empty message. A line that is refused is named on standard
error, and the others are sent. On Ctrl-C the call that is under way is finished,
and the last line that was sent is named.

A message for a FIFO queue needs -group; and -dedup, unless the queue has
ContentBasedDeduplication. For lines, -dedup is continued by the number of the
line (run7-1, run7-2, ...), so that sending a file again within five minutes adds
only what is missing.`,
		Example: "  dabchick send jobs \"resize beach.jpg\" -delay 1m\n" +
			"  dabchick send orders.fifo -group user-7 -dedup run7 < orders.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			f.zero.delay = cmd.Flags().Changed("delay")
			if len(args) == 2 {
				return p.sendOne(cmd.Context(), f, args[0], args[1])
			}
			return p.sendLines(cmd.Context(), f, args[0])
		},
		ValidArgsFunction: p.completeQueue(&f.target),
	}
	f.target.flags(cmd)
	flags := cmd.Flags()
	flags.DurationVar(&f.delay, "delay", 0, "`time` for which the message is hidden, 0s to 15m in whole seconds; by default the queue's")
	flags.StringVar(&f.group, "group", "", "message `group`: a must on a FIFO queue, on others for fairness")
	flags.StringVar(&f.dedup, "dedup", "", "deduplication `id`, for FIFO queues")
	flags.StringArrayVar(&f.attributes, "attribute", nil, "message attribute of type String as `name=value`; may be repeated")
	return cmd
}

// An outbox sends to one queue.
type outbox struct {
	*client
	sendFlags
	attributes map[string]types.MessageAttributeValue
	overhead   int // bytes of the attributes
}

func (p *program) openOutbox(ctx context.Context, f sendFlags, queue string) (*outbox, error) {
	if err := checkSeconds("delay", f.delay, 0, 15*time.Minute); err != nil {
		return nil, err
	}
	o := &outbox{sendFlags: f, attributes: map[string]types.MessageAttributeValue{}}
	texts, err := pairs("attribute", f.attributes)
	if err != nil {
		return nil, err
	}
	for name, value := range texts {
		o.attributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
		o.overhead += len(name) + len("String") + len(value)
	}
	if o.client, err = p.open(ctx, f.target, queue); err != nil {
		return nil, err
	}
	switch {
	case o.fifo() && f.group == "":
		return nil, usagef("%s is a FIFO queue: -group is needed", o.queue)
	case o.fifo() && f.zero.delay:
		return nil, usagef("%s is a FIFO queue: its messages are delayed by the queue only, not by -delay", o.queue)
	case !o.fifo() && f.dedup != "":
		return nil, usagef("%s is not a FIFO queue: -dedup is for those", o.queue)
	}
	return o, nil
}

// checkSeconds holds a time against SQS's limits.
func checkSeconds(flag string, d, least, most time.Duration) error {
	if d < least || d > most || d%time.Second != 0 {
		return usagef("-%s is %v, allowed: whole seconds from %v to %v", flag, d, least, most)
	}
	return nil
}

// entry returns a message as an entry of a batch.
func (o *outbox) entry(id, body, dedup string) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{
		Id: &id, MessageBody: &body, DelaySeconds: int32(o.delay / time.Second), MessageAttributes: o.attributes,
	}
	if o.group != "" {
		e.MessageGroupId = &o.group
	}
	if dedup != "" {
		e.MessageDeduplicationId = &dedup
	}
	return e
}

// A sentLine is what -json prints of a message that was sent.
type sentLine struct {
	Line           int    `json:"line,omitempty"`
	MessageID      string `json:"messageId"`
	SequenceNumber string `json:"sequenceNumber,omitempty"`
}

func (p *program) sendOne(ctx context.Context, f sendFlags, queue, body string) error {
	o, err := p.openOutbox(ctx, f, queue)
	if err != nil {
		return err
	}
	if !utf8.ValidString(body) {
		return errNotText
	}
	e := o.entry("", body, f.dedup)
	sent, err := o.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: o.url, MessageBody: e.MessageBody, DelaySeconds: e.DelaySeconds, MessageAttributes: e.MessageAttributes,
		MessageGroupId: e.MessageGroupId, MessageDeduplicationId: e.MessageDeduplicationId,
	}, o.zero.option)
	if err != nil {
		return o.explain(err)
	}
	if p.json {
		return p.emit(sentLine{MessageID: *sent.MessageId, SequenceNumber: aws.ToString(sent.SequenceNumber)})
	}
	_, err = fmt.Fprintln(p.out, *sent.MessageId)
	return err
}

// errNotText is said before a body is sent: the SDK would send something else, and find that
// out by the answer.
var errNotText = errors.New("the body is not UTF-8: SQS takes text only")

// A batch is lines that are sent in one call.
type batch struct {
	lines []string
	at    []int // their numbers
	empty int   // lines that were left out before or among them
	err   error // of reading, after these lines
}

func (p *program) sendLines(ctx context.Context, f sendFlags, queue string) error {
	o, err := p.openOutbox(ctx, f, queue)
	if err != nil {
		return err
	}
	batches := make(chan batch)
	go readBatches(ctx, p.in, o.overhead, batches)
	var bar *progress
	if p.inIsTerminal {
		fmt.Fprintln(p.err, "dabchick: send: each line is a message; Ctrl-D ends")
	} else {
		bar = p.newProgress("sent", 0)
		defer bar.end()
	}
	var sent, refused, empty, last int
	for {
		var b batch
		select {
		case b = <-batches:
		case <-ctx.Done():
			return fmt.Errorf("interrupted after line %d: %d messages were sent", last, sent)
		}
		empty += b.empty
		if len(b.lines) > 0 {
			// Once begun, a call is finished: it has to be known what was sent.
			ok, err := p.sendBatch(context.WithoutCancel(ctx), o, b)
			last = b.at[len(b.at)-1]
			if err != nil {
				return fmt.Errorf("lines %d to %d: %w; %d messages were sent before", b.at[0], last, err, sent)
			}
			sent, refused = sent+len(ok), refused+len(b.lines)-len(ok)
			bar.add(len(ok))
			if err := p.report(ok); err != nil {
				return fmt.Errorf("%w; %d messages were sent", err, sent)
			}
		}
		if b.err == io.EOF {
			break
		}
		if b.err != nil {
			return fmt.Errorf("%w; %d messages were sent before", b.err, sent)
		}
	}
	bar.end()
	if empty > 0 {
		fmt.Fprintf(p.err, "dabchick: send: %d empty lines were left out: SQS takes no empty message\n", empty)
	}
	if !p.json {
		if _, err := fmt.Fprintf(p.out, "%d messages sent to %s\n", sent, o.queue); err != nil {
			return fmt.Errorf("%w; %d messages were sent", err, sent)
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d lines were refused", refused, sent+refused)
	}
	return nil
}

// report prints what was sent, with -json.
func (p *program) report(sent []sentLine) error {
	if !p.json {
		return nil
	}
	for _, l := range sent {
		if err := p.emit(l); err != nil {
			return err
		}
	}
	return nil
}

// sendBatch sends lines, and returns those that were sent. An error means that none were.
func (p *program) sendBatch(ctx context.Context, o *outbox, b batch) ([]sentLine, error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: o.url}
	for i, text := range b.lines {
		if !utf8.ValidString(text) {
			fmt.Fprintf(p.err, "dabchick: send: line %d: %v\n", b.at[i], errNotText)
			continue
		}
		dedup := o.dedup
		if dedup != "" {
			dedup = fmt.Sprintf("%s-%d", dedup, b.at[i])
		}
		in.Entries = append(in.Entries, o.entry(strconv.Itoa(i), text, dedup))
	}
	if len(in.Entries) == 0 {
		return nil, nil
	}
	out, err := o.SendMessageBatch(ctx, in, o.zero.option)
	if err != nil {
		return nil, o.explain(err)
	}
	for _, f := range out.Failed {
		fmt.Fprintf(p.err, "dabchick: send: line %d: %s\n", b.lineOf(f.Id), oneLine(aws.ToString(f.Code)+": "+aws.ToString(f.Message)))
	}
	var sent []sentLine
	for _, s := range out.Successful {
		sent = append(sent, sentLine{b.lineOf(s.Id), aws.ToString(s.MessageId), aws.ToString(s.SequenceNumber)})
	}
	return sent, nil
}

// lineOf returns the number of the line that was sent under an entry's id.
func (b *batch) lineOf(id *string) int {
	i, err := strconv.Atoi(aws.ToString(id))
	if err != nil || i < 0 || i >= len(b.at) {
		return 0 // an endpoint that answers of entries it was not asked for
	}
	return b.at[i]
}

// readBatches reads lines and passes them on in batches, full ones or what is there: a
// program that writes a line now and then does not wait for nine more. The last batch
// has an error, io.EOF at the end of input. overhead is how many bytes a message has beside
// its line.
func readBatches(ctx context.Context, from io.Reader, overhead int, to chan<- batch) {
	r := bufio.NewReaderSize(from, mostBytes+2) // a line, and its end
	pass := func(b batch) bool {
		select {
		case to <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	var b batch
	size := 0
	for n := 1; ; n++ {
		text, err := r.ReadSlice('\n')
		line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if errors.Is(err, bufio.ErrBufferFull) || len(line)+overhead > mostBytes {
			b.err = fmt.Errorf("line %d has more than %d bytes", n, mostBytes-overhead)
			pass(b)
			return
		}
		if len(b.lines) > 0 && (len(b.lines) == mostEntries || size+len(line)+overhead > mostBytes) {
			if !pass(b) {
				return
			}
			b, size = batch{}, 0
		}
		switch {
		case line != "":
			b.lines, b.at = append(b.lines, line), append(b.at, n)
			size += len(line) + overhead
		case err == nil:
			b.empty++
		}
		if err != nil {
			b.err = err
			pass(b)
			return
		}
		if len(b.lines) > 0 && r.Buffered() == 0 {
			if !pass(b) {
				return
			}
			b, size = batch{}, 0
		}
	}
}
