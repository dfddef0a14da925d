// Command mutants shows that the tests can fail. It changes the source in one
// place, builds the tests with the changed file laid over the real one, and runs
// them: tests that stay green have a hole.
//
//	go run ./internal/mutants                 the planted bugs, each of which its named checks must catch
//	go run ./internal/mutants -run purge      those whose names match
//	go run ./internal/mutants -random -n 200  changes drawn at random, in the files of -files
//
// Nothing of a change is in the module itself: see go help build on -overlay. It
// ends with a code other than zero if anything survived.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ExitOnError)
	var (
		parallel = flags.Int("parallel", runtime.NumCPU(), "how many are tried at a time")
		only     = flags.String("run", "", "try only the planted bugs whose names match this regular expression")
		limit    = flags.Duration("limit", time.Minute, "how long one run of tests may take")
		random   = flags.Bool("random", false, "try changes drawn at random instead of the planted bugs")
		n        = flags.Int("n", 200, "with -random: how many that compile")
		seed     = flags.Uint64("seed", 1, "with -random: what is drawn")
		files    = flags.String("files", "visibility.go,fifo.go,deadletter.go", "with -random: where")
	)
	flags.Parse(args) // ends the program if they are wrong
	match, err := regexp.Compile(*only)
	switch {
	case err != nil:
		return fmt.Errorf("-run: %w", err)
	case *parallel < 1:
		return fmt.Errorf("-parallel %d: at least 1", *parallel)
	case *n < 1:
		return fmt.Errorf("-n %d: at least 1", *n)
	case *limit <= 0:
		return fmt.Errorf("-limit %v: more than 0", *limit)
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected %q", flags.Arg(0))
	}
	b, err := newBench(ctx, *parallel, *limit)
	if err != nil {
		return err
	}
	defer b.close()
	if *random {
		return tryRandom(ctx, out, b, strings.Split(*files, ","), *n, rand.New(rand.NewPCG(*seed, 0)))
	}
	return tryPlanted(ctx, out, b, match)
}
