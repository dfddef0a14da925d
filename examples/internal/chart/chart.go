// Package chart draws what simulations have seen: panels of lines over the same
// time, one above the other.
package chart

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

// A Panel is one diagram.
type Panel struct {
	Title, Unit string
	Log         bool    // the vertical axis is logarithmic, from Min to Max
	Min, Max    float64 // of the vertical axis; 0 leaves Max to the lines
	Lines       []Line
	Marks       []time.Duration // instants at which something happened
	MarkName    string
	LegendLeft  bool // where the lines leave room for it
}

// A Line is a value over time.
type Line struct {
	Name   string
	Points []Point
	Dashed bool // so that a line below it shows
	Steps  bool // the value changes at once
}

// A Point is a value at a time.
type Point struct {
	At    time.Duration
	Value float64
}

var colors = []color.RGBA{{120, 120, 120, 255}, {33, 111, 237, 255}, {214, 39, 40, 255}, {34, 150, 84, 255}}

// Draw writes panels over a time into a PNG file.
func Draw(path string, over time.Duration, panels ...Panel) error {
	var plots [][]*plot.Plot
	for _, p := range panels {
		drawn, err := p.plot(over)
		if err != nil {
			return err
		}
		plots = append(plots, []*plot.Plot{drawn})
	}
	plots[len(plots)-1][0].X.Label.Text = "seconds"
	canvas := vgimg.New(9*vg.Inch, vg.Length(len(panels))*3.3*vg.Inch)
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 24, PadY: 14}
	for row, c := range plot.Align(plots, tiles, draw.New(canvas)) {
		plots[row][0].Draw(c[0])
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

func (p *Panel) plot(over time.Duration) (*plot.Plot, error) {
	d := plot.New()
	d.Title.Text, d.Y.Label.Text = p.Title, p.Unit
	d.X.Min, d.X.Max, d.Y.Min = 0, over.Seconds(), p.Min
	if p.Max > 0 {
		d.Y.Max = p.Max
	}
	const parts = 6
	if over%(parts*time.Second) == 0 {
		var ticks []plot.Tick
		for i := range parts + 1 {
			at := over.Seconds() * float64(i) / parts
			ticks = append(ticks, plot.Tick{Value: at, Label: fmt.Sprint(at)})
		}
		d.X.Tick.Marker = plot.ConstantTicks(ticks)
	}
	if p.Log {
		d.Y.Scale = plot.LogScale{}
		d.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	}
	d.Legend.Top = true
	d.Legend.XOffs = -vg.Points(6)
	if p.LegendLeft {
		d.Legend.Left, d.Legend.XOffs = true, vg.Points(6)
	}
	d.Add(plotter.NewGrid())
	for i, l := range p.Lines {
		points := make(plotter.XYs, len(l.Points))
		for n, x := range l.Points {
			points[n] = plotter.XY{X: x.At.Seconds(), Y: max(x.Value, p.Min)}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = colors[i%len(colors)], vg.Points(2)
		if l.Dashed {
			line.Dashes = []vg.Length{vg.Points(6), vg.Points(3)}
		}
		if l.Steps {
			line.StepStyle = plotter.PostStep
		}
		d.Add(line)
		d.Legend.Add(l.Name, line)
	}
	if len(p.Marks) > 0 {
		points := make(plotter.XYs, len(p.Marks))
		for i, at := range p.Marks {
			points[i] = plotter.XY{X: at.Seconds(), Y: p.Min}
		}
		marks, err := plotter.NewScatter(points)
		if err != nil {
			return nil, err
		}
		marks.GlyphStyle = draw.GlyphStyle{Color: color.RGBA{160, 30, 30, 255}, Radius: vg.Points(5), Shape: draw.CrossGlyph{}}
		d.Add(marks)
		d.Legend.Add(p.MarkName, marks)
	}
	return d, nil
}
