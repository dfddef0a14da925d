package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// The handler of a drain hears of the end as that of a pool does.
func TestDrainStopsItsHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2")
		var cause error
		p, err := worker.New(q, func(ctx context.Context, _ dabchick.Message[string]) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return cause
		}, worker.Options{Grace: 10 * time.Second})
		require.NoError(t, err)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, p.Drain(ctx))
		require.Equal(t, time.Minute+10*time.Second, time.Since(began))
		require.Equal(t, worker.ErrStopping, cause)
		require.EqualValues(t, 1, p.Stats().Returned)
		counts(t, q, 2, 0, 0)
	})
}

// deafReturn is a backend that does not answer when something is given back.
type deafReturn struct{ *dabchick.Queue[string] }

func (deafReturn) Return(ctx context.Context, _ ...dabchick.Receipt) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStopDoesNotWaitForABackend(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{}, "1", "2")
		r := run(t, deafReturn{q}, busyFor(time.Hour), worker.Options{Workers: 2})
		var abandoned *worker.AbandonedError
		require.ErrorAs(t, r.stop(), &abandoned)
		require.Len(t, abandoned.Messages, 2)
		require.Equal(t, 40*time.Second, time.Since(r.began), "grace, patience, and 5 s for all that is given back")
		time.Sleep(time.Hour)
		counts(t, q, 2, 0, 0)
	})
}
