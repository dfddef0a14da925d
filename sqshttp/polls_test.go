package sqshttp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const polls = 1000

const pollBody = `{"QueueUrl":"q","WaitTimeSeconds":20}`

// inBubble returns how many goroutines the caller's bubble has when all of them wait.
// runtime.NumGoroutine has those of the runtime and of tests that have just ended, too.
func inBubble(t *testing.T) int {
	t.Helper()
	synctest.Wait()
	stacks := make([]byte, 32<<20)
	mark := regexp.MustCompile(`synctest bubble \d+]:`).Find(stacks[:runtime.Stack(stacks, false)])
	require.NotEmpty(t, mark)
	n := runtime.Stack(stacks, true)
	require.Less(t, n, len(stacks), "all stacks are there")
	return bytes.Count(stacks[:n], mark)
}

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
		before := inBubble(t)
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
		require.Equal(t, before+polls, inBubble(t))
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
		require.Equal(t, before, inBubble(t))
	})
}

// On a port each poll is two goroutines of net/http, whose handler waits in one, while
// the other looks whether the client leaves. This package adds none.
func TestManyPollsOnAPort(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		q, _ := s.Queue("q")
		before := inBubble(t)
		conns := make([]net.Conn, polls) // clients without goroutines of their own
		for i := range conns {
			conns[i] = mustConnect(t, p)
			defer conns[i].Close()
			fmt.Fprint(conns[i], request("ReceiveMessage", pollBody))
			synctest.Wait() // it has begun
		}
		require.Equal(t, before+2*polls, inBubble(t))
		for i, c := range conns {
			_, err := q.Send(t.Context(), fmt.Sprint("message ", i))
			require.NoError(t, err)
			_, answer := reply(t, c)
			require.Contains(t, answer, fmt.Sprintf(`"Body":"message %d"`, i))
		}
		require.Equal(t, before+polls, inBubble(t), "an idle connection is one")
	})
}
