package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"
)

func (p *program) peekCommand() *cobra.Command {
	var t target
	var most int
	cmd := &cobra.Command{
		Use: "peek QUEUE", Short: "Show messages and leave them where they are", Args: arguments("QUEUE"),
		Long: `peek shows messages that could be received, without hiding them: it receives
them with a visibility timeout of 0. SQS has no other way, and this one leaves
traces:
  - the receive count of each message shown goes up by one, at times by more;
    on a queue with a dead-letter queue that is one of its attempts, and a
    message that has had them all is moved there;
  - on a standard queue the messages shown go behind the others;
  - of a FIFO queue only the first messages can be shown.
What is in flight or delayed is not shown. SQS itself may leave out more.

It ends with code 3 if there was nothing.`,
		Example: "  dabchick peek jobs\n  dabchick peek jobs-dead -max 100 -json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if most < 1 || most > mostPeeked {
				return usagef("-max is %d, allowed: 1 to %d", most, mostPeeked)
			}
			return p.peek(cmd.Context(), t, args[0], most)
		},
		ValidArgsFunction: p.completeQueue(&t),
	}
	t.flags(cmd)
	cmd.Flags().IntVar(&most, "max", 10, "the most `messages` to show")
	return cmd
}

const mostPeeked = 1000

func (p *program) peek(ctx context.Context, t target, queue string, most int) error {
	c, err := p.open(ctx, t, queue)
	if err != nil {
		return err
	}
	var shown []types.Message
	seen := map[string]bool{}
	for more := true; more && len(shown) < most; {
		n := min(mostEntries, most-len(shown))
		// A wait of a second, as SQS then asks all of its servers.
		messages, err := c.receive(ctx, n, time.Second, 0, zeroes{visibility: true})
		if err != nil {
			return err
		}
		more = len(messages) == n // each call counts as an attempt: none is made in vain
		for _, m := range messages {
			if id := aws.ToString(m.MessageId); seen[id] {
				more = false
			} else {
				seen[id] = true
				shown = append(shown, m)
			}
		}
	}
	if len(shown) == 0 {
		return &failure{exitNothing, "nothing to show in " + c.queue}
	}
	if p.json {
		for i := range shown {
			if err := p.emitMessage(&shown[i]); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSENT\tRECEIVES\tGROUP\tBODY")
	for _, m := range shown {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", aws.ToString(m.MessageId), sentAt(m.Attributes["SentTimestamp"]),
			m.Attributes["ApproximateReceiveCount"], m.Attributes["MessageGroupId"], preview(aws.ToString(m.Body)))
	}
	return table.Flush()
}

// sentAt returns a time of SQS, milliseconds, as people read it.
func sentAt(text string) string {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "?"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z")
}

const mostPreviewed = 60 // characters

// preview returns the beginning of a body, on one line.
func preview(body string) string {
	runes := []rune(body[:min(len(body), 4*mostPreviewed+4)])
	if len(runes) > mostPreviewed {
		return printable(string(runes[:mostPreviewed])) + "…"
	}
	return printable(string(runes))
}
