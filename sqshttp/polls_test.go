package sqshttp

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const polls = 1000

const pollBody = `{"QueueUrl":"q","WaitTimeSeconds":20}`

// A long poll in process is its caller, who waits, and nothing else. Polls end in the
// order in which they began.
func TestManyPollsInProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{})
		require.NoError(t, err)
		q, err := s.CreateQueue("q", nil)
		require.NoError(t, err)
		type ended struct {
			poll   int
			answer string
		}
		ends := make(chan ended, polls)
		before := runtime.NumGoroutine() // with those of other tests that are about to end
		for i := range polls {
			go func() {
				r := httptest.NewRequestWithContext(t.Context(), "POST", "http://localhost/", strings.NewReader(pollBody))
				r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
				resp, err := s.Do(r)
				if err != nil {
					ends <- ended{i, err.Error()}
					return
				}
				answer, _ := io.ReadAll(resp.Body)
				ends <- ended{i, string(answer)}
			}()
			synctest.Wait() // it has begun
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), before+polls)
		began := time.Now()
		for i := range polls {
			_, err := q.Send(t.Context(), fmt.Sprint("message ", i))
			require.NoError(t, err)
			synctest.Wait()
			require.Len(t, ends, 1)
			end := <-ends
			require.Equal(t, i, end.poll)
			require.Contains(t, end.answer, fmt.Sprintf(`"Body":"message %d"`, i))
		}
		require.Zero(t, time.Since(began))
		require.LessOrEqual(t, runtime.NumGoroutine(), before)
	})
}

// On a port each poll is two goroutines of net/http, whose handler waits in one, while
// the other looks whether the client leaves. This package adds none.
func TestManyPollsOnAPort(t *testing.T) {
	s, err := New(Options{})
	require.NoError(t, err)
	defer s.Close()
	q, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	v, err := s.Listen(ListenOptions{Address: "127.0.0.1:0"})
	require.NoError(t, err)
	served := make(chan error)
	go func() { served <- v.Serve() }()
	conns := make([]net.Conn, polls) // clients without goroutines of their own
	dial := func() net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(v.URL(), "http://"))
		require.NoError(t, err)
		return c
	}
	first := dial() // the server runs
	defer first.Close()
	fmt.Fprint(first, request("ListQueues", "{}"))
	reply(t, first)

	before := runtime.NumGoroutine()
	for i := range conns {
		conns[i] = dial()
		defer conns[i].Close()
		fmt.Fprint(conns[i], request("ReceiveMessage", pollBody))
	}
	require.Eventually(t, func() bool {
		stats, err := q.Stats(t.Context())
		return err == nil && stats.WaitingReceivers == polls
	}, 15*time.Second, time.Millisecond)
	require.LessOrEqual(t, runtime.NumGoroutine(), before+2*polls)
	missing := map[string]bool{}
	for i := range polls {
		body := fmt.Sprint("message ", i)
		missing[body] = true
		_, err := q.Send(t.Context(), body)
		require.NoError(t, err)
	}
	for _, c := range conns {
		_, answer := reply(t, c)
		_, rest, _ := strings.Cut(answer, `"Body":"`)
		body, _, _ := strings.Cut(rest, `"`)
		require.True(t, missing[body], answer)
		delete(missing, body)
	}
	require.Empty(t, missing)
	require.NoError(t, v.Close())
	require.NoError(t, <-served)
}
