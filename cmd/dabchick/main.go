// Command dabchick is an SQS server for development and tests, and a command line for
// any SQS endpoint.
//
//	dabchick serve -queue jobs          a server on loopback, with a queue
//	dabchick send jobs "resize beach"   a message into it
//	dabchick receive jobs -delete       and out of it
//
// docs/command.md shows every command at work; dabchick help COMMAND says what it takes.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/term"
)

func main() {
	p := program{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inIsTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		errIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		p.out = screen{os.Stdout}
	}
	os.Exit(p.run(untilSignal(), os.Args[1:]))
}

// untilSignal returns a context that ends with the first signal. The second ends the
// program at once, as soon as the context has ended.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel()
	}()
	return ctx
}

// A program is a run of the command with what it is connected to.
type program struct {
	in       io.Reader
	out, err io.Writer
	http     aws.HTTPClient // nil for the network

	inIsTerminal, errIsTerminal bool

	json bool // the flag
}
