package dabchick_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The library links google/btree and the standard library, nothing else.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, path := range strings.Fields(string(out)) {
		if strings.HasPrefix(path, "github.com/dabchickmq/dabchick") || path == "github.com/google/btree" {
			continue
		}
		t.Errorf("the library links %s", path)
	}
}

// The core takes time as an argument. It knows no locks, reads no clock, and
// starts nothing.
func TestCoreIsPure(t *testing.T) {
	for _, name := range []string{"visibility.go", "intake.go", "retention.go", "index.go", "slab.go", "group.go", "directory.go", "fifo.go", "fair.go", "memory.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, i := range file.Imports {
			require.Contains(t, []string{`"hash/maphash"`, `"math"`, `"slices"`, `"time"`, `"github.com/google/btree"`}, i.Path.Value, name)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s: a %T", name, n)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && !slices.Contains([]string{"Duration", "Time", "Minute"}, n.Sel.Name) {
					t.Errorf("%s: time.%s", name, n.Sel.Name)
				}
			}
			return true
		})
	}
}
