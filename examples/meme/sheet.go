package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"unicode/utf8"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
)

// contactSheet shows all memes on one page, in the order in which they were
// done, each with its picture's name and who made it in which attempt.
func contactSheet(path, memes string, results []result) error {
	const (
		columns = 5
		width   = 260
		height  = 180
		caption = 34
		gap     = 14
		most    = 60 // memes on the sheet
	)
	results = results[:min(len(results), most)]
	rows := (len(results) + columns - 1) / columns
	sheet := image.NewRGBA(image.Rect(0, 0, gap+columns*(width+gap), gap+rows*(height+caption+gap)))
	draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.RGBA{38, 41, 46, 255}), image.Point{}, draw.Src)
	face, err := newFace(regular, 13)
	if err != nil {
		return err
	}
	defer face.Close()
	light := color.RGBA{222, 226, 230, 255}
	warm := color.RGBA{255, 183, 77, 255} // an attempt after the first
	for i, r := range results {
		m, err := loadPNG(filepath.Join(memes, memeName(r.name)))
		if err != nil {
			return err
		}
		x, y := gap+i%columns*(width+gap), gap+i/columns*(height+caption+gap)
		draw.CatmullRom.Scale(sheet, inside(image.Rect(x, y, x+width, y+height), m.Bounds()), m, m.Bounds(), draw.Src, nil)
		label(sheet, face, x, y+height+15, width, r.name, light)
		c, note := light, fmt.Sprintf("worker %d", r.worker)
		if r.attempt > 1 {
			c, note = warm, fmt.Sprintf("worker %d, attempt %d", r.worker, r.attempt)
		}
		label(sheet, face, x, y+height+31, width, note, c)
	}
	return store(path, sheet)
}

// inside returns the largest rectangle of src's proportions in the middle of
// box.
func inside(box, src image.Rectangle) image.Rectangle {
	w, h := box.Dx(), box.Dx()*src.Dy()/src.Dx()
	if h > box.Dy() {
		w, h = box.Dy()*src.Dx()/src.Dy(), box.Dy()
	}
	x, y := box.Min.X+(box.Dx()-w)/2, box.Min.Y+(box.Dy()-h)/2
	return image.Rect(x, y, x+w, y+h)
}

// label writes a line in the middle of a width, cut at the left if it is too
// long: names differ at the end.
func label(dst draw.Image, face font.Face, x, y, width int, text string, c color.Color) {
	for cut := text; font.MeasureString(face, text).Ceil() > width; {
		_, n := utf8.DecodeRuneInString(cut)
		cut = cut[n:]
		text = "…" + cut
	}
	d := font.Drawer{Dst: dst, Src: image.NewUniform(c), Face: face}
	d.Dot = fixed.P(x+(width-font.MeasureString(face, text).Ceil())/2, y)
	d.DrawString(text)
}

func loadPNG(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return png.Decode(f)
}
