package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

func TestMain(m *testing.M) {
	for _, v := range os.Environ() { // whoever runs the tests may have an account at AWS
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "DABCHICK_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	code := m.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

var binary struct {
	once sync.Once
	dir  string
	err  error
}

// build returns the folder with the program, for tests that need a process.
func build(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "dabchick"); binary.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", filepath.Join(binary.dir, "dabchick"), ".").CombinedOutput()
		if binary.err = err; err != nil {
			t.Log(string(out))
		}
	})
	require.NoError(t, binary.err)
	return binary.dir
}

func newService(t testing.TB, queues ...string) *sqshttp.Service {
	t.Helper()
	var c config
	for _, text := range queues {
		q, err := parseQueue(text)
		require.NoError(t, err)
		c.Queues = append(c.Queues, q)
	}
	s, err := c.service()
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func queueOf(t testing.TB, s *sqshttp.Service, name string) *dabchick.Queue[string] {
	t.Helper()
	q, ok := s.Queue(name)
	require.True(t, ok, name)
	return q
}

// visible returns how many messages of a queue can be received.
func visible(t testing.TB, s *sqshttp.Service, name string) int {
	t.Helper()
	stats, err := queueOf(t, s, name).Stats(t.Context())
	require.NoError(t, err)
	return stats.Visible
}

// A result is what a run of the program has left.
type result struct {
	code     int
	out, err string
}

// run runs the program against an endpoint in this process.
func run(t testing.TB, endpoint aws.HTTPClient, args ...string) result {
	t.Helper()
	return runWith(t.Context(), endpoint, strings.NewReader(""), args...)
}

func runWith(ctx context.Context, endpoint aws.HTTPClient, in io.Reader, args ...string) result {
	var out, errs bytes.Buffer
	p := program{in: in, out: &out, err: &errs, http: endpoint}
	code := p.run(ctx, args)
	return result{code, out.String(), errs.String()}
}

// ok runs the program, and returns what it printed.
func ok(t testing.TB, endpoint aws.HTTPClient, args ...string) string {
	t.Helper()
	r := run(t, endpoint, args...)
	require.Equal(t, exitOK, r.code, r.err)
	return r.out
}

// objects reads output of -json.
func objects(t testing.TB, out string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var o map[string]any
		err := d.Decode(&o)
		if err == io.EOF {
			return all
		}
		require.NoError(t, err, out)
		all = append(all, o)
	}
}
