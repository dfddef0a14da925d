package clienttest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
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
