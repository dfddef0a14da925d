package dabchick_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write what scripts answer, and their list, into testdata/script")

const scripts = "testdata/script"

// A script is a session with queues, as somebody would type it: commands, each
// with what it answers. The README beside the scripts says what is in them.
type script struct {
	name  string
	steps []step
	rest  []string // comments and blank lines at the end
}

// A step is a command and its answer.
type step struct {
	before  []string // comments and blank lines
	line    int      // of the command
	command string
	want    []string
}

// parseScript reads a script. What is wrong with a command shows when it is run.
func parseScript(name, text string) (*script, error) {
	s := &script{name: name}
	answering := false
	text = strings.TrimSuffix(text, "\n")
	for i, line := range strings.Split(text, "\n") {
		switch command, ok := strings.CutPrefix(line, "> "); {
		case ok:
			s.steps = append(s.steps, step{before: s.rest, line: i + 1, command: command})
			s.rest, answering = nil, true
		case line == "" || strings.HasPrefix(line, "#"):
			s.rest, answering = append(s.rest, line), false
		case strings.HasPrefix(line, ">"):
			return nil, fmt.Errorf("%s:%d: a command begins with %q", name, i+1, "> ")
		case !answering:
			return nil, fmt.Errorf("%s:%d: an answer without a command before it: %q", name, i+1, line)
		default:
			last := &s.steps[len(s.steps)-1]
			last.want = append(last.want, line)
		}
	}
	if len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: no command", name)
	}
	return s, nil
}

// String returns the script as a text that parseScript reads.
func (s *script) String() string {
	var lines []string
	for _, step := range s.steps {
		lines = append(append(lines, step.before...), "> "+step.command)
		lines = append(lines, step.want...)
	}
	return strings.Join(append(lines, s.rest...), "\n") + "\n"
}

var errEnd = errors.New("at the end")

// run carries out the commands and returns the answers, up to the first command
// that is wrong. It needs a bubble.
func (s *script) run(ctx context.Context) (answers [][]string, err error) {
	session := newSession(ctx)
	defer func() {
		if broken := session.end(); err == nil && broken != nil {
			err = fmt.Errorf("%s: %w: %w", s.name, errEnd, broken)
		}
	}()
	for _, step := range s.steps {
		answer, err := session.do(step.command)
		if err != nil {
			return answers, fmt.Errorf("%s:%d: > %s: %w", s.name, step.line, step.command, err)
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// differences says where the answers are not those of the script.
func (s *script) differences(answers [][]string) []string {
	var all []string
	for i, got := range answers {
		if step := s.steps[i]; !slices.Equal(step.want, got) {
			all = append(all, fmt.Sprintf("%s:%d: > %s\nexpected:%s\ngot:%s",
				s.name, step.line, step.command, indented(step.want), indented(got)))
		}
	}
	return all
}

func indented(lines []string) string {
	if len(lines) == 0 {
		return " no answer"
	}
	return "\n\t" + strings.Join(lines, "\n\t")
}

// A header is what a script says of itself in the comment that it begins with:
//
//	# 4.1 A received message is hidden until its timeout ends. [A]
//	# natively: kept
type header struct{ section, rule, evidence, native string }

var headerForm = regexp.MustCompile(`^(\d(?:\.\d)?) (.+\.) ((?:\[(?:A|D|R|E|UNCONFIRMED|own)\])+) natively: (kept|stronger: .+|bent: .+)$`)

func (s *script) header() (header, error) {
	var words []string
	for _, line := range s.steps[0].before {
		text, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		words = append(words, text)
	}
	m := headerForm.FindStringSubmatch(strings.Join(words, " "))
	if m == nil {
		return header{}, fmt.Errorf(`%s: it begins with a comment such as "# 4.1 The rule. [A]", "# natively: kept"`, s.name)
	}
	if !strings.HasPrefix(filepath.Base(s.name), m[1]+"-") {
		return header{}, fmt.Errorf("%s: the name begins with the section, %s-", s.name, m[1])
	}
	return header{m[1], m[2], m[3], m[4]}, nil
}

func readScripts(tb testing.TB) []*script {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(scripts, "*.txt"))
	require.NoError(tb, err)
	require.NotEmpty(tb, paths)
	all := make([]*script, 0, len(paths))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(tb, err)
		s, err := parseScript(filepath.ToSlash(path), string(text))
		require.NoError(tb, err)
		all = append(all, s)
	}
	return all
}

// Each rule of SQS that applies to a queue in this process, shown by a script.
func TestScripts(t *testing.T) {
	for _, s := range readScripts(t) {
		t.Run(strings.TrimSuffix(filepath.Base(s.name), ".txt"), func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				answers, err := s.run(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if *rewrite {
					for i := range answers {
						s.steps[i].want = answers[i]
					}
					require.NoError(t, os.WriteFile(s.name, []byte(s.String()), 0o644))
				}
				for _, d := range s.differences(answers) {
					t.Error(d)
				}
			})
			if !slices.ContainsFunc(s.steps, func(step step) bool { return len(step.want) > 0 }) {
				t.Errorf("%s: no command answers, so it cannot fail", s.name)
			}
		})
	}
}

// The README of the scripts lists every one of them, as it describes itself.
func TestScriptsAreListed(t *testing.T) {
	var list strings.Builder
	for _, s := range readScripts(t) {
		h, err := s.header()
		require.NoError(t, err)
		file := filepath.Base(s.name)
		fmt.Fprintf(&list, "| [%s](%s) | %s | %s | %s |\n", strings.TrimSuffix(file, ".txt"), file, h.rule, h.evidence, h.native)
	}
	path := filepath.Join(scripts, "README.md")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	const top, bottom = "| script | rule | evidence | natively |\n|---|---|---|---|\n", "\n## "
	listed := between(t, string(b), top, bottom)
	if *rewrite {
		text := strings.Replace(string(b), top+listed, top+list.String(), 1)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	require.Equal(t, list.String(), listed, "go test -run TestScripts . -rewrite brings the list up to date")
	example, err := os.ReadFile(filepath.Join(scripts, "4.1-hidden.txt"))
	require.NoError(t, err)
	require.True(t, strings.Contains(string(b), "```\n"+string(example)+"```"), "the README shows %s as it is", example)
}

// A script that does not say what happens fails, and says where.
func TestScriptShowsDifferences(t *testing.T) {
	const text = "# a comment\n> queue q\n> send m1\nm1\n\n> receive\nm2 receives=1 receipt=r1\n> state\n"
	s, err := parseScript("x.txt", text)
	require.NoError(t, err)
	require.Equal(t, text, s.String())
	inBubble(t, func(t *testing.T, ctx context.Context) {
		answers, err := s.run(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{
			"x.txt:3: > send m1\nexpected:\n\tm1\ngot: no answer",
			"x.txt:6: > receive\nexpected:\n\tm2 receives=1 receipt=r1\ngot:\n\tm1 receives=1 receipt=r1",
			"x.txt:8: > state\nexpected: no answer\ngot:\n\tvisible=0 in-flight=1 delayed=0\n\tm1 in flight",
		}, s.differences(answers))
	})
}

// A script that is wrong itself says where, and what.
func TestScriptErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "x.txt: no command",
		"# nothing\n":                      "x.txt: no command",
		">send":                            `x.txt:1: a command begins with "> "`,
		"m1\n> queue q":                    `x.txt:1: an answer without a command before it: "m1"`,
		"> queue q\n\nm1":                  `x.txt:3: an answer without a command before it: "m1"`,
		"> ":                               `x.txt:1: > : no command`,
		"> queue q\n> sned m1":             `x.txt:2: > sned m1: unknown command "sned", there are ` + commandNames(),
		"> send m1":                        "x.txt:1: > send m1: no queue \"q\"",
		"> queue q\n> send m1 @p":          `x.txt:2: > send m1 @p: no queue "p"`,
		"> queue":                          "x.txt:1: > queue: one name is needed, got 0 words",
		"> queue q\n> queue q":             `x.txt:2: > queue q: there is a queue "q"`,
		"> queue q fofi":                   `x.txt:1: > queue q fofi: one name is needed, got 2 words`,
		"> queue q visibility=soon":        `x.txt:1: > queue q visibility=soon: visibility: "soon" is not a duration such as 30s or forever`,
		"> queue q dead=p max-receives=1":  `x.txt:1: > queue q dead=p max-receives=1: no queue "p"`,
		"> queue q\n> send":                `x.txt:2: > send: at least one message is needed`,
		"> queue q\n> send m{1..2000}":     `x.txt:2: > send m{1..2000}: "m{1..2000}": a range is from 0 to 999`,
		"> queue q\n> send m1 clour=red":   `x.txt:2: > send m1 clour=red: unknown argument "clour"`,
		"> queue q\n> send m1 attr:a=blue": `x.txt:2: > send m1 attr:a=blue: attr:a: "blue" is not a type, a colon and a value`,
		"> queue q\n> receive m1":          `x.txt:2: > receive m1: unknown argument "m1"`,
		"> queue q\n> receive max=many":    `x.txt:2: > receive max=many: max: "many" is not a number`,
		"> queue q\n> receive show=colour": `x.txt:2: > receive show=colour: show: no field "colour", there are ` + fieldNames(messageFields),
		"> queue q\n> receive max=1 max=2": `x.txt:2: > receive max=1 max=2: "max" is given twice`,
		"> queue q\n> delete r1":           `x.txt:2: > delete r1: no receipt "r1" yet`,
		"> queue q\n> delete":              `x.txt:2: > delete: at least one receipt is needed`,
		"> queue q\n> change-visibility r": `x.txt:2: > change-visibility r: timeout: "r" is not a duration such as 30s or forever`,
		"> queue q\n> advance 1s 2s":       `x.txt:2: > advance 1s 2s: one time is needed, got 2 words`,
		"> queue q\n> advance -1s":         `x.txt:2: > advance -1s: a time from 0 to 87600h is needed`,
		"> queue q\n> cancel w1":           `x.txt:2: > cancel w1: no call "w1" is waiting`,
		"> queue q\n> send \"m1":           `x.txt:2: > send "m1: a quote that does not end: "m1`,
		"> queue q &":                      `x.txt:1: > queue q &: it cannot be in the background`,
	} {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			s, err := parseScript("x.txt", text)
			if err == nil {
				_, err = s.run(ctx)
			}
			require.EqualError(t, err, want, text)
		})
	}
}

func TestScriptHeaders(t *testing.T) {
	for text, ok := range map[string]bool{
		"# 4.1 The rule. [A]\n# natively: kept\n> state":                 true,
		"# 4.1 The rule,\n# long. [D][R]\n# natively: bent: so\n> state": true,
		"# 4.2 The rule. [A]\n# natively: kept\n> state":                 false,
		"# 4.1 The rule. [B]\n# natively: kept\n> state":                 false,
		"# 4.1 The rule. [A]\n# natively: bent\n> state":                 false,
		"# The rule. [A]\n# natively: kept\n> state":                     false,
		"> state": false,
	} {
		s, err := parseScript("4.1-x.txt", text)
		require.NoError(t, err)
		_, err = s.header()
		require.Equal(t, ok, err == nil, "%s: %v", text, err)
	}
}

// FuzzScript: no script panics or hangs, and reading and writing one changes nothing.
func FuzzScript(f *testing.F) {
	for _, s := range readScripts(f) {
		f.Add(s.String())
	}
	f.Add("> at the end") // which is no command
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseScript("x.txt", text)
		if err != nil {
			return
		}
		again, err := parseScript("x.txt", s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		s.header()
		s.steps = s.steps[:min(len(s.steps), 16)]
		synctest.Test(t, func(t *testing.T) {
			if _, err := s.run(t.Context()); err != nil {
				require.NotErrorIs(t, err, errEnd, "an invariant of a queue")
			}
		})
	})
}

func commandNames() string { return strings.Join(slices.Sorted(maps.Keys(commands)), ", ") }
