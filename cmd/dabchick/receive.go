package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"
)

type receiveFlags struct {
	target
	max              int
	wait, visibility time.Duration
	delete, follow   bool
}

func (p *program) receiveCommand() *cobra.Command {
	var f receiveFlags
	cmd := &cobra.Command{
		Use: "receive QUEUE", Short: "Receive messages, and delete them if asked to", Args: arguments("QUEUE"),
		Long: `receive receives messages and prints the body of each on a line; with -json all
that is known of it, receipt handle included. It ends when it has -max messages,
or the queue has no more; with -follow it goes on until Ctrl-C.

With -delete each is deleted once it is printed. Without, it is hidden for the
visibility timeout and comes up again.

It ends with code 3 if there was nothing.`,
		Example: "  dabchick receive jobs -delete\n  dabchick receive jobs -max 100 -wait 20s -json\n  dabchick receive jobs -follow -delete",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.follow && !cmd.Flags().Changed("max") {
				f.max = 0
			} else if f.max < 1 {
				return usagef("-max is %d, allowed: 1 or more", f.max)
			}
			if f.follow && !cmd.Flags().Changed("wait") {
				f.wait = mostWait
			}
			zero := zeroes{wait: cmd.Flags().Changed("wait"), visibility: cmd.Flags().Changed("visibility")}
			return p.receive(cmd.Context(), f, zero, args[0])
		},
		ValidArgsFunction: p.completeQueue(&f.target),
	}
	f.target.flags(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.max, "max", 1, "the most `messages` to receive; with -follow there is no limit by default")
	flags.DurationVar(&f.wait, "wait", 0, "`time` to wait for a message, 0s to 20s; by default the queue's, with -follow 20s")
	flags.DurationVar(&f.visibility, "visibility", 0, "`time` for which the messages are hidden, 0s to 12h; by default the queue's")
	flags.BoolVar(&f.delete, "delete", false, "delete each message that was printed")
	flags.BoolVar(&f.follow, "follow", false, "go on when the queue is empty, until Ctrl-C")
	return cmd
}

const mostWait = 20 * time.Second

func (p *program) receive(ctx context.Context, f receiveFlags, zero zeroes, queue string) error {
	if err := checkSeconds("wait", f.wait, 0, mostWait); err != nil {
		return err
	}
	if f.follow && f.wait == 0 {
		return usagef("-wait is 0s, allowed with -follow: 1s to 20s")
	}
	if err := checkSeconds("visibility", f.visibility, 0, 12*time.Hour); err != nil {
		return err
	}
	c, err := p.open(ctx, f.target, queue)
	if err != nil {
		return err
	}
	got := 0
	for f.max == 0 || got < f.max {
		n := mostEntries
		if f.max != 0 {
			n = min(n, f.max-got)
		}
		messages, err := c.receive(ctx, n, f.wait, f.visibility, zero)
		if err != nil && ctx.Err() != nil && f.follow {
			return nil // that is how it ends
		}
		if err != nil {
			return err
		}
		if len(messages) == 0 && !f.follow {
			break
		}
		got += len(messages)
		for i := range messages {
			if err := p.print(&messages[i]); err != nil {
				return err
			}
		}
		if f.delete && len(messages) > 0 {
			// They are printed: they are not to come again because of a Ctrl-C.
			if err := c.delete(context.WithoutCancel(ctx), messages); err != nil {
				return err
			}
		}
	}
	if got == 0 {
		return &failure{exitNothing, "nothing to receive from " + c.queue}
	}
	return nil
}

// receive receives up to n messages.
func (c *client) receive(ctx context.Context, n int, wait, visibility time.Duration, zero zeroes) ([]types.Message, error) {
	out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: c.url, MaxNumberOfMessages: int32(n),
		WaitTimeSeconds: int32(wait / time.Second), VisibilityTimeout: int32(visibility / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	}, zero.option)
	if err != nil {
		return nil, c.explain(err)
	}
	return out.Messages, nil
}

// delete deletes messages that were received, at most ten.
func (c *client) delete(ctx context.Context, messages []types.Message) error {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: c.url}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := c.DeleteMessageBatch(ctx, in)
	if err != nil {
		return fmt.Errorf("messages that were received are not deleted: %w", c.explain(err))
	}
	if len(out.Failed) > 0 {
		f := out.Failed[0]
		return fmt.Errorf("%d messages that were received are not deleted: %s: %s", len(out.Failed), aws.ToString(f.Code), aws.ToString(f.Message))
	}
	return nil
}

// A messageLine is what -json prints of a message.
type messageLine struct {
	MessageID         string                   `json:"messageId"`
	Body              string                   `json:"body"`
	ReceiptHandle     string                   `json:"receiptHandle"`
	Attributes        map[string]string        `json:"attributes"`
	MessageAttributes map[string]attributeLine `json:"messageAttributes,omitempty"`
}

type attributeLine struct {
	Type   string  `json:"type"`
	Text   *string `json:"text,omitempty"`
	Binary []byte  `json:"binary,omitempty"`
}

func (p *program) emitMessage(m *types.Message) error {
	line := messageLine{
		MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), ReceiptHandle: aws.ToString(m.ReceiptHandle),
		Attributes: m.Attributes, MessageAttributes: map[string]attributeLine{},
	}
	for name, a := range m.MessageAttributes {
		line.MessageAttributes[name] = attributeLine{aws.ToString(a.DataType), a.StringValue, a.BinaryValue}
	}
	return p.emit(line)
}

// print prints a message: its body as it is.
func (p *program) print(m *types.Message) error {
	if p.json {
		return p.emitMessage(m)
	}
	_, err := fmt.Fprintln(p.out, aws.ToString(m.Body))
	return err
}
