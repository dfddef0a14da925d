package sqshttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/dabchickmq/dabchick"
)

// said turns what the queue underneath says into SQS's words: that it was deleted
// meanwhile, or what its own bounds refuse if it was made natively.
func (c *call) said(err error) error {
	if errors.Is(err, dabchick.ErrClosed) {
		return c.noQueue()
	}
	return inWords(err)
}

func inWords(err error) error {
	invalid, bad := errors.AsType[*dabchick.InvalidError](err)
	switch {
	case errors.Is(err, dabchick.ErrFull):
		return requestThrottled.because("The queue is full.")
	case errors.Is(err, dabchick.ErrInFlightLimit):
		return tooManyInFlight()
	case bad:
		return badValue(invalid.Field, invalid.Value, "It must be "+invalid.Allowed)
	}
	return err
}

func tooManyInFlight() error { return overLimit.because("Too many messages are in flight.") }

func sendMessage(c *call, in *sendInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	body, o, err := in.outgoing(set, c.trace)
	if err != nil {
		return nil, err
	}
	id, err := q.q.send(c.ctx, body, o)
	if err != nil {
		return nil, c.said(err)
	}
	return in.sent(id, set.fifo), nil
}

// mostEntries is how many entries a batch may have.
const mostEntries = 10

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch holds the ids of a batch's entries against the rules.
func checkBatch[E any](what string, entries []E, id func(*E) string) error {
	if err := checkEntries(what, entries, id); err != nil {
		return err
	}
	return checkDistinct(entries, id)
}

func checkEntries[E any](what string, entries []E, id func(*E) string) error {
	switch n := len(entries); {
	case n == 0:
		return emptyBatchRequest.because("There should be at least one %s in the request.", what)
	case n > mostEntries:
		return tooManyEntries.because("Maximum number of entries per request are %d. You have sent %d.", mostEntries, n)
	}
	for i := range entries {
		if !entryID.MatchString(id(&entries[i])) {
			return invalidBatchEntryID.because("A batch entry id can only contain alphanumeric characters, hyphens and underscores. " +
				"It can be at most 80 letters long.")
		}
	}
	return nil
}

func checkDistinct[E any](entries []E, id func(*E) string) error {
	seen := map[string]bool{}
	for i := range entries {
		x := id(&entries[i])
		if seen[x] {
			return idsNotDistinct.because("Id %s repeated.", x)
		}
		seen[x] = true
	}
	return nil
}

func failed(id string, err error) failedEntry {
	e := asError(err)
	return failedEntry{Id: id, SenderFault: e.Status < 500, Code: e.Code, Message: e.Message}
}

func sendMessageBatch(c *call, in *sendBatchInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := in.check(set); err != nil {
		return nil, err
	}
	var out sendBatchOutput
	var batch []dabchick.Outgoing[string]
	var accepted []*sendEntry
	for i := range in.Entries {
		e := &in.Entries[i]
		body, o, err := e.outgoing(set, c.trace)
		if t, ok := errors.AsType[tooLong](err); ok {
			err = t.said("cannot be validated")
		}
		if err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		batch = append(batch, dabchick.Outgoing[string]{Body: body, SendOptions: o})
		accepted = append(accepted, e)
	}
	sent, err := q.q.sendBatch(c.ctx, batch)
	refused, some := errors.AsType[*dabchick.BatchError](err)
	if err != nil && !some {
		return nil, c.said(err)
	}
	for i, e := range accepted {
		if some && len(refused.Failed) > 0 && refused.Failed[0].Index == i {
			out.Failed = append(out.Failed, failed(e.Id, c.said(refused.Failed[0].Err)))
			refused.Failed = refused.Failed[1:]
			continue
		}
		out.Successful = append(out.Successful, sentEntry{e.Id, e.sent(sent[i], set.fifo)})
	}
	return out, nil
}

// check looks for what fails a whole batch: on a FIFO queue also an entry that would
// break its order or its deduplication, or that is too large.
func (in *sendBatchInput) check(set *settings) error {
	id := func(e *sendEntry) string { return e.Id }
	if err := checkEntries("SendMessageBatchRequestEntry", in.Entries, id); err != nil {
		return err
	}
	size := 0
	for i := range in.Entries {
		e := &in.Entries[i]
		size += e.size()
		switch {
		case !set.fifo:
		case e.MessageGroupId == nil:
			return invalidParameterValue.because("The request must contain the parameter MessageGroupId.")
		case e.MessageDeduplicationId == nil && !set.contentKey:
			return noDedupID()
		}
	}
	if err := checkDistinct(in.Entries, id); err != nil {
		return err
	}
	if size > mostBytes {
		return batchRequestTooLong.because("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", mostBytes, size)
	}
	for i := range in.Entries {
		if set.fifo && in.Entries[i].size() > set.maxSize {
			return tooLong{set.maxSize}
		}
	}
	return nil
}

func receiveMessage(c *call, in *receiveInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	o, err := in.options(set)
	if err != nil {
		return nil, err
	}
	wait := cmp.Or(o.Wait, time.Duration(set.seconds[waitSeconds])*time.Second)
	var ms []receivedMessage
	err = c.poll(wait, func(c *call) (err error) {
		ms, err = q.q.receive(c.ctx, c.s, in, o)
		return err
	})
	if err != nil {
		return nil, c.said(err)
	}
	if len(ms) == 0 && wait <= 0 && !set.fifo && q.q.full(c.ctx) {
		return nil, tooManyInFlight()
	}
	return receiveOutput{ms}, nil
}

// options checks a receive against the rules, and returns it as the queue takes it.
func (in *receiveInput) options(set *settings) (o dabchick.ReceiveOptions, err error) {
	if err := cmp.Or(
		inRange("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10, "between %d and %d"),
		inRange("WaitTimeSeconds", in.WaitTimeSeconds, 0, 20, ">= %d and <= %d"),
		inRange("VisibilityTimeout", in.VisibilityTimeout, 0, 43_200, "between %d and %d"),
	); err != nil {
		return o, err
	}
	o.Max = 1
	if in.MaxNumberOfMessages != nil {
		o.Max = *in.MaxNumberOfMessages
	}
	if in.WaitTimeSeconds != nil {
		o.Wait = orImmediately(time.Duration(*in.WaitTimeSeconds) * time.Second)
	}
	if in.VisibilityTimeout != nil {
		o.Visibility = orImmediately(time.Duration(*in.VisibilityTimeout) * time.Second)
	}
	if o.AttemptID, err = optionalID("ReceiveRequestAttemptId", in.ReceiveRequestAttemptId); err != nil {
		return o, err
	}
	if o.AttemptID != "" && !set.fifo {
		return o, badValue("ReceiveRequestAttemptId", o.AttemptID, "The request includes a parameter that is not valid for this queue type.")
	}
	return o, nil
}

func inRange(parameter string, n *int, least, most int, form string) error {
	if n == nil || *n >= least && *n <= most {
		return nil
	}
	return badValue(parameter, *n, "Must be "+fmt.Sprintf(form, least, most)+", if provided.")
}

// mostHeld is how long a message may be in flight after its receive, extensions
// included.
const mostHeld = 12 * time.Hour

func expiredHandle(parameter, handle string) error {
	return badValue(parameter, handle, "The receipt handle has expired.")
}

// remove deletes a message.
func remove(ctx context.Context, q *queue, fifo bool, handle string) error {
	r, at, err := readHandle(q.q, handle)
	if err != nil {
		return err
	}
	if !at.IsZero() && time.Since(at) > mostHeld {
		return expiredHandle("ReceiptHandle", handle)
	}
	switch err := q.q.Delete(ctx, r); {
	case errors.Is(err, dabchick.ErrReceiptSuperseded) && !fifo:
		return nil // as SQS may: somebody else has the message now, and keeps it
	case errors.Is(err, dabchick.ErrReceiptSuperseded) || errors.Is(err, dabchick.ErrReceiptExpired):
		return expiredHandle("ReceiptHandle", handle)
	default:
		return err
	}
}

// change gives a message in flight another visibility timeout.
func change(ctx context.Context, q *queue, fifo bool, handle string, seconds *int) error {
	r, at, err := readHandle(q.q, handle)
	switch {
	case err != nil:
		return err
	case seconds == nil:
		return missing("VisibilityTimeout")
	case *seconds < 0 || *seconds > 43_200:
		return badValue("VisibilityTimeout", *seconds, "VisibilityTimeout must be an integer between 0 and 43200.")
	}
	d := time.Duration(*seconds) * time.Second
	if !at.IsZero() && time.Since(at)+d > mostHeld {
		return badValue("VisibilityTimeout", *seconds, "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	switch err := q.q.ChangeVisibility(ctx, d, r); {
	case errors.Is(err, dabchick.ErrReceiptExpired) || errors.Is(err, dabchick.ErrReceiptSuperseded):
		if fifo {
			return expiredHandle("ReceiptHandle", handle)
		}
		return nil
	case errors.Is(err, dabchick.ErrMessageGone):
		return gone{badValue("ReceiptHandle", handle, "Message does not exist or is not available for visibility timeout change.")}
	default:
		return err
	}
}

// gone is what a change says of a message that is not there: a batch says it in
// other words.
type gone struct{ is *Error }

func (g gone) Error() string { return g.is.Error() }
func (g gone) Unwrap() error { return g.is }

func deleteMessage(c *call, in *deleteInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err == nil {
		err = remove(c.ctx, q, set.fifo, in.ReceiptHandle)
	}
	return nil, err
}

func deleteMessageBatch(c *call, in *deleteBatchInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch("DeleteMessageBatchRequestEntry", in.Entries, func(e *deleteEntry) string { return e.Id }); err != nil {
		return nil, err
	}
	var out deleteBatchOutput
	for _, e := range in.Entries {
		if err := remove(c.ctx, q, set.fifo, e.ReceiptHandle); err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
		} else {
			out.Successful = append(out.Successful, doneEntry{e.Id})
		}
	}
	return out, nil
}

func changeMessageVisibility(c *call, in *changeInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err == nil {
		err = change(c.ctx, q, set.fifo, in.ReceiptHandle, in.VisibilityTimeout)
	}
	return nil, err
}

func changeMessageVisibilityBatch(c *call, in *changeBatchInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch("ChangeMessageVisibilityBatchRequestEntry", in.Entries, func(e *changeEntry) string { return e.Id }); err != nil {
		return nil, err
	}
	var out changeBatchOutput
	for _, e := range in.Entries {
		err := change(c.ctx, q, set.fifo, e.ReceiptHandle, e.VisibilityTimeout)
		if g, ok := errors.AsType[gone](err); ok {
			err = receiptHandleIsInvalid.because("%s", g.is.Message)
		}
		if err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
		} else {
			out.Successful = append(out.Successful, doneEntry{e.Id})
		}
	}
	return out, nil
}
