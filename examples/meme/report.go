package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/dabchickmq/dabchick"
)

// A report is what became of every job.
type report struct {
	sent    int
	results []result
	buried  []burial
	left    int // still in the queue, after an interrupt
	repeats int // jobs that came up again
	crashes int
	samples []sample // of the queue, the last one at the end
	files   []string
}

// A burial is a job that was given up.
type burial struct {
	name     string
	receives int
	reason   string
}

func newReport(dir, memes string, jobs, dead *dabchick.Queue[Job], log *ledger) (*report, error) {
	ctx := context.Background()
	left, err := jobs.Stats(ctx)
	if err != nil {
		return nil, err
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	r := &report{
		sent: log.sent, results: log.results, repeats: log.repeats, crashes: len(log.crashes), samples: log.samples,
		left: left.Visible + left.InFlight + left.Delayed,
	}
	for {
		m, ok := dead.TryReceive()
		if !ok {
			break
		}
		origin, _ := m.Origin()
		r.buried = append(r.buried, burial{filepath.Base(m.Body.Picture), origin.Receives, origin.Reason})
	}
	if len(r.results) > 0 {
		path := filepath.Join(dir, "sheet.png")
		if err := contactSheet(path, memes, r.results); err != nil {
			return nil, fmt.Errorf("contact sheet: %w", err)
		}
		r.files = append(r.files, path)
	}
	path := filepath.Join(dir, "plot.png")
	if err := plotRun(path, log.samples, log.crashes); err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	r.files = append(r.files, path)
	return r, nil
}

// lost is how many jobs are not accounted for.
func (r *report) lost() int { return r.sent - len(r.results) - len(r.buried) - r.left }

// most is how many workers there were at a time.
func (r *report) most() (n int) {
	for _, s := range r.samples {
		n = max(n, s.workers)
	}
	return n
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d pictures: %d memes, %d given up, %d left, %d unaccounted for\n",
		r.sent, len(r.results), len(r.buried), r.left, r.lost())
	fmt.Fprintf(w, "%d crashes in the middle of a job; jobs came up again %d times; up to %d workers at a time\n", r.crashes, r.repeats, r.most())
	for _, b := range r.buried {
		fmt.Fprintf(w, "  given up after %d attempts: %s: %s\n", b.receives, b.name, b.reason)
	}
	if r.left > 0 {
		fmt.Fprintf(w, "interrupted: %d jobs were left in the queue\n", r.left)
	}
	fmt.Fprint(w, "look at")
	for _, f := range r.files {
		fmt.Fprint(w, " ", f)
	}
	fmt.Fprintln(w)
}
