package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what the commands print into docs/command.md")

const page = "../../docs/command.md"

// varies is what differs between two runs of the same commands.
var varies = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`"\d{13}"`), "MILLISECONDS"},
	{regexp.MustCompile(`AQEB[A-Za-z0-9+/=]+`), "HANDLE"},
	{regexp.MustCompile(`(?m)^ +(send|receive|delete) +\d.*$`), "$1 FIGURES"},
	{regexp.MustCompile(`(?m)^ +messages/s .*$`), "HEADINGS"},
}

var sequenceNumber = regexp.MustCompile(`"\d{20}"`)

func withoutWhatVaries(text string) []string {
	for _, v := range varies {
		text = v.what.ReplaceAllString(text, v.as)
	}
	names := map[string]string{} // which are the same is not to vary
	text = sequenceNumber.ReplaceAllStringFunc(text, func(n string) string {
		if names[n] == "" {
			names[n] = fmt.Sprintf("NUMBER %d", len(names)+1)
		}
		return names[n]
	})
	return strings.Split(text, "\n")
}

// TestPage runs the commands of docs/command.md in their order, by a shell, against a
// server that is started as the page says, and compares what they print.
func TestPage(t *testing.T) {
	for _, tool := range []string{"bash", "seq", "uniq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("the page's commands need " + tool)
		}
	}
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	r := newPageRunner(t)
	block := regexp.MustCompile("(?s)```(console|json)\n(.*?)```")
	got := block.ReplaceAllStringFunc(string(text), func(b string) string {
		m := block.FindStringSubmatch(b)
		if m[1] == "json" {
			require.NoError(t, os.WriteFile(filepath.Join(r.dir, "queues.json"), []byte(m[2]), 0o600))
			return b
		}
		var out strings.Builder
		for line := range strings.Lines(m[2]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				out.WriteString(line + r.run(t, strings.TrimSpace(command)))
			}
		}
		return "```console\n" + out.String() + "```"
	})
	r.stop(t)
	for _, c := range (&program{}).root().Commands() {
		require.Regexp(t, `(?m)^\$ (.*\| )?dabchick `+c.Name(), got, "every command is shown")
	}
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(got), 0o644))
		return
	}
	have := withoutWhatVaries(got)
	for i, line := range withoutWhatVaries(string(text)) {
		require.Less(t, i, len(have), "this is printed no longer: %s", line)
		require.Equal(t, line, have[i], "go test -run TestPage -update writes the page anew")
	}
}

// A pageRunner carries out commands of the page.
type pageRunner struct {
	dir      string
	env      []string
	server   *exec.Cmd
	endpoint string
}

func newPageRunner(t *testing.T) *pageRunner {
	return &pageRunner{dir: t.TempDir(), env: append(os.Environ(), "PATH="+build(t)+":"+os.Getenv("PATH"))}
}

func (r *pageRunner) command(line string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir, cmd.Env = r.dir, r.env
	return cmd
}

func (r *pageRunner) run(t *testing.T, line string) string {
	t.Helper()
	if strings.HasPrefix(line, "dabchick serve") {
		return r.serve(t, line)
	}
	out, err := r.command(line).CombinedOutput()
	require.NoError(t, err, "%s\n%s", line, out)
	return r.documented(string(out))
}

// serve starts the server, on a port that is free, and returns what it prints.
func (r *pageRunner) serve(t *testing.T, line string) string {
	t.Helper()
	r.server = r.command("exec " + line + " -addr 127.0.0.1:0")
	pipe, err := r.server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.server.Start())
	t.Cleanup(func() { r.server.Process.Kill() })
	var out strings.Builder
	for lines := bufio.NewReader(pipe); !strings.HasSuffix(out.String(), "stops it.\n"); {
		l, err := lines.ReadString('\n')
		require.NoError(t, err, out.String())
		out.WriteString(l)
		if _, at, ok := strings.Cut(l, "AWS_ENDPOINT_URL_SQS="); ok {
			r.endpoint = strings.TrimSpace(at)
			r.env = append(r.env, "AWS_ENDPOINT_URL_SQS="+r.endpoint)
		}
	}
	return r.documented(out.String())
}

// documented replaces the port, which is not the page's.
func (r *pageRunner) documented(out string) string {
	return strings.ReplaceAll(out, r.endpoint, localEndpoint)
}

func (r *pageRunner) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, r.server.Process.Signal(syscall.SIGTERM))
	require.NoError(t, r.server.Wait())
}
