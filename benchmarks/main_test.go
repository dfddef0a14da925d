package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/benchmarks/internal/report"
	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

// The test program is also the command that carries out a cell.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-cell" {
		if err := run(options{cell: os.Args[2]}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestChoose(t *testing.T) {
	all := []string{"a", "b", "c"}
	name := func(s string) string { return s }
	got, err := choose("letter", "", all, name)
	require.NoError(t, err)
	require.Equal(t, all, got)
	got, err = choose("letter", "c,a", all, name)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "c"}, got)
	got, err = choose("letter", "b,b", all, name)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, got)
	_, err = choose("letter", "a,x", all, name)
	require.EqualError(t, err, `there is no letter "x": a b c`)
}

// Each round has each cell once, and those that an entry cannot do are left out.
func TestPlan(t *testing.T) {
	p, err := newPlan(options{workloads: "cycle,backlog,throughput,trace", entries: "floor,channel-1024,dabchick", counts: 3, budget: 1, time: 1})
	require.NoError(t, err)
	require.Len(t, p.rounds, 8, "throughput has 8 runs at least")
	count := map[string]int{}
	for i, r := range p.rounds {
		require.Equal(t, i+1, r.run)
		for _, cells := range r.cells {
			for _, c := range cells {
				count[name(c)]++
			}
		}
	}
	require.Equal(t, map[string]int{
		"cycle: floor": 3, "cycle: channel-1024": 3, "cycle: dabchick": 3,
		"backlog 1e3: channel-1024": 3,
		"backlog 1e3: dabchick":     3, "backlog 1e4: dabchick": 3, "backlog 1e5: dabchick": 3, "backlog 1e6: dabchick": 3, "backlog 1e7: dabchick": 3,
		"throughput 1+1: dabchick": 8, "throughput 4+4: dabchick": 8, "throughput 16+16: dabchick": 8, "throughput 64+64: dabchick": 8,
		"throughput 1+1: channel-1024": 8, "throughput 4+4: channel-1024": 8, "throughput 16+16: channel-1024": 8, "throughput 64+64: channel-1024": 8,
		"trace 1e6: dabchick": 1,
	}, count)
	_, err = newPlan(options{entries: "nothing"})
	require.Error(t, err)
}

var quick = workload.Cell{Workload: "cycle", Entry: "dabchick", Time: time.Millisecond, Budget: time.Second}

func newTestPlan(t *testing.T) *plan {
	p, err := newPlan(options{counts: 1, budget: time.Second, time: time.Millisecond})
	require.NoError(t, err)
	return p
}

func TestCellIsAProcess(t *testing.T) {
	p := newTestPlan(t)
	r, err := p.start(t.Context(), quick)
	require.NoError(t, err)
	require.Equal(t, quick, r.Cell)
	require.Positive(t, r.Values["cycle"])
}

func TestCellThatDoesNotEnd(t *testing.T) {
	p := newTestPlan(t)
	p.limit = 300 * time.Millisecond
	slow := quick
	slow.Time = time.Hour
	r, err := p.start(t.Context(), slow)
	require.NoError(t, err)
	require.Equal(t, "did not end within 300ms", r.Failed)
}

func TestCellThatCrashes(t *testing.T) {
	p := newTestPlan(t)
	p.program = "/bin/false"
	p.rounds = []round{{1, [][]workload.Cell{{quick}}}}
	var results []workload.Result
	p.carryOut(t.Context(), &lines{w: io.Discard}, func(r workload.Result) error {
		results = append(results, r)
		return nil
	})
	require.ErrorContains(t, p.err, "cycle of dabchick: exit status 1")
	require.Equal(t, "exit status 1", results[0].Failed)
}

// What was measured before an interrupt is kept, and the cell under way is not.
func TestInterrupt(t *testing.T) {
	p := newTestPlan(t)
	slow := quick
	slow.Time = time.Hour
	p.rounds = []round{{1, [][]workload.Cell{{quick, slow, quick}}}}
	ctx, interrupt := context.WithCancel(t.Context())
	var results []workload.Result
	p.carryOut(ctx, &lines{w: io.Discard}, func(r workload.Result) error {
		results = append(results, r)
		interrupt()
		return nil
	})
	require.Len(t, results, 1)
	require.Empty(t, results[0].Failed)
}

// A cell that fails twice is not tried a third time.
func TestCellThatFails(t *testing.T) {
	p := newTestPlan(t)
	hopeless := quick
	hopeless.Entry = "nothing"
	cells := [][]workload.Cell{{hopeless}}
	p.rounds = []round{{1, cells}, {2, cells}, {3, cells}}
	n := 0
	p.carryOut(t.Context(), &lines{w: io.Discard}, func(workload.Result) error { n++; return nil })
	require.Equal(t, 2, n)
	require.NoError(t, p.err)
}

func TestCommand(t *testing.T) {
	out := t.TempDir()
	require.NoError(t, run(options{workloads: "cycle,wake", entries: "floor,channel,dabchick", counts: 1, short: true, budget: time.Second, time: time.Millisecond, out: out}))
	d, err := report.Read(filepath.Join(out, report.RawFile))
	require.NoError(t, err)
	require.Len(t, d.Results, 3+2)
	require.NotEmpty(t, d.Go)
	require.FileExists(t, filepath.Join(out, report.TablesFile))
	require.FileExists(t, filepath.Join(out, "wake.png"))

	require.ErrorContains(t, run(options{counts: 0}), "-counts is 0")
	require.ErrorContains(t, run(options{counts: 1}), "-budget is 0s")
	require.ErrorContains(t, run(options{cell: "x"}), "-cell")
}
