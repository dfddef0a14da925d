package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
			_, _, unfit := withSwitches(source, []int{1}, []string{text})
			require.Empty(t, unfit)

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
				require.True(t, strings.Contains(tests[dir], "func "+check+"(t *testing.T)"), check)
			}
		})
	}
	require.GreaterOrEqual(t, len(planted), 40)
}

// Some of the planted bugs are caught, and what is not caught is told apart. CI
// tries all that are planted.
func TestPlantedBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("builds tests")
	}
	b, err := newBench(t.Context(), 2, time.Minute)
	require.NoError(t, err)
	defer b.close()
	good := bug{file: "visibility.go", old: "c.now = max(c.now, now)", new: "c.now = max(now, c.now)", checks: "TestI16TimeDoesNotRunBackwards"}
	var bugs []*bug
	want := map[*bug]verdict{}
	add := func(v verdict, differ func(g *bug)) {
		g := good
		differ(&g)
		bugs = append(bugs, &g)
		want[&g] = v
	}
	for _, name := range []string{"a stale receipt deletes and extends", "one waiter is woken for a batch of ten", "time runs backwards"} {
		i := slices.IndexFunc(planted, func(g bug) bool { return g.name == name })
		add(caught, func(g *bug) { *g = planted[i] })
	}
	add(survived, func(*bug) {})
	add(noCompile, func(g *bug) { g.new = "c.now = nobody" })
	add(noCompile, func(g *bug) { g.old, g.new = "\tfree state = iota", "\tfree state = iota + 1" })
	add(outOfStep, func(g *bug) { g.old = "no such text" })
	add(outOfStep, func(g *bug) { g.checks = "TestNone" })
	var mu sync.Mutex // bugs are tried side by side
	require.NoError(t, b.tryBugs(t.Context(), ".", bugs, func(g *bug, o outcome) {
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, want[g], o.verdict)
		require.Equal(t, o.verdict != caught, o.reason != nil)
		delete(want, g)
	}))
	require.Empty(t, want)

	gone := binary{filepath.Join(b.dir, "gone"), b.root}
	require.Equal(t, notRun, b.check(t.Context(), gone, 1, []string{"TestAny"}).verdict, "that it does not start is not red")
}

func TestSwitches(t *testing.T) {
	const source = "package p\n\nvar x = 1\n\nfunc f() (n int) {\n\treturn 1\n}\n\nfunc g() {\n\tf()\n}\n"
	changed := func(old, new string) string { return strings.Replace(source, old, new, 1) }
	text, spans, unfit := withSwitches(source, []int{1, 2, 3, 4}, []string{
		changed("return 1", "return y") + "\nvar y = 2\n", changed("f()\n}\n", "x++\n}\n"), changed("x = 1", "x = 2"), changed("1", "}"),
	})
	require.Equal(t, `package p

var x = 1

func f() (n int) {
if activeMutant == 1 {
return func() (n int) {
	return y
}()
}

	return 1
}

func g() {
if activeMutant == 2 {
func() {
	x++
}()
return
}

	f()
}

var y = 2
`, text)
	require.Equal(t, []span{{1, 5, 11}, {2, 15, 22}}, spans)
	require.Len(t, unfit, 2)
	require.ErrorIs(t, unfit[3], errNotInAFunction)
	require.Error(t, unfit[4])
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
