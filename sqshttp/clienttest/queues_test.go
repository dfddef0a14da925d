package clienttest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

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
