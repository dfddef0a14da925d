package dabchick_test

import (
	"context"
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dabchickmq/dabchick"
)

// Others get a turn after so few messages that short programs meet what else happens
// only when a thousand come up at once. A benchmark has it as it is.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		dabchick.SetNoticed(3)
	}
	goleak.VerifyTestMain(m)
}

// inBubble runs a test in fake time, which stands still until everybody waits.
// It ends only when all goroutines have.
func inBubble(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, t.Context()) })
}

// mustNew returns a queue named after the test.
func mustNew[T any](tb testing.TB, o dabchick.Options[T]) *dabchick.Queue[T] {
	tb.Helper()
	q, err := dabchick.New(tb.Name(), o)
	require.NoError(tb, err)
	return q
}

// send stores bodies, one call each.
func send[T any](tb testing.TB, q *dabchick.Queue[T], bodies ...T) {
	tb.Helper()
	for _, body := range bodies {
		_, err := q.Send(context.Background(), body)
		require.NoError(tb, err)
	}
}

// take receives a message that must be there.
func take[T any](tb testing.TB, q *dabchick.Queue[T]) dabchick.Message[T] {
	tb.Helper()
	m, ok := q.TryReceive()
	require.True(tb, ok, "a message was expected")
	return m
}

// takeNone asserts that nothing can be received now.
func takeNone[T any](tb testing.TB, q *dabchick.Queue[T]) {
	tb.Helper()
	m, ok := q.TryReceive()
	require.False(tb, ok, "no message was expected, got %v", m.Body)
}

// takeAll receives all that is visible, and returns the bodies in order.
func takeAll[T any](tb testing.TB, q *dabchick.Queue[T]) []T {
	tb.Helper()
	ms, err := q.ReceiveBatch(context.Background(), dabchick.ReceiveOptions{Max: 1000, Wait: dabchick.Immediately})
	require.NoError(tb, err)
	bodies := []T{}
	for _, m := range ms {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

func stats[T any](tb testing.TB, q *dabchick.Queue[T]) dabchick.Stats {
	tb.Helper()
	s, err := q.Stats(context.Background())
	require.NoError(tb, err)
	return s
}

// counts asserts how many messages are visible, in flight and delayed.
func counts[T any](tb testing.TB, q *dabchick.Queue[T], visible, inFlight, delayed int) {
	tb.Helper()
	s := stats(tb, q)
	require.Equal(tb, [3]int{visible, inFlight, delayed}, [3]int{s.Visible, s.InFlight, s.Delayed},
		"visible, in flight, delayed")
}

// result is what a call that ran in a goroutine of its own returned, and when.
type result[V any] struct {
	value V
	err   error
	after time.Duration
}

// start runs a call in a goroutine. The result comes when the call returns.
func start[V any](call func() (V, error)) <-chan result[V] {
	began := time.Now()
	c := make(chan result[V], 1)
	go func() {
		v, err := call()
		c <- result[V]{v, err, time.Since(began)}
	}()
	return c
}

// blocked asserts that a call is still waiting when nothing else runs.
func blocked[V any](tb testing.TB, c <-chan result[V]) {
	tb.Helper()
	synctest.Wait()
	select {
	case r := <-c:
		require.Failf(tb, "returned", "the call should wait, but returned %v, %v", r.value, r.err)
	default:
	}
}

// finished asserts that a call has returned at this very instant.
func finished[V any](tb testing.TB, c <-chan result[V]) result[V] {
	tb.Helper()
	synctest.Wait()
	select {
	case r := <-c:
		return r
	default:
		require.Fail(tb, "the call should have returned")
	}
	panic("unreachable")
}
