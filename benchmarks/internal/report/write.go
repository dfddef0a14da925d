package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The files of a directory of results.
const (
	RawFile    = "raw.jsonl"
	TablesFile = "tables.md"
)

// Write writes tables and plots into a directory.
func Write(d *Data, dir string) error {
	text := "# Benchmarks\n\n" + d.Tables("")
	if err := os.WriteFile(filepath.Join(dir, TablesFile), []byte(text), 0o644); err != nil {
		return err
	}
	return d.plots(dir)
}

const (
	beginning = "<!-- results: written by go run ./benchmarks -docs -->"
	end       = "<!-- end of results -->"
)

// Render writes tables and plots anew from the raw results in a directory, and puts the
// tables into a page, between its two marks.
func Render(dir, page string) error {
	d, err := Read(filepath.Join(dir, RawFile))
	if err != nil {
		return err
	}
	if err := Write(d, dir); err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	at, err := filepath.Rel(filepath.Dir(page), dir)
	if err != nil {
		return err
	}
	changed, err := between(string(text), d.Tables(filepath.ToSlash(at)))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(changed), 0o644)
}

// between puts a text between the marks of a page.
func between(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, beginning)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		return "", fmt.Errorf("it has no lines %q and %q", beginning, end)
	}
	return before + beginning + "\n\n" + text + end + after, nil
}
