// Command soak uses queues hard for a chosen time, on all cores: producers whose
// rates fill and drain them, consumers that crash, stall, cancel, extend, give back
// and bury, and operators who pause, purge, redrive and change options. It shows
// how far it is, adds everything up, and writes a report with a picture.
//
//	go run ./examples/internal/soak -for 30m -out soak
//	go run -race ./examples/internal/soak -for 10m -out soak-race
//
// It ends with a non-zero code if anything does not add up.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	length := flag.Duration("for", 30*time.Second, "how long to run")
	out := flag.String("out", "soak", "folder for the report")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "soak: unexpected argument %q: see -help\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*length, *out); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(length time.Duration, out string) error {
	if length < time.Second {
		return fmt.Errorf("-for is %v, allowed: at least 1s", length)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	s, err := newSoak()
	if err != nil {
		return err
	}
	s.run(length)
	report := s.report()
	fmt.Print(report) // also if it cannot be written
	if err := s.draw(filepath.Join(out, "soak.png"), length); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "report.md"), []byte(report), 0o644); err != nil {
		return err
	}
	if n, first := s.faulty(); n > 0 {
		return fmt.Errorf("%d faults, the first: %s", n, first)
	}
	return nil
}
