package main

import (
	"image/color"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// plotRun draws how many jobs were visible, in flight, done and given up, and
// when workers died.
func plotRun(path string, samples []sample, deaths []time.Duration) error {
	p := plot.New()
	p.Title.Text = "Jobs over time"
	p.X.Label.Text = "seconds"
	p.Y.Label.Text = "jobs"
	p.X.Min, p.Y.Min = 0, 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs = vg.Points(8)
	p.Add(plotter.NewGrid())
	for _, s := range []struct {
		name  string
		value func(sample) int
		color color.RGBA
	}{
		{"visible", func(s sample) int { return s.visible }, color.RGBA{33, 111, 237, 255}},
		{"in flight", func(s sample) int { return s.inFlight }, color.RGBA{245, 140, 20, 255}},
		{"done", func(s sample) int { return s.done }, color.RGBA{34, 150, 84, 255}},
		{"given up", func(s sample) int { return s.buried }, color.RGBA{120, 120, 120, 255}},
	} {
		points := make(plotter.XYs, len(samples))
		for i, x := range samples {
			points[i] = plotter.XY{X: x.at.Seconds(), Y: float64(s.value(x))}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.StepStyle = plotter.PostStep // counts change at once
		line.Color = s.color
		line.Width = vg.Points(2)
		p.Add(line)
		p.Legend.Add(s.name, line)
	}
	if len(deaths) > 0 {
		points := make(plotter.XYs, len(deaths))
		for i, at := range deaths {
			points[i] = plotter.XY{X: at.Seconds()}
		}
		crosses, err := plotter.NewScatter(points)
		if err != nil {
			return err
		}
		crosses.GlyphStyle = draw.GlyphStyle{Color: color.RGBA{214, 39, 40, 255}, Radius: vg.Points(5), Shape: draw.CrossGlyph{}}
		p.Add(crosses)
		p.Legend.Add("a worker dies", crosses)
	}
	// Room above for the legend, whatever the lines do.
	p.Y.Max *= 1.25
	return p.Save(9*vg.Inch, 5*vg.Inch, path)
}
