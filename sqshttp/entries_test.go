package sqshttp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// A batch has ten entries at most, whatever is done with them, and is refused as a
// whole.
func TestElevenEntriesAreRefused(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	_, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	batch := func(n int, fields string) string {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf(`{"Id":"%d",%s}`, i, fields)
		}
		return `{"QueueUrl":"q","Entries":[` + strings.Join(entries, ",") + `]}`
	}
	for action, fields := range map[string]string{
		"SendMessageBatch":             `"MessageBody":"x"`,
		"DeleteMessageBatch":           `"ReceiptHandle":"x"`,
		"ChangeMessageVisibilityBatch": `"ReceiptHandle":"x","VisibilityTimeout":1`,
	} {
		require.Equal(t, 200, call(t, s, action, batch(10, fields)).status, action)
		x := call(t, s, action, batch(11, fields))
		require.Equal(t, 400, x.status, action)
		require.Contains(t, x.header.Get("X-Amzn-Query-Error"), "TooManyEntriesInBatchRequest", action)
	}
	x := call(t, s, "GetQueueAttributes", `{"QueueUrl":"q","AttributeNames":["ApproximateNumberOfMessages"]}`)
	require.Contains(t, x.body, `"10"`)
}
