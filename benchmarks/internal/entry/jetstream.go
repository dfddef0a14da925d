package entry

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream is a NATS server in this process, with a work queue in its memory.
var JetStream = Entry[jetstream.Msg]{
	Info: Info{Name: "jetstream", Kind: Peer, Leases: true, Batches: 1000,
		What: "NATS JetStream (server 2.15.2) in this process without a socket: work-queue stream in memory, pull consumer with explicit acks and no bound on what is unacked; batches are sent with PublishAsync, and receives are always fetched ahead"},
	Open: openJetStream,
}

const jetStreamSubject = "benchmark"

func openJetStream(s Setup) (Queue[jetstream.Msg], error) {
	dir, err := os.MkdirTemp("", "jetstream")
	if err != nil {
		return nil, err
	}
	q := &jetStream{dir: dir}
	if err := q.open(s.visibility()); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

type jetStream struct {
	dir      string
	server   *server.Server
	conn     *nats.Conn
	stream   jetstream.JetStream
	consumer jetstream.Consumer
	messages jetstream.MessagesContext // nil until the first receive
}

func (q *jetStream) open(visibility time.Duration) (err error) {
	q.server, err = server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: q.dir, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	q.server.Start()
	if !q.server.ReadyForConnections(10 * time.Second) {
		return errors.New("the NATS server does not answer")
	}
	if q.conn, err = nats.Connect("", nats.InProcessServer(q.server)); err != nil {
		return err
	}
	if q.stream, err = jetstream.New(q.conn); err != nil {
		return err
	}
	ctx := context.Background()
	stream, err := q.stream.CreateStream(ctx, jetstream.StreamConfig{Name: jetStreamSubject, Subjects: []string{jetStreamSubject},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.MemoryStorage})
	if err != nil {
		return err
	}
	q.consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: jetStreamSubject,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: visibility, MaxAckPending: -1})
	if err != nil {
		return err
	}
	q.messages, err = q.consumer.Messages()
	return err
}

func (q *jetStream) Send(ctx context.Context, body []byte) error {
	_, err := q.stream.Publish(ctx, jetStreamSubject, body)
	return err
}

func (q *jetStream) Receive(context.Context) ([]byte, jetstream.Msg, error) {
	m, err := q.messages.Next()
	if err != nil {
		return nil, nil, err
	}
	return m.Data(), m, nil
}

func (q *jetStream) Delete(_ context.Context, m jetstream.Msg) error { return m.Ack() }

func (q *jetStream) SendBatch(ctx context.Context, bodies [][]byte) error {
	for _, body := range bodies {
		if _, err := q.stream.PublishAsync(jetStreamSubject, body); err != nil {
			return err
		}
	}
	select {
	case <-q.stream.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *jetStream) ReceiveBatch(_ context.Context, n int, receipts []jetstream.Msg) ([]jetstream.Msg, error) {
	for range n {
		m, err := q.messages.Next()
		if err != nil {
			return receipts, err
		}
		receipts = append(receipts, m)
	}
	return receipts, nil
}

func (q *jetStream) DeleteBatch(_ context.Context, receipts []jetstream.Msg) error {
	for _, m := range receipts {
		if err := m.Ack(); err != nil {
			return err
		}
	}
	return nil
}

func (q *jetStream) Close() error {
	if q.messages != nil {
		q.messages.Stop()
	}
	if q.conn != nil {
		q.conn.Close()
	}
	if q.server != nil {
		q.server.Shutdown()
		q.server.WaitForShutdown()
	}
	return os.RemoveAll(q.dir)
}
