package entry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// What every entry has to do, so that its figures mean something.
func TestEntries(t *testing.T) {
	check(t, Channel)
	check(t, ShortChannel)
	check(t, Tree)
	check(t, RingTree)
	check(t, Wheel)
	check(t, Dabchick)
	check(t, Workqueue)
	check(t, GoChannel)
	check(t, Mempubsub)
	check(t, JetStream)
	check(t, Goqite)
	check(t, Asynq)
	check(t, Beanstalkd)
	check(t, Sqshttp)
	check(t, SqshttpLoopback)
	check(t, Goaws)
}

func check[R any](t *testing.T, e Entry[R]) {
	t.Run(e.Name, func(t *testing.T) {
		if missing := e.Missing(); missing != "" {
			t.Skip(missing)
		}
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		t.Run("what is sent is received once", func(t *testing.T) { e.once(t) })
		t.Run("a receiver waits for a message", func(t *testing.T) { e.waits(t) })
		if e.Leases {
			t.Run("what is not deleted comes up again, and what is deleted does not", func(t *testing.T) { e.again(t) })
		}
		if e.Batches > 0 {
			t.Run("batches", func(t *testing.T) { e.batches(t) })
		}
		if e.Groups {
			t.Run("a group is kept in order", func(t *testing.T) { e.ordered(t) })
		}
	})
}

func (e Entry[R]) open(t *testing.T, s Setup) Queue[R] {
	t.Helper()
	q, err := e.Open(s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func receive[R any](t *testing.T, q Queue[R]) (string, R) {
	t.Helper()
	body, receipt, err := q.Receive(t.Context())
	require.NoError(t, err)
	return string(body), receipt
}

// sendAll sends the numbers from 0 and returns them.
func sendAll[R any](t *testing.T, q Queue[R], n int) (bodies []string) {
	t.Helper()
	for i := range n {
		bodies = append(bodies, fmt.Sprint(i))
		require.NoError(t, q.Send(t.Context(), []byte(bodies[i])))
	}
	return bodies
}

func (e Entry[R]) once(t *testing.T) {
	q := e.open(t, Setup{Capacity: 20})
	sent := sendAll(t, q, 20)
	var received []string
	for range sent {
		body, receipt := receive(t, q)
		require.NoError(t, q.Delete(t.Context(), receipt))
		received = append(received, body)
	}
	require.ElementsMatch(t, sent, received)
}

func (e Entry[R]) waits(t *testing.T) {
	q := e.open(t, Setup{Capacity: 1})
	consumer, err := Session(q)
	require.NoError(t, err)
	got := make(chan string)
	go func() {
		body, receipt, err := consumer.Receive(context.Background())
		if err == nil {
			err = consumer.Delete(context.Background(), receipt)
		}
		if err != nil {
			body = []byte(err.Error())
		}
		got <- string(body)
	}()
	require.NoError(t, q.Send(t.Context(), []byte("hello")))
	require.Equal(t, "hello", <-got)
}

// again has only as much to do with time as the entry: it waits in a receive.
func (e Entry[R]) again(t *testing.T) {
	q := e.open(t, Setup{Capacity: 2, Visibility: max(e.Unit, 200*time.Millisecond)})
	sendAll(t, q, 2)
	kept, _ := receive(t, q)
	deleted, receipt := receive(t, q)
	require.NotEqual(t, kept, deleted)
	require.NoError(t, q.Delete(t.Context(), receipt))
	back, receipt := receive(t, q)
	require.Equal(t, kept, back)
	require.NoError(t, q.Delete(t.Context(), receipt))
}

func (e Entry[R]) batches(t *testing.T) {
	q := e.open(t, Setup{Capacity: 5})
	b := q.(Batcher[R])
	var bodies [][]byte
	for i := range 5 {
		bodies = append(bodies, fmt.Append(nil, i))
	}
	require.NoError(t, b.SendBatch(t.Context(), bodies))
	var receipts []R
	for len(receipts) < 5 {
		var err error
		receipts, err = b.ReceiveBatch(t.Context(), 5-len(receipts), receipts)
		require.NoError(t, err)
	}
	require.Len(t, receipts, 5)
	require.NoError(t, b.DeleteBatch(t.Context(), receipts))
	require.NoError(t, q.Send(t.Context(), []byte("next")))
	body, _ := receive(t, q)
	require.Equal(t, "next", body)
}

func (e Entry[R]) ordered(t *testing.T) {
	q := e.open(t, Setup{Capacity: 6, FIFO: true})
	for i := range 6 {
		group := []string{"even", "odd"}[i%2]
		require.NoError(t, q.(Grouper).SendGroup(t.Context(), group, fmt.Append(nil, i)))
	}
	last := map[bool]string{}
	for range 6 {
		body, receipt := receive(t, q)
		odd := (body[0]-'0')%2 == 1
		require.Less(t, last[odd], body)
		last[odd] = body
		require.NoError(t, q.Delete(t.Context(), receipt))
	}
}

// A floor holds no messages, but has to go through its three calls.
func TestFloor(t *testing.T) {
	q, err := Floor.Open(Setup{})
	require.NoError(t, err)
	require.NoError(t, q.Send(t.Context(), []byte("x")))
	body, receipt := receive(t, q)
	require.Equal(t, "x", body)
	require.NoError(t, q.Delete(t.Context(), receipt))
	require.NoError(t, q.Close())
}

// The bare structures have hardly any code that is not theirs, so they are tested
// here: receipts that are over do no harm, and close ends a wait.
func TestBare(t *testing.T) {
	bareEntry(t, Tree)
	bareEntry(t, RingTree)
	bareEntry(t, Wheel)
}

func bareEntry[R any](t *testing.T, e Entry[R]) {
	t.Run(e.Name, func(t *testing.T) {
		q := e.open(t, Setup{Visibility: time.Millisecond})
		sendAll(t, q, 1)
		_, old := receive(t, q)
		_, _ = receive(t, q)
		require.NoError(t, q.Delete(t.Context(), old))
		body, _ := receive(t, q)
		require.Equal(t, "0", body, "an old receipt has deleted it")

		hidden := e.open(t, Setup{Visibility: time.Hour})
		sendAll(t, hidden, 1000)
		var receipts []R
		for range 1000 {
			_, r := receive(t, hidden)
			receipts = append(receipts, r)
		}
		for _, r := range receipts {
			require.NoError(t, hidden.Delete(t.Context(), r))
		}
		ended := make(chan error)
		go func() {
			_, _, err := hidden.Receive(context.Background())
			ended <- err
		}()
		require.NoError(t, hidden.Close())
		require.ErrorIs(t, <-ended, errClosed)
	})
}
