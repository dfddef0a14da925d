package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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

// path returns where a file of the module is.
func (b *bench) path(file string) string { return filepath.Join(b.root, filepath.FromSlash(file)) }

// source reads a file of the module.
func (b *bench) source(file string) (string, error) {
	text, err := os.ReadFile(b.path(file))
	return string(text), err
}

// A binary is a test binary with changes in it, and the folder in which its tests
// run. Changes are numbered from 1.
type binary struct{ path, dir string }

var place = regexp.MustCompile(`(?m)([\w.-]+\.go):(\d+):`)

// build compiles the tests of a package with changes of its files. broken are those
// that do not compile; they are left out. Without optimization it takes half the
// time.
func (b *bench) build(ctx context.Context, pkg string, changes []change) (t binary, broken map[int]error, err error) {
	t.dir = b.path(pkg)
	t.path = filepath.Join(b.dir, filepath.Base(t.dir)+".test")
	broken = map[int]error{}
	for {
		overlay, spans, err := b.lay(pkg, changes, broken)
		if err != nil {
			return t, broken, err
		}
		out, err := output(ctx, t.dir, nil, "go", "test", "-c", "-overlay", overlay, "-o", t.path,
			"-vet=off", "-ldflags=-s -w", "-gcflags=-N -l -e", ".")
		if err == nil {
			return t, broken, nil
		}
		before := len(broken)
		for _, m := range place.FindAllStringSubmatch(out, -1) {
			line, _ := strconv.Atoi(m[2])
			for _, s := range spans[m[1]] {
				if s.from <= line && line <= s.to {
					broken[s.number] = fmt.Errorf("%w\n%s", err, out)
				}
			}
		}
		if len(broken) == before { // it is not for a change
			return t, broken, fmt.Errorf("%w\n%s", err, out)
		}
	}
}

// lay writes the changed files of a package, and the overlay that puts them in the
// place of the real ones. spans are by the name of the file.
func (b *bench) lay(pkg string, changes []change, broken map[int]error) (overlay string, spans map[string][]span, err error) {
	numbers, texts := map[string][]int{}, map[string][]string{} // by file
	for i, c := range changes {
		if broken[i+1] == nil {
			numbers[c.file] = append(numbers[c.file], i+1)
			texts[c.file] = append(texts[c.file], c.text)
		}
	}
	replace := map[string]string{}
	write := func(file, text string) error {
		to := filepath.Join(b.dir, filepath.Base(file))
		replace[b.path(file)] = to
		return os.WriteFile(to, []byte(text), 0o600)
	}
	spans = map[string][]span{}
	for file := range numbers {
		source, err := b.source(file)
		if err != nil {
			return "", nil, err
		}
		text, at, unfit := withSwitches(source, numbers[file], texts[file])
		for number, err := range unfit {
			broken[number] = err
		}
		spans[filepath.Base(file)] = at
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.PackageClauseOnly)
		if err != nil {
			return "", nil, err
		}
		err = errors.Join(write(file, text), write(pkg+"/active_mutant.go", selector(parsed.Name.Name)))
		if err != nil {
			return "", nil, err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	overlay = filepath.Join(b.dir, "overlay.json")
	return overlay, spans, errors.Join(err, os.WriteFile(overlay, text, 0o600))
}

// programOps is how many operations the random programs of the root package run:
// more find no more of what they can find, in what a mutant is worth.
const programOps = "-dabchick.ops=300000"

var (
	errLimit   = errors.New("time limit reached")
	errNoTests = errors.New("no tests to run")
	errNotRun  = errors.New("the tests could not be run") // which says nothing of a change
)

// test runs tests with a change switched on, or none if that is 0, and returns nil
// if they are green. The error has what they printed.
func (b *bench) test(ctx context.Context, t binary, limit time.Duration, number int, args ...string) error {
	if t.dir == b.root {
		args = append([]string{programOps}, args...) // which args may override
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := output(limited, t.dir, []string{selected + "=" + strconv.Itoa(number)}, t.path, args...)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return errLimit
	case err != nil:
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
			return fmt.Errorf("%w: %w", errNotRun, err)
		}
		return fmt.Errorf("%w\n%s", err, out)
	case strings.Contains(out, errNoTests.Error()):
		return fmt.Errorf("%w for %v", errNoTests, args)
	}
	return nil
}

func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
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
