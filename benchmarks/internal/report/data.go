// Package report turns results into tables, plots and goals met or missed.
package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

// A Header says where and how results came about.
type Header struct {
	Command string
	Date    string
	Go      string
	OS      string
	CPU     string
	Cores   int
	Budget  string
	Modules []string // what was measured, with versions
}

// Data is a run: what a file of raw results holds.
type Data struct {
	Header
	Results []workload.Result
}

// Read reads a file of raw results: a line of JSON for the header, and one for each
// result.
func Read(path string) (*Data, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	d := &Data{}
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			err = json.Unmarshal(lines.Bytes(), &d.Header)
		} else {
			var r workload.Result
			err = json.Unmarshal(lines.Bytes(), &r)
			d.Results = append(d.Results, r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	return d, lines.Err()
}

// of returns the results of a cell, in the order in which they were measured.
func (d *Data) of(workloadName, entryName string, param int) (all []workload.Result) {
	for _, r := range d.Results {
		if r.Workload == workloadName && r.Entry == entryName && r.Param == param {
			all = append(all, r)
		}
	}
	return all
}

// values returns a figure of all runs of a cell.
func (d *Data) values(workloadName, entryName string, param int, key string) (all []float64) {
	for _, r := range d.of(workloadName, entryName, param) {
		if v, ok := r.Values[key]; ok {
			all = append(all, v)
		}
	}
	return all
}

// value returns the median of a figure of a cell.
func (d *Data) value(workloadName, entryName string, param int, key string) (float64, bool) {
	return Median(d.values(workloadName, entryName, param, key))
}

// params returns the parameters with which a workload was measured, rising.
func (d *Data) params(workloadName string) (all []int) {
	for _, r := range d.Results {
		if r.Workload == workloadName && !slices.Contains(all, r.Param) {
			all = append(all, r.Param)
		}
	}
	slices.Sort(all)
	return all
}

// entries returns the contenders with results in a workload, in the order of all.
func (d *Data) entries(workloadName string) (all []workload.Contender) {
	for _, c := range workload.Contenders {
		if slices.ContainsFunc(d.Results, func(r workload.Result) bool { return r.Workload == workloadName && r.Entry == c.Name }) {
			all = append(all, c)
		}
	}
	return all
}

// Median returns the middle of the values, or the mean of the two in the middle, and
// whether there are any.
func Median(values []float64) (float64, bool) {
	n := len(values)
	if n == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, true
}
