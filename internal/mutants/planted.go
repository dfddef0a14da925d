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
	caught    verdict = "caught"
	survived  verdict = "SURVIVED"
	timedOut  verdict = "TIMED OUT" // which may mean anything
	noCompile verdict = "DOES NOT COMPILE"
	notRun    verdict = "NOT RUN"
	outOfStep verdict = "OUT OF STEP" // with the source or the tests
)

// outcome is a verdict, how long the slowest check took to come to it, and the
// reason if it is not caught.
type outcome struct {
	verdict verdict
	took    time.Duration
	reason  error
}

// tryBugs builds the tests of a package with bugs of it, and runs for each the
// checks that must catch it, after all of them without a bug: what is red anyway
// catches nothing.
func (b *bench) tryBugs(ctx context.Context, pkg string, bugs []*bug, report func(*bug, outcome)) error {
	var changes []change
	var changed []*bug
	checks := []string{}
	for _, g := range bugs {
		source, err := b.source(g.file)
		if err == nil {
			source, err = g.apply(source)
		}
		if err != nil {
			report(g, outcome{outOfStep, 0, err})
			continue
		}
		changes, changed = append(changes, change{g.file, source}), append(changed, g)
		checks = append(checks, strings.Fields(g.checks)...)
	}
	if len(changes) == 0 {
		return nil
	}
	tests, broken, err := b.build(ctx, pkg, changes)
	if err != nil {
		return err
	}
	if err := b.test(ctx, tests, b.limit, 0, "-test.run", "^("+strings.Join(checks, "|")+")$"); err != nil {
		return fmt.Errorf("the checks of %s are not green without a bug: %w", pkg, err)
	}
	b.each(ctx, len(changed), func(i int) {
		if err := broken[i+1]; err != nil {
			report(changed[i], outcome{noCompile, 0, err})
			return
		}
		report(changed[i], b.check(ctx, tests, i+1, strings.Fields(changed[i].checks)))
	})
	return ctx.Err()
}

func (b *bench) check(ctx context.Context, tests binary, number int, checks []string) outcome {
	var took time.Duration
	for _, check := range checks {
		began := time.Now()
		var err error
		for try := 0; try < 3 && err == nil; try++ { // some checks draw at random
			err = b.test(ctx, tests, b.limit, number, "-test.run", "^"+check+"$", "-test.failfast")
		}
		took = max(took, time.Since(began))
		switch {
		case err == nil:
			return outcome{survived, took, errors.New(check + " is green")}
		case errors.Is(err, errNotRun):
			return outcome{notRun, took, err}
		case errors.Is(err, errLimit):
			return outcome{timedOut, took, fmt.Errorf("%s: %w", check, err)}
		case errors.Is(err, errNoTests):
			return outcome{outOfStep, took, err}
		}
	}
	return outcome{caught, took, nil}
}

func tryPlanted(ctx context.Context, out io.Writer, b *bench, match *regexp.Regexp) error {
	began := time.Now()
	var packages []string
	bugs := map[string][]*bug{}
	total := 0
	for i := range planted {
		g := &planted[i]
		if !match.MatchString(g.name) {
			continue
		}
		pkg := path.Dir(g.file)
		if bugs[pkg] == nil {
			packages = append(packages, pkg)
		}
		bugs[pkg] = append(bugs[pkg], g)
		total++
	}
	if total == 0 {
		return fmt.Errorf("no planted bug matches %q", match)
	}
	var mu sync.Mutex
	tried, found := 0, 0
	for _, pkg := range packages {
		fmt.Fprintf(out, "building the tests of %s with %d bugs\n", pkg, len(bugs[pkg]))
		err := b.tryBugs(ctx, pkg, bugs[pkg], func(g *bug, o outcome) {
			mu.Lock()
			defer mu.Unlock()
			tried++
			if o.verdict == caught {
				found++
			}
			fmt.Fprintf(out, "%3d/%d  %-8s %6.2fs  %-8s %-60s %s\n", tried, total, o.verdict, o.took.Seconds(), g.invariants, g.name, g.checks)
			if o.reason != nil {
				fmt.Fprintf(out, "         %s\n", strings.ReplaceAll(strings.TrimSpace(o.reason.Error()), "\n", "\n         "))
			}
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d of %d planted bugs caught in %.0fs\n", found, total, time.Since(began).Seconds())
	if found < total {
		return errors.New("not every planted bug is caught by its checks")
	}
	return nil
}
