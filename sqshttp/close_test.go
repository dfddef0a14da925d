package sqshttp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

// A hook that panics when its queue is closed keeps no other queue open, and no move task
// running.
func TestPanicInAHookDoesNotKeepAServiceOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := sqshttp.New(sqshttp.Options{})
		require.NoError(t, err)
		var queues []*dabchick.Queue[string]
		for _, name := range []string{"a", "b", "c", "d"} {
			q := native(t, name, dabchick.Options[string]{OnEvent: func(e dabchick.Event[string]) {
				if e.Kind == dabchick.Closed {
					panic("hook")
				}
			}})
			require.NoError(t, sqshttp.Register(s, q))
			queues = append(queues, q)
			go func() {
				x := call(t, s, "ReceiveMessage", `{"QueueUrl":"`+name+`","WaitTimeSeconds":20}`)
				require.Equal(t, "com.amazonaws.sqs#QueueDoesNotExist", x.member(t, "__type"))
			}()
		}
		synctest.Wait()
		began := time.Now()
		require.PanicsWithValue(t, "hook", s.Close)
		synctest.Wait()
		require.Zero(t, time.Since(began))
		for _, q := range queues {
			stats, err := q.Stats(t.Context())
			require.NoError(t, err)
			require.True(t, stats.Closed, q.Name())
		}
		s.Close()
	})
}
