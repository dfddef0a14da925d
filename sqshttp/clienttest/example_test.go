package clienttest

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// An unmodified AWS client, without a network.
func Example() {
	ctx := context.Background()
	service, _ := sqshttp.New(sqshttp.Options{})
	client := sqs.New(sqs.Options{HTTPClient: service, Region: "us-east-1", Credentials: credentials})

	q, _ := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("orders")})
	client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("one coffee")})
	out, _ := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl})
	fmt.Println(*out.Messages[0].Body)

	native, _ := service.Queue("orders")
	stats, _ := native.Stats(ctx)
	fmt.Println(stats.InFlight, "in flight")
	// Output:
	// one coffee
	// 1 in flight
}
