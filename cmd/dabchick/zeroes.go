package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// zeroes says which numbers of a receive, or of a send, are sent even if they are 0. The SDK
// leaves a 0 out, and then SQS takes the queue's own setting.
type zeroes struct{ wait, visibility, delay bool }

func (z zeroes) option(o *sqs.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Serialize.Insert(middleware.SerializeMiddlewareFunc("dabchick.zeroes", z.write), "OperationSerializer", middleware.After)
	})
}

// write adds to the body what the SDK has left out.
func (z zeroes) write(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (
	out middleware.SerializeOutput, metadata middleware.Metadata, err error,
) {
	given, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return next.HandleSerialize(ctx, in)
	}
	body, err := io.ReadAll(given.GetStream())
	if err != nil {
		return out, metadata, err
	}
	defaults := map[string]any{}
	if z.wait {
		defaults["WaitTimeSeconds"] = 0
	}
	if z.visibility {
		defaults["VisibilityTimeout"] = 0
	}
	if z.delay {
		defaults["DelaySeconds"] = 0
	}
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		return out, metadata, err
	}
	messages := []any{members}
	if entries, ok := members["Entries"].([]any); ok { // a batch has them in each entry
		messages = entries
	}
	for _, m := range messages {
		m, _ := m.(map[string]any)
		for name, zero := range defaults {
			if _, there := m[name]; m != nil && !there {
				m[name] = zero
			}
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		return out, metadata, err
	}
	if in.Request, err = given.SetStream(strings.NewReader(string(text))); err != nil {
		return out, metadata, err
	}
	return next.HandleSerialize(ctx, in)
}
