package clienttest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve returns the URL of a service on a loopback port that verifies signatures, and
// which protocols its requests have come in.
func serve(t *testing.T) (url string, protocols func() []string) {
	t.Helper()
	s := newSigned(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[strings.Split(r.Header.Get("Content-Type"), ";")[0]] = true
		mu.Unlock()
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() (all []string) {
		mu.Lock()
		defer mu.Unlock()
		for p := range seen {
			all = append(all, p)
		}
		return all
	}
}

// boto3, in each of the Pythons that have it: Debian's speaks the Query protocol,
// newer ones JSON.
func TestBoto3(t *testing.T) {
	found := false
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import boto3").Run() != nil {
			continue
		}
		found = true
		t.Run(strings.ReplaceAll(python, "/", "_"), func(t *testing.T) {
			url, protocols := serve(t)
			out, err := exec.CommandContext(t.Context(), python, "clients.py", url).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "ok ")
			t.Logf("%s over %v", strings.TrimSpace(string(out)), protocols())
		})
	}
	if !found {
		t.Skip("no boto3 here: on Debian, apt-get install python3-boto3")
	}
}

// The AWS command line.
func TestAWSCLI(t *testing.T) {
	aws := "/usr/bin/aws"
	if exec.Command(aws, "--version").Run() != nil {
		if aws = "aws"; exec.Command(aws, "--version").Run() != nil {
			t.Skip("no AWS CLI here: on Debian, apt-get install awscli")
		}
	}
	url, protocols := serve(t)
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), aws, append([]string{"sqs", "--endpoint-url", url, "--output", "text"}, args...)...)
		cmd.Env = append(cmd.Environ(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_DEFAULT_REGION=us-east-1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	q := run("create-queue", "--queue-name", "cli", "--attributes", "VisibilityTimeout=60")
	require.Equal(t, url+"/000000000000/cli", q)
	run("send-message", "--queue-url", q, "--message-body", "hello", "--message-attributes", "k={DataType=String,StringValue=x}")
	require.Equal(t, "hello\tx", run("receive-message", "--queue-url", q, "--message-attribute-names", "All",
		"--query", "Messages[].[Body,MessageAttributes.k.StringValue]"))
	require.Equal(t, "1", run("get-queue-attributes", "--queue-url", q, "--attribute-names", "All",
		"--query", "Attributes.ApproximateNumberOfMessagesNotVisible"))
	run("purge-queue", "--queue-url", q)
	run("delete-queue", "--queue-url", q)
	require.Equal(t, "None", run("list-queues", "--query", "QueueUrls"))
	t.Log("over", protocols())
}

// The JavaScript SDK, and sqs-producer and sqs-consumer on top of it.
func TestJavaScript(t *testing.T) {
	if exec.Command("node", "-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)").Run() != nil {
		t.Skip("no node here of version 20 or later, which the SDK asks for")
	}
	if _, err := os.Stat("js/node_modules/sqs-consumer"); err != nil {
		t.Skip("its packages are not installed: npm install --prefix sqshttp/clienttest/js")
	}
	url, protocols := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "js/clients.mjs", url).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ok")
	t.Log("over", protocols())
}
