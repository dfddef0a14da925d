package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"
)

type redriveFlags struct {
	target
	to             string
	rate           int
	cancel, status bool
}

func (p *program) redriveCommand() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use: "redrive QUEUE", Short: "Move messages of a dead-letter queue back", Args: arguments("QUEUE"),
		Long: `redrive starts a message move task at the endpoint, which takes the messages of a
dead-letter queue back to the queues that they came from, or to another, and
follows it until it has ended. On Ctrl-C the task goes on without being followed.

With -cancel it cancels the task of that queue that runs, with -status it tells
how the latest one stands; both start none.`,
		Example: "  dabchick redrive jobs-dead\n  dabchick redrive jobs-dead -to jobs-again -rate 50\n  dabchick redrive jobs-dead -cancel",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("rate") && (f.rate < 1 || f.rate > 500) {
				return usagef("-rate is %d, allowed: 1 to 500", f.rate)
			}
			if f.cancel && f.status || (f.cancel || f.status) && (f.to != "" || f.rate != 0) {
				return usagef("-cancel and -status go with no other flag of redrive")
			}
			return p.redrive(cmd.Context(), f, args[0])
		},
		ValidArgsFunction: p.completeQueue(&f.target),
	}
	f.target.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "`queue` to move to, by default the one that each message came from")
	cmd.RegisterFlagCompletionFunc("to", p.completeQueues(&f.target)) // does not fail: the flag is there, once
	flags.IntVar(&f.rate, "rate", 0, "the most `messages` a second, 1 to 500; by default as SQS likes")
	flags.BoolVar(&f.cancel, "cancel", false, "cancel the task that runs")
	flags.BoolVar(&f.status, "status", false, "tell how the latest task stands")
	return cmd
}

func (p *program) redrive(ctx context.Context, f redriveFlags, queue string) error {
	c, err := p.open(ctx, f.target, queue)
	if err != nil {
		return err
	}
	source, err := c.arn(ctx)
	if err != nil {
		return err
	}
	switch {
	case f.status:
		task, err := c.latestMove(ctx, source)
		if err != nil {
			return err
		}
		return p.printMove(c, task)
	case f.cancel:
		return p.cancelMove(ctx, c, source)
	}
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &source}
	if f.rate != 0 {
		in.MaxNumberOfMessagesPerSecond = aws.Int32(int32(f.rate))
	}
	if f.to != "" {
		to, err := p.open(ctx, f.target, f.to)
		if err != nil {
			return err
		}
		arn, err := to.arn(ctx)
		if err != nil {
			return err
		}
		in.DestinationArn = &arn
	}
	if _, err := c.StartMessageMoveTask(ctx, in); err != nil {
		return c.explain(err)
	}
	return p.follow(ctx, c, source)
}

// arn returns that of the queue.
func (c *client) arn(ctx context.Context) (string, error) {
	attributes, err := c.attributes(ctx, c.url, types.QueueAttributeNameQueueArn)
	return attributes[string(types.QueueAttributeNameQueueArn)], c.explain(err)
}

// latestMove returns the task of the queue that was started last.
func (c *client) latestMove(ctx context.Context, source string) (*types.ListMessageMoveTasksResultEntry, error) {
	out, err := c.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &source, MaxResults: aws.Int32(1)})
	if err != nil {
		return nil, c.explain(err)
	}
	if len(out.Results) == 0 {
		return nil, fmt.Errorf("%s has had no move task", c.queue)
	}
	return &out.Results[0], nil
}

// follow shows how far the task is until it has ended.
func (p *program) follow(ctx context.Context, c *client, source string) error {
	bar := p.newProgress("moved", 1)
	defer bar.end()
	look := time.NewTicker(time.Second / 4)
	defer look.Stop()
	for {
		task, err := c.latestMove(ctx, source)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: the task goes on; \"dabchick redrive %s -cancel\" ends it", c.queue)
		}
		if err != nil {
			return err
		}
		bar.set(int(task.ApproximateNumberOfMessagesMoved), int(aws.ToInt64(task.ApproximateNumberOfMessagesToMove)))
		if status := aws.ToString(task.Status); status != "RUNNING" && status != "CANCELLING" {
			bar.end()
			if err := p.printMove(c, task); err != nil || status != "FAILED" {
				return err
			}
			return fmt.Errorf("the task has failed: %s", aws.ToString(task.FailureReason))
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

func (p *program) cancelMove(ctx context.Context, c *client, source string) error {
	task, err := c.latestMove(ctx, source)
	if err != nil {
		return err
	}
	if task.TaskHandle == nil {
		return fmt.Errorf("%s has no task that runs: the latest is %s", c.queue, aws.ToString(task.Status))
	}
	if _, err := c.CancelMessageMoveTask(ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: task.TaskHandle}); err != nil {
		return c.explain(err)
	}
	return p.follow(ctx, c, source)
}

// A moveLine is what -json prints of a task.
type moveLine struct {
	Status string `json:"status"`
	Source string `json:"source"`
	To     string `json:"to,omitempty"`
	Moved  int64  `json:"moved"`
	Total  int64  `json:"total"`
	Reason string `json:"reason,omitempty"`
}

// printMove prints how a task stands.
func (p *program) printMove(c *client, task *types.ListMessageMoveTasksResultEntry) error {
	l := moveLine{
		Status: aws.ToString(task.Status), Source: aws.ToString(task.SourceArn), To: aws.ToString(task.DestinationArn),
		Moved: task.ApproximateNumberOfMessagesMoved, Total: aws.ToInt64(task.ApproximateNumberOfMessagesToMove),
		Reason: aws.ToString(task.FailureReason),
	}
	if p.json {
		return p.emit(l)
	}
	if l.Reason != "" {
		l.Reason = ": " + l.Reason
	}
	_, err := fmt.Fprintf(p.out, "%s: %d of %d messages moved from %s%s\n", l.Status, l.Moved, l.Total, c.queue, l.Reason)
	return err
}
