package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBench(t *testing.T) {
	for _, batch := range []string{"1", "7"} {
		s := newService(t)
		out := objects(t, ok(t, s, "bench", "-messages", "100", "-concurrency", "3", "-batch", batch, "-json"))
		require.Len(t, out, 3)
		for i, what := range []string{"send", "receive", "delete"} {
			require.Equal(t, what, out[i]["what"])
			require.Equal(t, 100.0, out[i]["messages"])
			require.Positive(t, out[i]["messagesPerSecond"])
		}
		if batch == "1" {
			require.Equal(t, 100.0, out[0]["calls"])
		} else {
			require.Equal(t, 15.0, out[0]["calls"])
		}
		require.Empty(t, ok(t, s, "queues"), "its queue is deleted")
	}
	require.Regexp(t, `(?s)messages/s +calls +p50 ms.*\n +send +\d+ +10 `, ok(t, newService(t), "bench", "-messages", "10"))
}

func TestInterruptedBenchDeletesItsQueue(t *testing.T) {
	s := newService(t)
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan result)
	go func() { done <- runWith(ctx, s, strings.NewReader(""), "bench", "-messages", "100000") }()
	for ok(t, s, "queues") == "" { // until it has begun
	}
	interrupt()
	r := <-done
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "interrupted")
	require.Empty(t, ok(t, s, "queues"))
}

func TestSummary(t *testing.T) {
	var took []time.Duration
	for i := range 101 {
		took = append(took, time.Duration(100-i)*time.Millisecond)
	}
	require.Equal(t, measurement{Messages: 50, Calls: 101, PerSecond: 25, P50: 50, P90: 90, P99: 99, Max: 100}, summary(50, 2*time.Second, took))
}
