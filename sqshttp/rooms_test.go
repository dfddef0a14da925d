package sqshttp

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// A hook that panics ends its request, as net/http has it, and the room that the body had
// is free.
func TestPanicInAHookLeavesItsRoom(t *testing.T) {
	s, err := New(Options{})
	require.NoError(t, err)
	q, err := dabchick.New("q", dabchick.Options[string]{OnEvent: func(dabchick.Event[string]) { panic("hook") }})
	require.NoError(t, err)
	require.NoError(t, Register(s, q))
	r := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(`{"QueueUrl":"q","MessageBody":"`+strings.Repeat("x", smallBody)+`"}`))
	r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	require.PanicsWithValue(t, "hook", func() { s.ServeHTTP(httptest.NewRecorder(), r) })
	require.Empty(t, s.limits.rooms[0])
}
