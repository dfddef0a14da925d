package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/spf13/cobra"
)

const (
	localEndpoint = "http://" + localAddr
	callTimeout   = 30 * time.Second // of one call: a long poll takes 20
	attempts      = 3                // at a call that may succeed when it is repeated
)

// A target is the endpoint that the flags of a command name.
type target struct{ endpoint, region string }

// flags adds those that say where the endpoint is.
func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.endpoint, "endpoint", "", "`URL` of the SQS endpoint; by default $AWS_ENDPOINT_URL_SQS, $AWS_ENDPOINT_URL, or "+localEndpoint)
	cmd.Flags().StringVar(&t.region, "region", "", "`region` to sign for; by default $AWS_REGION, that of the profile, or us-east-1")
}

// A client talks to an SQS endpoint.
type client struct {
	*sqs.Client
	endpoint string
	queue    string  // which the command is about
	url      *string // of that queue
}

// connect returns a client. Nothing is sent yet.
func (p *program) connect(ctx context.Context, t target) (*client, error) {
	at := cmp.Or(t.endpoint, os.Getenv("AWS_ENDPOINT_URL_SQS"), os.Getenv("AWS_ENDPOINT_URL"), localEndpoint)
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("-endpoint is %q, allowed: a URL as %s", at, localEndpoint)
	}
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(cmp.Or[aws.HTTPClient](p.http, network())),
		awsconfig.WithRetryer(newRetryer),
		awsconfig.WithLogger(logging.Nop{}), // errors are told once, in one line
	}
	if onLoopback(u.Hostname()) && os.Getenv("AWS_ACCESS_KEY_ID") == "" && os.Getenv("AWS_PROFILE") == "" {
		// A server here takes any, unless it has been given keys.
		options = append(options, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("dabchick", "dabchick", "")))
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	c.Region = cmp.Or(t.region, c.Region, "us-east-1")
	if !smithyhttp.ValidHostLabel(c.Region) {
		return nil, usagef("region is %q, allowed: letters, digits and -", c.Region)
	}
	there := func(o *sqs.Options) { o.BaseEndpoint = &at } // after the SDK has looked at the environment itself
	return &client{Client: sqs.NewFromConfig(c, there), endpoint: at}, nil
}

func network() aws.HTTPClient {
	return awshttp.NewBuildableClient().WithTimeout(callTimeout).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second }).
		WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = mostConcurrent })
}

// newRetryer returns the SDK's, but that it does not insist where nobody listens or
// answers.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			var dns *net.DNSError
			if errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &dns) || isTimeout(err) {
				return aws.FalseTernary
			}
			return aws.UnknownTernary
		})}, o.Retryables...)
	})
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func onLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// open returns a client for one queue, which is given by name or URL.
func (p *program) open(ctx context.Context, t target, queue string) (*client, error) {
	c, err := p.connect(ctx, t)
	if err != nil {
		return nil, err
	}
	c.queue = queue
	if strings.Contains(queue, "://") {
		u, err := url.Parse(queue)
		if err != nil || u.Host == "" {
			return nil, usagef("%q is not the URL of a queue", queue)
		}
		if at, _ := url.Parse(c.endpoint); t.endpoint == "" && u.Host != at.Host { // it has been parsed before
			return nil, usagef("queue %s is not at the endpoint %s: say with -endpoint which is meant", queue, c.endpoint)
		}
		c.queue, c.url = path.Base(queue), &queue
		return c, nil
	}
	out, err := c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &queue})
	if err != nil {
		return nil, c.explain(err)
	}
	c.url = out.QueueUrl
	return c, nil
}

func (c *client) fifo() bool { return strings.HasSuffix(c.queue, ".fifo") }

// attributes returns some of those of a queue.
func (c *client) attributes(ctx context.Context, url *string, names ...types.QueueAttributeName) (map[string]string, error) {
	out, err := c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: names})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// list returns the URLs of the queues whose names begin with prefix, page by page.
func (c *client) list(ctx context.Context, prefix string) ([]string, error) {
	in := &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)}
	if prefix != "" {
		in.QueueNamePrefix = &prefix
	}
	var urls []string
	for pages := sqs.NewListQueuesPaginator(c, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.explain(err)
		}
		urls = append(urls, page.QueueUrls...)
	}
	return urls, nil
}

// completeQueue offers a shell the names of queues for the one argument of a command.
func (p *program) completeQueue(t *target) cobra.CompletionFunc {
	names := p.completeQueues(t)
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cmd, args, begun)
	}
}

// completeQueues offers a shell the names of queues.
func (p *program) completeQueues(t *target) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
		defer cancel()
		var names []string
		if c, err := p.connect(ctx, *t); err == nil {
			urls, _ := c.list(ctx, begun) // a shell has no place for an error
			for _, u := range urls {
				names = append(names, path.Base(u))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
