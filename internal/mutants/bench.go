package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A bench is where changed source is built and tested.
type bench struct {
	root     string // of the module
	dir      string // for what is built
	parallel int
	limit    time.Duration // of one run of tests
}

func newBench(ctx context.Context, parallel int, limit time.Duration) (*bench, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOMOD: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	return &bench{filepath.Dir(strings.TrimSpace(string(mod))), dir, parallel, limit}, nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// source reads a file of the module by its path below the root.
func (b *bench) source(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join(b.root, filepath.FromSlash(file)))
	return string(text), err
}

// A binary is a test binary, and the folder in which its tests run.
type binary struct{ path, dir string }

func (t binary) remove() { os.Remove(t.path) }

// A change is the new text of a file of the module.
type change struct{ file, text string }

// build compiles the tests of a package with a changed file, or none. It needs to
// be fit for the given tests only; nil means all. Debug information would only
// cost time, and so would optimization: compiling takes longer than the tests.
func (b *bench) build(ctx context.Context, name, dir string, c change, tests []string) (binary, error) {
	t := binary{filepath.Join(b.dir, name+".test"), filepath.Join(b.root, filepath.FromSlash(dir))}
	replace := map[string]string{}
	if c.file != "" {
		changed := filepath.Join(b.dir, name+".go")
		defer os.Remove(changed)
		if err := os.WriteFile(changed, []byte(c.text), 0o600); err != nil {
			return t, err
		}
		replace[filepath.Join(b.root, filepath.FromSlash(c.file))] = changed
	}
	if tests != nil {
		unneeded, err := spare(t.dir, tests)
		if err != nil {
			return t, err
		}
		for _, path := range unneeded {
			replace[path] = "" // as if it were not there
		}
	}
	overlay := filepath.Join(b.dir, name+".json")
	defer os.Remove(overlay)
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err := errors.Join(err, os.WriteFile(overlay, text, 0o600)); err != nil {
		return t, err
	}
	out, err := output(ctx, t.dir, "go", "test", "-c", "-overlay", overlay, "-o", t.path,
		"-vet=off", "-ldflags=-s -w", "-gcflags=-N -l", ".")
	if err != nil {
		return t, fmt.Errorf("%w\n%s", err, out)
	}
	return t, nil
}

// errLimit is a run of tests that did not end in time.
var errLimit = errors.New("time limit reached")

// programOps is how many operations the random programs of the root package run:
// more find no more of what they can find, in what a mutant is worth.
const programOps = "-dabchick.ops=300000"

// test runs tests, and returns nil if they are green. The error has what they
// printed.
func (b *bench) test(ctx context.Context, t binary, args ...string) error {
	if t.dir == b.root {
		args = append([]string{programOps}, args...) // which args may override
	}
	limited, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	out, err := output(limited, t.dir, t.path, args...)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return errLimit
	case err != nil:
		return fmt.Errorf("%w\n%s", err, out)
	case strings.Contains(out, "no tests to run"):
		return fmt.Errorf("%w for %v", errNoTests, args)
	}
	return nil
}

var errNoTests = errors.New("no tests to run")

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// each calls do for 0 to n-1, some at a time, until ctx ends.
func (b *bench) each(ctx context.Context, n int, do func(i int)) {
	next := make(chan int)
	var working sync.WaitGroup
	for range b.parallel {
		working.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	defer working.Wait()
	defer close(next)
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			return
		}
	}
}
