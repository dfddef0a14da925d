package entry

import (
	"context"
	"time"

	"github.com/hibiken/asynq"
)

// Asynq is a framework that calls handlers. Here a handler hands its task to whoever
// receives, and returns when that is deleted.
var Asynq = Entry[chan<- struct{}]{
	Info: Info{Name: "asynq", Kind: Peer, OffHeap: true, Single: true, Command: "redis-server", Package: "redis-server",
		What: "asynq 0.26.0 on the redis-server of Debian on loopback, which writes nothing to disk; a handler for each goroutine that receives; it polls, here every 5 ms (its default is 1 s)"},
	Open: func(s Setup) (Queue[chan<- struct{}], error) {
		server, err := start("redis-server", func(port string) []string {
			return []string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"}
		})
		if err != nil {
			return nil, err
		}
		redis := asynq.RedisClientOpt{Addr: server.addr}
		q := &asynqQueue{server: server, client: asynq.NewClient(redis), taken: make(chan asynqTask), done: make(chan struct{})}
		q.workers = asynq.NewServer(redis, asynq.Config{Concurrency: max(s.Consumers, 1), TaskCheckInterval: 5 * time.Millisecond,
			ShutdownTimeout: time.Millisecond, LogLevel: asynq.FatalLevel})
		if err := q.workers.Start(asynq.HandlerFunc(q.handle)); err != nil {
			server.stop()
			return nil, err
		}
		return q, nil
	},
}

type asynqQueue struct {
	server  *process
	client  *asynq.Client
	workers *asynq.Server
	taken   chan asynqTask
	done    chan struct{} // closed by Close
}

type asynqTask struct {
	body []byte
	done chan struct{}
}

func (q *asynqQueue) handle(_ context.Context, t *asynq.Task) error {
	task := asynqTask{t.Payload(), make(chan struct{})}
	select {
	case q.taken <- task:
	case <-q.done:
		return errClosed
	}
	select {
	case <-task.done:
		return nil
	case <-q.done:
		return errClosed
	}
}

func (q *asynqQueue) Send(ctx context.Context, body []byte) error {
	_, err := q.client.EnqueueContext(ctx, asynq.NewTask("benchmark", body))
	return err
}

func (q *asynqQueue) Receive(ctx context.Context) ([]byte, chan<- struct{}, error) {
	select {
	case t := <-q.taken:
		return t.body, t.done, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (q *asynqQueue) Delete(_ context.Context, done chan<- struct{}) error {
	close(done)
	return nil
}

func (q *asynqQueue) Close() error {
	close(q.done)
	q.workers.Shutdown()
	q.client.Close()
	return q.server.stop()
}
