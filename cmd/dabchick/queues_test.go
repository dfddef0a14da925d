package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQueuesListsThemWithCounts(t *testing.T) {
	s := newService(t)
	require.Empty(t, ok(t, s, "queues"))
	require.Equal(t, "http://127.0.0.1:9324/000000000000/jobs\n", ok(t, s, "create", "jobs", "-attribute", "VisibilityTimeout=60", "-tag", "team=a"))
	require.Equal(t, time.Minute, queueOf(t, s, "jobs").Options().VisibilityTimeout)
	ok(t, s, "create", "orders.fifo")
	require.True(t, queueOf(t, s, "orders.fifo").Options().FIFO)

	for range 3 {
		ok(t, s, "send", "jobs", "x")
	}
	ok(t, s, "send", "jobs", "later", "-delay", "1m")
	ok(t, s, "receive", "jobs")
	require.Equal(t,
		"QUEUE        VISIBLE  IN FLIGHT  DELAYED\n"+
			"jobs         2        1          1\n"+
			"orders.fifo  0        0          0\n", ok(t, s, "queues"))
	list := objects(t, ok(t, s, "queues", "-prefix", "jo", "-json"))
	require.Equal(t, []map[string]any{{
		"name": "jobs", "url": "http://127.0.0.1:9324/000000000000/jobs", "visible": 2.0, "inFlight": 1.0, "delayed": 1.0,
	}}, list)
	made := objects(t, ok(t, s, "create", "jobs", "-json"))
	require.Equal(t, []map[string]any{{"name": "jobs", "url": "http://127.0.0.1:9324/000000000000/jobs"}}, made)
}

func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, "jobs")
		ok(t, s, "send", "jobs", "a")
		ok(t, s, "send", "jobs", "b", "-delay", "1m")
		r := run(t, s, "purge", "jobs")
		require.Equal(t, "dabchick: purge: removes all messages of jobs at http://127.0.0.1:9324, 2 now: say -yes to do it\n", r.err)
		require.Equal(t, 1, visible(t, s, "jobs"))
		require.Equal(t, "purged jobs, which had 2 messages\n", ok(t, s, "purge", "jobs", "-yes"))
		require.Equal(t, 0, visible(t, s, "jobs"))
		require.Equal(t, exitFailed, run(t, s, "purge", "jobs", "-yes").code, "once in 60 s")
		time.Sleep(time.Minute)
		require.Equal(t, []map[string]any{{"queue": "jobs", "purged": 0.0}}, objects(t, ok(t, s, "purge", "jobs", "-yes", "-json")))
	})
}
