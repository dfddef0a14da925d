package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A bug is a change of one place in the source, and the checks that must notice
// it, each of them.
type bug struct {
	name       string
	invariants string // by their ids, see docs/mutants.md
	file       string
	old, new   string // old is in the file exactly once
	checks     string // names of tests in the package of file, separated by spaces
}

// apply returns the file with the bug in it.
func (g *bug) apply(source string) (string, error) {
	if n := strings.Count(source, g.old); n != 1 {
		return "", fmt.Errorf("%s has %d times, instead of once, the text %q", g.file, n, g.old)
	}
	return strings.Replace(source, g.old, g.new, 1), nil
}

// verdict is what became of a change.
type verdict string

const (
	caught     verdict = "caught"
	survived   verdict = "SURVIVED"
	timedOut   verdict = "TIMED OUT" // which may mean anything
	noCompile  verdict = "DOES NOT COMPILE"
	outOfStep  verdict = "OUT OF STEP" // with the source or the tests
	notStarted verdict = "not tried"
)

// try builds the tests with a bug and runs the checks that must catch it. It
// returns how long the slowest of them took, and the reason for any verdict but
// caught.
func (b *bench) try(ctx context.Context, g *bug, name string) (v verdict, took time.Duration, reason error) {
	source, err := b.source(g.file)
	if err != nil {
		return outOfStep, 0, err
	}
	text, err := g.apply(source)
	if err != nil {
		return outOfStep, 0, err
	}
	checks := strings.Fields(g.checks)
	tests, err := b.build(ctx, name, path.Dir(g.file), change{g.file, text}, checks)
	if err != nil {
		return noCompile, 0, err
	}
	defer tests.remove()
	for _, check := range checks {
		began := time.Now()
		err := b.test(ctx, tests, "-test.run", "^"+check+"$", "-test.failfast")
		took = max(took, time.Since(began))
		switch {
		case err == nil:
			return survived, took, errors.New(check + " is green")
		case errors.Is(err, errLimit):
			return timedOut, took, fmt.Errorf("%s: %w", check, err)
		case errors.Is(err, errNoTests):
			return outOfStep, took, err
		}
	}
	return caught, took, nil
}

// healthy runs all checks of some bugs on the source as it is: what is red
// anyway catches nothing.
func (b *bench) healthy(ctx context.Context, bugs []bug) error {
	checks := map[string][]string{} // by package
	for _, g := range bugs {
		dir := path.Dir(g.file)
		checks[dir] = append(checks[dir], strings.Fields(g.checks)...)
	}
	for dir, names := range checks {
		tests, err := b.build(ctx, "healthy", dir, change{}, names)
		if err != nil {
			return err
		}
		err = b.test(ctx, tests, "-test.run", "^("+strings.Join(names, "|")+")$")
		tests.remove()
		if err != nil {
			return fmt.Errorf("the checks of %s are not green without a bug: %w", dir, err)
		}
	}
	return nil
}

func tryPlanted(ctx context.Context, out io.Writer, b *bench, match *regexp.Regexp) error {
	var bugs []bug
	for _, g := range planted {
		if match.MatchString(g.name) {
			bugs = append(bugs, g)
		}
	}
	if len(bugs) == 0 {
		return fmt.Errorf("no planted bug matches %q", match)
	}
	if err := b.healthy(ctx, bugs); err != nil {
		return err
	}
	began := time.Now()
	var mu sync.Mutex
	done := 0
	found := map[verdict]int{notStarted: len(bugs)}
	b.each(ctx, len(bugs), func(i int) {
		g := &bugs[i]
		v, took, reason := b.try(ctx, g, fmt.Sprint("bug", i))
		mu.Lock()
		defer mu.Unlock()
		done++
		found[v]++
		found[notStarted]--
		fmt.Fprintf(out, "%3d/%d  %-8s %6.2fs  %-8s %-50s %s\n", done, len(bugs), v, took.Seconds(), g.invariants, g.name, g.checks)
		if reason != nil {
			fmt.Fprintf(out, "         %s\n", strings.ReplaceAll(strings.TrimSpace(reason.Error()), "\n", "\n         "))
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d of %d planted bugs caught in %.0fs\n", found[caught], len(bugs), time.Since(began).Seconds())
	if found[caught] < len(bugs) {
		return errors.New("not every planted bug is caught by its checks")
	}
	return nil
}
