package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"
)

// counts are the attributes that tell how many messages a queue has.
var counts = []types.QueueAttributeName{
	types.QueueAttributeNameApproximateNumberOfMessages,
	types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}

func (p *program) queuesCommand() *cobra.Command {
	var t target
	var prefix string
	cmd := &cobra.Command{
		Use: "queues", Short: "List queues and how many messages they have", Args: arguments(),
		Long: `queues lists the queues of the endpoint: how many messages of each can be
received, are in flight (received and not deleted yet), and are delayed. SQS
itself knows these numbers roughly, a server of Dabchick exactly.`,
		Example: "  dabchick queues\n  dabchick queues -prefix orders -json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.queues(cmd.Context(), t, prefix)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "list those only whose names `begin` so")
	return cmd
}

func (p *program) queues(ctx context.Context, t target, prefix string) error {
	c, err := p.connect(ctx, t)
	if err != nil {
		return err
	}
	urls, err := c.list(ctx, prefix)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	if !p.json && len(urls) > 0 {
		fmt.Fprintln(table, "QUEUE\tVISIBLE\tIN FLIGHT\tDELAYED")
	}
	for _, url := range urls {
		n, err := c.attributes(ctx, &url, counts...)
		switch {
		case c.missing(err):
			continue // it was deleted meanwhile
		case err != nil:
			return c.explain(err)
		}
		visible, inFlight, delayed := n[string(counts[0])], n[string(counts[1])], n[string(counts[2])]
		if !p.json {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", path.Base(url), visible, inFlight, delayed)
			continue
		}
		if err := p.emit(queueLine{path.Base(url), url, json.Number(visible), json.Number(inFlight), json.Number(delayed)}); err != nil {
			return err
		}
	}
	return table.Flush()
}

// A queueLine is what -json prints of a queue.
type queueLine struct {
	Name     string      `json:"name"`
	URL      string      `json:"url"`
	Visible  json.Number `json:"visible"`
	InFlight json.Number `json:"inFlight"`
	Delayed  json.Number `json:"delayed"`
}

func (p *program) createCommand() *cobra.Command {
	var t target
	var attributes, tags []string
	cmd := &cobra.Command{
		Use: "create QUEUE", Short: "Make a queue", Args: arguments("QUEUE"),
		Long: `create makes a queue and prints its URL. A queue whose name ends in .fifo is a
FIFO queue. Where there is one of that name with the same attributes, nothing
changes and its URL is printed.`,
		Example: "  dabchick create jobs -attribute VisibilityTimeout=60\n" +
			"  dabchick create orders.fifo -attribute ContentBasedDeduplication=true",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.create(cmd.Context(), t, args[0], attributes, tags)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringArrayVar(&attributes, "attribute", nil, "attribute of SQS as `Name=value`; may be repeated")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "tag as `key=value`; may be repeated")
	return cmd
}

func (p *program) create(ctx context.Context, t target, name string, attributes, tags []string) error {
	in := &sqs.CreateQueueInput{QueueName: &name}
	var err error
	if in.Attributes, err = pairs("attribute", attributes); err != nil {
		return err
	}
	if in.Tags, err = pairs("tag", tags); err != nil {
		return err
	}
	if strings.HasSuffix(name, ".fifo") && in.Attributes["FifoQueue"] == "" {
		in.Attributes["FifoQueue"] = "true"
	}
	c, err := p.connect(ctx, t)
	if err != nil {
		return err
	}
	out, err := c.CreateQueue(ctx, in)
	if err != nil {
		return c.explain(err)
	}
	if p.json {
		return p.emit(map[string]string{"name": name, "url": *out.QueueUrl})
	}
	_, err = fmt.Fprintln(p.out, *out.QueueUrl)
	return err
}

// pairs reads flags of the form name=value.
func pairs(flag string, texts []string) (map[string]string, error) {
	m := map[string]string{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || !utf8.ValidString(text) {
			return nil, usagef("-%s is %q, allowed: name=value, in UTF-8", flag, text)
		}
		if _, twice := m[name]; twice {
			return nil, usagef("-%s %s is given twice", flag, name)
		}
		m[name] = value
	}
	return m, nil
}

func (p *program) purgeCommand() *cobra.Command {
	var t target
	var yes bool
	cmd := &cobra.Command{
		Use: "purge QUEUE", Short: "Remove all messages of a queue", Args: arguments("QUEUE"),
		Long: `purge removes all messages of a queue, those in flight and delayed ones as well.
They cannot be brought back, so it asks for -yes. A queue can be purged once in
60 s (but see "dabchick serve -no-pauses"). SQS itself may take a minute for it.`,
		Example: "  dabchick purge jobs -yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.purge(cmd.Context(), t, args[0], yes)
		},
		ValidArgsFunction: p.completeQueue(&t),
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func (p *program) purge(ctx context.Context, t target, queue string, yes bool) error {
	c, err := p.open(ctx, t, queue)
	if err != nil {
		return err
	}
	attributes, err := c.attributes(ctx, c.url, counts...)
	if err != nil {
		return c.explain(err)
	}
	n := 0
	for _, name := range counts {
		var some int
		fmt.Sscan(attributes[string(name)], &some)
		n += some
	}
	if !yes {
		return usagef("removes all messages of %s at %s, %d now: say -yes to do it", c.queue, c.endpoint, n)
	}
	if _, err := c.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: c.url}); err != nil {
		return c.explain(err)
	}
	if p.json {
		return p.emit(map[string]any{"queue": c.queue, "purged": n})
	}
	_, err = fmt.Fprintf(p.out, "purged %s, which had %d messages\n", c.queue, n)
	return err
}
