package main

import (
	"time"

	"github.com/dabchickmq/dabchick/examples/internal/chart"
)

// plotRun draws how many jobs were visible, in flight, done and given up, when
// workers crashed, and how many there were.
func plotRun(path string, samples []sample, crashes []time.Duration) error {
	line := func(name string, value func(sample) int) chart.Line {
		l := chart.Line{Name: name, Steps: true} // counts change at once
		for _, s := range samples {
			l.Points = append(l.Points, chart.Point{At: s.at, Value: float64(value(s))})
		}
		return l
	}
	end := time.Second
	if len(samples) > 0 {
		end = max(end, samples[len(samples)-1].at)
	}
	return chart.Draw(path, end,
		chart.Panel{
			Title: "Jobs over time", Unit: "jobs",
			Lines: []chart.Line{
				line("given up", func(s sample) int { return s.buried }),
				line("visible", func(s sample) int { return s.visible }),
				line("in flight", func(s sample) int { return s.inFlight }),
				line("done", func(s sample) int { return s.done }),
			},
			Marks: crashes, MarkName: "a worker crashes", LegendLeft: true,
		},
		chart.Panel{
			Title: "Workers follow the backlog", Unit: "workers, jobs",
			Lines: []chart.Line{
				line("jobs that wait", func(s sample) int { return s.visible }),
				line("workers", func(s sample) int { return s.workers }),
			},
		},
	)
}
