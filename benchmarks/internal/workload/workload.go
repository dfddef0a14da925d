// Package workload measures entries: it holds what is done with a queue, and for how
// long.
package workload

import (
	"fmt"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// A Workload is a table: something that is done with each entry, for a few parameters.
type Workload struct {
	Name    string
	Title   string
	Param   string // what the parameter is, or "" if there is none
	Label   func(int) string
	Params  []int
	Short   []int // of a smoke run
	N       int   // messages in a run, if the parameter does not say it
	ShortN  int
	Metrics []Metric
	// Runs is how often it is measured at least, and Once that once is enough.
	Runs int
	Once bool
	// unfit says why an entry cannot do it, or "".
	unfit func(i entry.Info, param int) string
}

// A Metric is a figure of a run.
type Metric struct {
	Key, Title, Unit string
	Higher           bool // is better
	// Floor and Channel say that the figure can be compared with theirs.
	Floor, Channel bool
	Aside          bool // it explains another one, and nobody wins by it
}

// A Cell is one measurement of one entry.
type Cell struct {
	Workload string
	Entry    string
	Param    int
	N        int           // messages, where the workload has a number of them
	Time     time.Duration // to repeat what is short for
	Budget   time.Duration // to measure for; preparations may take longer
}

// Preparation is how many times its budget a cell may take to fill a queue, or to wait
// until messages expire.
const Preparation = 15

// A Result is what came out of a cell.
type Result struct {
	Cell
	Run    int                // the first is 1
	Values map[string]float64 `json:",omitempty"`
	// Messages is how many there were, if fewer than the cell asks for.
	Messages int `json:",omitempty"`
	// Quantiles are the 0th to the 100th percentile, of a wake-up in nanoseconds.
	Quantiles []float64 `json:",omitempty"`
	// Trace is the live heap in bytes, at even steps of filling and then draining.
	Trace []float64 `json:",omitempty"`
	// Failed says why there is nothing, or less than there should be.
	Failed string `json:",omitempty"`
}

// All is every workload, in the order in which they are shown.
var All = []*Workload{
	{
		Name: "cycle", Title: "One message sent, received and deleted on an empty queue",
		Label: func(int) string { return "" }, Params: []int{0}, Short: []int{0},
		Metrics: []Metric{
			{Key: "cycle", Title: "a cycle", Unit: "ns", Floor: true, Channel: true},
			{Key: "bytes", Title: "allocated in a cycle", Unit: "B"},
			{Key: "allocs", Title: "allocations in a cycle"},
		},
	},
	{
		Name: "backlog", Title: "The cycle over a standing backlog", Param: "messages that wait",
		Label: count, Params: []int{1e3, 1e4, 1e5, 1e6, 1e7}, Short: []int{1e3},
		Metrics: []Metric{{Key: "cycle", Title: "a cycle", Unit: "ns", Floor: true, Channel: true}},
		unfit:   bounded,
	},
	{
		Name: "inflight", Title: "Many messages in flight, then all of them expire at once", Param: "messages in flight",
		Label: count, Params: []int{1e5, 1e6}, Short: []int{1e3},
		Metrics: []Metric{
			{Key: "cycle", Title: "a cycle on top", Unit: "ns", Floor: true},
			{Key: "delete", Title: "a delete, in random order", Unit: "ns"},
			{Key: "again", Title: "a message, from the last deadline until all were received again", Unit: "ns"},
			{Key: "longest", Title: "the longest receive after all have expired", Unit: "µs"},
			{Key: "usual", Title: "the longest receive of as many that had not been in flight", Unit: "µs", Aside: true},
		},
		unfit: func(i entry.Info, _ int) string {
			switch {
			case !i.Leases:
				return "no timeouts"
			case i.Single:
				return "hands out one message at a time"
			}
			return ""
		},
	},
	{
		Name: "throughput", Title: "Producers and consumers", Param: "producers + consumers",
		Label: func(p int) string { return fmt.Sprintf("%d+%d", p, p) }, Params: []int{1, 4, 16, 64}, Short: []int{4},
		N: 1e6, ShortN: 1e4, Runs: 8,
		Metrics: []Metric{{Key: "rate", Title: "messages from end to end", Unit: "/s", Higher: true, Channel: true}},
	},
	{
		Name: "heap", Title: "Memory and garbage collection with messages resident", Param: "messages resident",
		Label: count, Params: []int{1e6, 1e7}, Short: []int{1e4},
		Metrics: []Metric{
			{Key: "heap", Title: "heap for a message beyond its body", Unit: "B", Channel: true},
			{Key: "gc", Title: "a full collection", Unit: "ms", Channel: true},
			{Key: "gccpu", Title: "CPU time of a full collection", Unit: "ms", Channel: true, Aside: true},
		},
		unfit: inProcess,
	},
	{
		Name: "trace", Title: "The heap while a queue is filled and drained", Param: "messages", Once: true,
		Label: count, Params: []int{1e6}, Short: []int{1e4},
		Metrics: []Metric{
			{Key: "peak", Title: "live heap when full, with bodies", Unit: "MB"},
			{Key: "left", Title: "live heap when drained", Unit: "MB"},
		},
		unfit: inProcess,
	},
	{
		Name: "wake", Title: "From a send until the blocked receiver runs", Param: "the producer then",
		Label: func(p int) string { return [...]string{"parks", "keeps running"}[p] }, Params: []int{Parks, Runs}, Short: []int{Parks},
		N: 2000, ShortN: 50,
		Metrics: []Metric{
			{Key: "p50", Title: "median", Unit: "µs", Channel: true},
			{Key: "p99", Title: "99th percentile", Unit: "µs", Channel: true},
		},
	},
	{
		Name: "batch", Title: "A queue filled and then drained", Param: "messages in a call",
		Label: count, Params: []int{1, 10, 100}, Short: []int{1, 10}, N: 1e6, ShortN: 1e3,
		Metrics: []Metric{
			{Key: "send", Title: "a message sent", Unit: "ns", Channel: true},
			{Key: "take", Title: "a message received and deleted", Unit: "ns", Channel: true},
		},
		unfit: func(i entry.Info, size int) string {
			switch {
			case i.Bound > 0:
				return "bounded"
			case i.Single && size > 1:
				return "hands out one message at a time"
			case size > 1 && i.Batches == 0:
				return "no batches"
			case size > max(1, i.Batches):
				return fmt.Sprintf("batches of %d at most", i.Batches)
			}
			return ""
		},
	},
	{
		Name: "fifo", Title: "FIFO queues, beside the same on a standard queue", Param: "groups",
		Label: count, Params: []int{1, 1e3, 1e5}, Short: []int{100}, N: 1e6, ShortN: 1e3,
		Metrics: []Metric{
			{Key: "cycle", Title: "a cycle over the backlog, FIFO", Unit: "ns"},
			{Key: "standard cycle", Title: "the same, standard", Unit: "ns", Aside: true},
			{Key: "send", Title: "a message sent, FIFO", Unit: "ns"},
			{Key: "standard send", Title: "the same, standard", Unit: "ns", Aside: true},
			{Key: "take", Title: "a message received and deleted, FIFO", Unit: "ns"},
			{Key: "standard take", Title: "the same, standard", Unit: "ns", Aside: true},
		},
		unfit: func(i entry.Info, _ int) string {
			if !i.Groups {
				return "no message groups"
			}
			return ""
		},
	},
	{
		Name: "pool", Title: "Workers that need 10 µs of CPU for a message", Param: "workers",
		Label: count, Params: []int{2, 16, 64}, Short: []int{4}, N: 1e5, ShortN: 1e3,
		Metrics: []Metric{
			{Key: "rate", Title: "messages worked on", Unit: "/s", Higher: true, Channel: true},
			{Key: "efficiency", Title: "of the speed of the workers without a queue", Unit: "%", Higher: true},
		},
	},
}

// Parameters of the workload wake: what the producer does after a send.
const (
	Parks = 0
	Runs  = 1
)

func bounded(i entry.Info, n int) string {
	if i.Bound > 0 && n > i.Bound {
		return "bounded"
	}
	return ""
}

func inProcess(i entry.Info, _ int) string {
	switch {
	case i.OffHeap:
		return "not in the Go heap"
	case i.Bound > 0:
		return "bounded"
	}
	return ""
}

// Unfit says why an entry has no place in the workload with a parameter, or "".
func (w *Workload) Unfit(i entry.Info, param int) string {
	switch {
	case i.Only != "" && i.Only != w.Name:
		return "holds no messages"
	case w.unfit != nil:
		return w.unfit(i, param)
	}
	return ""
}

// Find returns the workload of a name, or nil.
func Find(name string) *Workload {
	for _, w := range All {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// count writes 100000 as 1e5, and what is no round number as it is.
func count(n int) string {
	zeros, rest := 0, n
	for rest >= 10 && rest%10 == 0 {
		rest /= 10
		zeros++
	}
	if zeros < 3 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%de%d", rest, zeros)
}
