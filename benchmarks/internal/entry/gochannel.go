package entry

import (
	"context"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
)

// GoChannel is watermill's queue within the process.
var GoChannel = Entry[*message.Message]{
	Info: Info{Name: "watermill", Kind: Peer, Single: true,
		What: "watermill 1.5.1 gochannel with its zero Config: a goroutine for each message that waits, and the next one when the last was acked"},
	Open: func(Setup) (Queue[*message.Message], error) {
		q := gochannel.NewGoChannel(gochannel.Config{}, watermill.NopLogger{})
		messages, err := q.Subscribe(context.Background(), goChannelTopic)
		return &goChannel{q, messages}, err
	},
}

const goChannelTopic = "benchmark"

type goChannel struct {
	q        *gochannel.GoChannel
	messages <-chan *message.Message
}

func (q *goChannel) Send(_ context.Context, body []byte) error {
	return q.q.Publish(goChannelTopic, message.NewMessage(watermill.NewUUID(), body))
}

func (q *goChannel) Receive(ctx context.Context) ([]byte, *message.Message, error) {
	select {
	case m, ok := <-q.messages:
		if !ok {
			return nil, nil, errClosed
		}
		return m.Payload, m, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (q *goChannel) Delete(_ context.Context, m *message.Message) error {
	m.Ack()
	return nil
}

func (q *goChannel) Close() error { return q.q.Close() }
