package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A view shows a run while it goes on.
type view interface {
	progress(sent, done int)
	worker(n int, doing string)
	say(format string, args ...any)
	close()
}

// bars shows a run on a terminal: a bar for the memes, a line for each worker,
// and above them what happens.
type bars struct {
	p     *mpb.Progress
	total *mpb.Bar

	mu    sync.Mutex
	doing []string
	lines []*mpb.Bar
}

func newBars(w io.Writer, workers int) *bars {
	v := &bars{p: mpb.New(mpb.WithOutput(w), mpb.WithWidth(48)), doing: make([]string, workers)}
	v.total = v.p.AddBar(0,
		mpb.PrependDecorators(decor.Name("memes     ")),
		mpb.AppendDecorators(decor.CountersNoUnit("%d of %d pictures")))
	for n := range workers {
		v.lines = append(v.lines, v.p.New(0, mpb.NopStyle(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
				v.mu.Lock()
				defer v.mu.Unlock()
				return fmt.Sprintf("worker %-2d %s", n+1, v.doing[n])
			}))))
	}
	return v
}

func (v *bars) progress(sent, done int) {
	v.total.SetTotal(int64(sent), false)
	v.total.SetCurrent(int64(done))
}

func (v *bars) worker(n int, doing string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.doing[n-1] = doing
}

func (v *bars) say(format string, args ...any) {
	fmt.Fprintf(v.p, format+"\n", args...)
}

func (v *bars) close() {
	for _, b := range v.lines {
		b.Abort(true)
	}
	v.total.Abort(false)
	v.p.Wait()
}

// lines shows a run where there is no terminal: what happens, and how far it
// is at every tenth picture.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (v *lines) progress(sent, done int) {
	if done > 0 && done%10 == 0 {
		v.say("%d of %d pictures", done, sent)
	}
}

func (v *lines) worker(int, string) {}

func (v *lines) say(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.w, format+"\n", args...)
}

func (v *lines) close() {}
