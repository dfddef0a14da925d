package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The table is in step with the source and the tests: each old text is there once,
// and each check exists.
func TestTableIsInStep(t *testing.T) {
	b := &bench{root: filepath.Join("..", "..")}
	tests := map[string]string{} // by package, the text of its test files
	names := map[string]bool{}
	for _, g := range planted {
		require.False(t, names[g.name], "two are named %q", g.name)
		names[g.name] = true
		t.Run(g.name, func(t *testing.T) { // each is told that is not
			require.Regexp(t, `^I\d+( I\d+)*$`, g.invariants)
			source, err := b.source(g.file)
			require.NoError(t, err)
			text, err := g.apply(source)
			require.NoError(t, err)
			_, err = parser.ParseFile(token.NewFileSet(), g.file, text, 0)
			require.NoError(t, err)

			dir := filepath.Dir(filepath.Join(b.root, g.file))
			if tests[dir] == "" {
				paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
				require.NoError(t, err)
				for _, p := range paths {
					text, err := os.ReadFile(p)
					require.NoError(t, err)
					tests[dir] += string(text)
				}
			}
			require.NotEmpty(t, g.checks)
			for _, check := range strings.Fields(g.checks) {
				require.Contains(t, tests[dir], "func "+check+"(t *testing.T)")
			}
		})
	}
	require.GreaterOrEqual(t, len(planted), 40)
}

// Some of the planted bugs, from the table to the verdict. CI tries all of them.
func TestPlantedBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds tests")
	}
	b, err := newBench(t.Context(), 2, time.Minute)
	require.NoError(t, err)
	defer b.close()
	var out bytes.Buffer
	err = tryPlanted(t.Context(), &out, b, regexp.MustCompile("^(a stale receipt deletes and extends|one waiter is woken for a batch of ten|time runs backwards)$"))
	require.NoError(t, err, out.String())
	require.Contains(t, out.String(), "3 of 3 planted bugs caught")
}

// What is not caught is told apart, and is an error.
func TestVerdicts(t *testing.T) {
	if testing.Short() {
		t.Skip("builds tests")
	}
	b, err := newBench(t.Context(), 1, time.Minute)
	require.NoError(t, err)
	defer b.close()
	good := bug{file: "visibility.go", old: "c.now = max(c.now, now)", new: "c.now = max(now, c.now)", checks: "TestI16TimeDoesNotRunBackwards"}
	for want, change := range map[verdict]func(g *bug){
		survived:  func(*bug) {},
		noCompile: func(g *bug) { g.new = "c.now = nobody" },
		outOfStep: func(g *bug) { g.old = "no such text" },
	} {
		g := good
		change(&g)
		v, _, reason := b.try(t.Context(), &g, "bug")
		require.Equal(t, want, v)
		require.Error(t, reason)
	}
	g := good
	g.checks = "TestNone"
	v, _, _ := b.try(t.Context(), &g, "bug")
	require.Equal(t, outOfStep, v)
}

func TestMutants(t *testing.T) {
	const source = `package p

func f(a, b int) int {
	for a < 10 {
		a++
		if a > b && b != 0 {
			break
		}
	}
	return max(a, b)
}
`
	all, err := mutantsOf("p.go", source)
	require.NoError(t, err)
	var got []string
	for i := range all {
		_, err := parser.ParseFile(token.NewFileSet(), "", all[i].text(), 0)
		require.NoError(t, err, &all[i])
		got = append(got, all[i].String())
	}
	require.ElementsMatch(t, []string{
		"p.go:4: a < 10 -> !(a < 10)", "p.go:4: < -> <=", "p.go:4: 10 -> 11",
		"p.go:5: a++ -> ", "p.go:5: ++ -> --",
		"p.go:6: if a > b && b != 0 { -> ", "p.go:6: a > b && b != 0 -> !(a > b && b != 0)",
		"p.go:6: && -> ||", "p.go:6: a > b && b != 0 -> a > b", "p.go:6: a > b && b != 0 -> b != 0",
		"p.go:6: > -> >=", "p.go:6: != -> ==", "p.go:6: 0 -> 1", "p.go:7: break -> ",
		"p.go:10: max(a, b) -> a", "p.go:10: max(a, b) -> b",
	}, got)
	require.Equal(t, "    - \t\ta++\n    + \t\ta--", all[slices.Index(got, "p.go:5: ++ -> --")].diff())

	_, err = mutantsOf("p.go", "package")
	require.Error(t, err)
}
