package report

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

// Tables returns all tables in Markdown, for a page that finds raw results and plots
// at a path.
func (d *Data) Tables(at string) string {
	var b strings.Builder
	b.WriteString(d.provenance(at))
	b.WriteString("## The goals\n\n" + d.goalTable())
	b.WriteString("## Who wins\n\n" + d.winners())
	for _, w := range workload.All {
		if params := d.params(w.Name); len(params) > 0 {
			b.WriteString(d.section(w, params))
			if p := d.plotOf(w.Name); p != nil {
				fmt.Fprintf(&b, "![%s](%s)\n\n", w.Title, path.Join(at, p.file))
			}
		}
	}
	b.WriteString(d.contenders())
	return b.String()
}

func (d *Data) provenance(at string) string {
	runs := 0
	for _, r := range d.Results {
		runs = max(runs, r.Run)
	}
	return fmt.Sprintf("Measured on %s: %s, %s, %d cores of %s.\n`%s`\n\n"+
		"Medians of up to %d runs; each run of each entry is a process of its own, and their order is "+
		"shuffled anew for each round. **Bold** is the best of Dabchick and its peers in a column; limits do not compete. [Raw values](%s) "+
		"are kept.\n\n", d.Date, d.Go, d.OS, d.Cores, d.CPU, d.Command, runs, path.Join(at, RawFile))
}

// A column of a table is a metric with a parameter.
type column struct {
	title  string
	param  int
	metric workload.Metric
}

// section returns the tables of a workload: one with a column for each metric if there is
// one parameter, and else one for each metric, with a column for each parameter.
func (d *Data) section(w *workload.Workload, params []int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", w.Title)
	if len(params) == 1 {
		var columns []column
		for _, m := range w.Metrics {
			columns = append(columns, column{withUnit(m), params[0], m})
		}
		if label := w.Label(params[0]); w.Param != "" {
			fmt.Fprintf(&b, "%s: %s\n\n", w.Param, label)
		}
		b.WriteString(d.table(w, columns))
		return b.String()
	}
	for _, m := range w.Metrics {
		var columns []column
		for _, p := range params {
			columns = append(columns, column{w.Label(p), p, m})
		}
		fmt.Fprintf(&b, "%s, by %s:\n\n", withUnit(m), w.Param)
		b.WriteString(d.table(w, columns))
	}
	return b.String()
}

func withUnit(m workload.Metric) string {
	if m.Unit == "" {
		return m.Title
	}
	return m.Title + " (" + m.Unit + ")"
}

func (d *Data) table(w *workload.Workload, columns []column) string {
	var notes footnotes
	ratios := d.ratios(w, columns)
	var b strings.Builder
	b.WriteString("| entry |")
	for _, c := range columns {
		b.WriteString(" " + c.title + " |")
	}
	for _, r := range ratios {
		b.WriteString(" " + r.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)+len(ratios)) + "\n")
	for _, e := range d.entries(w.Name) {
		fmt.Fprintf(&b, "| %s |", e.Name)
		for _, c := range columns {
			b.WriteString(" " + d.cell(w, e, c, &notes) + " |")
		}
		for _, r := range ratios {
			b.WriteString(" " + r.of(e.Name) + " |")
		}
		b.WriteString("\n")
	}
	return b.String() + "\n" + notes.String()
}

// cell returns the text of a figure, or why there is none.
func (d *Data) cell(w *workload.Workload, e workload.Contender, c column, notes *footnotes) string {
	value, ok := d.value(w.Name, e.Name, c.param, c.metric.Key)
	if !ok {
		why := w.Unfit(e.Info, c.param)
		for _, r := range d.of(w.Name, e.Name, c.param) {
			if r.Failed != "" {
				why = r.Failed
			}
		}
		if why == "" {
			return "–"
		}
		return "–" + notes.mark(withoutDetail(why))
	}
	text := Figure(value)
	if best := d.best(w, c.param, c.metric, entry.Own, entry.Peer); best != nil && best.entry == e.Name {
		text = "**" + text + "**"
	}
	fewer, failed := 0, false
	for _, r := range d.of(w.Name, e.Name, c.param) {
		fewer, failed = max(fewer, r.Messages), failed || r.Failed != ""
	}
	if failed {
		text += notes.mark(runsOnly(len(d.values(w.Name, e.Name, c.param, c.metric.Key))))
	}
	if fewer > 0 {
		text += notes.mark("with fewer messages, for want of time")
	}
	return text
}

// runsOnly is the remark at a figure of a cell that failed in some runs, or was left alone.
func runsOnly(n int) string {
	if n == 1 {
		return "of 1 run only"
	}
	return fmt.Sprintf("of %d runs only", n)
}

// withoutDetail leaves out what stands in brackets at the end of a reason, which would
// make a remark of its own for each entry. It is in the raw results.
func withoutDetail(why string) string {
	if i := strings.LastIndex(why, " ("); i > 0 && strings.HasSuffix(why, ")") {
		return why[:i]
	}
	return why
}

// A ratio is a column that compares the last figures of a table with those of a limit.
type ratio struct {
	title string
	of    func(entryName string) string
}

func (d *Data) ratios(w *workload.Workload, columns []column) (all []ratio) {
	add := func(title string, limit func(column) (float64, bool), wanted func(workload.Metric) bool) {
		all = append(all, ratio{title, func(name string) string {
			for _, c := range slices.Backward(columns) {
				if !wanted(c.metric) {
					continue
				}
				base, ok := limit(c)
				value, there := d.value(w.Name, name, c.param, c.metric.Key)
				if ok && there && base > 0 {
					return Figure(value / base)
				}
			}
			return "–"
		}})
	}
	has := func(wanted func(workload.Metric) bool) bool {
		return slices.ContainsFunc(columns, func(c column) bool { return wanted(c.metric) })
	}
	if wanted := func(m workload.Metric) bool { return m.Floor }; has(wanted) {
		add("÷ floor", func(column) (float64, bool) { return d.value("cycle", floor, 0, "cycle") }, wanted)
	}
	if wanted := func(m workload.Metric) bool { return m.Channel }; has(wanted) {
		add("÷ channel", func(c column) (float64, bool) { return d.value(w.Name, channel, c.param, c.metric.Key) }, wanted)
	}
	return all
}

// A winner is the best of a row of contenders.
type winner struct {
	entry string
	value float64
}

// best returns the best of the entries of some kinds, or nil if there is no contest.
func (d *Data) best(w *workload.Workload, param int, m workload.Metric, kinds ...entry.Kind) *winner {
	if m.Aside {
		return nil
	}
	var best *winner
	for _, e := range d.entries(w.Name) {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		value, ok := d.value(w.Name, e.Name, param, m.Key)
		if ok && (best == nil || (value > best.value) == m.Higher && value != best.value) {
			best = &winner{e.Name, value}
		}
	}
	return best
}

// winners returns a table with a row for each figure in which Dabchick meets a peer.
func (d *Data) winners() string {
	var rows strings.Builder
	won, equal, all := 0, 0, 0
	for _, w := range workload.All {
		for _, p := range d.params(w.Name) {
			for _, m := range w.Metrics {
				value, ok := d.value(w.Name, own, p, m.Key)
				other := d.best(w, p, m, entry.Peer)
				if !ok || other == nil {
					continue
				}
				all++
				factor := other.value / value
				if m.Higher {
					factor = value / other.value
				}
				verdict := "**loses**"
				switch {
				case value == other.value:
					verdict = "equals"
					equal++
				case factor > 1:
					verdict = "wins"
					won++
				}
				by := "–"
				if value > 0 && other.value > 0 {
					by = Figure(factor) + " times"
				}
				fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s: %s | %s | %s |\n", w.Title, w.Label(p), withUnit(m), Figure(value), other.entry, Figure(other.value), verdict, by)
			}
		}
	}
	if all == 0 {
		return "Nothing was measured in which Dabchick meets a peer.\n\n"
	}
	return fmt.Sprintf("Of %d rows in which Dabchick meets a peer it wins %d, loses %d and equals the best in %d.\n\n", all, won, all-won-equal, equal) +
		"| workload | with | figure | dabchick | best peer | dabchick | by |\n|---|---|---|---:|---:|---|---:|\n" + rows.String() + "\n"
}

func (d *Data) contenders() string {
	var b strings.Builder
	b.WriteString("## The entries\n\n| entry | what it is |\n|---|---|\n")
	for _, c := range workload.Contenders {
		fmt.Fprintf(&b, "| %s | %s |\n", c.Name, c.What)
	}
	return b.String() + "\n"
}

// footnotes numbers the remarks of a table.
type footnotes struct{ all []string }

func (f *footnotes) mark(text string) string {
	i := slices.Index(f.all, text)
	if i < 0 {
		i = len(f.all)
		f.all = append(f.all, text)
	}
	return fmt.Sprintf(" <sup>%d</sup>", i+1)
}

func (f *footnotes) String() string {
	if len(f.all) == 0 {
		return ""
	}
	var b strings.Builder
	for i, text := range f.all {
		if i > 0 {
			b.WriteString(" · ")
		}
		fmt.Fprintf(&b, "<sup>%d</sup> %s", i+1, text)
	}
	return b.String() + "\n\n"
}

// Figure writes a number with three digits that matter, and k or M for large ones.
func Figure(v float64) string {
	switch {
	case v < 0:
		return "-" + Figure(-v)
	case v == 0:
		return "0"
	case v >= 999.5e3:
		return digits(v/1e6) + " M"
	case v >= 9999.5:
		return digits(v/1e3) + " k"
	}
	return digits(v)
}

func digits(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.01:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
