package clienttest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

var credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
})

func newService(t *testing.T) *sqshttp.Service {
	t.Helper()
	s, err := sqshttp.New(sqshttp.Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// inProcess returns a client that talks to the service without a network.
func inProcess(s *sqshttp.Service) *sqs.Client {
	return sqs.New(sqs.Options{HTTPClient: s, Region: "us-east-1", Credentials: credentials, RetryMaxAttempts: 1})
}

// everywhere runs a test in process, in a bubble of fake time, and on a loopback port.
func everywhere(t *testing.T, test func(t *testing.T, c *sqs.Client)) {
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t)
			test(t, inProcess(s))
			s.Close()
		})
	})
	t.Run("loopback", func(t *testing.T) {
		s := newService(t)
		server := httptest.NewServer(s)
		defer server.Close()
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		test(t, sqs.New(sqs.Options{
			BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: credentials, RetryMaxAttempts: 1, HTTPClient: client,
		}))
	})
}

func create(t *testing.T, c *sqs.Client, name string, attributes ...string) *string {
	t.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name}
	for i := 0; i < len(attributes); i += 2 {
		if in.Attributes == nil {
			in.Attributes = map[string]string{}
		}
		in.Attributes[attributes[i]] = attributes[i+1]
	}
	out, err := c.CreateQueue(t.Context(), in)
	require.NoError(t, err)
	return out.QueueUrl
}

func send(t *testing.T, c *sqs.Client, url *string, body string) *sqs.SendMessageOutput {
	t.Helper()
	out, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body})
	require.NoError(t, err)
	return out
}

func receive(t *testing.T, c *sqs.Client, in *sqs.ReceiveMessageInput) []types.Message {
	t.Helper()
	out, err := c.ReceiveMessage(t.Context(), in)
	require.NoError(t, err)
	return out.Messages
}

func arn(t *testing.T, c *sqs.Client, url *string) string {
	t.Helper()
	return attributes(t, c, url, types.QueueAttributeNameQueueArn)["QueueArn"]
}

func attributes(t *testing.T, c *sqs.Client, url *string, names ...types.QueueAttributeName) map[string]string {
	t.Helper()
	out, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: names})
	require.NoError(t, err)
	return out.Attributes
}

// refused asserts what an error is to a program that looks at its code.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.ErrorCode(), e.ErrorMessage())
}

func TestMessageGoesRound(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		url := create(t, c, "jobs")
		binary := []byte{0, 1, 255}
		sent, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: url, MessageBody: aws.String("grüße\r\n"),
			MessageAttributes: map[string]types.MessageAttributeValue{
				"colour": {DataType: aws.String("String"), StringValue: aws.String("red")},
				"size":   {DataType: aws.String("Number.int"), StringValue: aws.String("-12.50")},
				"raw":    {DataType: aws.String("Binary"), BinaryValue: binary},
			},
			MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
				"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1-5759e988-bd862e3fe1be46a994272793")},
			},
		})
		require.NoError(t, err)
		require.Nil(t, sent.SequenceNumber)

		ms := receive(t, c, &sqs.ReceiveMessageInput{
			QueueUrl: url, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		require.Len(t, ms, 1)
		m := ms[0]
		require.Equal(t, "grüße\r\n", *m.Body)
		require.Equal(t, *sent.MessageId, *m.MessageId)
		require.True(t, strings.HasPrefix(*m.ReceiptHandle, "AQEB"))
		require.Equal(t, binary, m.MessageAttributes["raw"].BinaryValue)
		require.Equal(t, "-12.50", *m.MessageAttributes["size"].StringValue)
		require.Equal(t, *sent.MD5OfMessageAttributes, *m.MD5OfMessageAttributes)
		require.Equal(t, "1", m.Attributes["ApproximateReceiveCount"])
		require.Equal(t, "Root=1-5759e988-bd862e3fe1be46a994272793", m.Attributes["AWSTraceHeader"])
		require.NotEmpty(t, m.Attributes["SentTimestamp"])

		require.Empty(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), "hidden")
		_, err = c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
		require.NoError(t, err)
		again := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: []string{"col.*"}})
		require.Len(t, again, 1)
		require.Len(t, again[0].MessageAttributes, 1)
		require.Nil(t, again[0].Attributes)
		for range 2 { // deleting twice is no error
			_, err = c.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: again[0].ReceiptHandle})
			require.NoError(t, err)
		}
		_, err = c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: again[0].ReceiptHandle})
		refused(t, err, "InvalidParameterValue")
	})
}

func TestTimePassesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		url := create(t, c, "jobs", "VisibilityTimeout", "3600", "ReceiveMessageWaitTimeSeconds", "20")
		began := time.Now()
		require.Empty(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}))
		require.Equal(t, 20*time.Second, time.Since(began), "a long poll")

		go func() {
			time.Sleep(7 * time.Second)
			c.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("late"), DelaySeconds: 3})
		}()
		began = time.Now()
		require.Len(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), 1)
		require.Equal(t, 10*time.Second, time.Since(began))

		began = time.Now()
		for range 180 { // of 20 s each
			if len(receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url})) > 0 {
				break
			}
		}
		require.Equal(t, time.Hour, time.Since(began), "the visibility timeout")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestThousandLongPollsWakeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		url := create(t, c, "jobs")
		const n = 1000
		var mu sync.Mutex
		var woken []int
		var polls sync.WaitGroup
		for i := range n {
			polls.Go(func() {
				ms := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
				mu.Lock()
				defer mu.Unlock()
				if len(ms) == 1 {
					woken = append(woken, i)
				}
			})
			synctest.Wait()
		}
		for i := range n {
			send(t, c, url, fmt.Sprint(i))
			synctest.Wait()
		}
		polls.Wait()
		require.Len(t, woken, n)
		require.IsIncreasing(t, woken)
	})
}

func TestBatches(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		url := create(t, c, "jobs")
		entry := func(id, body string) types.SendMessageBatchRequestEntry {
			return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
		}
		sent, err := c.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
			entry("a", "1"), entry("b", "\x01"), entry("c", "3"),
		}})
		require.NoError(t, err)
		require.Len(t, sent.Successful, 2)
		require.Len(t, sent.Failed, 1)
		require.Equal(t, "InvalidMessageContents", *sent.Failed[0].Code)
		require.True(t, sent.Failed[0].SenderFault)

		ms := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
		require.Len(t, ms, 2)
		var hide []types.ChangeMessageVisibilityBatchRequestEntry
		var drop []types.DeleteMessageBatchRequestEntry
		for i, m := range ms {
			id := fmt.Sprint(i)
			hide = append(hide, types.ChangeMessageVisibilityBatchRequestEntry{Id: &id, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 60})
			drop = append(drop, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: m.ReceiptHandle})
		}
		drop = append(drop, types.DeleteMessageBatchRequestEntry{Id: aws.String("x"), ReceiptHandle: aws.String("nonsense")})
		changed, err := c.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: hide})
		require.NoError(t, err)
		require.Len(t, changed.Successful, 2)
		deleted, err := c.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: drop})
		require.NoError(t, err)
		require.Len(t, deleted.Successful, 2)
		require.Equal(t, "ReceiptHandleIsInvalid", *deleted.Failed[0].Code)
		changed, err = c.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: hide})
		require.NoError(t, err)
		require.Equal(t, "ReceiptHandleIsInvalid", *changed.Failed[0].Code, "deleted messages, in a batch")

		for _, x := range []struct {
			entries []types.SendMessageBatchRequestEntry
			as      any
		}{
			{[]types.SendMessageBatchRequestEntry{}, new(*types.EmptyBatchRequest)},
			{make11(entry), new(*types.TooManyEntriesInBatchRequest)},
			{[]types.SendMessageBatchRequestEntry{entry("a", "1"), entry("a", "2")}, new(*types.BatchEntryIdsNotDistinct)},
			{[]types.SendMessageBatchRequestEntry{entry("a b", "1")}, new(*types.InvalidBatchEntryId)},
			{[]types.SendMessageBatchRequestEntry{entry("a", strings.Repeat("x", 1<<20)), entry("b", "x")}, new(*types.BatchRequestTooLong)},
		} {
			_, err := c.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: x.entries})
			require.ErrorAs(t, err, x.as)
		}
		require.Empty(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), "nothing was applied")
	})
}

func make11(entry func(id, body string) types.SendMessageBatchRequestEntry) (es []types.SendMessageBatchRequestEntry) {
	for i := range 11 {
		es = append(es, entry(fmt.Sprint(i), "x"))
	}
	return es
}

func TestFIFO(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		url := create(t, c, "orders.fifo", "FifoQueue", "true", "ContentBasedDeduplication", "true")
		put := func(group, body string) *sqs.SendMessageOutput {
			out, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, MessageGroupId: &group})
			require.NoError(t, err)
			return out
		}
		first := put("a", "a1")
		require.Len(t, *first.SequenceNumber, 20)
		again := put("a", "a1")
		require.Equal(t, *first.MessageId, *again.MessageId, "a duplicate")
		require.Equal(t, *first.SequenceNumber, *again.SequenceNumber)
		require.Greater(t, *put("a", "a2").SequenceNumber, *first.SequenceNumber)
		put("b", "b1")

		in := &sqs.ReceiveMessageInput{QueueUrl: url, ReceiveRequestAttemptId: aws.String("try"),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}}
		one := receive(t, c, in)
		require.Equal(t, "a1", *one[0].Body)
		require.Equal(t, *first.SequenceNumber, one[0].Attributes["SequenceNumber"])
		require.Equal(t, "a", one[0].Attributes["MessageGroupId"])
		require.Equal(t, one, receive(t, c, in), "repeated, with the same handle")
		require.Equal(t, "b1", *receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})[0].Body)
		require.Empty(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), "the group is locked")
		_, err := c.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: one[0].ReceiptHandle})
		require.NoError(t, err)
		require.Equal(t, "a2", *receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url})[0].Body)

		_, err = c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")})
		refused(t, err, "MissingParameter")
		_, err = c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), DelaySeconds: 1})
		refused(t, err, "InvalidParameterValue")
	})
}

func TestDeadLettersAndMoveTasks(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		dead := create(t, c, "dead")
		url := create(t, c, "jobs", "RedrivePolicy",
			fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, arn(t, c, dead)))
		id := send(t, c, url, "poison").MessageId
		m := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url})[0]
		_, err := c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
		require.NoError(t, err)
		require.Empty(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), "moved by this receive")

		peek := &sqs.ReceiveMessageInput{QueueUrl: dead, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}}
		m = receive(t, c, peek)[0]
		require.Equal(t, *id, *m.MessageId)
		require.Equal(t, "2", m.Attributes["ApproximateReceiveCount"])
		require.Equal(t, arn(t, c, url), m.Attributes["DeadLetterQueueSourceArn"])
		_, err = c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: dead, ReceiptHandle: m.ReceiptHandle})
		require.NoError(t, err)

		sources, err := c.ListDeadLetterSourceQueues(t.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead})
		require.NoError(t, err)
		require.Equal(t, []string{*url}, sources.QueueUrls)

		source := arn(t, c, dead)
		_, err = c.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &source})
		require.NoError(t, err)
		back := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		require.Len(t, back, 1)
		require.NotEqual(t, *id, *back[0].MessageId, "it counts as new")
		require.Equal(t, "1", back[0].Attributes["ApproximateReceiveCount"])
		require.Eventually(t, func() bool {
			tasks, err := c.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: &source})
			require.NoError(t, err)
			return aws.ToString(tasks.Results[0].Status) == "COMPLETED" && tasks.Results[0].ApproximateNumberOfMessagesMoved == 1
		}, time.Minute, time.Millisecond)

		_, err = c.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(arn(t, c, url))})
		refused(t, err, "InvalidParameterValue")
		_, err = c.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(source + "x")})
		require.ErrorAs(t, err, new(*types.ResourceNotFoundException))
		_, err = c.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: aws.String("nonsense")})
		refused(t, err, "InvalidParameterValue")
	})
}

func TestMoveTaskIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		dead := create(t, c, "dead")
		create(t, c, "jobs", "RedrivePolicy", fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"3"}`, arn(t, c, dead)))
		to := create(t, c, "other")
		for range 100 {
			send(t, c, dead, "x")
		}
		source, destination := arn(t, c, dead), arn(t, c, to)
		start := &sqs.StartMessageMoveTaskInput{SourceArn: &source, DestinationArn: &destination, MaxNumberOfMessagesPerSecond: aws.Int32(2)}
		task, err := c.StartMessageMoveTask(t.Context(), start)
		require.NoError(t, err)
		_, err = c.StartMessageMoveTask(t.Context(), start)
		refused(t, err, "InvalidParameterValue")
		time.Sleep(10 * time.Second)
		list := func() types.ListMessageMoveTasksResultEntry {
			out, err := c.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: &source, MaxResults: aws.Int32(10)})
			require.NoError(t, err)
			require.Len(t, out.Results, 1)
			return out.Results[0]
		}
		require.Equal(t, "RUNNING", *list().Status)
		require.Equal(t, *task.TaskHandle, *list().TaskHandle)
		stopped, err := c.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: task.TaskHandle})
		require.NoError(t, err)
		require.InDelta(t, 20, stopped.ApproximateNumberOfMessagesMoved, 2)
		synctest.Wait()
		require.Equal(t, "CANCELLED", *list().Status)
		require.Nil(t, list().TaskHandle)
		_, err = c.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: task.TaskHandle})
		require.ErrorAs(t, err, new(*types.ResourceNotFoundException))
	})
}

func TestQueuesAreAdministered(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		ctx := t.Context()
		for i := range 5 {
			create(t, c, fmt.Sprint("q", i))
		}
		create(t, c, "other")
		pages := sqs.NewListQueuesPaginator(c, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("q"), MaxResults: aws.Int32(2)})
		var urls []string
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			require.NoError(t, err)
			require.LessOrEqual(t, len(out.QueueUrls), 2)
			urls = append(urls, out.QueueUrls...)
		}
		require.Len(t, urls, 5)

		url, err := c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("q3")})
		require.NoError(t, err)
		require.Equal(t, urls[3], *url.QueueUrl)
		_, err = c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("nobody")})
		require.ErrorAs(t, err, new(*types.QueueDoesNotExist))
		refused(t, err, "AWS.SimpleQueueService.NonExistentQueue")

		q := url.QueueUrl
		require.Len(t, attributes(t, c, q, "All"), 12)
		require.Empty(t, attributes(t, c, q))
		_, err = c.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: q, Attributes: map[string]string{"VisibilityTimeout": "7"}})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"VisibilityTimeout": "7"}, attributes(t, c, q, "VisibilityTimeout", "Policy"))
		_, err = c.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: q, Attributes: map[string]string{"VisibilityTimeout": "43201"}})
		require.ErrorAs(t, err, new(*types.InvalidAttributeValue))
		_, err = c.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: q, Attributes: map[string]string{"Colour": "red"}})
		require.ErrorAs(t, err, new(*types.InvalidAttributeName))
		_, err = c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q3"), Attributes: map[string]string{"VisibilityTimeout": "8"}})
		require.ErrorAs(t, err, new(*types.QueueNameExists))

		_, err = c.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: q, Tags: map[string]string{"team": "blue", "Team": ""}})
		require.NoError(t, err)
		_, err = c.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: q, TagKeys: []string{"Team", "unknown"}})
		require.NoError(t, err)
		tags, err := c.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: q})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"team": "blue"}, tags.Tags)

		allow := &sqs.AddPermissionInput{QueueUrl: q, Label: aws.String("partner"), AWSAccountIds: []string{"123456789012"}, Actions: []string{"SendMessage"}}
		_, err = c.AddPermission(ctx, allow)
		require.NoError(t, err)
		_, err = c.AddPermission(ctx, allow)
		refused(t, err, "InvalidParameterValue")
		require.JSONEq(t, `{"Version":"2008-10-17","Id":"arn:aws:sqs:us-east-1:000000000000:q3/SQSDefaultPolicy","Statement":[{
			"Sid":"partner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},
			"Action":"SQS:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:q3"}]}`, attributes(t, c, q, "Policy")["Policy"])
		_, err = c.RemovePermission(ctx, &sqs.RemovePermissionInput{QueueUrl: q, Label: aws.String("partner")})
		require.NoError(t, err)
		require.Empty(t, attributes(t, c, q, "Policy"))

		send(t, c, q, "x")
		_, err = c.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: q})
		require.NoError(t, err)
		require.Equal(t, "0", attributes(t, c, q, "All")["ApproximateNumberOfMessages"])
		_, err = c.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: q})
		require.ErrorAs(t, err, new(*types.PurgeQueueInProgress))

		_, err = c.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: q})
		require.NoError(t, err)
		_, err = c.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: q})
		require.ErrorAs(t, err, new(*types.QueueDoesNotExist))
		_, err = c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q3")})
		require.ErrorAs(t, err, new(*types.QueueDeletedRecently))
	})
}

func TestSixtySecondRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		url := create(t, c, "q")
		for range 2 {
			_, err := c.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url})
			require.NoError(t, err)
			time.Sleep(time.Minute)
		}
		_, err := c.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		create(t, c, "q")
	})
}

// What comes from a queue's deletion to a poll that waits on it.
func TestDeletedQueueEndsPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		url := create(t, c, "q")
		go func() {
			time.Sleep(time.Second)
			c.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: url})
		}()
		_, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
		require.ErrorAs(t, err, new(*types.QueueDoesNotExist))
	})
}

func TestReceiptHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		url, other := create(t, c, "q"), create(t, c, "other")
		send(t, c, url, "x")
		m := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url})[0]
		drop := func(url, handle *string) error {
			_, err := c.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: handle})
			return err
		}
		require.ErrorAs(t, drop(other, m.ReceiptHandle), new(*types.ReceiptHandleIsInvalid), "of another queue")
		err := drop(url, aws.String("made up"))
		require.ErrorAs(t, err, new(*types.ReceiptHandleIsInvalid))
		require.ErrorContains(t, err, "made up", "it quotes the handle")

		hide := func(seconds int32) error {
			_, err := c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
			return err
		}
		time.Sleep(5 * time.Second)
		refused(t, hide(43_200), "InvalidParameterValue") // 5 s have gone
		require.NoError(t, hide(43_195))
		refused(t, hide(-1), "InvalidParameterValue")
		require.NoError(t, hide(1))
		time.Sleep(2 * time.Second)
		require.NoError(t, hide(60), "expired: nothing changes")
		newer := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url})[0]
		require.NoError(t, drop(url, m.ReceiptHandle), "superseded: nothing is deleted")
		require.Equal(t, "1", attributes(t, c, url, "All")["ApproximateNumberOfMessagesNotVisible"])
		time.Sleep(13 * time.Hour)
		refused(t, drop(url, newer.ReceiptHandle), "InvalidParameterValue")
	})
}

func TestManyServicesAreApart(t *testing.T) {
	a, b := newService(t), newService(t)
	create(t, inProcess(a), "q")
	_, err := inProcess(b).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	require.ErrorAs(t, err, new(*types.QueueDoesNotExist))
	q, ok := a.Queue("q")
	require.True(t, ok)
	_, err = q.Send(t.Context(), "native")
	require.NoError(t, err)
	url := create(t, inProcess(a), "q")
	require.Equal(t, "native", *receive(t, inProcess(a), &sqs.ReceiveMessageInput{QueueUrl: url})[0].Body)
}

func TestClientThatGoesAwayTakesNothing(t *testing.T) {
	s := newService(t)
	server := httptest.NewServer(s)
	defer server.Close()
	q, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	c := sqs.New(sqs.Options{BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: credentials, RetryMaxAttempts: 1, HTTPClient: client})
	url, err := c.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	require.NoError(t, err)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, WaitTimeSeconds: 20})
			ended <- err
		}()
		for waiting(t, s) != 1 {
			runtime.Gosched()
		}
		cancel()
		require.True(t, errors.Is(<-ended, context.Canceled))
		for waiting(t, s) != 0 {
			runtime.Gosched()
		}
	}
	_, err = q.Send(t.Context(), "x")
	require.NoError(t, err)
	m, ok := q.TryReceive()
	require.True(t, ok)
	require.Equal(t, 1, m.Receives)
}

func waiting(t *testing.T, s *sqshttp.Service) int {
	q, _ := s.Queue("q")
	stats, err := q.Stats(t.Context())
	require.NoError(t, err)
	return stats.WaitingReceivers
}
