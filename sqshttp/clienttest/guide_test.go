package clienttest

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

func clientOfEmulator(t *testing.T) *sqs.Client {
	cfg, err := config.LoadDefaultConfig(t.Context(),
		config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(aws.AnonymousCredentials{}),
		config.WithBaseEndpoint(os.Getenv("SQS_ENDPOINT"))) // a container's
	require.NoError(t, err)
	return sqs.NewFromConfig(cfg)
}

func clientInProcess(t *testing.T) *sqs.Client {
	service, err := sqshttp.New(sqshttp.Options{})
	require.NoError(t, err)
	t.Cleanup(service.Close)
	cfg := aws.Config{HTTPClient: service, Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}
	return sqs.NewFromConfig(cfg)
}

// The guide's clients, before and after, are those above; and the same test passes with
// either.
func TestGuide(t *testing.T) {
	orders := func(t *testing.T, c *sqs.Client) {
		url := create(t, c, "orders")
		send(t, c, url, "one coffee")
		require.Equal(t, "one coffee", *receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url})[0].Body)
	}
	t.Run("before", func(t *testing.T) {
		server := httptest.NewServer(newService(t))
		defer server.Close()
		t.Setenv("SQS_ENDPOINT", server.URL)
		orders(t, clientOfEmulator(t))
	})
	t.Run("after", func(t *testing.T) { orders(t, clientInProcess(t)) })

	guide, err := os.ReadFile("../../docs/aws-sdk.md")
	require.NoError(t, err)
	source, err := os.ReadFile("guide_test.go")
	require.NoError(t, err)
	bodies := func(text []byte, name string) (all []string) {
		for _, after := range strings.Split(string(text), "\nfunc "+name+"(t *testing.T) *sqs.Client {\n")[1:] {
			body, _, _ := strings.Cut(after, "\n}\n")
			all = append(all, body)
		}
		return all
	}
	require.Equal(t, append(bodies(source, "clientOfEmulator"), bodies(source, "clientInProcess")...), bodies(guide, "newClient"))
}
