package queuetest

import (
	"testing"

	"github.com/dabchickmq/dabchick/worker"
)

// Drain lets a handler work on all that a queue has to deliver, and on what it sends
// there meanwhile, as a pool of package worker would, but in the calling goroutine:
// when Drain returns, all is done. What failed is hidden for its backoff; in a
// synctest bubble, sleep and drain again. t.Fatal may be called in the handler.
//
// It returns what has become of the messages.
func Drain[T any](t testing.TB, q worker.Queue[T], handle worker.Handler[T], o worker.Options) worker.Stats {
	t.Helper()
	p, err := worker.New(q, handle, o)
	if err == nil {
		err = p.Drain(t.Context())
	}
	if err != nil {
		t.Fatalf("queuetest: %v", err)
	}
	return p.Stats()
}
