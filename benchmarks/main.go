// Command benchmarks measures Dabchick beside the limits of what is possible and beside
// other queues, and writes tables and plots.
//
//	go run ./benchmarks                                  everything
//	go run ./benchmarks -workloads cycle,backlog -entries dabchick,channel,floor -out out
//	go run ./benchmarks -short -out out                  half a minute, to see that it works
//	go run ./benchmarks -docs docs/performance.md        no measuring: the last results into the page
//
// Each measurement is a process of its own, so that none meets another's heap,
// goroutines or servers, and that one which does not end can be ended.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
	"github.com/dabchickmq/dabchick/benchmarks/internal/report"
	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

type options struct {
	workloads, entries string
	counts             int
	short              bool
	budget, time       time.Duration
	out, docs, cell    string
}

func main() {
	var o options
	flag.StringVar(&o.workloads, "workloads", "", "`names` of the workloads, separated by commas; all without it: "+names(workload.All, func(w *workload.Workload) string { return w.Name }))
	flag.StringVar(&o.entries, "entries", "", "`names` of the entries, separated by commas; all without it (with -short those that run in the process): "+names(workload.Contenders, func(c workload.Contender) string { return c.Name }))
	flag.IntVar(&o.counts, "counts", 6, "runs of each measurement, whose median counts")
	flag.BoolVar(&o.short, "short", false, "one run of everything with a few messages, to see that it works; the figures say nothing")
	flag.DurationVar(&o.budget, "budget", time.Second, "how long a measurement may take, after up to 15 times that to fill queues; what would take longer has fewer messages, or is left out")
	flag.DurationVar(&o.time, "time", 300*time.Millisecond, "how long a short action is repeated")
	flag.StringVar(&o.out, "out", "benchmarks/results", "`directory` for raw.jsonl, tables.md and plots")
	flag.StringVar(&o.docs, "docs", "", "measure nothing, and put the results in -out into this `page`")
	flag.StringVar(&o.cell, "cell", "", "used by the command itself: one measurement, in `JSON`")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func names[T any](all []T, name func(T) string) string {
	var s []string
	for _, x := range all {
		s = append(s, name(x))
	}
	return strings.Join(s, " ")
}

func run(o options) error {
	switch {
	case o.cell != "":
		return measure(o.cell)
	case o.docs != "":
		return report.Render(o.out, o.docs)
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.counts < 1:
		return fmt.Errorf("-counts is %d: 1 or more", o.counts)
	case o.budget <= 0 || o.time <= 0:
		return fmt.Errorf("-budget is %v and -time %v: both more than 0", o.budget, o.time)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p, err := newPlan(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	raw, err := os.Create(filepath.Join(o.out, report.RawFile))
	if err != nil {
		return err
	}
	defer raw.Close()
	d := &report.Data{Header: header(o)}
	lines := json.NewEncoder(raw)
	if err := lines.Encode(d.Header); err != nil {
		return err
	}
	view := newView(os.Stderr, p.cells())
	for _, reason := range p.skipped {
		view.say("skipped: %s", reason)
	}
	p.carryOut(ctx, view, func(r workload.Result) error {
		d.Results = append(d.Results, r)
		return lines.Encode(r)
	})
	view.close()
	if err := report.Write(d, o.out); err != nil {
		return err
	}
	fmt.Printf("%s\n", filepath.Join(o.out, report.TablesFile))
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; what was measured by then is in %s", o.out)
	}
	return p.err
}

// measure carries out one cell and prints its result. When its standard input ends, the
// command that started it is gone: then it ends too, with the servers of its group.
func measure(text string) error {
	var c workload.Cell
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fmt.Errorf("-cell: %w", err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		killOwnGroup()
		os.Exit(1)
	}()
	ctx, cancel := context.WithCancel(context.Background()) // as in a program; nobody cancels it
	defer cancel()
	return json.NewEncoder(os.Stdout).Encode(workload.Measure(ctx, c))
}

// choose returns those of all that are named, or all if names is empty.
func choose[T any](what, chosen string, all []T, name func(T) string) ([]T, error) {
	if chosen == "" {
		return all, nil
	}
	wanted := strings.Split(chosen, ",")
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(x T) bool { return name(x) == w }) {
			return nil, fmt.Errorf("there is no %s %q: %s", what, w, names(all, name))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return !slices.Contains(wanted, name(x)) }), nil
}

// inProcess says whether an entry needs no program but this one, and no socket.
func inProcess(c workload.Contender) bool {
	return c.Command == "" && c.Name != entry.SqshttpLoopback.Name && c.Name != entry.Goaws.Name
}
