package sqshttp

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func askJSON(ctx context.Context, s *Service, action, body string) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	w, err := s.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	return w.StatusCode, string(b), err
}

func TestPurgeThatWasCancelledKeepsNobodyAway(t *testing.T) {
	s, err := New(Options{})
	require.NoError(t, err)
	_, err = s.CreateQueue("q", nil)
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = askJSON(ended, s, "PurgeQueue", `{"QueueUrl":"q"}`)
	require.ErrorIs(t, err, context.Canceled)
	status, text, err := askJSON(t.Context(), s, "PurgeQueue", `{"QueueUrl":"q"}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, text)
}
