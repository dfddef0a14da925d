package report

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
	"github.com/dabchickmq/dabchick/benchmarks/internal/workload"
)

// plots draws a PNG for each workload that has one and was measured.
func (d *Data) plots(dir string) error {
	for _, w := range workload.All {
		if p := d.plotOf(w.Name); p != nil {
			if err := drawPanels(filepath.Join(dir, p.file), p.panels); err != nil {
				return fmt.Errorf("%s: %w", p.file, err)
			}
		}
	}
	return nil
}

// A picture is the plot of a workload.
type picture struct {
	file   string
	panels []panel
}

// plotOf returns the plot of a workload, or nil if there is nothing to be seen.
func (d *Data) plotOf(name string) *picture {
	var p picture
	switch name {
	case "backlog":
		p = picture{"backlog.png", []panel{d.byParam("backlog", "cycle", "Send, receive and delete over a backlog", "messages that wait", "nanoseconds", 1)}}
	case "throughput":
		p = picture{"throughput.png", []panel{d.byParam("throughput", "rate", "Messages a second from producers to consumers", "goroutines, half of them producers", "messages a second", 2)}}
	case "wake":
		p = picture{"wake.png", []panel{
			d.wakeUps(workload.Parks, "Wake-up: the producer parks after the send"),
			d.wakeUps(workload.Runs, "Wake-up: the producer keeps running"),
		}}
	case "trace":
		p = picture{"heap.png", []panel{d.heapOverTime()}}
	}
	p.panels = slices.DeleteFunc(p.panels, func(p panel) bool { return len(p.lines) == 0 })
	if len(p.panels) == 0 {
		return nil
	}
	return &p
}

// A panel is one diagram. Each line has its name at its right end, on a logarithmic
// scale, or else in a legend.
type panel struct {
	title, x, y string
	logX, logY  bool
	ticks       []plot.Tick // of the horizontal axis, or nil
	lines       []line
}

type line struct {
	entry  workload.Contender
	points plotter.XYs
}

// byParam has a line for each entry, over the parameter of a workload.
func (d *Data) byParam(name, key, title, x, y string, scale int) panel {
	p := panel{title: title, x: x, y: y, logX: true, logY: true}
	w := workload.Find(name)
	params := d.params(name)
	if len(params) < 2 {
		return p
	}
	for _, param := range params {
		p.ticks = append(p.ticks, plot.Tick{Value: float64(scale * param), Label: w.Label(param)})
	}
	for _, e := range d.entries(name) {
		var points plotter.XYs
		for _, param := range params {
			if v, ok := d.value(name, e.Name, param, key); ok && v > 0 {
				points = append(points, plotter.XY{X: float64(scale * param), Y: v})
			}
		}
		if len(points) > 0 {
			p.lines = append(p.lines, line{e, points})
		}
	}
	return p
}

// wakeUps has the percentiles of each entry: of each one the median of all runs.
func (d *Data) wakeUps(param int, title string) panel {
	p := panel{title: title, x: "percentile", y: "microseconds", logY: true}
	const last = 99
	for _, e := range d.entries("wake") {
		var points plotter.XYs
		for percent := 0; percent <= last; percent++ {
			var values []float64
			for _, r := range d.of("wake", e.Name, param) {
				if percent < len(r.Quantiles) {
					values = append(values, r.Quantiles[percent])
				}
			}
			if v, ok := Median(values); ok && v > 0 {
				points = append(points, plotter.XY{X: float64(percent), Y: v / 1e3})
			}
		}
		if len(points) > 0 {
			p.lines = append(p.lines, line{e, points})
		}
	}
	for _, percent := range []int{0, 25, 50, 75, last} {
		p.ticks = append(p.ticks, plot.Tick{Value: float64(percent), Label: fmt.Sprint(percent)})
	}
	return p
}

// heapOverTime shows the live heap of entries that hold as many messages as were asked for.
func (d *Data) heapOverTime() panel {
	p := panel{title: "Live heap while a queue is filled and drained, with bodies of 256 bytes", y: "megabytes"}
	params := d.params("trace")
	if len(params) == 0 {
		return p
	}
	n := params[len(params)-1]
	limit, _ := d.value("trace", own, n, "peak")
	var beyond []string
	for _, e := range d.entries("trace") {
		for _, r := range d.of("trace", e.Name, n) {
			if limit > 0 && r.Values["peak"] > 3*limit {
				beyond = append(beyond, fmt.Sprintf("%s has %s MB", e.Name, Figure(r.Values["peak"])))
				continue
			}
			var points plotter.XYs
			for i, bytes := range r.Trace {
				points = append(points, plotter.XY{X: float64(i) / float64(len(r.Trace)-1), Y: bytes / 1e6})
			}
			if len(points) > 1 {
				p.lines = append(p.lines, line{e, points})
			}
		}
	}
	if len(beyond) > 0 {
		p.x = "beyond the scale: " + strings.Join(beyond, ", ")
	}
	p.ticks = []plot.Tick{{Value: 0, Label: "empty"}, {Value: 0.5, Label: thousands(n) + " messages"}, {Value: 1, Label: "drained"}}
	return p
}

// drawPanels draws panels one above the other.
func drawPanels(path string, panels []panel) error {
	plots := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		drawn, err := p.plot()
		if err != nil {
			return err
		}
		plots[i] = []*plot.Plot{drawn}
	}
	const width, height = 9 * vg.Inch, 6 * vg.Inch
	canvas := vgimg.NewWith(vgimg.UseWH(width, vg.Length(len(panels))*height), vgimg.UseDPI(120))
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 8, PadY: 14}
	for i, c := range plot.Align(plots, tiles, draw.New(canvas)) {
		plots[i][0].Draw(c[0])
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

func (p *panel) plot() (*plot.Plot, error) {
	d := plot.New()
	d.Title.Text, d.X.Label.Text, d.Y.Label.Text = p.title, p.x, p.y
	d.Title.Padding = vg.Points(6)
	d.X.Tick.Marker = plot.ConstantTicks(p.ticks)
	if p.logX {
		d.X.Scale = plot.LogScale{}
	}
	if p.logY {
		d.Y.Scale, d.Y.Tick.Marker = plot.LogScale{}, powers{}
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{235}, color.Gray{225}
	d.Add(grid)
	for _, l := range p.lines {
		drawn, dots, err := plotter.NewLinePoints(l.points)
		if err != nil {
			return nil, err
		}
		drawn.LineStyle = style(l.entry)
		dots.Color, dots.Shape, dots.Radius = drawn.Color, draw.CircleGlyph{}, drawn.Width*1.2
		d.Add(drawn)
		if len(l.points) < 10 {
			d.Add(dots)
		}
		if !p.logY {
			d.Legend.Add(l.entry.Name, drawn)
		}
	}
	left, right := d.X.Min, d.X.Max
	if p.logY {
		d.Y.Min, d.Y.Max = math.Pow(10, math.Floor(math.Log10(d.Y.Min))), math.Pow(10, math.Ceil(math.Log10(d.Y.Max)))
	} else {
		d.Y.Min, d.Y.Max, d.Y.Tick.Marker = 0, d.Y.Max*1.05, whole{}
		d.Legend.Top, d.Legend.Padding = true, vg.Points(4)
		return d, nil
	}
	d.X.Max = p.scale(left, right, 1.32) // room for the names
	return d, p.names(d, left, right)
}

// scale returns the value at a part of the way from left to right.
func (p *panel) scale(left, right, part float64) float64 {
	if p.logX {
		return left * math.Pow(right/left, part)
	}
	return left + (right-left)*part
}

// names writes the name of each line beside its end, and apart from each other.
func (p *panel) names(d *plot.Plot, left, right float64) error {
	type name struct {
		line int
		end  plotter.XY
		at   float64 // part of the height
	}
	var all []name
	for i, l := range p.lines {
		end := l.points[len(l.points)-1]
		all = append(all, name{i, end, d.Y.Norm(end.Y)})
	}
	slices.SortFunc(all, func(a, b name) int { return int(math.Copysign(1, a.at-b.at)) })
	const apart = 0.036
	at := make([]float64, len(all))
	for i, n := range all {
		at[i] = n.at
	}
	spread(at, apart)
	for i, n := range all {
		l := p.lines[n.line]
		s := style(l.entry)
		y := d.Y.Min * math.Pow(d.Y.Max/d.Y.Min, at[i])
		lead, err := plotter.NewLine(plotter.XYs{n.end, {X: p.scale(left, right, 1.035), Y: y}})
		if err != nil {
			return err
		}
		lead.Color, lead.Width = fainter(s.Color), vg.Points(0.6)
		label, err := plotter.NewLabels(plotter.XYLabels{
			XYs:    plotter.XYs{{X: p.scale(left, right, 1.045), Y: y}},
			Labels: []string{l.entry.Name},
		})
		if err != nil {
			return err
		}
		font := d.X.Tick.Label.Font
		font.Size = vg.Points(9.5)
		if l.entry.Name == own {
			font.Weight = 3 // bold
		}
		label.TextStyle = []text.Style{{Color: s.Color, Font: font, YAlign: text.YCenter, Handler: plot.DefaultTextHandler}}
		d.Add(lead, label)
	}
	return nil
}

// spread moves rising values apart, each as little as it can, and within 0 to 1.
func spread(at []float64, apart float64) {
	for range 100 {
		for i := 1; i < len(at); i++ {
			if lack := apart - (at[i] - at[i-1]); lack > 0 {
				at[i-1] -= lack / 2
				at[i] += lack / 2
			}
		}
		for i := range at {
			at[i] = min(max(at[i], float64(i)*apart), 1-float64(len(at)-1-i)*apart)
		}
	}
}

// style has Dabchick stand out, and limits stand back. An entry looks the same in all plots.
func style(e workload.Contender) draw.LineStyle {
	i := slices.IndexFunc(workload.Contenders, func(c workload.Contender) bool { return c.Name == e.Name })
	switch {
	case e.Name == own:
		return draw.LineStyle{Color: color.RGBA{33, 111, 237, 255}, Width: vg.Points(3)}
	case e.Kind == entry.Limit:
		return draw.LineStyle{Color: color.Gray{uint8(80 + 20*(i%4))}, Width: vg.Points(1.3), Dashes: dashes[i%len(dashes)]}
	}
	return draw.LineStyle{Color: colors[i%len(colors)], Width: vg.Points(1.4)}
}

// colors are those of all entries that are no limits, and dashes those of all limits.
var (
	colors = []color.RGBA{
		{214, 39, 40, 255}, {34, 150, 84, 255}, {230, 126, 20, 255}, {136, 84, 192, 255}, {140, 86, 75, 255},
		{214, 90, 170, 255}, {23, 160, 180, 255}, {150, 150, 20, 255}, {90, 60, 140, 255}, {60, 110, 60, 255},
	}
	dashes = [][]vg.Length{{5, 3}, {9, 3}, {2, 2}, {9, 3, 2, 3}, {5, 2}, {1, 3}}
)

func fainter(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	return color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 110}
}

// whole marks round numbers, without a fraction that is 0.
type whole struct{}

func (whole) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = fmt.Sprint(math.Round(t.Value*1e6) / 1e6)
		}
	}
	return ticks
}

// powers marks the powers of ten.
type powers struct{}

func (powers) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for step := 1.0; step < 10; step++ {
			t := plot.Tick{Value: step * math.Pow(10, e)}
			if t.Value < low || t.Value > high*1.0001 {
				continue
			}
			if step == 1 {
				t.Label = Figure(t.Value)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}
