package clienttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/awssnssqs"
	"gocloud.dev/pubsub/driver"
	"gocloud.dev/pubsub/drivertest"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// The Go CDK's own conformance suite, through its own driver for SQS.
func TestGoCloudConformance(t *testing.T) {
	drivertest.RunConformanceTests(t, func(_ context.Context, t *testing.T) (drivertest.Harness, error) {
		service, err := sqshttp.New(sqshttp.Options{})
		if err != nil {
			return nil, err
		}
		return &harness{service: service, client: inProcess(service), urls: map[driver.Topic]string{}}, nil
	}, []drivertest.AsTest{asTest{}})
}

type harness struct {
	service *sqshttp.Service
	client  *sqs.Client
	made    atomic.Int32
	urls    map[driver.Topic]string
}

const nonexistent = "https://sqs.us-east-1.amazonaws.com/000000000000/nonexistent"

var unnameable = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// inner returns the driver in a topic or subscription. The suite wants it, and the
// package that has it opens whole ones only.
func inner[D any](whole any) D {
	v := reflect.ValueOf(whole).Elem().FieldByName("driver")
	return *(*D)(unsafe.Pointer(v.UnsafeAddr()))
}

func (h *harness) topic(ctx context.Context, url string) driver.Topic {
	return inner[driver.Topic](awssnssqs.OpenSQSTopic(ctx, h.client, url, nil))
}

func (h *harness) subscription(ctx context.Context, url string) driver.Subscription {
	s := awssnssqs.OpenSubscription(ctx, h.client, url, &awssnssqs.SubscriptionOptions{})
	return inner[driver.Subscription](s)
}

func (h *harness) CreateTopic(ctx context.Context, name string) (driver.Topic, func(), error) {
	name = unnameable.ReplaceAllString(fmt.Sprintf("%.60s-%d", name, h.made.Add(1)), "_")
	out, err := h.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		return nil, nil, err
	}
	t := h.topic(ctx, *out.QueueUrl)
	h.urls[t] = *out.QueueUrl
	return t, func() { h.client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}) }, nil
}

func (h *harness) MakeNonexistentTopic(ctx context.Context) (driver.Topic, error) {
	return h.topic(ctx, nonexistent), nil
}

func (h *harness) CreateSubscription(ctx context.Context, t driver.Topic, _ string) (driver.Subscription, func(), error) {
	return h.subscription(ctx, h.urls[t]), func() {}, nil
}

func (h *harness) MakeNonexistentSubscription(ctx context.Context) (driver.Subscription, func(), error) {
	return h.subscription(ctx, nonexistent), func() {}, nil
}

func (h *harness) Close()                              { h.service.Close() }
func (h *harness) MaxBatchSizes() (send, ack int)      { return 10, 10 }
func (h *harness) SupportsMultipleSubscriptions() bool { return false }

// asTest is what the driver's own tests ask of SQS: errors and types by As.
type asTest struct{}

func (asTest) Name() string { return "aws" }

func castTo[V any](as func(any) bool) error {
	var v V
	if !as(&v) {
		return fmt.Errorf("no %T", v)
	}
	return nil
}

func (asTest) TopicCheck(t *pubsub.Topic) error               { return castTo[*sqs.Client](t.As) }
func (asTest) SubscriptionCheck(s *pubsub.Subscription) error { return castTo[*sqs.Client](s.As) }
func (asTest) MessageCheck(m *pubsub.Message) error           { return castTo[types.Message](m.As) }
func (asTest) BeforeSend(as func(any) bool) error {
	return castTo[*types.SendMessageBatchRequestEntry](as)
}

func (asTest) AfterSend(as func(any) bool) error {
	return castTo[types.SendMessageBatchResultEntry](as)
}

func (asTest) TopicErrorCheck(_ *pubsub.Topic, err error) error { return noSuchQueue(err) }
func (asTest) SubscriptionErrorCheck(_ *pubsub.Subscription, err error) error {
	return noSuchQueue(err)
}

func noSuchQueue(err error) error {
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != "AWS.SimpleQueueService.NonExistentQueue" {
		return fmt.Errorf("%w is not about a queue that does not exist", err)
	}
	return nil
}
