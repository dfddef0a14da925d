package main

import (
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A progress shows how far a long piece of work is, if standard error is a terminal. A
// nil one shows nothing.
type progress struct {
	p   *mpb.Progress
	bar *mpb.Bar
}

// newProgress begins to show work on total messages; total is 0 if it is never known. The
// bar is made without a total, as one with a total is done once it has reached that.
func (p *program) newProgress(name string, total int) *progress {
	if !p.errIsTerminal {
		return nil
	}
	bars := mpb.New(mpb.WithOutput(p.err), mpb.WithWidth(40))
	if total == 0 {
		return &progress{bars, bars.New(0, mpb.SpinnerStyle(), mpb.PrependDecorators(decor.Name(name+" "), decor.CurrentNoUnit("%d messages ")))}
	}
	bar := bars.AddBar(0, mpb.PrependDecorators(decor.Name(name+" "), decor.CountersNoUnit("%d of %d")))
	bar.SetTotal(int64(total), false)
	return &progress{bars, bar}
}

func (s *progress) add(n int) {
	if s != nil {
		s.bar.IncrBy(n)
	}
}

func (s *progress) set(n, total int) {
	if s != nil {
		s.bar.SetTotal(int64(total), false)
		s.bar.SetCurrent(int64(n))
	}
}

// end leaves the bar as it is. It may be called twice.
func (s *progress) end() {
	if s != nil {
		s.bar.Abort(false)
		s.p.Wait()
	}
}
