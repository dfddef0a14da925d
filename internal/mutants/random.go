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

// stages are the tests that a random mutant has to get past. Most die of the first,
// for which little is compiled.
var stages = []struct {
	only []string // tests; nil for all
	args []string
}{
	{[]string{"TestRandomProgram"}, []string{"-test.run=^TestRandomProgram$", "-dabchick.ops=60000"}},
	// The tests are built without optimization, which allocates.
	{nil, []string{"-test.skip=^TestSteadyStateAllocatesNothing$"}},
}

// outlives runs the stages on a change of the root package. It returns no error if
// they are all green, and whether the change compiles.
func (b *bench) outlives(ctx context.Context, name string, c change) (compiles bool, err error) {
	for i, s := range stages {
		tests, err := b.build(ctx, fmt.Sprint(name, "-", i), ".", c, s.only)
		if err != nil {
			return false, err
		}
		err = b.test(ctx, tests, append([]string{"-test.failfast"}, s.args...)...)
		tests.remove()
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// tryRandom tries n mutants that compile, drawn from all that files of the root
// package have.
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
	if _, err := b.outlives(ctx, "healthy", change{}); err != nil {
		return fmt.Errorf("the tests are not green without a mutant: %w", err)
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

	var mu sync.Mutex
	begun, broken, killed, late := 0, 0, 0, 0
	var survivors []*mutant
	b.each(ctx, len(all), func(i int) {
		mu.Lock()
		enough := begun-broken >= n
		if !enough {
			begun++
		}
		mu.Unlock()
		if enough {
			return
		}
		m := &all[i]
		began := time.Now()
		compiles, err := b.outlives(ctx, fmt.Sprint("mutant", i), change{m.file, m.text()})
		mu.Lock()
		defer mu.Unlock()
		v := "killed"
		switch {
		case ctx.Err() != nil:
			return
		case !compiles:
			broken++
			return
		case err == nil:
			v = "SURVIVED"
			survivors = append(survivors, m)
		case errors.Is(err, errLimit):
			v = "timed out" // it runs for ever, which is not green either
			late++
		default:
			killed++
		}
		fmt.Fprintf(out, "%3d/%d  %-9s %6.1fs  %s\n", killed+late+len(survivors), n, v, time.Since(began).Seconds(), m)
		if err == nil {
			fmt.Fprintln(out, m.diff())
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	tried := killed + late + len(survivors)
	if tried == 0 {
		return fmt.Errorf("no mutant of %s compiles", strings.Join(files, ", "))
	}
	share := float64(killed+late) / float64(tried)
	fmt.Fprintf(out, "%d mutants of %d that there are: %d killed, %d timed out, %d survived: %.1f %% dead; %d more did not compile\n",
		tried, len(all), killed, late, len(survivors), 100*share, broken)
	if share < enough {
		return fmt.Errorf("less than %.0f %% of the mutants die", 100*enough)
	}
	return nil
}
