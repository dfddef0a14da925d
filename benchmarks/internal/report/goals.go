package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

// A goal is something that Dabchick set out to reach.
type goal struct {
	number   int
	what     string
	measured func(*Data) (value float64, note string, ok bool)
	want     string
	limit    float64
	least    bool // the value has to be the limit at least, rather than at most
	unit     string
}

var (
	own     = entry.Dabchick.Name
	floor   = entry.Floor.Name
	channel = entry.Channel.Name
)

// ofChannel is the share of a channel's throughput that every run is to reach.
const ofChannel = 0.6

// goals is what is wanted of Dabchick, in terms of what is measured beside it.
var goals = []goal{
	{1, "a cycle on an empty queue", quotient(figure("cycle", own, 0, "cycle"), figure("cycle", floor, 0, "cycle")), "of the floor", 1.4, false, "×"},
	{1, "bytes allocated in it", figure("cycle", own, 0, "bytes").get, "", 0, false, " B"},
	{1, "allocations in it", figure("cycle", own, 0, "allocs").get, "", 0, false, ""},
	{2, "a cycle over a backlog of 1e7", quotient(figure("backlog", own, 1e7, "cycle"), figure("cycle", own, 0, "cycle")), "of the empty queue", 1.15, false, "×"},
	{3, "a cycle with 1e6 in flight", quotient(figure("inflight", own, 1e6, "cycle"), figure("cycle", own, 0, "cycle")), "of the empty queue", 1.25, false, "×"},
	{3, "deleting 1e6 in flight in random order", figure("inflight", own, 1e6, "delete").get, "", 200, false, " ns each"},
	{3, "1e6 expiries, taken again", figure("inflight", own, 1e6, "again").get, "", 60, false, " ns each"},
	{3, "the longest call meanwhile, beyond the usual longest", beyondUsual, "", 1000, false, " µs"},
	{4, "throughput at 1+1, in the worst run", worstRun(1), "of a channel with a place for each", ofChannel, true, "×"},
	{4, "throughput at 64+64, in the worst run", worstRun(64), "of a channel with a place for each", ofChannel, true, "×"},
	{4, "throughput, where it is least ahead", aheadOfPeers, "of the best peer", 1.5, true, "×"},
	{5, "heap for a message of 1e6, beyond its body", figure("heap", own, 1e6, "heap").get, "", 128, false, " B"},
	{5, "a full collection with 1e6 resident", quotient(figure("heap", own, 1e6, "gc"), figure("heap", channel, 1e6, "gc")), "of a channel's", 1.5, false, "×"},
	{6, "wake-up, median", quotient(figure("wake", own, workload.Parks, "p50"), figure("wake", channel, workload.Parks, "p50")), "of a channel's", 1.2, false, "×"},
	{6, "wake-up, 99th percentile", quotient(figure("wake", own, workload.Parks, "p99"), figure("wake", channel, workload.Parks, "p99")), "of a channel's", 1.2, false, "×"},
	{7, "a message in batches of 10", quotient(sendAndTake(10), sendAndTake(1)), "of one alone", 0.5, false, "×"},
	{8, "FIFO, in the worst row", worstFIFO, "of standard", 2, false, "×"},
}

// A source is a figure that a goal looks at.
type source struct {
	workload, entry string
	param           int
	key             string
}

func figure(w, e string, param int, key string) source { return source{w, e, param, key} }

func (s source) get(d *Data) (float64, string, bool) {
	v, ok := d.value(s.workload, s.entry, s.param, s.key)
	return v, "", ok
}

type getter interface {
	get(*Data) (float64, string, bool)
}

func quotient(a, b getter) func(*Data) (float64, string, bool) {
	return func(d *Data) (float64, string, bool) {
		x, _, ok := a.get(d)
		y, _, there := b.get(d)
		return x / y, Figure(x) + " against " + Figure(y), ok && there && y > 0
	}
}

// sendAndTake is what a message costs in batches of a size.
type sendAndTake int

func (size sendAndTake) get(d *Data) (float64, string, bool) {
	send, ok := d.value("batch", own, int(size), "send")
	take, there := d.value("batch", own, int(size), "take")
	return send + take, "", ok && there
}

// beyondUsual compares the longest calls of each run, since one that the machine
// disturbs is long in itself.
func beyondUsual(d *Data) (float64, string, bool) {
	longest, usual := d.values("inflight", own, 1e6, "longest"), d.values("inflight", own, 1e6, "usual")
	if len(longest) != len(usual) {
		return 0, "", false
	}
	var beyond []float64
	for i := range longest {
		beyond = append(beyond, longest[i]-usual[i])
	}
	v, ok := Median(beyond)
	a, _ := Median(longest)
	b, _ := Median(usual)
	return v, fmt.Sprintf("%s against %s", Figure(a), Figure(b)), ok
}

func worstRun(param int) func(*Data) (float64, string, bool) {
	return func(d *Data) (float64, string, bool) {
		runs := d.values("throughput", own, param, "rate")
		base, ok := d.value("throughput", channel, param, "rate")
		if len(runs) == 0 || !ok {
			return 0, "", false
		}
		reached := 0
		for _, v := range runs {
			if v >= ofChannel*base {
				reached++
			}
		}
		median, _ := Median(runs)
		return slices.Min(runs) / base, fmt.Sprintf("%d of %d runs reach it; the median is %s", reached, len(runs), Figure(median/base)), true
	}
}

func aheadOfPeers(d *Data) (float64, string, bool) {
	w := workload.Find("throughput")
	least, note := math.Inf(1), ""
	for _, p := range d.params(w.Name) {
		value, ok := d.value(w.Name, own, p, "rate")
		peer := d.best(w, p, w.Metrics[0], entry.Peer)
		if ok && peer != nil && value/peer.value < least {
			least, note = value/peer.value, fmt.Sprintf("%s at %s", peer.entry, w.Label(p))
		}
	}
	return least, note, note != ""
}

func worstFIFO(d *Data) (float64, string, bool) {
	w := workload.Find("fifo")
	most, note := 0.0, ""
	for _, p := range d.params(w.Name) {
		for _, key := range []string{"cycle", "send", "take"} {
			fifo, ok := d.value(w.Name, own, p, key)
			standard, there := d.value(w.Name, own, p, "standard "+key)
			if ok && there && fifo/standard > most {
				most, note = fifo/standard, fmt.Sprintf("%s with %s groups: %s against %s ns", key, w.Label(p), Figure(fifo), Figure(standard))
			}
		}
	}
	return most, note, note != ""
}

// met says whether a value reaches the goal.
func (g *goal) met(v float64) bool {
	if g.least {
		return v >= g.limit
	}
	return v <= g.limit
}

func (d *Data) goalTable() string {
	var b strings.Builder
	b.WriteString("| | goal | measured | wanted | |\n|---|---|---:|---:|---|\n")
	for _, g := range goals {
		v, note, ok := g.measured(d)
		measured, verdict := "–", "not measured"
		if ok {
			measured, verdict = Figure(v)+g.unit, "met"
			if !g.met(v) {
				verdict = "**missed**"
			}
			if note != "" {
				verdict += ": " + note
			}
		}
		wanted := "at most "
		if g.least {
			wanted = "at least "
		}
		wanted = strings.TrimSpace(wanted + Figure(g.limit) + g.unit + " " + g.want)
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", g.number, g.what, measured, wanted, verdict)
	}
	return b.String() + "\n"
}
