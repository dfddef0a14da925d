package fair

import (
	"fmt"
	"image/color"
	"os"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

var colors = []color.RGBA{{120, 120, 120, 255}, {33, 111, 237, 255}, {214, 39, 40, 255}}

// drawRuns draws the waiting of quiet tenants above the backlog of the noisy
// one.
func drawRuns(path string, runs ...*run) error {
	waiting := newPlot("Quiet tenants: 99th percentile of dwell time, by time of sending", "seconds, logarithmic")
	waiting.Y.Scale = plot.LogScale{}
	waiting.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	waiting.Y.Min, waiting.Y.Max = 0.1, 100
	backlog := newPlot("Noisy tenant: backlog", "jobs")
	for i, r := range runs {
		var p99, left plotter.XYs
		for from := time.Duration(0); from < duration; from += every {
			p99 = append(p99, plotter.XY{X: from.Seconds(), Y: max(r.p99(from, from+every).Seconds(), 0.1)})
		}
		for n, visible := range r.backlog {
			if at := time.Duration(n) * sampleTime; at <= duration {
				left = append(left, plotter.XY{X: at.Seconds(), Y: float64(visible)})
			}
		}
		if err := addLine(waiting, r.name, p99, i); err != nil {
			return err
		}
		if err := addLine(backlog, r.name, left, i); err != nil {
			return err
		}
	}
	backlog.X.Label.Text = "seconds"
	canvas := vgimg.New(9*vg.Inch, 7*vg.Inch)
	tiles := draw.Tiles{Rows: 2, Cols: 1, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 24, PadY: 14}
	for row, c := range plot.Align([][]*plot.Plot{{waiting}, {backlog}}, tiles, draw.New(canvas)) {
		[]*plot.Plot{waiting, backlog}[row].Draw(c[0])
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func newPlot(title, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = title, y
	p.X.Min, p.X.Max, p.Y.Min = 0, duration.Seconds(), 0
	var ticks []plot.Tick
	for at := range 7 {
		ticks = append(ticks, plot.Tick{Value: float64(at * 10), Label: fmt.Sprint(at * 10)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.Legend.Top = true
	p.Legend.XOffs = -vg.Points(6)
	p.Add(plotter.NewGrid())
	return p
}

func addLine(p *plot.Plot, name string, points plotter.XYs, i int) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = colors[i], vg.Points(2)
	if i == 1 {
		line.Dashes = []vg.Length{vg.Points(6), vg.Points(3)} // where two lines are one, both show
	}
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}
