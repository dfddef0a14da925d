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
	"github.com/dabchickmq/dabchick/worker"
)

const (
	maxReceives = 6 // a job whose workers keep crashing is given up after so many
	maxFailures = 3 // and one that cannot be done, after so many
	restart     = 300 * time.Millisecond
)

// A fleet is a pool of workers that take jobs from a queue and put memes into a
// folder. Their number follows the backlog. Some crash, on purpose.
type fleet struct {
	jobs    *dabchick.Queue[Job]
	dir     string        // where memes go
	workers int           // at most
	timeout time.Duration // of the jobs
	crash   float64       // chance that a worker crashes in the middle of a job
	seed    uint64        // of the crashes
	pace    time.Duration // how long a job takes at least
	view    view
	log     *ledger

	mu    sync.Mutex
	seats []bool // which lines of the view are taken
}

// pool returns the fleet's workers, ready to run.
func (f *fleet) pool() (*worker.Pool[Job], error) {
	f.seats = make([]bool, f.workers)
	for n := range f.workers {
		f.view.worker(n+1, "")
	}
	return worker.New(f.jobs, f.handle, worker.Options{
		Workers: f.workers,
		Scale: &worker.Scale{
			Min: 1, Wait: 1500 * time.Millisecond, Every: 100 * time.Millisecond, CoolDown: time.Second,
			OnChange: func(c worker.Change) {
				f.view.say("workers: %d → %d; jobs that wait: %d", c.From, c.To, c.Visible)
			},
		},
		Renew:    1, // a job is short: a worker that has it for longer hangs
		MaxLease: f.timeout,
		Backoff:  func(int) time.Duration { return restart },
		OnEvent:  f.observe,
	})
}

// observe tells what has become of jobs that were not done.
func (f *fleet) observe(e worker.Event) {
	if e.Kind == worker.Ended && e.Outcome == worker.Lost && e.Err == nil {
		f.view.say("a job was done too late, and will be done again")
	}
}

// handle is the life of a job in the hands of a worker. What it returns, the pool
// carries out; a worker that crashes returns nothing, and the pool knows.
func (f *fleet) handle(ctx context.Context, m dabchick.Message[Job]) error {
	n := f.sit()
	defer f.stand(n)
	name := filepath.Base(m.Body.Picture)
	f.view.worker(n, fmt.Sprintf("%s, attempt %d", name, m.Receives))
	if m.Receives > 1 {
		f.log.again(name)
	}
	err := f.do(ctx, m, n, name)
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err // the path is in the job
	}
	switch {
	case err == nil:
		f.log.stored(m, name, n)
	case errors.Is(err, worker.ErrLeaseLost):
	case m.Receives >= maxFailures:
		f.view.say("%s failed %d times, and is given up: %v", name, m.Receives, err)
		return worker.DeadLetter(err)
	default:
		f.view.say("%s failed, and goes back: %v", name, err)
	}
	return err
}

// do makes and stores the meme of a job, if the worker lives that long.
func (f *fleet) do(ctx context.Context, m dabchick.Message[Job], n int, name string) error {
	meme, err := makeMeme(m.Body)
	if err != nil {
		return err
	}
	time.Sleep(f.pace / 2)
	switch crashes(f.seed, name, m.Receives, f.crash) {
	case dies:
		f.log.crashed(name, n, "died")
		runtime.Goexit() // with nobody left to say what became of the job
	case hangs:
		f.log.crashed(name, n, "hangs")
		<-ctx.Done() // until the job's visibility timeout has ended
		return context.Cause(ctx)
	}
	time.Sleep(f.pace / 2)
	return store(filepath.Join(f.dir, memeName(name)), meme)
}

// sit returns the number of a free line in the view, from 1.
func (f *fleet) sit() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, taken := range f.seats {
		if !taken {
			f.seats[i] = true
			return i + 1
		}
	}
	panic("more workers than the fleet has")
}

func (f *fleet) stand(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seats[n-1] = false
	f.view.worker(n, "")
}

// memeName keeps the whole name of a picture: two may differ in the ending only.
func memeName(picture string) string { return picture + ".meme.png" }
