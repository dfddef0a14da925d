// Command travel is a travel site that asks several airlines for each search.
//
// A page in the browser sends a search. It goes onto a queue; one of a few
// application servers takes it, asks all airlines at the same time, and sends each
// offer back through a reply queue as it comes; the page fills. A button kills a
// server in the middle of its work. The search is not lost: its visibility timeout
// ends, it comes up again, and another server does it.
//
// Servers are worker pools here, in one process; on a wire (see server.go) they
// would be machines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dabchickmq/dabchick/examples/internal/flags"
)

type config struct {
	addr    string
	servers int
	timeout time.Duration
	seed    uint64
	demo    bool
}

func main() {
	c, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "travel:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "travel:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string, w io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("travel", flag.ContinueOnError)
	f.StringVar(&c.addr, "addr", "127.0.0.1:0", "where to listen; port 0 takes a free one")
	f.IntVar(&c.servers, "servers", 3, "number of application servers, 2 to 8")
	f.DurationVar(&c.timeout, "timeout", 4*time.Second, "visibility timeout: when the search of a dead server comes up again, 1s to 1m")
	f.Uint64Var(&c.seed, "seed", 1, "seed of prices, delays and failures")
	f.BoolVar(&c.demo, "demo", false, "search, kill the server that works on it, pick an offer, print the timeline, and end")
	if err := flags.Parse(f, args, w); err != nil {
		return c, err
	}
	switch {
	case c.servers < 2 || c.servers > 8:
		return c, fmt.Errorf("-servers is %d, allowed: 2 to 8", c.servers)
	case c.timeout < time.Second || c.timeout > time.Minute:
		return c, fmt.Errorf("-timeout is %v, allowed: 1s to 1m", c.timeout)
	}
	return c, nil
}

// run serves until ctx ends, or until the demo has.
func run(ctx context.Context, c config, w io.Writer) error {
	s, err := newSite(c)
	if err != nil {
		return err
	}
	defer s.close()
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	h := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	url := "http://" + l.Addr().String()
	if c.demo {
		err = demo(ctx, url, w)
	} else {
		fmt.Fprintf(w, "open %s in a browser; Ctrl-C ends\n", url)
		select {
		case <-ctx.Done():
		case err = <-served:
		}
	}
	s.close() // ends the streams of open pages, so that Shutdown does not wait for them
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, h.Shutdown(ending))
}
