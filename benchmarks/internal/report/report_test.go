package report

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

func TestMedian(t *testing.T) {
	_, ok := Median(nil)
	require.False(t, ok)
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 100, 2}, 3},
	} {
		before := append([]float64(nil), c.values...)
		got, ok := Median(c.values)
		require.True(t, ok)
		require.Equal(t, c.want, got)
		require.Equal(t, before, c.values, "the runs stay in order")
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0042: "0.0042", 0.5: "0.50", 9.994: "9.99", 9.996: "10.0", 31.44: "31.4", 99.96: "100", 123.4: "123",
		9999: "9999", 10_000: "10.0 k", 271_400: "271 k", 999_600: "1.00 M", 25.44e6: "25.4 M", -12.3: "-12.3",
	} {
		require.Equal(t, want, Figure(v), v)
	}
	require.Equal(t, "1,000,000", thousands(1e6))
	require.Equal(t, "1,002", thousands(1002))
	require.Equal(t, "999", thousands(999))
}

// result is what a run of an entry has measured.
func result(workloadName, entryName string, param int, values map[string]float64) workload.Result {
	return workload.Result{Cell: workload.Cell{Workload: workloadName, Entry: entryName, Param: param}, Run: 1, Values: values}
}

func sample() *Data {
	one := func(e string, ns float64) workload.Result {
		return result("cycle", e, 0, map[string]float64{"cycle": ns, "bytes": 0, "allocs": 0})
	}
	d := &Data{Header: Header{Command: "go run ./benchmarks", Go: "go1.26"}}
	d.Results = []workload.Result{one("floor", 80), one("channel", 40), one("dabchick", 96), one("workqueue", 120), one("dabchick", 104)}
	for _, p := range []int{1e3, 1e4} {
		d.Results = append(d.Results,
			result("backlog", "channel", p, map[string]float64{"cycle": 40}),
			result("backlog", "dabchick", p, map[string]float64{"cycle": 100}),
			result("backlog", "workqueue", p, map[string]float64{"cycle": 50}))
	}
	slow := result("backlog", "goaws", 1e4, nil)
	slow.Failed = "filling would take too long (9m3s)"
	few := result("throughput", "goaws", 4, map[string]float64{"rate": 100})
	few.Messages = 200
	once := result("throughput", "jetstream", 4, map[string]float64{"rate": 50})
	failed := result("throughput", "jetstream", 4, nil)
	failed.Failed = "did not end within 42s"
	d.Results = append(d.Results, slow, few, once, failed)
	return d
}

func TestTables(t *testing.T) {
	text := sample().Tables("../results")
	for _, want := range []string{
		"| dabchick | **100** | **0** | **0** | 1.25 | 2.50 |", // the median, against the floor and the channel
		"| floor | 80.0 | 0 | 0 | 1.00 | 2.00 |",               // a limit does not compete
		"| workqueue | **50.0** | **50.0** | 0.62 | 1.25 |",    // where Dabchick loses
		"| goaws | – | – <sup>1</sup> | – | – |",
		"<sup>1</sup> filling would take too long\n",
		"| goaws | **100** <sup>2</sup> | – |",
		"| jetstream | 50.0 <sup>1</sup> | – |",
		"<sup>1</sup> of 1 run only · <sup>2</sup> with fewer messages, for want of time",
		"Of 5 rows in which Dabchick meets a peer it wins 1, loses 2 and equals the best in 2.",
		"workqueue: 50.0 | **loses** | 0.50 times |",
		"| 1 | a cycle on an empty queue | 1.25× | at most 1.40× of the floor | met: 100 against 80.0 |",
		"![The cycle over a standing backlog](../results/backlog.png)",
		"[Raw values](../results/raw.jsonl)",
		"| 2 | a cycle over a backlog of 1e7 | – | at most 1.15× of the empty queue | not measured |",
	} {
		require.Contains(t, text, want)
	}
}

func TestGoals(t *testing.T) {
	d := &Data{}
	for _, rate := range []float64{8e6, 5e6, 9e6} {
		d.Results = append(d.Results, result("throughput", "dabchick", 1, map[string]float64{"rate": rate}))
	}
	d.Results = append(d.Results,
		result("throughput", "channel", 1, map[string]float64{"rate": 10e6}),
		result("throughput", "workqueue", 1, map[string]float64{"rate": 4e6}),
		result("throughput", "sqshttp", 1, map[string]float64{"rate": 99e6}),
		result("batch", "dabchick", 1, map[string]float64{"send": 60, "take": 40}),
		result("batch", "dabchick", 10, map[string]float64{"send": 30, "take": 25}),
		result("inflight", "dabchick", 1e6, map[string]float64{"longest": 900, "usual": 100}),
		result("inflight", "dabchick", 1e6, map[string]float64{"longest": 5000, "usual": 4800}),
		result("fifo", "dabchick", 1e3, map[string]float64{"cycle": 150, "standard cycle": 100, "send": 90, "standard send": 30, "take": 10, "standard take": 10}),
	)
	text := d.goalTable()
	for _, want := range []string{
		"| 4 | throughput at 1+1, in the worst run | 0.50× | at least 0.60× of a channel with a place for each | **missed**: 2 of 3 runs reach it; the median is 0.80 |",
		"| 4 | throughput, where it is least ahead | 2.00× | at least 1.50× of the best peer | met: workqueue at 1+1 |",
		"| 7 | a message in batches of 10 | 0.55× | at most 0.50× of one alone | **missed**: 55.0 against 100 |",
		"| 3 | the longest call meanwhile, beyond the usual longest | 500 µs | at most 1000 µs | met: 2950 against 2450 |",
		"| 8 | FIFO, in the worst row | 3.00× | at most 2.00× of standard | **missed**: send with 1e3 groups: 90.0 against 30.0 ns |",
	} {
		require.Contains(t, text, want)
	}
}

// Whoever is in several plots is found by colour and dashes.
func TestStyle(t *testing.T) {
	seen := map[string]string{}
	for _, c := range workload.Contenders {
		if c.Only != "" {
			continue
		}
		s := style(c)
		look := fmt.Sprint(s.Color, s.Dashes)
		require.Empty(t, seen[look], c.Name)
		seen[look] = c.Name
	}
}

func TestBetween(t *testing.T) {
	page := "# Page\n" + beginning + "\nold\n" + end + "\nrest\n"
	once, err := between(page, "new\n")
	require.NoError(t, err)
	require.Equal(t, "# Page\n"+beginning+"\n\nnew\n"+end+"\nrest\n", once)
	twice, err := between(once, "new\n")
	require.NoError(t, err)
	require.Equal(t, once, twice)
	_, err = between("# Page\n", "new\n")
	require.ErrorContains(t, err, beginning)
}

func TestSpread(t *testing.T) {
	at := []float64{0.01, 0.5, 0.5, 0.51, 0.99}
	spread(at, 0.1)
	for i := 1; i < len(at); i++ {
		require.GreaterOrEqual(t, at[i]-at[i-1], 0.1-1e-6, at)
	}
	require.InDelta(t, 0.5, at[2], 0.05)
	require.GreaterOrEqual(t, at[0], 0.0)
	require.LessOrEqual(t, at[4], 1.0)
}

// What a run writes can be read again, and put into a page with its plots.
func TestRender(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "performance.md")
	require.NoError(t, os.WriteFile(page, []byte("# P\n"+beginning+"\n"+end+"\n"), 0o600))
	raw := `{"Command":"go run ./benchmarks","Go":"go1.26"}
{"Workload":"backlog","Entry":"dabchick","Param":1000,"Run":1,"Values":{"cycle":100}}
{"Workload":"backlog","Entry":"dabchick","Param":10000,"Run":1,"Values":{"cycle":110}}
{"Workload":"wake","Entry":"dabchick","Param":0,"Run":1,"Values":{"p50":2,"p99":9},"Quantiles":[1000,2000,9000]}
{"Workload":"trace","Entry":"dabchick","Param":10000,"Run":1,"Values":{"peak":3,"left":1},"Trace":[1e6,3e6,1e6]}
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, RawFile), []byte(raw), 0o600))
	require.NoError(t, Render(dir, page))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "| dabchick | **100** | **110** | – | – |")
	require.Contains(t, string(text), "(heap.png)")
	for _, plot := range []string{"backlog.png", "wake.png", "heap.png"} {
		require.FileExists(t, filepath.Join(dir, plot))
	}
	require.NoFileExists(t, filepath.Join(dir, "throughput.png"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, RawFile), []byte(raw+"{"), 0o600))
	require.ErrorContains(t, Render(dir, page), "raw.jsonl:6")
}
