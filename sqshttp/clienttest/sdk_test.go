package clienttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

// raises asserts that an error is of the SDK's own type E, and what its code is.
func raises[E error](t *testing.T, code string, err error) {
	t.Helper()
	_, ok := errors.AsType[E](err)
	require.True(t, ok, "%T wanted, got %v", *new(E), err)
	refused(t, err, code)
}

// Every error that the SDK has a type for and that can come here. The others concern
// KMS, throttling by the service, addresses and security that a client cannot get wrong,
// and MessageNotInflight and InvalidIdFormat, which SQS itself does not raise.
func TestModelledErrors(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		ctx, none := t.Context(), aws.String("http://localhost/000000000000/nobody")
		url := create(t, c, "q")
		const old = "AWS.SimpleQueueService."

		_, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: none, MessageBody: aws.String("x")})
		raises[*types.QueueDoesNotExist](t, old+"NonExistentQueue", err)
		_, err = c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"DelaySeconds": "9"}})
		raises[*types.QueueNameExists](t, "QueueAlreadyExists", err)
		gone := create(t, c, "gone")
		_, err = c.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: gone})
		require.NoError(t, err)
		_, err = c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("gone")})
		raises[*types.QueueDeletedRecently](t, old+"QueueDeletedRecently", err)
		_, err = c.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: url})
		require.NoError(t, err)
		_, err = c.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: url})
		raises[*types.PurgeQueueInProgress](t, old+"PurgeQueueInProgress", err)
		_, err = c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"Colour"}})
		raises[*types.InvalidAttributeName](t, "InvalidAttributeName", err)
		_, err = c.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"DelaySeconds": "901"}})
		raises[*types.InvalidAttributeValue](t, "InvalidAttributeValue", err)
		_, err = c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("\x00")})
		raises[*types.InvalidMessageContents](t, "InvalidMessageContents", err)
		_, err = c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: aws.String("x")})
		raises[*types.ReceiptHandleIsInvalid](t, "ReceiptHandleIsInvalid", err)
		_, err = c.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: aws.String("x")})
		raises[*types.ReceiptHandleIsInvalid](t, "ReceiptHandleIsInvalid", err)
		_, err = c.AddPermission(ctx, &sqs.AddPermissionInput{QueueUrl: url, Label: aws.String("l"), AWSAccountIds: []string{"123456789012"},
			Actions: strings.Split("abcdefgh", "")})
		raises[*types.OverLimit](t, "OverLimit", err)
		_, err = c.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:nobody")})
		raises[*types.ResourceNotFoundException](t, "ResourceNotFoundException", err)

		deletes := func(ids ...string) error {
			in := &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{}}
			for _, id := range ids {
				in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: aws.String("x")})
			}
			_, err := c.DeleteMessageBatch(ctx, in)
			return err
		}
		raises[*types.EmptyBatchRequest](t, old+"EmptyBatchRequest", deletes())
		raises[*types.TooManyEntriesInBatchRequest](t, old+"TooManyEntriesInBatchRequest", deletes(strings.Split("abcdefghijk", "")...))
		raises[*types.BatchEntryIdsNotDistinct](t, old+"BatchEntryIdsNotDistinct", deletes("a", "a"))
		raises[*types.InvalidBatchEntryId](t, old+"InvalidBatchEntryId", deletes("a b"))
		_, err = c.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("a"), MessageBody: aws.String(strings.Repeat("x", 1<<20+1))}}})
		raises[*types.BatchRequestTooLong](t, old+"BatchRequestTooLong", err)
	})
}

func TestRequestThrottledByAQueueThatIsFull(t *testing.T) {
	s := newService(t)
	q, err := dabchick.New("q", dabchick.Options[[]byte]{MaxMessages: 1, FailFast: true})
	require.NoError(t, err)
	require.NoError(t, sqshttp.Register(s, q))
	c := inProcess(s)
	url := create(t, c, "q")
	send(t, c, url, "1")
	_, err = c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("2")})
	raises[*types.RequestThrottled](t, "RequestThrottled", err)
}

// The two errors that the SDK has no type for.
func TestErrorsThatAreNotModelled(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		url := create(t, c, "q")
		_, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 11})
		refused(t, err, "InvalidParameterValue")
		_, err = c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("")})
		refused(t, err, "MissingParameter")
		var e *smithy.GenericAPIError
		require.ErrorAs(t, err, &e)
		require.Equal(t, smithy.FaultClient, e.Fault)
	})
}

func TestPaginators(t *testing.T) {
	everywhere(t, func(t *testing.T, c *sqs.Client) {
		dead := create(t, c, "dead")
		policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, arn(t, c, dead))
		var want []string
		for i := range 7 {
			want = append(want, *create(t, c, fmt.Sprint("source", i), "RedrivePolicy", policy))
		}
		var got []string
		queues := sqs.NewListQueuesPaginator(c, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("source"), MaxResults: aws.Int32(3)})
		for n := 0; queues.HasMorePages(); n++ {
			out, err := queues.NextPage(t.Context())
			require.NoError(t, err)
			require.Len(t, out.QueueUrls, []int{3, 3, 1}[n])
			got = append(got, out.QueueUrls...)
		}
		require.Equal(t, want, got)

		got = nil
		sources := sqs.NewListDeadLetterSourceQueuesPaginator(c, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead, MaxResults: aws.Int32(4)})
		for sources.HasMorePages() {
			out, err := sources.NextPage(t.Context())
			require.NoError(t, err)
			got = append(got, out.QueueUrls...)
		}
		require.Equal(t, want, got)
	})
}

// lies changes an output on its way from the service to the SDK's checks.
func lies(change func(out any)) func(*sqs.Options) {
	return func(o *sqs.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("lies", func(
				ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
			) (middleware.DeserializeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleDeserialize(ctx, in)
				change(out.Result)
				return out, metadata, err
			}), middleware.Before)
		})
	}
}

// The SDK checks the digests of bodies, and would not take a wrong one.
func TestChecksumsAreValidated(t *testing.T) {
	c := inProcess(newService(t))
	url := create(t, c, "q")
	in := &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("größer <&> \r\n 🐤")}
	_, err := c.SendMessage(t.Context(), in)
	require.NoError(t, err)
	_, err = c.SendMessage(t.Context(), in, lies(func(out any) {
		out.(*sqs.SendMessageOutput).MD5OfMessageBody = aws.String("0")
	}))
	require.ErrorContains(t, err, "checksum")
	entries := []types.SendMessageBatchRequestEntry{{Id: aws.String("a"), MessageBody: in.MessageBody}, {Id: aws.String("b"), MessageBody: aws.String("x")}}
	_, err = c.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
	require.NoError(t, err)
	require.Len(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 2}), 2)
	_, err = c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url}, lies(func(out any) {
		out.(*sqs.ReceiveMessageOutput).Messages[0].Body = aws.String("another")
	}))
	require.ErrorContains(t, err, "checksum")
}

// Numbers that the SDK does not send when they are 0, and those that it does.
func TestZeroesOfTheSDK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		url := create(t, c, "q", "DelaySeconds", "5", "VisibilityTimeout", "7", "ReceiveMessageWaitTimeSeconds", "20")
		began := time.Now()
		send(t, c, url, "x") // with DelaySeconds 0
		m := receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url})[0]
		require.Equal(t, 5*time.Second, time.Since(began), "the queue's delay, and its long poll")
		_, err := c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
		require.NoError(t, err)
		require.Len(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), 1, "a timeout of 0 is sent")
		began = time.Now()
		require.Len(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), 1)
		require.Equal(t, 7*time.Second, time.Since(began), "the queue's timeout")
	})
}

func TestFairQueueThroughTheSDK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inProcess(newService(t))
		url := create(t, c, "q")
		put := func(tenant, body string) {
			out, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, MessageGroupId: &tenant})
			require.NoError(t, err)
			require.Nil(t, out.SequenceNumber)
		}
		for range 60 {
			put("noisy", "x")
		}
		put("quiet", "x")
		in := &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"MessageGroupId"}}
		for range 3 {
			require.Len(t, receive(t, c, in), 10)
		}
		require.Equal(t, "quiet", receive(t, c, in)[0].Attributes["MessageGroupId"])
	})
}
