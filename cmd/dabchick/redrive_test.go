package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

// withDeadLetters returns a service of which jobs has given n messages up.
func withDeadLetters(t *testing.T, n int) *sqshttp.Service {
	s := newService(t, "jobs,deadLetter=dead,maxReceives=1", "dead", "again")
	fill(t, s, "jobs", n, dabchick.SendOptions{})
	for range n {
		ok(t, s, "receive", "jobs", "-visibility", "0")
	}
	require.Equal(t, exitNothing, run(t, s, "receive", "jobs").code)
	require.Equal(t, n, visible(t, s, "dead"))
	return s
}

func TestRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withDeadLetters(t, 5)
		require.Equal(t, "COMPLETED: 5 of 5 messages moved from dead\n", ok(t, s, "redrive", "dead"))
		require.Equal(t, 5, visible(t, s, "jobs"))
		status := objects(t, ok(t, s, "redrive", "dead", "-status", "-json"))[0]
		require.Equal(t, map[string]any{"status": "COMPLETED", "source": "arn:aws:sqs:us-east-1:000000000000:dead", "moved": 5.0, "total": 5.0}, status)
	})
}

func TestRedriveToAnotherQueueAtARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withDeadLetters(t, 10)
		began := time.Now()
		ok(t, s, "redrive", "dead", "-to", "again", "-rate", "2")
		require.Equal(t, 10, visible(t, s, "again"))
		require.Greater(t, time.Since(began), 4*time.Second)
		s.Close()
	})
}

func TestRedriveGoesOnWhenItIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withDeadLetters(t, 10)
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(1100*time.Millisecond, interrupt)
		r := runWith(ctx, s, strings.NewReader(""), "redrive", "dead", "-rate", "1")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.err, `interrupted: the task goes on; "dabchick redrive dead -cancel" ends it`)
		require.Equal(t, exitFailed, run(t, s, "redrive", "dead").code, "one at a time")

		require.Regexp(t, `^CANCELLED: [12] of 10 messages moved from dead\n$`, ok(t, s, "redrive", "dead", "-cancel"))
		r = run(t, s, "redrive", "dead", "-cancel")
		require.Equal(t, result{exitFailed, "", "dabchick: redrive: dead has no task that runs: the latest is CANCELLED\n"}, r)
		s.Close()
	})
}

func TestFailedRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withDeadLetters(t, 0)
		fill(t, s, "dead", 2, dabchick.SendOptions{}) // nobody knows where these belong
		line := "FAILED: 0 of 2 messages moved from dead: CouldNotDetermineMessageSource\n"
		require.Equal(t, result{exitFailed, line, "dabchick: redrive: the task has failed: CouldNotDetermineMessageSource\n"}, run(t, s, "redrive", "dead"))
		require.Equal(t, result{exitOK, line, ""}, run(t, s, "redrive", "dead", "-status"))
	})
}
