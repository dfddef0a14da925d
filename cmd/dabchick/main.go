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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	p := program{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inIsTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		outIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// A program is a run of the command with what it is connected to.
type program struct {
	in       io.Reader
	out, err io.Writer
	http     aws.HTTPClient // nil for the network

	inIsTerminal, outIsTerminal, errIsTerminal bool

	json bool // the flag
}
