package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitNothing = 3
)

// A failure is an error that says with which code the program ends.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

// usagef reports what the user has to write differently.
func usagef(format string, args ...any) error {
	return &failure{exitUsage, fmt.Sprintf(format, args...)}
}

var errInterrupted = errors.New("interrupted")

// exitCode returns the code for what a command has returned. Errors that are not of a
// command are the command line parser's.
func exitCode(err error, ran bool) int {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	switch {
	case err == nil:
		return exitOK
	case ran:
		return exitFailed
	default:
		return exitUsage
	}
}

// oneLine returns a text without line breaks and other control characters.
func oneLine(text string) string {
	return printable(strings.Join(strings.Fields(text), " "))
}

// explain says in one line what went wrong between here and the endpoint: an error of
// the SDK tells the story of the request around it.
func (c *client) explain(err error) error {
	if err == nil {
		return nil
	}
	if c.missing(err) {
		return fmt.Errorf("queue %s does not exist at %s: \"dabchick queues\" lists those that do", strconv.Quote(c.queue), c.endpoint)
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() != "UnknownError" {
		return fmt.Errorf("%s: %s", e.ErrorCode(), e.ErrorMessage())
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case strings.Contains(err.Error(), "failed to refresh cached credentials"): // the error has no type of its own
		return fmt.Errorf("no credentials for %s: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE", c.endpoint)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: start a server with \"dabchick serve\", or name one with -endpoint", c.endpoint)
	case isTimeout(err):
		return fmt.Errorf("%s did not answer within %v", c.endpoint, callTimeout)
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("no host %s is known: see -endpoint", e.Name)
	}
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && e.HTTPStatusCode() != 0 {
		return fmt.Errorf("%s does not answer as SQS does: HTTP status %d", c.endpoint, e.HTTPStatusCode())
	}
	return fmt.Errorf("%s: %w", c.endpoint, err)
}

// missing says whether the error is that the queue is not there.
func (c *client) missing(err error) bool {
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); ok {
		return true
	}
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && (e.ErrorCode() == "AWS.SimpleQueueService.NonExistentQueue" || e.ErrorCode() == "QueueDoesNotExist")
}
