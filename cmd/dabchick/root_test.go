package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"
)

func TestUsageErrors(t *testing.T) {
	s := newService(t, "jobs", "orders.fifo")
	for _, x := range []struct{ line, says string }{
		{"sned", `unknown command "sned"`},
		{"help sned", `there is no command "sned"`},
		{"completion nosuch", `unknown command "nosuch"`},
		{"queues -jsn", "unknown flag: --jsn"},
		{"queues extra", `unexpected argument "extra"`},
		{"queues -endpoint localhost:9324", `-endpoint is "localhost:9324", allowed: a URL`},
		{"queues -region Mars!", `region is "Mars!", allowed: letters, digits and -`},
		{"create", "QUEUE is missing"},
		{"create jobs -attribute Delay", `-attribute is "Delay", allowed: name=value`},
		{"create jobs -tag a=1 -tag a=2", "-tag a is given twice"},
		{"send", "QUEUE is missing"},
		{"send jobs a b", `unexpected argument "b"`},
		{"send jobs a -attribute a=\xff", `-attribute is "a=\xff", allowed: name=value, in UTF-8`},
		{"send http://127.0.0.1:1/000000000000/jobs a", "is not at the endpoint http://127.0.0.1:9324: say with -endpoint"},
		{"receive http://", `"http://" is not the URL of a queue`},
		{"serve -queue jobs,deadLetter=dead -queue dead", "maxReceives is 0, allowed with deadLetter: 1 to 1000"},
		{"send jobs a -delay 16m", "-delay is 16m0s, allowed: whole seconds from 0s to 15m0s"},
		{"send jobs a -delay soon", `invalid argument "soon"`},
		{"send jobs a -dedup x", "jobs is not a FIFO queue"},
		{"send orders.fifo a", "-group is needed"},
		{"send orders.fifo a -group g -delay 1s", "not by -delay"},
		{"receive jobs -max 0", "-max is 0, allowed: 1 or more"},
		{"receive jobs -wait 21s", "-wait is 21s, allowed: whole seconds from 0s to 20s"},
		{"receive jobs -follow -wait 0s", "allowed with -follow: 1s to 20s"},
		{"receive jobs -visibility 13h", "-visibility is 13h0m0s, allowed: whole seconds from 0s to 12h0m0s"},
		{"peek jobs -max 1001", "-max is 1001, allowed: 1 to 1000"},
		{"purge jobs", "say -yes"},
		{"redrive jobs -rate 0", "-rate is 0, allowed: 1 to 500"},
		{"redrive jobs -cancel -status", "go with no other flag"},
		{"redrive jobs -status -to x", "go with no other flag"},
		{"bench -messages 0", "-messages is 0, allowed: 1 to 100000"},
		{"bench -concurrency 257", "-concurrency is 257, allowed: 1 to 256"},
		{"bench -batch 11", "-batch is 11, allowed: 1 to 10"},
		{"bench -size 0", "-size is 0, allowed: 1 to 102400"},
		{"serve -addr 9324", `addr is "9324", allowed: host:port`},
		{"serve -addr 127.0.0.1:99999", `addr is "127.0.0.1:99999", allowed: host:port`},
		{"serve -addr 127.0.0.1:nosuch", `addr is "127.0.0.1:nosuch", allowed: host:port`},
		{"serve -addr 0.0.0.0:0", "allowed without keys: loopback"},
		{"serve -addr 0.0.0.0:0 -key AKID:secret", "needs -host"},
		{"serve -key secret", "-key is not of the form ID:SECRET"},
		{"serve -queue jobs,Visibility", `"Visibility", allowed: Attribute=value`},
		{"serve -region Mars!", `region is "Mars!"`},
		{"serve -base-url sqs.example.org", `baseURL is "sqs.example.org", allowed: a URL`},
		{"serve -host sqs.example.org:9324", `hosts is "sqs.example.org:9324", allowed: names`},
		{"serve -config /nowhere.json", "/nowhere.json"},
	} {
		r := run(t, s, strings.Fields(x.line)...)
		require.Equal(t, exitUsage, r.code, "%s: %s", x.line, r.err)
		require.Contains(t, r.err, x.says, x.line)
		require.Equal(t, 1, strings.Count(r.err, "\n"), "one line: %s", r.err)
		require.Empty(t, r.out, x.line)
	}
}

func TestFailures(t *testing.T) {
	s := newService(t, "jobs")
	for _, x := range []struct{ line, says string }{
		{"send nosuch a", `queue "nosuch" does not exist at http://127.0.0.1:9324`},
		{"receive http://127.0.0.1:9324/000000000000/gone", `queue "gone" does not exist`},
		{"peek nosuch", "does not exist"},
		{"peek ../jobs", `queue "../jobs" does not exist`},
		{"send jobs \xff", "the body is not UTF-8"},
		{"purge nosuch -yes", "does not exist"},
		{"redrive jobs", "must be configured as a Dead Letter Queue"},
		{"redrive jobs -status", "jobs has had no move task"},
		{"create jobs -attribute VisibilityTimeout=50000", "VisibilityTimeout"},
		{"create a*b", "Can only include alphanumeric characters"},
		{"send jobs \x01", "InvalidMessageContents"},
	} {
		r := run(t, s, strings.Split(x.line, " ")...)
		require.Equal(t, exitFailed, r.code, x.line)
		require.Contains(t, r.err, x.says, x.line)
		require.Equal(t, 1, strings.Count(r.err, "\n"), "one line: %s", r.err)
	}
}

func TestEndpointThatIsNoSQS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	r := run(t, nil, "queues", "-endpoint", closed)
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, "dabchick: queues: nothing listens at "+closed+": start a server with \"dabchick serve\", or name one with -endpoint\n", r.err)

	var asked atomic.Int32
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "<html>not here</html>", http.StatusNotFound)
	}))
	defer page.Close()
	r = run(t, nil, "queues", "-endpoint", page.URL)
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, "dabchick: queues: "+page.URL+" does not answer as SQS does: HTTP status 404\n", r.err)
	require.EqualValues(t, 1, asked.Load())
}

// A doer answers requests in the place of an endpoint.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestEndpointThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the SDK waits between attempts
		asked := 0
		r := run(t, doer(func(*http.Request) (*http.Response, error) {
			asked++
			return nil, &url.Error{Op: "Post", URL: "/", Err: context.DeadlineExceeded}
		}), "queues")
		require.Equal(t, result{exitFailed, "", "dabchick: queues: http://127.0.0.1:9324 did not answer within 30s\n"}, r)
		require.Equal(t, 1, asked)

		asked = 0
		r = run(t, doer(func(*http.Request) (*http.Response, error) {
			asked++
			return &http.Response{StatusCode: 503, Body: http.NoBody, Header: http.Header{}}, nil
		}), "queues")
		require.Equal(t, result{exitFailed, "", "dabchick: queues: http://127.0.0.1:9324 does not answer as SQS does: HTTP status 503\n"}, r)
		require.Equal(t, attempts, asked)
	})
}

func TestKeysOfTheServer(t *testing.T) {
	c := config{Keys: map[string]string{"AKID": "secret"}, Queues: []queueConfig{{Name: "jobs"}}}
	s, err := c.service()
	require.NoError(t, err)
	defer s.Close()
	r := run(t, s, "queues")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "SignatureDoesNotMatch")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	require.Contains(t, ok(t, s, "queues"), "jobs")
}

func TestEnvironmentNamesTheEndpoint(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ENDPOINT_URL", "http://general.example")
	require.Contains(t, run(t, newService(t), "receive", "x").err, "no credentials for http://general.example: set AWS_ACCESS_KEY_ID")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	require.Contains(t, run(t, newService(t), "receive", "x").err, "at http://general.example:")
	t.Setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1234")
	require.Contains(t, run(t, newService(t), "receive", "x").err, "at http://127.0.0.1:1234:")
	require.Contains(t, run(t, newService(t), "receive", "x", "-endpoint", "http://[::1]:9").err, "at http://[::1]:9:")
}

// What is said and where it goes are two things: the SDK reads the environment, too.
func TestFlagDecidesWhereRequestsGo(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"} {
		t.Setenv(name, "http://127.0.0.1:1234")
		h := &hosts{HTTPClient: newService(t, "jobs")}
		ok(t, h, "purge", "jobs", "-yes", "-endpoint", "http://127.0.0.1:9")
		require.Equal(t, map[string]bool{"127.0.0.1:9": true}, h.seen, name)
	}
}

// hosts notes which ones requests are for.
type hosts struct {
	aws.HTTPClient
	seen map[string]bool
}

func (h *hosts) Do(r *http.Request) (*http.Response, error) {
	if h.seen == nil {
		h.seen = map[string]bool{}
	}
	h.seen[r.URL.Host] = true
	return h.HTTPClient.Do(r)
}

func TestEveryCommandHasHelp(t *testing.T) {
	s := newService(t)
	all := (&program{}).root().Commands()
	require.Len(t, all, 9)
	for _, c := range all {
		require.NotEmpty(t, c.Short, c.Name())
		require.NotEmpty(t, c.Long, c.Name())
		require.NotEmpty(t, c.Example, c.Name())
		require.Contains(t, ok(t, s), c.Short, "the list of commands")
		for _, help := range [][]string{{"help", c.Name()}, {c.Name(), "-help"}, {c.Name(), "-h"}} {
			out := ok(t, s, help...)
			require.Contains(t, out, c.Long, help)
			require.Contains(t, out, "-json", help)
			for line := range strings.Lines(out) {
				if !strings.Contains(line, "--") { // flags are laid out by the library
					require.LessOrEqual(t, len([]rune(line)), 90, line)
				}
			}
		}
	}
	require.Contains(t, ok(t, s, "-version"), "dabchick version")
}

func TestFlagsOfGo(t *testing.T) {
	require.Equal(t,
		[]string{"send", "--delay", "1s", "--json", "-5", "-h", "-", "--", "-body", "-x"},
		goFlags((&program{}).root(), []string{"send", "-delay", "1s", "--json", "-5", "-h", "-", "--", "-body", "-x"}))
	s := newService(t, "jobs")
	ok(t, s, "send", "jobs", "--", "-body")
	require.Equal(t, "-body\n", ok(t, s, "receive", "jobs"))
	ok(t, s, "send", "jobs", "x", "-group", "-tenant", "-attribute", "a=-b")
	m, there := queueOf(t, s, "jobs").TryReceive()
	require.True(t, there)
	require.Equal(t, "-tenant", m.Group(), "the value of a flag is as it was given")
}

func TestCompletion(t *testing.T) {
	s := newService(t, "jobs", "jobs-dead", "orders.fifo")
	bash := ok(t, s, "completion", "bash")
	if path, err := exec.LookPath("bash"); err == nil {
		check := exec.Command(path, "-n")
		check.Stdin = strings.NewReader(bash)
		out, err := check.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	require.True(t, strings.HasPrefix(ok(t, s, "completion", "zsh"), "#compdef dabchick"))
	require.Contains(t, ok(t, s, "completion", "fish"), "complete -c dabchick")

	require.Equal(t, "jobs\njobs-dead\n:4\n", ok(t, s, "__complete", "receive", "jo"), "queues of the endpoint")
	require.Equal(t, ":4\n", ok(t, s, "__complete", "receive", "jobs", ""))
	require.Equal(t, "jobs\njobs-dead\n:4\n", ok(t, s, "__complete", "redrive", "jobs-dead", "--to", "jo"))
	require.Contains(t, ok(t, s, "__complete", "se"), "send\t")
}
