package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

const (
	maxReceives = 6 // a job whose workers keep dying is given up after so many
	maxFailures = 3 // and one that cannot be done, after so many
	restart     = 300 * time.Millisecond
)

// A fleet is workers that take jobs from a queue and put memes into a folder.
// Each worker is a goroutine; one that dies is replaced.
type fleet struct {
	jobs    *dabchick.Queue[Job]
	dir     string // where memes go
	workers int
	crash   float64       // chance that a worker dies in the middle of a job
	seed    uint64        // of the crashes
	pace    time.Duration // how long a job takes at least
	view    view
	log     *ledger
}

// run works until ctx ends, and returns when all workers have finished what
// they had in hand.
func (f *fleet) run(ctx context.Context) {
	var wg sync.WaitGroup
	for n := range f.workers {
		wg.Go(func() { f.supervise(ctx, n+1) })
	}
	wg.Wait()
}

// supervise keeps one place in the fleet filled.
func (f *fleet) supervise(ctx context.Context, n int) {
	for ctx.Err() == nil {
		finished := make(chan bool, 1)
		go func() {
			ok := false
			defer func() { finished <- ok }() // also when the worker dies
			f.work(ctx, n)
			ok = true
		}()
		if <-finished {
			return
		}
		f.view.worker(n, "died; a new one comes")
		select {
		case <-time.After(restart):
		case <-ctx.Done():
		}
	}
}

// work is the life of a worker: take a job, do it, say what became of it.
func (f *fleet) work(ctx context.Context, n int) {
	f.view.worker(n, "waits for a job")
	for m, err := range f.jobs.Messages(ctx) {
		if err != nil {
			return // told to stop
		}
		name := filepath.Base(m.Body.Picture)
		f.view.worker(n, fmt.Sprintf("%s, attempt %d", name, m.Receives))
		if m.Receives > 1 {
			f.log.again(name)
		}
		// What is in hand is finished, also when ctx ends meanwhile.
		if err := f.do(m, n, name); err != nil {
			f.giveBack(m, name, err)
		} else if err := m.Delete(ctx); err != nil {
			f.view.say("%s was done too late, and will be done again: %v", name, err)
		} else {
			f.log.done(name, n, m.Receives)
		}
		f.view.worker(n, "waits for a job")
	}
}

// do makes and stores the meme of a job, if the worker lives that long.
func (f *fleet) do(m dabchick.Message[Job], n int, name string) error {
	meme, err := makeMeme(m.Body)
	if err != nil {
		return err
	}
	time.Sleep(f.pace / 2)
	if crashes(f.seed, name, m.Receives, f.crash) {
		f.log.crashed(name, n)
		runtime.Goexit() // the message is not settled: nobody is left to do that
	}
	time.Sleep(f.pace / 2)
	return store(filepath.Join(f.dir, memeName(name)), meme)
}

// giveBack returns a job that failed to the queue, or, when it has failed often
// enough, gives it up with the reason.
func (f *fleet) giveBack(m dabchick.Message[Job], name string, cause error) {
	var pathErr *os.PathError
	if errors.As(cause, &pathErr) {
		cause = pathErr.Err // the path is in the job
	}
	var err error
	if m.Receives < maxFailures {
		f.view.say("%s failed, and goes back: %v", name, cause)
		err = m.Release(context.Background())
	} else {
		f.view.say("%s failed %d times, and is given up: %v", name, m.Receives, cause)
		err = m.DeadLetter(context.Background(), cause.Error())
	}
	if err != nil {
		f.view.say("%s: %v", name, err)
	}
}

// memeName keeps the whole name of a picture: two may differ in the ending only.
func memeName(picture string) string { return picture + ".meme.png" }
