package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/report"
	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

// A plan is what there is to measure: round after round, and within one a workload
// after the other, its cells in random order. So a machine that becomes slower for a
// while does so for all entries.
type plan struct {
	rounds  []round
	skipped []string
	program string
	limit   time.Duration // for a cell
	failed  map[workload.Cell]int
	err     error // of the last cell that gave no result at all
}

type round struct {
	run   int
	cells [][]workload.Cell // by workload
}

func newPlan(o options) (*plan, error) {
	workloads, err := choose("workload", o.workloads, workload.All, func(w *workload.Workload) string { return w.Name })
	if err != nil {
		return nil, err
	}
	entries, err := choose("entry", o.entries, workload.Contenders, func(c workload.Contender) string { return c.Name })
	if err != nil {
		return nil, err
	}
	p := &plan{failed: map[workload.Cell]int{}}
	if p.program, err = os.Executable(); err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(c workload.Contender) bool {
		missing := c.Missing()
		if missing != "" {
			p.skipped = append(p.skipped, c.Name+": "+missing)
		}
		return missing != "" || o.short && o.entries == "" && !inProcess(c)
	})
	if o.short {
		o.counts, o.budget, o.time = 1, 100*time.Millisecond, 10*time.Millisecond
	}
	p.limit = 5*workload.Preparation*o.budget + 5*time.Second // there are four preparations at most
	runs := func(w *workload.Workload) int {
		if o.short || w.Once {
			return 1
		}
		return max(o.counts, w.Runs)
	}
	most := 0
	for _, w := range workloads {
		most = max(most, runs(w))
	}
	for run := 1; run <= most; run++ {
		r := round{run: run}
		for _, w := range workloads {
			if run > runs(w) {
				continue
			}
			r.cells = append(r.cells, cells(w, entries, o))
		}
		p.rounds = append(p.rounds, r)
	}
	return p, nil
}

// cells returns the cells of a workload in random order.
func cells(w *workload.Workload, entries []workload.Contender, o options) (all []workload.Cell) {
	params, n := w.Params, w.N
	if o.short {
		params, n = w.Short, w.ShortN
	}
	for _, p := range params {
		for _, e := range entries {
			if w.Unfit(e.Info, p) == "" {
				all = append(all, workload.Cell{Workload: w.Name, Entry: e.Name, Param: p, N: n, Time: o.time, Budget: o.budget})
			}
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (p *plan) cells() (n int) {
	for _, r := range p.rounds {
		for _, c := range r.cells {
			n += len(c)
		}
	}
	return n
}

// carryOut measures all cells, or until ctx ends. One that fails twice is left alone.
func (p *plan) carryOut(ctx context.Context, v view, keep func(workload.Result) error) {
	const often = 2
	for _, r := range p.rounds {
		for _, cells := range r.cells {
			for _, c := range cells {
				if ctx.Err() != nil {
					return
				}
				if p.failed[c] >= often {
					v.step(c, workload.Result{})
					continue
				}
				v.begin(c)
				result, err := p.start(ctx, c)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					p.err = fmt.Errorf("%s of %s: %w", c.Workload, c.Entry, err)
					result = workload.Result{Cell: c, Failed: err.Error()}
				}
				if result.Failed != "" {
					p.failed[c]++
				}
				result.Run = r.run
				v.step(c, result)
				if err := keep(result); err != nil {
					p.err = err
					return
				}
			}
		}
	}
}

// start carries out a cell in a process of its own, and ends that with all that it
// has started.
func (p *plan) start(ctx context.Context, c workload.Cell) (result workload.Result, err error) {
	text, err := json.Marshal(c)
	if err != nil {
		return result, err
	}
	limited, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	cmd := exec.CommandContext(limited, p.program, "-cell", string(text))
	dir, err := os.MkdirTemp("", "benchmarks") // for what the cell cannot remove if it is killed
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	makeGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return result, err
	}
	defer stdin.Close()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // a server may hold the pipes
	err = cmd.Run()
	if cmd.Process != nil {
		killGroup(cmd.Process) // whatever it has left
	}
	switch {
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return workload.Result{Cell: c, Failed: fmt.Sprintf("did not end within %v", p.limit)}, nil
	case err != nil:
		if said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n"); said != "" {
			return result, fmt.Errorf("%w: %s", err, said)
		}
		return result, err
	}
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		return result, fmt.Errorf("unreadable result: %w", err)
	}
	return result, nil
}

func header(o options) report.Header {
	h := report.Header{
		Command: strings.Join(append([]string{"go run ./benchmarks"}, os.Args[1:]...), " "),
		Date:    time.Now().Format(time.DateOnly),
		Go:      runtime.Version(),
		OS:      runtime.GOOS + "/" + runtime.GOARCH,
		CPU:     cpu(),
		Cores:   runtime.NumCPU(),
		Budget:  o.budget.String(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			h.Modules = append(h.Modules, m.Path+" "+m.Version)
		}
	}
	return h
}

// cpu returns the name of the processor, where Linux tells it.
func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "an unknown processor"
}
