package workload

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// Every workload, with the entries that can do the most: each metric is there, and is
// more than nothing where it has to be.
func TestWorkloads(t *testing.T) {
	for _, name := range []string{entry.Dabchick.Name, entry.Wheel.Name, entry.Channel.Name} {
		e := FindContender(name)
		for _, w := range All {
			params := w.Short
			if w.Name == "wake" {
				params = w.Params
			}
			for _, p := range params {
				if w.Unfit(e.Info, p) != "" {
					continue
				}
				t.Run(name+" "+w.Name+" "+w.Label(p), func(t *testing.T) {
					// Generous, since nothing is to be left out on a slow machine.
					c := Cell{Workload: w.Name, Entry: name, Param: p, N: min(w.ShortN, 200), Time: time.Millisecond, Budget: 10 * time.Second}
					if w.Name == "inflight" {
						c.Time = 300 * time.Millisecond // which is how long messages stay hidden
					}
					r := Measure(t.Context(), c)
					require.Empty(t, r.Failed)
					require.Zero(t, r.Messages)
					for _, m := range w.Metrics {
						require.Contains(t, r.Values, m.Key)
						if m.Key != "bytes" && m.Key != "allocs" && m.Key != "heap" && m.Key != "gccpu" {
							require.Positive(t, r.Values[m.Key], m.Key)
						}
					}
					if w.Name == "wake" {
						require.Len(t, r.Quantiles, 101)
						require.IsNonDecreasing(t, r.Quantiles)
					}
					if w.Name == "trace" {
						require.Len(t, r.Trace, 41)
					}
				})
			}
		}
	}
}

func TestUnfit(t *testing.T) {
	for _, c := range []struct {
		workload, entry string
		param           int
		want            string
	}{
		{"cycle", "floor", 0, ""},
		{"backlog", "floor", 1e3, "holds no messages"},
		{"backlog", "channel-1024", 1e3, ""},
		{"backlog", "channel-1024", 1e4, "bounded"},
		{"inflight", "workqueue", 1e5, "no timeouts"},
		{"inflight", "dabchick", 1e5, ""},
		{"heap", "beanstalkd", 1e6, "not in the Go heap"},
		{"batch", "workqueue", 10, "no batches"},
		{"batch", "workqueue", 1, ""},
		{"batch", "goaws", 100, "batches of 10 at most"},
		{"fifo", "jetstream", 1, "no message groups"},
	} {
		require.Equal(t, c.want, Find(c.workload).Unfit(FindContender(c.entry).Info, c.param), c)
	}
}

func TestMeasureUnknown(t *testing.T) {
	for _, c := range []Cell{{Workload: "cycle", Entry: "nothing"}, {Workload: "nothing", Entry: "dabchick"}} {
		require.NotEmpty(t, Measure(context.Background(), c).Failed)
	}
}

func TestPatience(t *testing.T) {
	p := patience{limit: time.Minute, began: time.Now().Add(-30 * time.Second), n: 100}
	require.NoError(t, p.check("filling", 90))
	p.next = 0
	require.ErrorContains(t, p.check("filling", 10), "filling would take too long (5m0s)")
	require.NoError(t, p.check("filling", 10), "it looks at the clock now and then")
	p.next = 0
	require.NoError(t, p.check("filling", 100), "it is done")
}

func TestFewer(t *testing.T) {
	for affordable, want := range map[int]int{1e7: 1e6, 1e6: 1e6, 999_999: 900_000, 12_345: 10_000, 250: 200, 7: 100} {
		r := &run[struct{}]{cell: Cell{N: 1e6}, result: &Result{}}
		require.Equal(t, want, r.fewer(affordable))
		require.Equal(t, want != 1e6, r.result.Messages == want, affordable)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{1: "1", 10: "10", 100: "100", 1e3: "1e3", 1e7: "1e7", 25_000: "25e3", 1234: "1234"} {
		require.Equal(t, want, count(n))
	}
}
