package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// recorder notes when leases are renewed.
type recorder struct {
	*dabchick.Queue[string]
	mu      sync.Mutex
	renewed []time.Duration
	began   time.Time
	err     error // answers renewals
}

func (r *recorder) ChangeVisibility(ctx context.Context, d time.Duration, receipts ...dabchick.Receipt) error {
	r.mu.Lock()
	r.renewed = append(r.renewed, time.Since(r.began))
	err := r.err
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.Queue.ChangeVisibility(ctx, d, receipts...)
}

func TestLeaseIsRenewedWhileTheHandlerRunsAndNotAfter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &recorder{Queue: newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job"), began: time.Now()}
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			time.Sleep(32 * time.Second)
			return ctx.Err()
		}, worker.Options{})
		time.Sleep(time.Hour)
		counts(t, q.Queue, 0, 0, 0)
		s := 1 * time.Second
		require.Equal(t, []time.Duration{5 * s, 10 * s, 15 * s, 20 * s, 25 * s, 30 * s}, q.renewed)
		require.NoError(t, r.stop())
		require.EqualValues(t, 1, r.Stats().Handled)
	})
}

func TestLeaseThatIsNotRenewedEndsWithTheTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &recorder{Queue: newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job"), began: time.Now()}
		var at time.Duration
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			<-ctx.Done()
			at = time.Since(q.began)
			return nil // done all the same, and nobody else has it
		}, worker.Options{Renew: 1})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		counts(t, q.Queue, 0, 0, 0)
		require.NoError(t, r.stop())
		require.Empty(t, q.renewed)
		require.Equal(t, 10*time.Second, at)
	})
}

func TestLeaseIsLostAtItsLimit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job")
		var cause error
		var at time.Duration
		began := time.Now()
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			if m.Receives == 1 {
				<-ctx.Done()
				cause, at = context.Cause(ctx), time.Since(began)
				time.Sleep(time.Second) // somebody else has it meanwhile
				return ctx.Err()
			}
			time.Sleep(5 * time.Second)
			return nil
		}, worker.Options{Workers: 2, MaxLease: 23 * time.Second})
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.ErrorIs(t, cause, worker.ErrLeaseLost)
		require.Equal(t, 23*time.Second, at)
		s := r.Stats()
		require.Equal(t, []uint64{1, 1}, []uint64{s.Lost, s.Handled})
		counts(t, q, 0, 0, 0)
	})
}

func TestHandlerHearsThatItsMessageIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job")
		var cause error
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		}, worker.Options{})
		_, err := q.Purge(t.Context())
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.NoError(t, r.stop())
		require.ErrorIs(t, cause, worker.ErrLeaseLost)
		require.ErrorIs(t, cause, dabchick.ErrMessageGone)
	})
}

// A message that somebody has released is lost when its lease would be renewed,
// not when the timeout would have ended.
func TestHandlerHearsThatItsMessageWasReleased(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job")
		var causes []error
		var at time.Duration
		began := time.Now()
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			if m.Receives > 1 {
				time.Sleep(time.Second)
				return nil
			}
			if err := m.Release(ctx); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			causes, at = append(causes, context.Cause(ctx)), time.Since(began)
			return nil
		}, worker.Options{})
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.Len(t, causes, 1)
		require.ErrorIs(t, causes[0], worker.ErrLeaseLost)
		require.ErrorIs(t, causes[0], dabchick.ErrReceiptExpired)
		require.Equal(t, 5*time.Second, at)
	})
}

// A renewal that fails is tried again until the timeout ends.
func TestRenewalIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &recorder{Queue: newQueue(t, dabchick.Options[string]{VisibilityTimeout: 16 * time.Second}, "job"), began: time.Now()}
		q.err = errors.New("backend down")
		var lost time.Duration
		r := run(t, q, func(ctx context.Context, m dabchick.Message[string]) error {
			<-ctx.Done()
			q.mu.Lock()
			defer q.mu.Unlock()
			lost = time.Since(q.began)
			return nil
		}, worker.Options{})
		time.Sleep(13 * time.Second)
		s := time.Second
		q.mu.Lock()
		require.Equal(t, []time.Duration{8 * s, 12 * s}, q.renewed)
		q.err = nil
		q.mu.Unlock()
		time.Sleep(2 * time.Second)
		q.mu.Lock()
		require.Zero(t, lost)
		q.err = errors.New("down for good")
		q.mu.Unlock()
		time.Sleep(time.Minute)
		require.NoError(t, r.stop())
		require.Equal(t, 30*s, lost, "16 seconds after the one at 14")
	})
}

// What a renewal says of the message the handler hears at once, not when the timeout
// would have ended.
func TestRenewalOfWhatIsGone(t *testing.T) {
	for _, gone := range []error{
		dabchick.ErrReceiptExpired, dabchick.ErrReceiptSuperseded, dabchick.ErrReceiptInvalid, dabchick.ErrMessageGone,
	} {
		inBubble(t, func(t *testing.T) {
			q := &recorder{Queue: newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job"), began: time.Now(), err: gone}
			var cause error
			r := run(t, q, func(ctx context.Context, _ dabchick.Message[string]) error {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return nil
			}, worker.Options{})
			time.Sleep(5 * time.Second)
			synctest.Wait()
			require.ErrorIs(t, cause, worker.ErrLeaseLost)
			require.ErrorIs(t, cause, gone)
			require.NoError(t, r.stop())
		})
	}
}

// A handler that is told to stop keeps its lease until it has returned.
func TestLeaseIsRenewedWhileThePoolStops(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := &recorder{Queue: newQueue(t, dabchick.Options[string]{VisibilityTimeout: 2 * time.Second}, "job"), began: time.Now()}
		r := run(t, q, func(context.Context, dabchick.Message[string]) error {
			time.Sleep(3500 * time.Millisecond)
			return nil
		}, worker.Options{Grace: dabchick.Immediately})
		require.NoError(t, r.stop())
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}, q.renewed)
		require.EqualValues(t, 1, r.Stats().Handled)
	})
}

// hanging is a backend whose answers to renewals do not come.
type hanging struct{ *dabchick.Queue[string] }

func (h hanging) ChangeVisibility(ctx context.Context, _ time.Duration, _ ...dabchick.Receipt) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestHandlerDoesNotWaitForARenewal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job")
		r := run(t, hanging{q}, func(context.Context, dabchick.Message[string]) error {
			time.Sleep(6 * time.Second) // the renewal is after 5
			return nil
		}, worker.Options{})
		require.NoError(t, r.stop())
		require.Equal(t, 6*time.Second, time.Since(r.began))
		require.EqualValues(t, 1, r.Stats().Handled)
	})
}

// late is a backend whose answers to renewals take their time, whatever the context says.
type late struct{ *dabchick.Queue[string] }

func (l late) ChangeVisibility(ctx context.Context, d time.Duration, receipts ...dabchick.Receipt) error {
	time.Sleep(4 * time.Second)
	return l.Queue.ChangeVisibility(ctx, d, receipts...)
}

// In a bubble, too, where time would stand still if the worker waited for a sync.Mutex.
func TestRenewalThatIsUnderWayEndsFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q := newQueue(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second}, "job")
		r := run(t, late{q}, busyFor(6*time.Second), worker.Options{})
		require.NoError(t, r.stop())
		require.Equal(t, 9*time.Second, time.Since(r.began), "it began after 5")
		require.EqualValues(t, 1, r.Stats().Handled)
	})
}
