package entry

import (
	"context"

	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/mempubsub"
)

// Mempubsub is the Go CDK's queue for development and tests.
var Mempubsub = Entry[*pubsub.Message]{
	Info: Info{Name: "mempubsub", Kind: Peer, Leases: true,
		What: "gocloud.dev/pubsub/mempubsub 0.47.0, one topic and one subscription; it batches sends, receives and acks by itself"},
	Open: func(s Setup) (Queue[*pubsub.Message], error) {
		topic := mempubsub.NewTopic()
		return &memPubSub{topic, mempubsub.NewSubscription(topic, s.visibility())}, nil
	},
}

type memPubSub struct {
	topic *pubsub.Topic
	sub   *pubsub.Subscription
}

func (q *memPubSub) Send(ctx context.Context, body []byte) error {
	return q.topic.Send(ctx, &pubsub.Message{Body: body})
}

func (q *memPubSub) Receive(ctx context.Context) ([]byte, *pubsub.Message, error) {
	m, err := q.sub.Receive(ctx)
	if err != nil {
		return nil, nil, err
	}
	return m.Body, m, nil
}

func (q *memPubSub) Delete(_ context.Context, m *pubsub.Message) error {
	m.Ack()
	return nil
}

func (q *memPubSub) Close() error {
	err := q.sub.Shutdown(context.Background())
	if e := q.topic.Shutdown(context.Background()); err == nil {
		err = e
	}
	return err
}
