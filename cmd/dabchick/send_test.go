package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

func TestSendOne(t *testing.T) {
	s := newService(t, "jobs", "orders.fifo")
	id := ok(t, s, "send", "jobs", "grüße\nzwei", "-attribute", "colour=red", "-group", "g")
	m, err := queueOf(t, s, "jobs").Receive(t.Context())
	require.NoError(t, err)
	require.Equal(t, "grüße\nzwei", m.Body)
	require.Equal(t, m.ID.String()+"\n", id)
	require.Equal(t, "g", m.Group())
	require.Equal(t, dabchick.StringAttribute("red"), m.Attributes()["colour"])

	line := objects(t, ok(t, s, "send", "orders.fifo", "x", "-group", "g", "-dedup", "d", "-json"))[0]
	require.NotEmpty(t, line["messageId"])
	require.NotEmpty(t, line["sequenceNumber"])
	ok(t, s, "send", "orders.fifo", "x", "-group", "g", "-dedup", "d")
	require.Equal(t, 1, visible(t, s, "orders.fifo"), "the second is a duplicate")
}

// A counter counts requests on their way to a service.
type counter struct {
	s *sqshttp.Service
	n map[string]int
}

func (c *counter) Do(r *http.Request) (*http.Response, error) {
	c.n[r.Header.Get("X-Amz-Target")]++
	return c.s.Do(r)
}

func TestSendTenThousandLines(t *testing.T) {
	s := newService(t, "jobs")
	var in strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&in, "job %d\r\n\n", i)
	}
	c := &counter{s, map[string]int{}}
	r := runWith(t.Context(), c, strings.NewReader(in.String()), "send", "jobs")
	require.Equal(t, result{
		exitOK, "10000 messages sent to jobs\n", "dabchick: send: 10000 empty lines were left out: SQS takes no empty message\n",
	}, r)
	require.Equal(t, 1000, c.n["AmazonSQS.SendMessageBatch"], "full batches")
	q := queueOf(t, s, "jobs")
	for i := range 10_000 {
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.Equal(t, fmt.Sprintf("job %d", i), m.Body)
	}
}

func TestBatchesHaveAtMostAMebibyte(t *testing.T) {
	s := newService(t, "jobs")
	lines := strings.Repeat(strings.Repeat("x", 300_000)+"\n", 7)
	r := runWith(t.Context(), s, strings.NewReader(lines+strings.Repeat("y", mostBytes)), "send", "jobs")
	require.Equal(t, result{exitOK, "8 messages sent to jobs\n", ""}, r)

	lines = strings.Repeat(strings.Repeat("z", mostBytes/10)+"\n", 10) // a batch, but for what is beside them
	r = runWith(t.Context(), s, strings.NewReader(lines), "send", "jobs", "-attribute", "a=b")
	require.Equal(t, result{exitOK, "10 messages sent to jobs\n", ""}, r)

	r = runWith(t.Context(), s, strings.NewReader("short\n"+strings.Repeat("y", mostBytes+1)), "send", "jobs")
	require.Equal(t, result{exitFailed, "", "dabchick: send: line 2 has more than 1048576 bytes; 1 messages were sent before\n"}, r)
	r = runWith(t.Context(), s, strings.NewReader(strings.Repeat("y", mostBytes-5)), "send", "jobs", "-attribute", "a=b")
	require.Equal(t, exitFailed, r.code, "attributes count")
	require.Contains(t, r.err, "line 1 has more than 1048568 bytes")
}

// A program that writes a line now and then does not wait for nine more.
func TestLinesAreSentAsTheyCome(t *testing.T) {
	s := newService(t, "jobs")
	r, w := io.Pipe()
	done := make(chan result)
	go func() { done <- runWith(t.Context(), s, r, "send", "jobs") }()
	for i := range 3 {
		fmt.Fprintf(w, "line %d\n", i)
		m, err := queueOf(t, s, "jobs").Receive(t.Context())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("line %d", i), m.Body)
	}
	w.Close()
	require.Equal(t, result{exitOK, "3 messages sent to jobs\n", ""}, <-done)
}

func TestInterruptedSendSaysHowFarItCame(t *testing.T) {
	s := newService(t, "jobs")
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	done := make(chan result)
	go func() { done <- runWith(ctx, s, r, "send", "jobs") }()
	fmt.Fprint(w, "a\nb\nc\n")
	for range 3 {
		_, err := queueOf(t, s, "jobs").Receive(t.Context())
		require.NoError(t, err)
	}
	interrupt()
	require.Equal(t, result{exitFailed, "", "dabchick: send: interrupted after line 3: 3 messages were sent\n"}, <-done)
}

// interruptedAt returns an endpoint that interrupts the program in the middle of a call.
func interruptedAt(action string, interrupt func(), s *sqshttp.Service) doer {
	return func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("X-Amz-Target") == "AmazonSQS."+action {
			interrupt()
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
		}
		return s.Do(r)
	}
}

func TestCallsUnderWayAreFinished(t *testing.T) {
	s := newService(t, "jobs")
	ctx, interrupt := context.WithCancel(t.Context())
	in, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, "a\nb\n")
	r := runWith(ctx, interruptedAt("SendMessageBatch", interrupt, s), in, "send", "jobs")
	require.Equal(t, result{exitFailed, "", "dabchick: send: interrupted after line 2: 2 messages were sent\n"}, r)
	require.Equal(t, 2, visible(t, s, "jobs"))

	ctx, interrupt = context.WithCancel(t.Context())
	r = runWith(ctx, interruptedAt("DeleteMessageBatch", interrupt, s), in, "receive", "jobs", "-max", "2", "-delete")
	require.Equal(t, result{exitOK, "a\nb\n", ""}, r)
	stats, err := queueOf(t, s, "jobs").Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats.InFlight, "what was printed is deleted")
}

func TestRefusedLinesAreNamed(t *testing.T) {
	s := newService(t, "jobs")
	r := runWith(t.Context(), s, strings.NewReader("a\nb\x01\n\nc\n"), "send", "jobs", "-json")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "dabchick: send: line 2: InvalidMessageContents")
	require.Contains(t, r.err, "dabchick: send: 1 of 3 lines were refused\n")
	sent := objects(t, r.out)
	require.Len(t, sent, 2)
	require.Equal(t, 4.0, sent[1]["line"])

	s.CreateQueue("plain.fifo", map[string]string{"FifoQueue": "true"})
	r = runWith(t.Context(), s, strings.NewReader("a\nb\n"), "send", "plain.fifo", "-group", "g")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "lines 1 to 2: InvalidParameterValue")
}

// A line in another encoding is not sent as something else.
func TestLinesThatAreNotTextAreRefused(t *testing.T) {
	s := newService(t, "jobs")
	r := runWith(t.Context(), s, strings.NewReader("caf\xe9\ntea\n"), "send", "jobs")
	require.Equal(t, result{exitFailed, "1 messages sent to jobs\n",
		"dabchick: send: line 1: the body is not UTF-8: SQS takes text only\n" +
			"dabchick: send: 1 of 2 lines were refused\n"}, r)
	require.Equal(t, "tea\n", ok(t, s, "receive", "jobs", "-max", "10"))
	r = runWith(t.Context(), s, strings.NewReader("\xe9\n"), "send", "jobs")
	require.Equal(t, exitFailed, r.code)
	require.Zero(t, visible(t, s, "jobs"))
}

func TestLinesAreNotSentTwiceToAFIFOQueue(t *testing.T) {
	s := newService(t, "orders.fifo")
	lines := "a\nb\nc\n"
	for _, in := range []string{lines[:4], lines} {
		r := runWith(t.Context(), s, strings.NewReader(in), "send", "orders.fifo", "-group", "g", "-dedup", "run7")
		require.Equal(t, exitOK, r.code, r.err)
	}
	ms, err := queueOf(t, s, "orders.fifo").ReceiveBatch(t.Context(), dabchick.ReceiveOptions{Max: 10, Wait: time.Nanosecond})
	require.NoError(t, err)
	require.Len(t, ms, 3)
	require.Equal(t, "c", ms[2].Body)
}

// full is a disk that takes nothing more.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// What cannot be reported has been sent all the same, and is not passed over.
func TestSendWhoseOutputFails(t *testing.T) {
	for _, x := range [][]string{{"send", "jobs"}, {"send", "jobs", "-json"}} {
		s := newService(t, "jobs")
		var errs bytes.Buffer
		p := program{in: strings.NewReader("a\nb\nc\n"), out: full{}, err: &errs, http: s}
		require.Equal(t, exitFailed, p.run(t.Context(), x))
		require.Equal(t, "dabchick: send: no space left; 3 messages were sent\n", errs.String())
		require.Equal(t, 3, visible(t, s, "jobs"))
	}
}
