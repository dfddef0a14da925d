package dabchick

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/driver"
)

// hasty returns a queue on a driver that does not wait, whatever it is asked, and how often
// that was.
func hasty(t *testing.T, o Options[string]) (q *Queue[string], asked *int) {
	d := broken{Queue: newEngineDriver(t)}
	asked = new(int)
	d.receive = func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
		*asked++
		if *asked > 1_000_000 {
			panic("it is asked without end") // fake time stands still meanwhile
		}
		r.Wait = 0
		return q.Receive(ctx, r)
	}
	return over(t, d, o), asked
}

// A driver that has nothing, though it was asked to wait, is not asked again at once.
func TestBackendDriverThatDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, asked := hasty(t, Options[string]{})
		began := time.Now()
		ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Wait: time.Hour})
		require.NoError(t, err)
		require.Empty(t, ms)
		require.Equal(t, time.Hour, time.Since(began))
		require.Less(t, *asked, 3600*50)

		// A message waits for some tens of milliseconds at most.
		go func() {
			time.Sleep(time.Minute + 1)
			q.Send(ctx, "x")
		}()
		began = time.Now()
		m, err := q.Receive(ctx)
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(began), time.Minute+1+leastPoll)
		require.NoError(t, m.Delete(ctx))

		// What came when the wait was almost over is found, too.
		go func() {
			time.Sleep(leastPoll / 2)
			q.Send(ctx, "y")
		}()
		ms, err = q.ReceiveBatch(ctx, ReceiveOptions{Wait: leastPoll - 1})
		require.NoError(t, err)
		require.Len(t, ms, 1)
	})
}

// Whatever else ends a wait ends this one at once.
func TestBackendEndOfARest(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, asked := hasty(t, Options[string]{})
		ended := make(chan error, 1)
		receive := func(ctx context.Context) {
			_, err := q.Receive(ctx)
			ended <- err
		}
		began := time.Now()
		short, cancel := context.WithCancel(ctx)
		go receive(short)
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, <-ended)

		go receive(ctx)
		synctest.Wait()
		n := *asked
		q.Pause()
		q.Resume()
		synctest.Wait()
		require.Equal(t, n+1, *asked, "it begins anew")
		q.Pause()
		time.Sleep(time.Hour)
		require.Equal(t, n+1, *asked)
		began = began.Add(time.Hour)
		q.Resume()
		synctest.Wait()
		require.NoError(t, q.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
		require.Equal(t, began, time.Now())
	})
}

// A driver that waits is asked again at once, when it has waited for as long as it can.
func TestBackendDriverThatWaitsForATime(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		d := broken{Queue: newEngineDriver(t)}
		began := time.Now()
		var at []time.Duration
		d.receive = func(q driver.Queue, ctx context.Context, r driver.Receive) ([]driver.Message, error) {
			at = append(at, time.Since(began))
			r.Wait = min(r.Wait, 20*time.Second)
			return q.Receive(ctx, r)
		}
		q := over(t, d, Options[string]{})
		ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Wait: time.Minute + 1})
		require.NoError(t, err)
		require.Empty(t, ms)
		require.Equal(t, []time.Duration{0, 20 * time.Second, 40 * time.Second, time.Minute}, at)
	})
}
