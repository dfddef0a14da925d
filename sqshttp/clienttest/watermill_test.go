package clienttest

import (
	"context"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	watermillsqs "github.com/ThreeDotsLabs/watermill-aws/sqs"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"
)

// Watermill's own conformance suite, through its own publisher and subscriber for SQS, in
// its short form. The long one is TestWatermillStress.
func TestWatermillConformance(t *testing.T) {
	features := watermillFeatures
	features.ForceShort = true
	tests.TestPubSub(t, features, watermillPubSub(t), nil)
}

// watermillFeatures are those that the module for SQS has for itself in the same suite, but
// for one: it claims an order with ten subscribers. A queue hands out in order what the ten
// then bring to the test in any; so the order tested is that of one subscriber.
//
// The suite skips consumer groups and reading again what was read, which SQS has not, and
// the restart of a server, which is not there.
var watermillFeatures = tests.Features{
	GuaranteedOrder:                     true,
	GuaranteedOrderWithSingleSubscriber: true,
	Persistent:                          true,
}

// watermillPubSub returns what makes pairs of a publisher and a subscriber, all of one
// service. Queues have the visibility timeout of the module's own tests: a message that
// is not acknowledged comes again after that.
func watermillPubSub(t *testing.T) tests.PubSubConstructor {
	config := aws.Config{HTTPClient: newService(t), Region: "us-east-1", Credentials: credentials}
	attributes := watermillsqs.QueueConfigAttributes{VisibilityTimeout: "1"}
	return func(t *testing.T) (message.Publisher, message.Subscriber) {
		pub, err := watermillsqs.NewPublisher(watermillsqs.PublisherConfig{
			AWSConfig: config, CreateQueueConfig: attributes,
		}, watermill.NopLogger{})
		require.NoError(t, err)
		sub, err := watermillsqs.NewSubscriber(watermillsqs.SubscriberConfig{
			AWSConfig: config, QueueConfigAttributes: attributes,
		}, watermill.NopLogger{})
		require.NoError(t, err)
		s := &closingSubscriber{Subscriber: sub}
		t.Cleanup(func() { require.NoError(t, s.Close()) }) // the suite leaves some open
		return pub, s
	}
}

// A closingSubscriber can be closed while it offers a message that nobody takes. The
// subscriber itself waits then for ever, and without a network, where the next message is
// there at once, the suite comes upon that.
type closingSubscriber struct {
	*watermillsqs.Subscriber
	mu      sync.Mutex
	outputs []<-chan *message.Message
}

func (s *closingSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	output, err := s.Subscriber.Subscribe(ctx, topic)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.outputs = append(s.outputs, output)
	}
	return output, err
}

func (s *closingSubscriber) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var drained sync.WaitGroup
	defer drained.Wait() // the subscriber does not wait until it has closed them, and the suite looks
	for _, output := range s.outputs {
		drained.Go(func() {
			for range output { // neither acknowledged nor refused: it comes again
			}
		})
	}
	return s.Subscriber.Close()
}
