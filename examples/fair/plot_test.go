package fair

import (
	"time"

	"github.com/dabchickmq/dabchick/examples/internal/chart"
)

// drawRuns draws the waiting of quiet tenants above the backlog of the noisy
// one.
func drawRuns(path string, runs ...*run) error {
	waiting := chart.Panel{
		Title: "Quiet tenants: 99th percentile of dwell time, by time of sending", Unit: "seconds, logarithmic",
		Log: true, Min: 0.1, Max: 100,
	}
	backlog := chart.Panel{Title: "Noisy tenant: backlog", Unit: "jobs"}
	for i, r := range runs {
		// Where two lines are one, both show.
		p99 := chart.Line{Name: r.name, Dashed: i == 1}
		left := p99
		for from := time.Duration(0); from < duration; from += every {
			p99.Points = append(p99.Points, chart.Point{At: from, Value: r.p99(from, from+every).Seconds()})
		}
		for n, visible := range r.backlog {
			if at := time.Duration(n) * sampleTime; at <= duration {
				left.Points = append(left.Points, chart.Point{At: at, Value: float64(visible)})
			}
		}
		waiting.Lines = append(waiting.Lines, p99)
		backlog.Lines = append(backlog.Lines, left)
	}
	return chart.Draw(path, duration, waiting, backlog)
}
