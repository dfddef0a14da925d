package dabchick_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program in the README is the package example, apart from its frame.
func TestReadmeProgramIsTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)

	program := between(t, string(readme), "func main() {\n", "\n}\n```")
	body := between(t, string(example), "func Example() {\n", "\t// Output:")
	require.Equal(t, strings.TrimRight(body, "\n"), program)

	output := between(t, string(example), "\t// Output:\n", "}\n")
	for _, line := range strings.Split(strings.TrimSpace(output), "\n") {
		require.Contains(t, string(readme), strings.TrimPrefix(strings.TrimSpace(line), "// "), "the README shows the output")
	}
}

// Every file and every test that the documents name exists.
func TestDocumentsNameWhatExists(t *testing.T) {
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		tests.Write(b)
		return err
	}))
	name := regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)[A-Za-z0-9_]*)`")
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	docs, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	for _, doc := range append(docs, "README.md", "CONTRIBUTING.md", "testdata/script/README.md") {
		b, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, m := range name.FindAllStringSubmatch(string(b), -1) {
			if !strings.Contains(tests.String(), "func "+m[1]+"(") {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1]))
			require.NoError(t, err, "%s links to it", doc)
		}
	}
}

func between(t *testing.T, s, from, to string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, from)
	require.True(t, ok, "%q is missing", from)
	s, _, ok = strings.Cut(s, to)
	require.True(t, ok, "%q is missing", to)
	return s
}
