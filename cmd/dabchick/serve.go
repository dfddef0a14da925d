package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

const (
	localAddr = "127.0.0.1:9324"
	// grace is how long requests that are under way may take when the server stops.
	grace = 10 * time.Second
)

// serveFlags are those of the command serve. What is given there wins over the file.
type serveFlags struct {
	config, addr, region, account, baseURL string
	queues, hosts, keys                    []string
	noPauses, open                         bool
}

func (p *program) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Start an SQS server, on loopback unless told otherwise", Args: arguments(),
		Long: `serve starts an SQS server at ` + localAddr + `, and prints what an AWS SDK needs to
find it. Queues are kept in memory, and end with the server.

A queue is given as NAME or NAME,Attribute=value,... with the attributes of SQS
(VisibilityTimeout=60, DelaySeconds=5, ...). One whose name ends in .fifo is a
FIFO queue. deadLetter=NAME and maxReceives=N stand for a RedrivePolicy.

Without access keys, whoever reaches the server may do everything; so it listens
on loopback only. With keys, requests must be signed with Signature Version 4.
They are best given in the environment variable DABCHICK_KEYS, as ID:SECRET, or
several with commas between them: flags can be seen by other users.

A file for -config is JSON, with any of these fields:

  {
    "addr": "127.0.0.1:9324", "region": "us-east-1", "account": "000000000000",
    "baseURL": "", "hosts": [], "noPauses": false, "keys": {"ID": "SECRET"},
    "queues": [
      {"name": "jobs", "deadLetter": "jobs-dead", "maxReceives": 3,
       "attributes": {"VisibilityTimeout": 60}},
      {"name": "jobs-dead"}
    ]
  }

On SIGINT or SIGTERM it accepts nothing more, answers polls that wait, finishes
what is under way (for ` + grace.String() + ` at most) and ends with code 0. A second signal ends it
at once.`,
		Example: "  dabchick serve -queue jobs -queue orders.fifo,ContentBasedDeduplication=true\n" +
			"  dabchick serve -queue jobs-dead -queue jobs,deadLetter=jobs-dead,maxReceives=3\n" +
			"  dabchick serve -config queues.json -addr 127.0.0.1:0 -json",
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "`file` to read settings from")
	flags.StringVar(&f.addr, "addr", "", "`host:port` to listen on, by default "+localAddr+"; port 0 for any that is free")
	flags.StringArrayVar(&f.queues, "queue", nil, "`queue` to begin with; may be repeated")
	flags.StringArrayVar(&f.keys, "key", nil, "access key as `ID:SECRET`; may be repeated")
	flags.StringArrayVar(&f.hosts, "host", nil, "host `name` under which clients reach the server, beyond loopback's; may be repeated")
	flags.StringVar(&f.region, "region", "", "`region` in ARNs, by default us-east-1")
	flags.StringVar(&f.account, "account", "", "`account` in queue URLs and ARNs, by default 000000000000")
	flags.StringVar(&f.baseURL, "base-url", "", "`URL` with which queue URLs begin, if not that of the request")
	flags.BoolVar(&f.noPauses, "no-pauses", false, "leave out SQS's 60 s between purges, and before a deleted name is used again")
	flags.BoolVar(&f.open, "unsafe-open", false, "listen beyond loopback without keys: everybody there may do everything")
	return cmd
}

// merged returns the settings of the file, the environment and the flags together.
func (f *serveFlags) merged() (config, error) {
	var c config
	if f.config != "" {
		var err error
		if c, err = readConfig(f.config); err != nil {
			return c, err
		}
	}
	c.Addr = cmp.Or(f.addr, c.Addr, localAddr)
	c.Region = cmp.Or(f.region, c.Region)
	c.Account = cmp.Or(f.account, c.Account)
	c.BaseURL = cmp.Or(f.baseURL, c.BaseURL)
	c.Hosts = append(c.Hosts, f.hosts...)
	c.NoPauses = c.NoPauses || f.noPauses
	for _, text := range f.queues {
		q, err := parseQueue(text)
		if err != nil {
			return c, err
		}
		c.Queues = append(c.Queues, q)
	}
	if env := os.Getenv(keysVariable); env != "" {
		if err := c.addKeys(keysVariable, strings.Split(env, ",")); err != nil {
			return c, err
		}
	}
	return c, c.addKeys("-key", f.keys)
}

// keysVariable is of the environment, where other users do not see it.
const keysVariable = "DABCHICK_KEYS"

// addKeys adds access keys, ID:SECRET each.
func (c *config) addKeys(from string, texts []string) error {
	for _, text := range texts {
		id, secret, ok := strings.Cut(text, ":")
		if !ok || id == "" || secret == "" {
			return usagef("%s is not of the form ID:SECRET", from) // and is not repeated: it may be the secret
		}
		if c.Keys == nil {
			c.Keys = map[string]string{}
		}
		c.Keys[id] = secret
	}
	return nil
}

// admit refuses an address at which strangers would be let in without that being said,
// and adds its name to those that the server answers to.
func (c *config) admit(open bool) error {
	host, port, err := net.SplitHostPort(c.Addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return usagef("addr is %q, allowed: host:port as %s", c.Addr, localAddr)
	}
	switch ip := net.ParseIP(host); {
	case host == "" || onLoopback(host): // package sqshttp takes "" for loopback too
	case len(c.Keys) == 0 && !open:
		return usagef("addr is %q, allowed without keys: loopback, as %s (see -key and -unsafe-open)", c.Addr, localAddr)
	case ip == nil || !ip.IsUnspecified():
		c.Hosts = append(c.Hosts, host)
	case len(c.Hosts) == 0:
		return usagef("addr is %q, and needs -host: the name under which clients reach this server", c.Addr)
	}
	return nil
}

// listen opens the port.
func (c *config) listen(s *sqshttp.Service, open bool) (*sqshttp.Server, error) {
	server, err := s.Listen(sqshttp.ListenOptions{Address: c.Addr, Unsafe: open})
	if err == nil {
		return server, nil
	}
	if e, ok := errors.AsType[*dabchick.InvalidError](err); ok {
		return nil, usagef("addr is %q, allowed: %s", c.Addr, e.Allowed)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: choose another with -addr, or port 0 for any that is free", c.Addr)
	}
	return nil, err
}

func (p *program) serve(ctx context.Context, f serveFlags) error {
	c, err := f.merged()
	if err != nil {
		return err
	}
	if err := c.admit(f.open); err != nil {
		return err
	}
	s, err := c.service()
	if err != nil {
		return err
	}
	defer s.Close()
	server, err := c.listen(s, f.open)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := p.announce(&c, server.URL()); err != nil {
		return err
	}
	stopped := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})()
	if err := server.Serve(); err != nil {
		return err
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("requests that were not finished %v after the signal were cut off", grace)
	}
	fmt.Fprintln(p.err, "dabchick: serve: stopped")
	return nil
}

// announce prints where the server is, and what a client needs to find it.
func (p *program) announce(c *config, at string) error {
	names := []string{}
	for _, q := range c.Queues {
		names = append(names, q.Name)
	}
	if p.json {
		return p.emit(map[string]any{"endpoint": at, "region": c.Region, "queues": names})
	}
	id, secret := "any", "any"
	if ids := slices.Sorted(maps.Keys(c.Keys)); len(ids) > 0 {
		id, secret = ids[0], "..." // it is not printed: output is often kept
	}
	list := "no queues yet: make one with \"dabchick create\", or -queue"
	if len(names) > 0 {
		list = "with queues " + strings.Join(names, ", ")
	}
	_, err := fmt.Fprintf(p.out, `SQS at %s, in memory, %s
An AWS SDK or CLI finds it by

  export AWS_ENDPOINT_URL_SQS=%s
  export AWS_REGION=%s
  export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s

Ctrl-C stops it.
`, at, list, at, c.Region, id, secret)
	return err
}
