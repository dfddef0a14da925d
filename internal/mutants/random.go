package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// enough is the share of random mutants that has to die. Some cannot: they do what
// the source does.
const enough = 0.85

// stages are the runs of tests that a random mutant has to get past. Most die of
// the first.
var stages = [][]string{
	{"-test.failfast", "-test.run=^TestRandomProgram$", "-dabchick.ops=60000"},
	// What is built without optimization allocates, and what the module depends on
	// and documents is not what is changed.
	{"-test.failfast", "-test.skip=^(TestSteadyStateAllocatesNothing|TestDependencies|TestDocumentsNameWhatExists)$"},
}

// limits runs the stages without a change, and returns how long each may take with
// one: ten times as long, so that what runs for ever does not for much of an hour.
func (b *bench) limits(ctx context.Context, tests binary) (limits []time.Duration, err error) {
	for _, args := range stages {
		began := time.Now()
		if err := b.test(ctx, tests, b.limit, 0, args...); err != nil {
			return nil, fmt.Errorf("the tests are not green without a mutant: %w", err)
		}
		limits = append(limits, min(b.limit, 10*time.Since(began)))
	}
	return limits, nil
}

// outlives runs the stages on a change, and returns nil if they are all green.
func (b *bench) outlives(ctx context.Context, tests binary, limits []time.Duration, number int) error {
	for i, args := range stages {
		if err := b.test(ctx, tests, limits[i], number, args...); err != nil {
			return err
		}
	}
	return nil
}

// tryRandom tries up to n mutants that compile, drawn from all that files of the
// root package have.
func tryRandom(ctx context.Context, out io.Writer, b *bench, files []string, n int, r *rand.Rand) error {
	var all []mutant
	for _, file := range files {
		source, err := b.source(file)
		if err != nil {
			return err
		}
		of, err := mutantsOf(file, source)
		if err != nil {
			return err
		}
		all = append(all, of...)
	}
	there := len(all)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(there, n+n/2)] // those that do not compile are fewer than a third
	changes := make([]change, len(all))
	for i := range all {
		changes[i] = change{all[i].file, all[i].text()}
	}
	fmt.Fprintf(out, "building the tests with %d of %d mutants\n", len(all), there)
	tests, broken, err := b.build(ctx, ".", changes)
	if err != nil {
		return err
	}
	limits, err := b.limits(ctx, tests)
	if err != nil {
		return err
	}
	var numbers []int
	for i := range all {
		if broken[i+1] == nil && len(numbers) < n {
			numbers = append(numbers, i+1)
		}
	}
	if len(numbers) == 0 {
		return fmt.Errorf("no mutant of %s compiles", strings.Join(files, ", "))
	}

	var mu sync.Mutex
	killed, late, green := 0, 0, 0
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	b.each(ctx, len(numbers), func(i int) {
		m := &all[numbers[i]-1]
		began := time.Now()
		err := b.outlives(ctx, tests, limits, numbers[i])
		mu.Lock()
		defer mu.Unlock()
		v := "killed"
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errNotRun):
			fail(err)
			return
		case err == nil:
			v = "SURVIVED"
			green++
		case errors.Is(err, errLimit):
			v = "timed out" // it runs for ever, which is not green either
			late++
		default:
			killed++
		}
		fmt.Fprintf(out, "%3d/%d  %-9s %6.1fs  %s\n", killed+late+green, len(numbers), v, time.Since(began).Seconds(), m)
		if err == nil {
			fmt.Fprintln(out, m.diff())
		}
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	share := float64(killed+late) / float64(len(numbers))
	fmt.Fprintf(out, "%d mutants: %d killed, %d timed out, %d survived: %.1f %% dead; %d did not compile\n",
		len(numbers), killed, late, green, 100*share, len(broken))
	if share < enough {
		return fmt.Errorf("less than %.0f %% of the mutants die", 100*enough)
	}
	return nil
}
