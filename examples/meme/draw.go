package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif"  // pictures may be of these
	_ "image/jpeg" // formats
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

const (
	memeWidth = 480        // memes have this width
	maxPixels = 50_000_000 // larger pictures are refused before they are read
	maxRatio  = 4.0        // so are those that would become slivers
)

var (
	bold    = mustParse(gobold.TTF)
	regular = mustParse(goregular.TTF)
)

func mustParse(ttf []byte) *sfnt.Font {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic(err) // the fonts are part of the program
	}
	return f
}

// load reads a picture and scales it to the width of a meme.
func load(path string) (*image.RGBA, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	if err != nil {
		return nil, err
	}
	ratio := float64(c.Height) / float64(max(c.Width, 1))
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxPixels/c.Height || ratio > maxRatio || ratio < 1/maxRatio {
		return nil, fmt.Errorf("a picture of %d by %d pixels makes no meme", c.Width, c.Height)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	src, _, err := image.Decode(f)
	if err != nil {
		return nil, err
	}
	dst := image.NewRGBA(image.Rect(0, 0, memeWidth, int(math.Round(memeWidth*ratio))))
	draw.Draw(dst, dst.Bounds(), image.White, image.Point{}, draw.Src) // behind what is transparent
	draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Over, nil)
	return dst, nil
}

// makeMeme does a job.
func makeMeme(job Job) (*image.RGBA, error) {
	m, err := load(job.Picture)
	if err != nil {
		return nil, err
	}
	top, bottom := strings.ToUpper(job.Top), strings.ToUpper(job.Bottom)
	b := m.Bounds().Inset(memeWidth / 40)
	upper := image.Rect(b.Min.X, b.Min.Y, b.Max.X, b.Min.Y+b.Dy()*3/10)
	lower := image.Rect(b.Min.X, b.Max.Y-b.Dy()*3/10, b.Max.X, b.Max.Y)
	switch job.Position {
	case AtTheTop:
		lower = upper.Add(image.Pt(0, upper.Dy()))
	case AtTheBottom:
		upper = lower.Sub(image.Pt(0, lower.Dy()))
	}
	if err := write(m, upper, top, job.Colour, -1); err != nil {
		return nil, err
	}
	if err := write(m, lower, bottom, job.Colour, 1); err != nil {
		return nil, err
	}
	return m, nil
}

// write puts a text into a box, as large as it fits, at the box's upper or
// lower edge (align -1 or 1).
func write(m *image.RGBA, box image.Rectangle, text string, c color.Color, align int) error {
	face, lines, err := fit(text, box)
	if err != nil {
		return err
	}
	defer face.Close()
	metrics := face.Metrics()
	height := metrics.Height.Ceil()
	y := box.Min.Y + metrics.Ascent.Ceil()
	if align > 0 {
		y += box.Dy() - height*len(lines)
	}
	for i, line := range lines {
		width := font.MeasureString(face, line).Ceil()
		outlined(m, face, line, box.Min.X+(box.Dx()-width)/2, y+i*height, c)
	}
	return nil
}

// outlined writes a line in c with a black rim.
func outlined(m *image.RGBA, face font.Face, line string, x, y int, c color.Color) {
	d := font.Drawer{Dst: m, Src: image.Black, Face: face}
	rim := max(1.2, float64(face.Metrics().Height.Ceil())/18)
	const steps = 16
	for i := range steps {
		a := 2 * math.Pi * float64(i) / steps
		d.Dot = fixed.Point26_6{
			X: fixed.Int26_6((float64(x) + rim*math.Cos(a)) * 64),
			Y: fixed.Int26_6((float64(y) + rim*math.Sin(a)) * 64),
		}
		d.DrawString(line)
	}
	d.Src, d.Dot = image.NewUniform(c), fixed.P(x, y)
	d.DrawString(line)
}

// fit returns the largest face in which a text fits into a box, and its lines.
func fit(text string, box image.Rectangle) (font.Face, []string, error) {
	const smallest = 9
	for size := float64(box.Dy()) * 0.6; ; size *= 0.93 {
		face, err := newFace(bold, max(size, smallest))
		if err != nil {
			return nil, nil, err
		}
		lines := wrap(face, text, box.Dx())
		if size <= smallest || fits(face, lines, box) {
			return face, lines, nil
		}
		face.Close()
	}
}

func fits(face font.Face, lines []string, box image.Rectangle) bool {
	for _, line := range lines {
		if font.MeasureString(face, line).Ceil() > box.Dx() {
			return false
		}
	}
	return face.Metrics().Height.Ceil()*len(lines) <= box.Dy()
}

// wrap breaks a text at spaces into lines no wider than width, as far as single
// words are not wider.
func wrap(face font.Face, text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && font.MeasureString(face, longer).Ceil() > width {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	return append(lines, line)
}

func newFace(f *sfnt.Font, size float64) (font.Face, error) {
	return opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
}

// store writes a picture as a whole or not at all: a job may be done twice, and
// nobody should find half of it.
func store(path string, m image.Image) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(f.Chmod(0o644), png.Encode(f, m), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
