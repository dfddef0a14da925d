package clienttest

import (
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// BenchmarkClient is a message sent, received and deleted by the Go SDK: three calls.
// With the URL of another emulator in SQS_URL it is measured beside.
func BenchmarkClient(b *testing.B) {
	service := func() *sqshttp.Service {
		s, err := sqshttp.New(sqshttp.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	b.Run("in process", func(b *testing.B) { cycle(b, inProcess(service())) })
	b.Run("loopback", func(b *testing.B) {
		server := httptest.NewServer(service())
		defer server.Close()
		cycle(b, at(server.URL))
	})
	if url := os.Getenv("SQS_URL"); url != "" {
		b.Run("other", func(b *testing.B) { cycle(b, at(url)) })
	}
}

// BenchmarkStart is a service that is made, and has a queue.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s, err := sqshttp.New(sqshttp.Options{})
		if err == nil {
			_, err = s.CreateQueue("q", nil)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func at(url string) *sqs.Client {
	return sqs.New(sqs.Options{BaseEndpoint: &url, Region: "us-east-1", Credentials: credentials})
}

func cycle(b *testing.B, c *sqs.Client) {
	ctx := b.Context()
	name := "bench" + time.Now().Format("150405-000000000")
	q, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("x")}); err != nil {
			b.Fatal(err)
		}
		out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl})
		if err != nil || len(out.Messages) != 1 {
			b.Fatal(err, out)
		}
		if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: q.QueueUrl, ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
			b.Fatal(err)
		}
	}
}
