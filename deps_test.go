package dabchick_test

import (
	"os/exec"
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
