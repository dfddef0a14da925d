package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

func fill(t testing.TB, s *sqshttp.Service, queue string, n int, o dabchick.SendOptions) {
	t.Helper()
	for i := range n {
		_, err := queueOf(t, s, queue).SendWith(t.Context(), fmt.Sprintf("m%d", i), o)
		require.NoError(t, err)
	}
}

func TestReceive(t *testing.T) {
	s := newService(t, "jobs")
	fill(t, s, "jobs", 30, dabchick.SendOptions{})
	require.Equal(t, "m0\n", ok(t, s, "receive", "jobs"))
	require.Equal(t, 24, strings.Count(ok(t, s, "receive", "jobs", "-max", "24", "-delete"), "\n"))
	stats, err := queueOf(t, s, "jobs").Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{5, 1}, []int{stats.Visible, stats.InFlight}, "24 are deleted, the first is in flight")
	require.Equal(t, "m25\nm26\nm27\nm28\nm29\n", ok(t, s, "receive", "jobs", "-max", "100"))

	r := run(t, s, "receive", "jobs")
	require.Equal(t, result{exitNothing, "", "dabchick: receive: nothing to receive from jobs\n"}, r)
}

func TestReceiveAsJSON(t *testing.T) {
	s := newService(t, "jobs")
	_, err := queueOf(t, s, "jobs").SendWith(t.Context(), "<a>\u009b", dabchick.SendOptions{
		Attributes: map[string]dabchick.Attribute{"colour": dabchick.StringAttribute("red")},
	})
	require.NoError(t, err)
	out := ok(t, s, "receive", "jobs", "-json")
	m := objects(t, out)[0]
	require.Equal(t, "<a>\u009b", m["body"])
	require.Equal(t, "1", m["attributes"].(map[string]any)["ApproximateReceiveCount"])
	require.Equal(t, map[string]any{"type": "String", "text": "red"}, m["messageAttributes"].(map[string]any)["colour"])
	require.NotEmpty(t, m["receiptHandle"])
	require.NotEmpty(t, m["messageId"])
}

// The SDK leaves zeroes out, and SQS would take the queue's settings.
func TestZeroesAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, "jobs,ReceiveMessageWaitTimeSeconds=20")
		began := time.Now()
		require.Equal(t, exitNothing, run(t, s, "receive", "jobs").code)
		require.Equal(t, 20*time.Second, time.Since(began))
		require.Equal(t, exitNothing, run(t, s, "receive", "jobs", "-wait", "0").code)
		require.Equal(t, exitNothing, run(t, s, "receive", "jobs", "-wait", "5s").code)
		require.Equal(t, 25*time.Second, time.Since(began))

		fill(t, s, "jobs", 1, dabchick.SendOptions{})
		ok(t, s, "receive", "jobs", "-visibility", "0s")
		require.Equal(t, 1, visible(t, s, "jobs"))
		ok(t, s, "receive", "jobs", "-visibility", "5s")
		require.Equal(t, 0, visible(t, s, "jobs"))
		time.Sleep(5 * time.Second)
		require.Equal(t, 1, visible(t, s, "jobs"))
	})
}

func TestZeroDelayIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, "mail,DelaySeconds=5", "orders.fifo")
		ok(t, s, "send", "mail", "later")
		ok(t, s, "send", "mail", "now", "-delay", "0s")
		require.Equal(t, 1, visible(t, s, "mail"))
		r := runWith(t.Context(), s, strings.NewReader("<a>\nb\n"), "send", "mail", "-delay", "0s", "-attribute", "colour=red")
		require.Equal(t, result{exitOK, "2 messages sent to mail\n", ""}, r)
		require.Equal(t, "now\n<a>\nb\n", ok(t, s, "receive", "mail", "-max", "4"))
		require.Equal(t, exitUsage, run(t, s, "send", "orders.fifo", "x", "-group", "g", "-delay", "0s").code)
	})
}

func TestFollowGoesOnUntilItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, "jobs")
		ctx, interrupt := context.WithCancel(t.Context())
		done := make(chan result)
		go func() { done <- runWith(ctx, s, strings.NewReader(""), "receive", "jobs", "-follow", "-delete") }()
		for range 3 {
			time.Sleep(time.Minute)
			fill(t, s, "jobs", 12, dabchick.SendOptions{})
		}
		time.Sleep(time.Minute)
		interrupt()
		r := <-done
		require.Equal(t, exitOK, r.code, r.err)
		require.Equal(t, 36, strings.Count(r.out, "\n"))
		stats, err := queueOf(t, s, "jobs").Stats(t.Context())
		require.NoError(t, err)
		require.Zero(t, stats.Visible+stats.InFlight)
	})
}

func TestInterruptedReceiveHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, interrupt)
		r := runWith(ctx, newService(t, "jobs"), strings.NewReader(""), "receive", "jobs", "-wait", "20s")
		require.Equal(t, result{exitFailed, "", "dabchick: receive: interrupted\n"}, r)
	})
}

// What a message says is not said to the terminal. (U+009B begins a command there, and SQS
// lets it through.)
func TestControlCharactersDoNotReachATerminal(t *testing.T) {
	s := newService(t, "jobs")
	body := "a\u009b2J\nü"
	_, err := queueOf(t, s, "jobs").Send(t.Context(), body)
	require.NoError(t, err)
	for line, shown := range map[string]string{
		"peek jobs":                        `a\u009b2J\nü`,
		"receive jobs -visibility 0":       "a\\u009b2J\nü",
		"receive jobs -visibility 0 -json": `"a\u009b2J\nü"`,
	} {
		var out, errs bytes.Buffer
		p := program{out: screen{&out}, err: &errs, http: s}
		require.Equal(t, exitOK, p.run(t.Context(), strings.Fields(line)), errs.String())
		require.Contains(t, out.String(), shown, line)
	}
	require.Equal(t, body+"\n", ok(t, s, "receive", "jobs"), "elsewhere it is as it was sent")

	var out bytes.Buffer
	n, err := screen{&out}.Write([]byte("a\tb\x1b[2J\r\n\u202e\xff"))
	require.NoError(t, err)
	require.Equal(t, 13, n)
	require.Equal(t, "a\tb\\x1b[2J\\r\n\\u202e\ufffd", out.String())
}

func TestPeekLeavesMessagesWhereTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, "jobs", "orders.fifo")
		require.Equal(t, exitNothing, run(t, s, "peek", "jobs").code)
		fill(t, s, "jobs", 25, dabchick.SendOptions{})
		fill(t, s, "jobs", 1, dabchick.SendOptions{Delay: time.Hour})
		for _, m := range objects(t, ok(t, s, "peek", "jobs", "-json")) {
			require.Equal(t, "1", m["attributes"].(map[string]any)["ApproximateReceiveCount"])
		}
		require.Equal(t, 25, visible(t, s, "jobs"))
		shown := map[any]bool{}
		for _, m := range objects(t, ok(t, s, "peek", "jobs", "-json", "-max", "100")) {
			shown[m["body"]] = true
		}
		require.Len(t, shown, 25)
		require.Equal(t, 25, visible(t, s, "jobs"))

		fill(t, s, "orders.fifo", 3, dabchick.SendOptions{Group: "user-7"})
		out := ok(t, s, "peek", "orders.fifo")
		require.Regexp(t, `^ID +SENT +RECEIVES +GROUP +BODY\n(\S+ +2000-01-01T\S+Z +1 +user-7 +m\d\n){3}$`, out)
		m := objects(t, ok(t, s, "receive", "orders.fifo", "-json"))[0]
		require.Equal(t, "m0", m["body"], "the order of a FIFO queue stays")
		require.Equal(t, "2", m["attributes"].(map[string]any)["ApproximateReceiveCount"], "a peek counts once")
	})
}

func TestPreview(t *testing.T) {
	require.Equal(t, "short", preview("short"))
	require.Equal(t, strings.Repeat("ü", 60)+"…", preview(strings.Repeat("ü", 61)))
	require.Equal(t, strings.Repeat("😀", 60)+"…", preview(strings.Repeat("😀", 1000)))
	require.Equal(t, strings.Repeat("😀", 60), preview(strings.Repeat("😀", 60)))
}
