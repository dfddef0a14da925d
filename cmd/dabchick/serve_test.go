package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A served is a server that runs in this process.
type served struct {
	endpoint, region string
	stop             context.CancelFunc
	done             chan result
}

func serveHere(t *testing.T, args ...string) *served {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s := &served{stop: stop, done: make(chan result, 1)}
	go func() {
		var errs bytes.Buffer
		p := program{out: w, err: &errs}
		code := p.run(ctx, append([]string{"serve", "-json"}, args...))
		w.Close()
		s.done <- result{code: code, err: errs.String()}
	}()
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		t.Fatal((<-s.done).err)
	}
	var o struct{ Endpoint, Region string }
	require.NoError(t, json.Unmarshal(line, &o))
	s.endpoint, s.region = o.Endpoint, o.Region
	t.Cleanup(func() {
		stop()
		<-s.done
	})
	return s
}

func TestServe(t *testing.T) {
	s := serveHere(t, "-addr", "127.0.0.1:0", "-queue", "jobs", "-region", "eu-west-1")
	require.Equal(t, "eu-west-1", s.region)
	ok(t, nil, "send", "jobs", "hello", "-endpoint", s.endpoint)
	require.Equal(t, "hello\n", ok(t, nil, "receive", "jobs", "-delete", "-endpoint", s.endpoint))

	taken := strings.TrimPrefix(s.endpoint, "http://")
	r := run(t, nil, "serve", "-addr", taken)
	require.Equal(t, result{exitFailed, "", "dabchick: serve: " + taken + " is in use by another program: choose another with -addr, or port 0 for any that is free\n"}, r)

	s.stop()
	r = <-s.done
	require.Equal(t, result{exitOK, "", "dabchick: serve: stopped\n"}, r)
	s.done <- r // for the cleanup
}

func TestServeAnnouncesItself(t *testing.T) {
	const at = "http://127.0.0.1:4321"
	var out bytes.Buffer
	p := program{out: &out}
	c := config{Region: "us-east-1", Queues: []queueConfig{{Name: "jobs"}, {Name: "dead"}}}
	require.NoError(t, p.announce(&c, at))
	require.Contains(t, out.String(), "with queues jobs, dead\n")
	for _, line := range []string{
		"  export AWS_ENDPOINT_URL_SQS=" + at + "\n", "  export AWS_REGION=us-east-1\n",
		"  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n",
	} {
		require.Contains(t, out.String(), line)
	}
	out.Reset()
	c.Keys = map[string]string{"AKID": "wJalrXUtnFEMI"}
	require.NoError(t, p.announce(&c, at))
	require.Contains(t, out.String(), "AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=...\n")
	require.NotContains(t, out.String(), "wJalrXUtnFEMI", "output is often kept")
}

// Who listens beyond loopback has to say who may call, or that he does not mind.
func TestServeBeyondLoopback(t *testing.T) {
	keys := map[string]string{"AKID": "secret"}
	for _, x := range []struct {
		c     config
		open  bool
		hosts []string // nil where it is refused
	}{
		{config{Addr: "127.0.0.1:0"}, false, []string{}},
		{config{Addr: "localhost:0"}, false, []string{}},
		{config{Addr: "0.0.0.0:0"}, false, nil},
		{config{Addr: ":0"}, false, []string{}},
		{config{Addr: "0.0.0.0:0", Keys: keys}, false, nil},
		{config{Addr: "0.0.0.0:0", Hosts: []string{"queue.example"}}, false, nil},
		{config{Addr: "0.0.0.0:0", Keys: keys, Hosts: []string{"queue.example"}}, false, []string{"queue.example"}},
		{config{Addr: "[::]:0", Hosts: []string{"queue.example"}}, true, []string{"queue.example"}},
		{config{Addr: "0.0.0.0:0"}, true, nil},
		{config{Addr: "127.0.0.1"}, false, nil},
		{config{Addr: "queue.example:0"}, false, nil},
		{config{Addr: "queue.example:0", Keys: keys}, false, []string{"queue.example"}},
	} {
		err := x.c.admit(x.open)
		if x.hosts == nil {
			require.Error(t, err, x.c.Addr)
			require.Equal(t, exitUsage, exitCode(err, true))
			continue
		}
		require.NoError(t, err, x.c.Addr)
		require.ElementsMatch(t, x.hosts, x.c.Hosts)
	}
}

// A child is a server in a process of its own.
type child struct {
	cmd      *exec.Cmd
	endpoint string
	errs     bytes.Buffer
}

func startChild(t *testing.T) *child {
	t.Helper()
	c := &child{cmd: exec.Command(filepath.Join(build(t), "dabchick"), "serve", "-addr", "127.0.0.1:0", "-json", "-queue", "jobs")}
	c.cmd.Stderr = &c.errs
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { c.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var o struct{ Endpoint string }
	require.NoError(t, json.Unmarshal(line, &o))
	c.endpoint = o.Endpoint
	return c
}

// begin sends a request up to its body, and returns when its handler asks for that.
func (c *child) begin(t *testing.T, action string, length int) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.endpoint, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.%s\r\n"+
		"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", action, length)
	r := bufio.NewReader(conn)
	status, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", status)
	_, err = r.ReadString('\n')
	require.NoError(t, err)
	return conn, r
}

// A long poll that waits, and a request of which half has come, are answered when the
// server is told to stop; then it ends with code 0.
func TestSignalEndsServeInGoodOrder(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		c := startChild(t)
		poll := `{"QueueUrl":"jobs","WaitTimeSeconds":20}`
		conn, polled := c.begin(t, "ReceiveMessage", len(poll))
		io.WriteString(conn, poll)
		send := `{"QueueUrl":"jobs","MessageBody":"late"}`
		slow, sent := c.begin(t, "SendMessage", len(send))
		io.WriteString(slow, send[:10])

		require.NoError(t, c.cmd.Process.Signal(signal))
		resp, err := http.ReadResponse(polled, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "{}", string(body), "no message")

		io.WriteString(slow, send[10:])
		resp, err = http.ReadResponse(sent, nil)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)

		require.NoError(t, c.cmd.Wait(), c.errs.String())
		require.Equal(t, "dabchick: serve: stopped\n", c.errs.String())
		require.Equal(t, exitFailed, run(t, nil, "queues", "-endpoint", c.endpoint).code)
	}
}

func TestSecondSignalEndsServeAtOnce(t *testing.T) {
	c := startChild(t)
	c.begin(t, "SendMessage", 10) // and the body never comes
	require.NoError(t, c.cmd.Process.Signal(os.Interrupt))
	for { // until the port is closed: then the first signal is understood
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.endpoint, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	require.NoError(t, c.cmd.Process.Signal(os.Interrupt))
	require.EqualError(t, c.cmd.Wait(), "signal: interrupt")
}
