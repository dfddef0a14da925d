package sqshttp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A moveTask takes messages out of a dead-letter queue. The Service's mu guards
// what changes.
type moveTask struct {
	ID      string `json:"taskId"`
	Source  string `json:"sourceArn"`
	to      string // ARN, or "" for where each came from
	rate    int
	total   int // to move: what was visible at the start
	started time.Time
	cancel  context.CancelFunc

	status string
	moved  int
	reason string
}

const (
	running    = "RUNNING"
	cancelling = "CANCELLING"
	cancelled  = "CANCELLED"
	completed  = "COMPLETED"
	broken     = "FAILED"
)

// mostMoves is how many tasks of a queue are remembered: as many as a list shows.
const mostMoves = 10

// mostHandle is longer than any handle is.
const mostHandle = 1024

func (t *moveTask) handle() string {
	b, _ := json.Marshal(t) // two texts
	return base64.StdEncoding.EncodeToString(b)
}

func checkARN(parameter, arn string) error {
	if parts := strings.Split(arn, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" {
		return badValue(parameter, quoted(arn), "it is not the ARN of a queue.")
	}
	return nil
}

func noResource(parameter string) error {
	return resourceNotFound.because("The resource that you specified for the %s parameter doesn't exist.", parameter)
}

func startMessageMoveTask(c *call, in *startMoveInput) (any, error) {
	if in.SourceArn == "" {
		return nil, missing("SourceArn")
	}
	if err := checkARN("SourceArn", in.SourceArn); err != nil {
		return nil, err
	}
	rate := 0
	if n := in.MaxNumberOfMessagesPerSecond; n != nil {
		if rate = *n; rate < 1 || rate > 500 {
			return nil, badValue("MaxNumberOfMessagesPerSecond", rate, "Must be from 1 to 500.")
		}
	}
	s := c.s
	s.changes.Lock()
	defer s.changes.Unlock()
	source, to, err := s.endsOfMove(in)
	if err != nil {
		return nil, err
	}
	stats, err := source.q.Stats(c.ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &moveTask{
		ID: newID(), Source: in.SourceArn, to: in.DestinationArn, rate: rate, started: time.Now(),
		status: running, total: stats.Visible,
	}
	source.moves = append([]*moveTask{t}, source.moves[:min(len(source.moves), mostMoves-1)]...)
	s.run(t, source, to)
	return startMoveOutput{t.handle()}, nil
}

// endsOfMove returns the queue to move from, and the one to move to or nil.
func (s *Service) endsOfMove(in *startMoveInput) (source *queue, to backing, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	source, ok := s.byARN(in.SourceArn)
	if !ok {
		return nil, nil, noResource("SourceArn")
	}
	isTarget := false
	for _, q := range s.queues {
		isTarget = isTarget || q.set.target == source.name
	}
	if !isTarget {
		return nil, nil, invalidParameterValue.because("Source queue must be configured as a Dead Letter Queue.")
	}
	if in.DestinationArn != "" {
		if err := checkARN("DestinationArn", in.DestinationArn); err != nil {
			return nil, nil, err
		}
		destination, ok := s.byARN(in.DestinationArn)
		switch {
		case !ok:
			return nil, nil, noResource("DestinationArn")
		case destination == source:
			return nil, nil, badValue("DestinationArn", in.DestinationArn, "it is the source.")
		case !destination.set.kin(source.set):
			return nil, nil, badValue("DestinationArn", in.DestinationArn, "it must be of the same type as the source.")
		}
		to = destination.q
	}
	if slices.ContainsFunc(source.moves, func(t *moveTask) bool { return t.status == running || t.status == cancelling }) {
		return nil, nil, invalidParameterValue.because("There is already a task running. " +
			"Only one active task is allowed for a source queue arn at a given time.")
	}
	return source, to, nil
}

// run starts a task. It needs mu.
func (s *Service) run(t *moveTask, source *queue, to backing) {
	ctx, cancel := context.WithCancel(s.ending)
	t.cancel = cancel
	if s.closed {
		cancel()
	}
	progress := func(moved, _ int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.moved = moved
	}
	s.tasks.Go(func() {
		defer cancel()
		var moved int
		var err error
		if t.total > 0 {
			moved, err = source.q.redrive(ctx, t, to, s.sourcesOf(source), progress)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		t.end(moved, err)
	})
}

// sourcesOf returns what finds the queue that now has the name of one whose dead letters
// are in this one, or nil.
func (s *Service) sourcesOf(dead *queue) func(name string) backing {
	return func(name string) backing {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if q, ok := s.queues[name]; ok && q != dead && q.set.kin(dead.set) {
			return q.q
		}
		return nil
	}
}

// end notes how the task has ended. It needs mu.
func (t *moveTask) end(moved int, err error) {
	t.moved = moved
	switch {
	case err == nil:
		t.status = completed
	case errors.Is(err, context.Canceled):
		t.status = cancelled
	case errors.Is(err, dabchick.ErrNoOrigin):
		t.status, t.reason = broken, "CouldNotDetermineMessageSource"
	case errors.Is(err, dabchick.ErrClosed):
		t.status, t.reason = broken, queueDoesNotExist.code
	default:
		t.status, t.reason = broken, asError(inWords(err)).Code
	}
}

func listMessageMoveTasks(c *call, in *listMovesInput) (any, error) {
	if in.SourceArn == "" {
		return nil, missing("SourceArn")
	}
	n := 1
	if in.MaxResults != nil {
		if n = *in.MaxResults; n < 1 || n > mostMoves {
			return nil, badValue("MaxResults", n, "Must be from 1 to 10.")
		}
	}
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	source, ok := c.s.byARN(in.SourceArn)
	if !ok {
		return nil, noResource("SourceArn")
	}
	var out listMovesOutput
	for _, t := range source.moves[:min(n, len(source.moves))] {
		r := moveResult{
			Status: t.status, SourceArn: t.Source, DestinationArn: t.to, MaxNumberOfMessagesPerSecond: t.rate,
			ApproximateNumberOfMessagesMoved: t.moved, ApproximateNumberOfMessagesToMove: t.total,
			FailureReason: t.reason, StartedTimestamp: t.started.UnixMilli(),
		}
		if t.status == running {
			r.TaskHandle = t.handle()
		}
		out.Results = append(out.Results, r)
	}
	return out, nil
}

func cancelMessageMoveTask(c *call, in *cancelMoveInput) (any, error) {
	if in.TaskHandle == "" {
		return nil, missing("TaskHandle")
	}
	var named moveTask
	raw, err := base64.StdEncoding.DecodeString(in.TaskHandle)
	if len(in.TaskHandle) > mostHandle || err != nil || json.Unmarshal(raw, &named) != nil || named.ID == "" {
		return nil, invalidParameterValue.because("Value for parameter TaskHandle is invalid.")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	source, ok := c.s.byARN(named.Source)
	if !ok {
		return nil, noResource("SourceArn")
	}
	for _, t := range source.moves {
		if t.ID == named.ID && t.status == running {
			t.status = cancelling
			t.cancel()
			return cancelMoveOutput{t.moved}, nil
		}
	}
	return nil, resourceNotFound.because("Task does not exist.")
}

// newID returns a UUID of version 4.
func newID() string {
	var id dabchick.ID
	rand.Read(id[:]) // does not fail
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}
