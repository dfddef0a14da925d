package entry

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// Sqshttp is Dabchick behind the wire protocol of SQS, as the HTTP client of the SDK.
var Sqshttp = Entry[string]{
	Info: Info{Name: "sqshttp", Kind: Own, Leases: true, Unit: time.Second, Groups: true, Batches: 10,
		What: "Dabchick's sqshttp in process: the AWS SDK for Go v2 calls it without a socket"},
	Open: func(s Setup) (Queue[string], error) { return openSQS(s, sqsInProcess, signing) },
}

// SqshttpLoopback is the same on a port.
var SqshttpLoopback = Entry[string]{
	Info: Info{Name: "sqshttp-loopback", Kind: Own, Leases: true, Unit: time.Second, Groups: true, Batches: 10,
		What: "the same as an http.Handler on a loopback port of this process"},
	Open: func(s Setup) (Queue[string], error) { return openSQS(s, sqsOnLoopback, signing) },
}

// A startSQS starts a service, and returns the SDK's settings for it.
type startSQS func() (o sqs.Options, stop func(), err error)

func sqsInProcess() (o sqs.Options, stop func(), err error) {
	s, err := sqshttp.New(sqshttp.Options{})
	if err != nil {
		return o, nil, err
	}
	return sqs.Options{HTTPClient: s}, s.Close, nil
}

func sqsOnLoopback() (o sqs.Options, stop func(), err error) {
	s, err := sqshttp.New(sqshttp.Options{})
	if err != nil {
		return o, nil, err
	}
	server := httptest.NewServer(s)
	return sqs.Options{BaseEndpoint: &server.URL}, func() {
		server.Close()
		s.Close()
	}, nil
}

// An sqsQueue is a queue behind an SDK client.
type sqsQueue struct {
	client *sqs.Client
	url    *string
	fifo   bool
	sent   atomic.Int64
	stop   func()
}

// signing has the SDK sign its requests, as it does by default.
var signing = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "benchmark", SecretAccessKey: "benchmark"}, nil
})

// opened numbers the queues: those of goaws stay there for as long as the process.
var opened atomic.Int64

// openSQS starts a service and makes a queue on it.
func openSQS(s Setup, start startSQS, credentials aws.CredentialsProvider) (Queue[string], error) {
	o, stop, err := start()
	if err != nil {
		return nil, err
	}
	o.Region, o.Credentials = "us-east-1", credentials
	q := &sqsQueue{client: sqs.New(o), fifo: s.FIFO, stop: stop}
	name, attributes := fmt.Sprintf("benchmark-%d", opened.Add(1)), map[string]string{}
	if s.Visibility > 0 {
		attributes["VisibilityTimeout"] = strconv.Itoa(int(s.Visibility.Seconds()))
	}
	if s.FIFO {
		name += ".fifo"
		attributes["FifoQueue"] = "true"
	}
	out, err := q.client.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		stop()
		return nil, err
	}
	q.url = out.QueueUrl
	return q, nil
}

func (q *sqsQueue) Send(ctx context.Context, body []byte) error {
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String(string(body))})
	return err
}

func (q *sqsQueue) SendGroup(ctx context.Context, group string, body []byte) error {
	in := &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String(string(body)), MessageGroupId: &group}
	if q.fifo {
		in.MessageDeduplicationId = aws.String(strconv.FormatInt(q.sent.Add(1), 10))
	}
	_, err := q.client.SendMessage(ctx, in)
	return err
}

func (q *sqsQueue) take(ctx context.Context, n int) ([]types.Message, error) {
	for {
		out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url, MaxNumberOfMessages: int32(n), WaitTimeSeconds: 20})
		if err != nil {
			return nil, err
		}
		if len(out.Messages) > 0 {
			return out.Messages, nil
		}
	}
}

func (q *sqsQueue) Receive(ctx context.Context) ([]byte, string, error) {
	got, err := q.take(ctx, 1)
	if err != nil {
		return nil, "", err
	}
	return []byte(*got[0].Body), *got[0].ReceiptHandle, nil
}

func (q *sqsQueue) Delete(ctx context.Context, receipt string) error {
	_, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: &receipt})
	return err
}

func (q *sqsQueue) SendBatch(ctx context.Context, bodies [][]byte) error {
	in := &sqs.SendMessageBatchInput{QueueUrl: q.url}
	for i, body := range bodies {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body))})
	}
	out, err := q.client.SendMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%d of %d messages were not sent", len(out.Failed), len(bodies))
	}
	return err
}

func (q *sqsQueue) ReceiveBatch(ctx context.Context, n int, receipts []string) ([]string, error) {
	got, err := q.take(ctx, n)
	for _, m := range got {
		receipts = append(receipts, *m.ReceiptHandle)
	}
	return receipts, err
}

func (q *sqsQueue) DeleteBatch(ctx context.Context, receipts []string) error {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: q.url}
	for i, r := range receipts {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &r})
	}
	out, err := q.client.DeleteMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		err = errors.New("not all messages were deleted")
	}
	return err
}

func (q *sqsQueue) Close() error {
	q.stop()
	return nil
}
