package entry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/beanstalkd/go-beanstalk"
)

// Beanstalkd is a queue server. A job belongs to the connection that reserved it, so
// each goroutine has one.
var Beanstalkd = Entry[uint64]{
	Info: Info{Name: "beanstalkd", Kind: Peer, Leases: true, Unit: time.Second, OffHeap: true,
		Command: "beanstalkd", Package: "beanstalkd",
		What: "beanstalkd of Debian on loopback, without a log, by go-beanstalk 0.2.0; a connection for each goroutine"},
	Open: func(s Setup) (Queue[uint64], error) {
		server, err := start("beanstalkd", func(port string) []string { return []string{"-l", "127.0.0.1", "-p", port} })
		if err != nil {
			return nil, err
		}
		q := &beanstalkd{server: server, visibility: s.visibility()}
		if q.beanstalkSession, err = q.dial(); err != nil {
			q.Close()
			return nil, err
		}
		return q, nil
	},
}

type beanstalkd struct {
	*beanstalkSession
	server     *process
	visibility time.Duration
	mu         sync.Mutex
	conns      []*beanstalk.Conn
}

type beanstalkSession struct {
	conn       *beanstalk.Conn
	visibility time.Duration
}

func (q *beanstalkd) dial() (*beanstalkSession, error) {
	conn, err := beanstalk.Dial("tcp", q.server.addr)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.conns = append(q.conns, conn)
	return &beanstalkSession{conn, q.visibility}, nil
}

func (q *beanstalkd) Session() (Queue[uint64], error) { return q.dial() }

func (q *beanstalkd) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.conns {
		c.Close()
	}
	return q.server.stop()
}

func (s *beanstalkSession) Send(_ context.Context, body []byte) error {
	_, err := s.conn.Put(body, 1024, 0, s.visibility) // 1024 is the priority in its documentation
	return err
}

func (s *beanstalkSession) Receive(ctx context.Context) ([]byte, uint64, error) {
	for {
		id, body, err := s.conn.Reserve(time.Second)
		switch {
		case errors.Is(err, beanstalk.ErrTimeout):
		case errors.Is(err, beanstalk.ErrDeadline): // of a job in hand: there is no waiting until it has passed
			time.Sleep(10 * time.Millisecond)
		default:
			return body, id, err
		}
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
	}
}

func (s *beanstalkSession) Delete(_ context.Context, id uint64) error { return s.conn.Delete(id) }

// Close does nothing: the queue closes all connections.
func (s *beanstalkSession) Close() error { return nil }
