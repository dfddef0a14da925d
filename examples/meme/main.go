// Command meme is a site where people upload pictures that become memes: the
// classic story of a queue.
//
// A folder is the bucket. Every picture that arrives in it becomes a job on a
// queue; a fleet of workers takes jobs, draws words onto the pictures and stores
// the memes. There are as many workers as the backlog needs. Some crash in the
// middle of a job, on purpose: the jobs of those that die come up again at once, of
// those that hang when the visibility timeout has passed, and another worker does
// them. What cannot be done ends in the dead-letter queue, with the reason. In the
// end every job is accounted for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/examples/internal/flags"
)

// config is what the flags say.
type config struct {
	in, out string
	watch   bool
	workers int
	crash   float64
	timeout time.Duration
	pace    time.Duration
	seed    uint64
	limit   int
}

func main() {
	c, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "meme:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once

	var v view = &lines{w: os.Stdout}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		v = newBars(os.Stdout, c.workers)
	}
	r, err := run(ctx, c, v)
	v.close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "meme:", err)
		os.Exit(1)
	}
	r.print(os.Stdout)
	if r.lost() != 0 {
		os.Exit(1)
	}
}

func parseFlags(args []string, w io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("meme", flag.ContinueOnError)
	f.StringVar(&c.in, "in", "", "`folder` with JPEG, PNG or GIF files, which is the bucket; by default, copies of the pictures that come with Go")
	f.BoolVar(&c.watch, "watch", false, "with -in: wait for more pictures until Ctrl-C, rather than end when all are done")
	f.StringVar(&c.out, "out", filepath.Join("out", "meme"), "`folder` for results; each run makes one of its own there")
	f.IntVar(&c.workers, "workers", 8, "the most workers, 1 to 64; their number follows the backlog")
	f.Float64Var(&c.crash, "crash", 0.2, "chance that a worker crashes in the middle of a job, 0 to 0.9: two of three die, one hangs")
	f.DurationVar(&c.timeout, "timeout", 2*time.Second, "visibility timeout: when the job of a worker that hangs comes up again, 100ms to 1h")
	f.DurationVar(&c.pace, "pace", 600*time.Millisecond, "how long a job takes at least, so that there is something to see; less than half of -timeout")
	f.Uint64Var(&c.seed, "seed", 1, "seed of texts and crashes")
	f.IntVar(&c.limit, "limit", 0, "without -in: the most pictures to take; 0 for all")
	if err := flags.Parse(f, args, w); err != nil {
		return c, err
	}
	invalid := func(name string, value any, allowed string) (config, error) {
		return c, fmt.Errorf("-%s is %v, allowed: %s", name, value, allowed)
	}
	switch {
	case c.workers < 1 || c.workers > 64:
		return invalid("workers", c.workers, "1 to 64")
	case !(c.crash >= 0 && c.crash <= 0.9):
		return invalid("crash", c.crash, "0 to 0.9")
	case c.timeout < 100*time.Millisecond || c.timeout > time.Hour:
		return invalid("timeout", c.timeout, "100ms to 1h")
	case c.pace < 0 || c.pace >= c.timeout/2:
		return invalid("pace", c.pace, fmt.Sprintf("0 to less than %v, half of -timeout", c.timeout/2))
	case c.limit < 0:
		return invalid("limit", c.limit, "0 or more")
	case c.watch && c.in == "":
		return invalid("watch", c.watch, "only with -in")
	case c.in != "" && c.limit != 0:
		return invalid("limit", c.limit, "only without -in")
	}
	if c.in != "" {
		if info, err := os.Stat(c.in); err != nil {
			return c, fmt.Errorf("-in: %w", err)
		} else if !info.IsDir() {
			return invalid("in", c.in, "a folder")
		}
	}
	return c, nil
}

// run makes memes until all jobs are done or given up, or ctx ends.
func run(ctx context.Context, c config, v view) (*report, error) {
	dir := filepath.Join(c.out, time.Now().Format("20060102-150405.000"))
	memes := filepath.Join(dir, "memes")
	if err := os.MkdirAll(memes, 0o755); err != nil {
		return nil, err
	}
	b := bucket{dir: c.in, seen: map[string]bool{}}
	var pictures []string
	if c.in == "" {
		var err error
		if pictures, err = goPictures(); err != nil {
			return nil, err
		}
		if c.limit > 0 {
			pictures = pictures[:min(c.limit, len(pictures))]
		}
		b.dir = filepath.Join(dir, "bucket")
		if err := os.Mkdir(b.dir, 0o755); err != nil {
			return nil, err
		}
	}

	log := newLedger(v)
	dead, err := dabchick.New("memes-dead", dabchick.Options[Job]{Retention: dabchick.Forever})
	if err != nil {
		return nil, err
	}
	jobs, err := dabchick.New("memes", dabchick.Options[Job]{
		VisibilityTimeout: c.timeout,
		DeadLetter:        dead,
		MaxReceives:       maxReceives,
		OnEvent:           log.observe,
	})
	if err != nil {
		return nil, err
	}

	// The fleet and the uploads stop when the jobs are done, or with ctx.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	f := fleet{
		jobs: jobs, dir: memes, workers: c.workers, timeout: c.timeout, crash: c.crash, seed: c.seed,
		pace: c.pace, view: v, log: log,
	}
	pool, err := f.pool()
	if err != nil {
		return nil, err
	}
	s := site{jobs: jobs, dead: dead, log: log, bucket: &b, seed: c.seed, watch: c.watch, workers: func() int { return pool.Stats().Workers }}
	var wg sync.WaitGroup
	worked := make(chan error, 1)
	wg.Go(func() { worked <- pool.Run(ctx) })
	wg.Go(func() { s.watchQueue(ctx) })
	uploaded := make(chan error, 1)
	wg.Go(func() { uploaded <- upload(ctx, pictures, b.dir) })

	err = s.takeUploads(ctx, uploaded)
	stop()
	wg.Wait()
	s.sample() // the last state, for the end of the plot
	if err = errors.Join(err, <-worked); err != nil {
		return nil, err
	}
	return newReport(dir, memes, jobs, dead, log)
}
