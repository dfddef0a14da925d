package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/dabchickmq/dabchick/benchmarks/internal/report"
	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

// A view shows a run while it goes on.
type view interface {
	begin(workload.Cell)
	step(workload.Cell, workload.Result)
	say(format string, args ...any)
	close()
}

func newView(f *os.File, cells int) view {
	if term.IsTerminal(int(f.Fd())) {
		return newBar(f, cells)
	}
	return &lines{w: f, cells: cells}
}

// A bar shows a run on a terminal: how far it is, and what is being measured.
type bar struct {
	p   *mpb.Progress
	bar *mpb.Bar
	now atomic.Value // of string
}

func newBar(w io.Writer, cells int) *bar {
	b := &bar{p: mpb.New(mpb.WithOutput(w), mpb.WithWidth(48))}
	b.now.Store("")
	b.bar = b.p.AddBar(int64(cells),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d ")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_MMSS), decor.Any(func(decor.Statistics) string { return " " + b.now.Load().(string) })))
	return b
}

func (b *bar) begin(c workload.Cell) { b.now.Store(name(c)) }

func (b *bar) step(c workload.Cell, r workload.Result) {
	if r.Failed != "" {
		b.say("%s", outcome(c, r))
	}
	b.bar.Increment()
}

func (b *bar) say(format string, args ...any) { fmt.Fprintf(b.p, format+"\n", args...) }

func (b *bar) close() {
	b.bar.Abort(false)
	b.p.Wait()
}

// lines shows a run where there is no terminal: a line for each measurement.
type lines struct {
	w           io.Writer
	done, cells int
}

func (l *lines) begin(workload.Cell) {}

func (l *lines) step(c workload.Cell, r workload.Result) {
	l.done++
	if r.Values != nil || r.Failed != "" {
		l.say("%d/%d %s", l.done, l.cells, outcome(c, r))
	}
}

func (l *lines) say(format string, args ...any) { fmt.Fprintf(l.w, format+"\n", args...) }

func (l *lines) close() {}

// name returns what is measured, for a person.
func name(c workload.Cell) string {
	return strings.TrimSpace(c.Workload+" "+workload.Find(c.Workload).Label(c.Param)) + ": " + c.Entry
}

func outcome(c workload.Cell, r workload.Result) string {
	var b strings.Builder
	b.WriteString(name(c) + ":")
	for _, m := range workload.Find(c.Workload).Metrics {
		if v, ok := r.Values[m.Key]; ok {
			fmt.Fprintf(&b, " %s %s,", m.Key, strings.TrimSpace(report.Figure(v)+" "+m.Unit))
		}
	}
	if r.Failed != "" {
		fmt.Fprintf(&b, " %s", r.Failed)
	}
	return strings.TrimSuffix(b.String(), ",")
}
