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
	t.Parallel()
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

// The AWS command line, in each version that is here: Debian's speaks the Query
// protocol, newer ones JSON.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, program := range []string{"/usr/bin/aws", "aws"} {
		version, err := exec.Command(program, "--version").Output()
		if err != nil || found[string(version)] {
			continue
		}
		found[string(version)] = true
		t.Run(strings.Fields(string(version))[0], func(t *testing.T) {
			t.Parallel() // it takes long to start
			useCLI(t, program)
		})
	}
	if len(found) == 0 {
		t.Skip("no AWS CLI here: on Debian, apt-get install awscli")
	}
}

func useCLI(t *testing.T, program string) {
	url, protocols := serve(t)
	try := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, append([]string{"sqs", "--endpoint-url", url, "--output", "text"}, args...)...)
		cmd.Env = append(cmd.Environ(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_DEFAULT_REGION=us-east-1")
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := try(args...)
		require.NoError(t, err, "%s", out)
		return out
	}
	// A message goes round.
	q := run("create-queue", "--queue-name", "cli", "--attributes", "VisibilityTimeout=60")
	require.Equal(t, url+"/000000000000/cli", q)
	run("send-message", "--queue-url", q, "--message-body", "hello", "--message-attributes", "k={DataType=String,StringValue=x}")
	got := run("receive-message", "--queue-url", q, "--message-attribute-names", "All",
		"--query", "Messages[].[Body,MessageAttributes.k.StringValue,ReceiptHandle]")
	require.True(t, strings.HasPrefix(got, "hello\tx\tAQEB"), got)
	handle := strings.Fields(got)[2]
	require.Equal(t, "1", run("get-queue-attributes", "--queue-url", q, "--attribute-names", "All",
		"--query", "Attributes.ApproximateNumberOfMessagesNotVisible"))
	run("change-message-visibility", "--queue-url", q, "--receipt-handle", handle, "--visibility-timeout", "0")
	handle = run("receive-message", "--queue-url", q, "--wait-time-seconds", "20", "--query", "Messages[].ReceiptHandle")
	run("delete-message", "--queue-url", q, "--receipt-handle", handle)

	// A long poll is answered by a send.
	polled := make(chan string, 1)
	go func() {
		out, err := try("receive-message", "--queue-url", q, "--wait-time-seconds", "20", "--query", "Messages[].Body")
		if err != nil {
			out = err.Error() + ": " + out
		}
		polled <- out
	}()
	require.Equal(t, "a\tb", run("send-message-batch", "--queue-url", q, "--entries", "Id=a,MessageBody=1", "Id=b,MessageBody=1", "--query", "Successful[].Id"))
	require.Equal(t, "1", <-polled)

	// FIFO.
	fifo := run("create-queue", "--queue-name", "cli.fifo", "--attributes", "FifoQueue=true,ContentBasedDeduplication=true")
	for _, body := range []string{"1", "1", "2"} {
		run("send-message", "--queue-url", fifo, "--message-body", body, "--message-group-id", "g")
	}
	require.Equal(t, "1\t2", run("receive-message", "--queue-url", fifo, "--max-number-of-messages", "10", "--query", "Messages[].Body"))

	// Dead letters, and a task that moves them back.
	dead := run("create-queue", "--queue-name", "cli-dead")
	arn := run("get-queue-attributes", "--queue-url", dead, "--attribute-names", "QueueArn", "--query", "Attributes.QueueArn")
	jobs := run("create-queue", "--queue-name", "cli-jobs", "--attributes",
		`{"VisibilityTimeout":"0","RedrivePolicy":"{\"deadLetterTargetArn\":\"`+arn+`\",\"maxReceiveCount\":1}"}`)
	run("send-message", "--queue-url", jobs, "--message-body", "poison")
	require.Equal(t, "poison", run("receive-message", "--queue-url", jobs, "--query", "Messages[].Body"))
	require.Equal(t, "None", run("receive-message", "--queue-url", jobs, "--query", "Messages"))
	require.Equal(t, jobs, run("list-dead-letter-source-queues", "--queue-url", dead, "--query", "queueUrls"))
	require.Equal(t, "1", run("get-queue-attributes", "--queue-url", dead, "--attribute-names", "All", "--query", "Attributes.ApproximateNumberOfMessages"))
	if out, err := try("start-message-move-task", "--source-arn", arn); err != nil {
		require.Contains(t, out, "Invalid choice", "this version does not know the action") // or it failed
	} else {
		require.Equal(t, "poison", run("receive-message", "--queue-url", jobs, "--wait-time-seconds", "20", "--query", "Messages[].Body"))
	}

	// Errors, and the end.
	out, err := try("get-queue-url", "--queue-name", "nobody")
	require.Error(t, err)
	require.Contains(t, out, "AWS.SimpleQueueService.NonExistentQueue")
	run("purge-queue", "--queue-url", q)
	for _, u := range []string{q, fifo, dead, jobs} {
		run("delete-queue", "--queue-url", u)
	}
	require.Equal(t, "None", run("list-queues", "--query", "QueueUrls"))
	t.Log("over", protocols())
}

// The JavaScript SDK, and sqs-producer and sqs-consumer on top of it.
func TestJavaScript(t *testing.T) {
	t.Parallel()
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
