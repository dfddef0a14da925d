package main

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/image/font"
)

var longAgo = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// picture writes a small grey picture and returns its path.
func picture(t *testing.T, dir, name string) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 60, 40))
	draw.Draw(m, m.Bounds(), image.NewUniform(color.Gray{128}), image.Point{}, draw.Src)
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	// Not a file that somebody may still be writing to, by the clock of a bubble either.
	require.NoError(t, os.Chtimes(path, time.Time{}, longAgo))
	return path
}

func broken(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("not a picture"), 0o644))
	require.NoError(t, os.Chtimes(path, time.Time{}, longAgo))
}

func TestMemeHasWordsWithARim(t *testing.T) {
	path := picture(t, t.TempDir(), "grey.png")
	for position, rows := range map[Position][2]bool{ // words in the upper and lower half
		AtTheEdges: {true, true}, AtTheTop: {true, false}, AtTheBottom: {false, true},
	} {
		yellow := color.RGBA{255, 255, 0, 255}
		m, err := makeMeme(Job{Picture: path, Top: "top", Bottom: "bottom", Colour: yellow, Position: position})
		require.NoError(t, err)
		require.Equal(t, image.Rect(0, 0, memeWidth, memeWidth*40/60), m.Bounds())
		half := m.Bounds().Dy() * 6 / 10
		for i, y := range [][2]int{{0, m.Bounds().Dy() - half}, {half, m.Bounds().Dy()}} {
			words, rim := 0, 0
			for y, end := y[0], y[1]; y < end; y++ {
				for x := range memeWidth {
					switch m.RGBAAt(x, y) {
					case yellow:
						words++
					case color.RGBA{0, 0, 0, 255}:
						rim++
					}
				}
			}
			require.Equal(t, rows[i], words > 500, "position %d, half %d: %d pixels of words", position, i, words)
			require.Equal(t, rows[i], rim > 200, "position %d, half %d: %d pixels of rim", position, i, rim)
		}
	}
}

func TestTextsFit(t *testing.T) {
	long := "a very long text that goes on and on, and would not fit into one line if it were of any size to speak of"
	for _, text := range []string{"x", "two words", long, "averyveryverylongwordwithoutanyspace", ""} {
		for _, box := range []image.Rectangle{image.Rect(0, 0, 456, 90), image.Rect(10, 10, 466, 60)} {
			face, lines, err := fit(text, box)
			require.NoError(t, err)
			require.True(t, fits(face, lines, box), "%q in %v: %q", text, box, lines)
			require.NoError(t, face.Close())
		}
	}
	face, err := newFace(bold, 20)
	require.NoError(t, err)
	defer face.Close()
	lines := wrap(face, long, 300)
	require.Greater(t, len(lines), 1)
	for _, line := range lines {
		require.LessOrEqual(t, font.MeasureString(face, line).Ceil(), 300)
	}
}

func TestPicturesThatMakeNoMeme(t *testing.T) {
	dir := t.TempDir()
	broken(t, dir, "broken.png")
	_, err := load(filepath.Join(dir, "broken.png"))
	require.ErrorIs(t, err, image.ErrFormat)
	_, err = load(filepath.Join(dir, "missing.png"))
	require.ErrorIs(t, err, os.ErrNotExist)
	sliver := filepath.Join(dir, "sliver.png")
	require.NoError(t, store(sliver, image.NewGray(image.Rect(0, 0, 500, 2))))
	_, err = load(sliver)
	require.ErrorContains(t, err, "500 by 2 pixels")
}

// testRun is a whole run in fake time over a bucket of pictures.
func testRun(t *testing.T, ctx context.Context, dir string, crash float64) *report {
	t.Helper()
	r, err := run(ctx, config{
		in: dir, out: t.TempDir(), workers: 3, crash: crash, timeout: 2 * time.Second, pace: 600 * time.Millisecond, seed: 1,
	}, &lines{w: io.Discard})
	require.NoError(t, err)
	for _, f := range r.files {
		info, err := os.Stat(f)
		require.NoError(t, err)
		require.Greater(t, info.Size(), int64(1000))
	}
	return r
}

func TestCrashingWorkersLoseNoJob(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		picture(t, dir, string(rune('a'+i))+".png")
	}
	synctest.Test(t, func(t *testing.T) {
		r := testRun(t, t.Context(), dir, 0.5)
		require.Equal(t, 12, r.sent)
		require.Equal(t, 12, len(r.results)+len(r.buried))
		require.Zero(t, r.left)
		require.Zero(t, r.lost())
		require.Greater(t, r.crashes, 5)
		require.Equal(t, r.crashes-len(r.buried), r.repeats, "each job whose worker crashed came up again, until it was given up")
		require.Equal(t, 3, r.most())
		end := r.samples[len(r.samples)-1]
		require.Equal(t, sample{at: end.at, done: len(r.results), buried: len(r.buried)}, end, "the plot shows how it ended")
		for _, b := range r.buried {
			require.Equal(t, maxReceives, b.receives)
			require.Contains(t, b.reason, "received 6 times")
		}
	})
}

// As on a machine that stands still for a while: two workers make the same meme.
func TestJobThatIsDoneTwiceCountsOnce(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		picture(t, dir, string(rune('a'+i))+".png")
	}
	synctest.Test(t, func(t *testing.T) {
		r, err := run(t.Context(), config{
			in: dir, out: t.TempDir(), workers: 3, timeout: 500 * time.Millisecond, pace: 600 * time.Millisecond, seed: 1,
		}, &lines{w: io.Discard})
		require.NoError(t, err)
		require.Positive(t, r.repeats)
		names := map[string]bool{}
		for _, done := range r.results {
			require.False(t, names[done.name], done.name)
			names[done.name] = true
		}
		require.Zero(t, r.lost())
	})
}

func TestBrokenPictureDoesNotHoldUpOthers(t *testing.T) {
	dir := t.TempDir()
	broken(t, dir, "broken.png")
	picture(t, dir, "good.png")
	picture(t, dir, "good.gif") // a PNG by another name is read all the same
	broken(t, dir, "notes.txt") // not a picture at all
	synctest.Test(t, func(t *testing.T) {
		r := testRun(t, t.Context(), dir, 0)
		require.Equal(t, 3, r.sent)
		require.Len(t, r.results, 2)
		require.Equal(t, []burial{{"broken.png", maxFailures, "image: unknown format"}}, r.buried)
		var out bytes.Buffer
		r.print(&out)
		require.Contains(t, out.String(), "3 pictures: 2 memes, 1 given up, 0 left, 0 unaccounted for")
		require.Contains(t, out.String(), "given up after 3 attempts: broken.png: image: unknown format")
	})
}

func TestInterruptFinishesWhatIsInHandAndSaysWhatIsLeft(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		picture(t, dir, string(rune('a'+i))+".png")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond) // in the second round of three workers
		defer cancel()
		r := testRun(t, ctx, dir, 0)
		require.Len(t, r.results, 6, "what was in hand is finished")
		require.Equal(t, 4, r.left)
		require.Zero(t, r.lost())
	})
}

func TestInterruptBeforeAnythingWasSentAccountsForAllTheSame(t *testing.T) {
	dir := t.TempDir()
	picture(t, dir, "a.png")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := testRun(t, ctx, dir, 0)
		require.Equal(t, 1, r.left)
		require.Zero(t, r.lost())
	})
}

func TestPicturesMayArriveWhileItRuns(t *testing.T) {
	dir := t.TempDir()
	picture(t, dir, "first.png")
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(500 * time.Millisecond)
			picture(t, dir, "second.png")
		}()
		require.Len(t, testRun(t, t.Context(), dir, 0).results, 2)
	})
}

func TestHalfWrittenFilesAreLeftForLater(t *testing.T) {
	dir := t.TempDir()
	path := picture(t, dir, "a.png")
	b := bucket{dir: dir, seen: map[string]bool{}}
	info, err := os.Stat(path)
	require.NoError(t, err)
	names, err := b.arrivals(info.ModTime().Add(quietFor - 1))
	require.NoError(t, err)
	require.Empty(t, names)
	require.True(t, b.fresh())
	names, err = b.arrivals(info.ModTime().Add(quietFor))
	require.NoError(t, err)
	require.Equal(t, []string{"a.png"}, names)
	names, err = b.arrivals(info.ModTime().Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, names, "each once")
	require.False(t, b.fresh())
}

func TestFilesOfTheFutureAreTaken(t *testing.T) {
	dir := t.TempDir()
	path := picture(t, dir, "a.png")
	now := time.Now()
	require.NoError(t, os.Chtimes(path, time.Time{}, now.Add(24*time.Hour)))
	b := bucket{dir: dir, seen: map[string]bool{}}
	names, err := b.arrivals(now)
	require.NoError(t, err)
	require.Equal(t, []string{"a.png"}, names)
}

func TestFlags(t *testing.T) {
	_, err := parseFlags([]string{"-in", t.TempDir(), "-watch", "-crash", "0", "-workers", "64"}, io.Discard)
	require.NoError(t, err)
	for _, args := range [][]string{
		{"-workers", "0"}, {"-workers", "65"}, {"-crash", "-0.1"}, {"-crash", "1"}, {"-crash", "NaN"},
		{"-timeout", "1ms"}, {"-pace", "1s"}, {"-pace", "-1s"}, {"-limit", "-1"}, {"-watch"},
		{"-in", "no such folder"}, {"-in", "meme_test.go"}, {"-in", ".", "-limit", "3"}, {"extra"}, {"-unknown"},
	} {
		_, err := parseFlags(args, io.Discard)
		require.Error(t, err, "%v", args)
		require.NotErrorIs(t, err, flag.ErrHelp)
	}
	_, err = parseFlags([]string{"-crash", "7"}, io.Discard)
	require.EqualError(t, err, "-crash is 7, allowed: 0 to 0.9")
}

func TestGoPictures(t *testing.T) {
	pictures, err := goPictures()
	require.NoError(t, err)
	require.Greater(t, len(pictures), 20)
	names := map[string]bool{}
	for _, p := range pictures {
		require.False(t, names[filepath.Base(p)], "uploads would overwrite each other")
		names[filepath.Base(p)] = true
	}
	require.True(t, names["invalid-crc32.png"])
}
