package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/driver"
	"github.com/dabchickmq/dabchick/worker"
)

// A store is a driver on a queue, with what a pool needs of one.
type store struct {
	driver.Queue
	q      *dabchick.Queue[[]byte]
	refuse error // what a change of visibility is answered with
}

func (s *store) Send(ctx context.Context, batch []driver.Outgoing) ([]driver.Sent, error) {
	sent := make([]driver.Sent, len(batch))
	for i, o := range batch {
		sent[i].ID, sent[i].Err = s.q.SendWith(ctx, bytes.Clone(o.Body), dabchick.SendOptions{Group: o.Group})
	}
	return sent, nil
}

func (s *store) Receive(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	if r.Wait == 0 {
		r.Wait = dabchick.Immediately
	}
	got, err := s.q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: r.Max, Wait: r.Wait, Visibility: r.Visibility})
	ms := make([]driver.Message, len(got))
	for i, m := range got {
		ms[i] = driver.Message{
			ID: m.ID, Handle: m.Receipt.String(), Body: m.Body, Receives: m.Receives, Group: m.Group(),
			SentAt: m.SentAt(), FirstReceivedAt: m.FirstReceivedAt(), VisibleAt: m.VisibleAt(),
		}
	}
	return ms, err
}

func (s *store) Delete(ctx context.Context, handles []string) ([]error, error) {
	errs := make([]error, len(handles))
	for i, h := range handles {
		r, err := s.q.ParseReceipt(h)
		if err == nil {
			err = s.q.Delete(ctx, r)
		}
		errs[i] = err
	}
	return errs, nil
}

func (s *store) ChangeVisibility(ctx context.Context, changes []driver.Change) ([]error, error) {
	errs := make([]error, len(changes))
	for i, c := range changes {
		r, err := s.q.ParseReceipt(c.Handle)
		if err == nil {
			err = s.q.ChangeVisibility(ctx, c.Timeout, r)
		}
		errs[i] = errors.Join(s.refuse, err)
	}
	return errs, nil
}

func (s *store) Stats(ctx context.Context) (driver.Stats, error) {
	all, err := s.q.Stats(ctx)
	return driver.Stats{Visible: all.Visible, InFlight: all.InFlight, Delayed: all.Delayed}, err
}

func (s *store) Purge(ctx context.Context) error {
	_, err := s.q.Purge(ctx)
	return err
}

func (s *store) Close() error { return s.q.Close() }

var errPoison = errors.New("not readable")

// picky is a codec that cannot decode "poison".
type picky struct{}

func (picky) Encode(s string) ([]byte, error) { return []byte(s), nil }

func (picky) Decode(b []byte) (string, error) {
	if string(b) == "poison" {
		return "", errPoison
	}
	return string(b), nil
}

func newBackend(t *testing.T, bodies ...string) (*dabchick.Queue[string], *store) {
	t.Helper()
	engine, err := dabchick.New("engine", dabchick.Options[[]byte]{})
	require.NoError(t, err)
	s := &store{q: engine}
	return newQueue(t, dabchick.Options[string]{Driver: s, Codec: picky{}}, bodies...), s
}

// A message that cannot be decoded has failed, as one whose handler has: what is behind it is
// handled at once.
func TestMessageThatCannotBeDecodedHasFailed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q, _ := newBackend(t)
		_, err := q.SendWith(t.Context(), "poison", dabchick.SendOptions{Group: "g"})
		require.NoError(t, err)
		_, err = q.Send(t.Context(), "job")
		require.NoError(t, err)
		began := time.Now()
		var log bytes.Buffer
		var events []string
		r := run(t, q, nilHandler, worker.Options{
			Backoff: func(n int) time.Duration { return time.Duration(n) * time.Hour },
			Logger:  slog.New(slog.NewTextHandler(&log, nil)),
			OnEvent: func(e worker.Event) {
				at, about := e.Time.Sub(began), ""
				if d, ok := errors.AsType[*dabchick.DecodeError](e.Err); ok {
					require.ErrorIs(t, d, errPoison)
					require.Equal(t, d.ID, e.Message)
					about = string(d.Body)
				}
				events = append(events, fmt.Sprint(at, " ", e.Kind, " ", e.Group, e.Receives, " ", e.Outcome, " ", about))
			},
		})
		require.Equal(t, worker.Stats{Workers: 1, Handled: 1, Retried: 1, Failed: 1}, r.Stats())
		time.Sleep(time.Hour - 1)
		synctest.Wait()
		require.EqualValues(t, 1, r.Stats().Failed, "it is hidden for its backoff")
		time.Sleep(2*time.Hour + 1)
		synctest.Wait()
		require.NoError(t, r.stop())
		require.Equal(t, []string{
			"0s ended g1 retried poison", "0s began 1 outcome 0 ", "0s ended 1 handled ",
			"1h0m0s ended g2 retried poison", "3h0m0s ended g3 retried poison",
		}, events)
		require.Contains(t, log.String(), `level=WARN msg="message not decoded" message=`)
		require.Contains(t, log.String(), `receives=3 error="not readable"`)
		require.NotContains(t, log.String(), "receive failed")
		counts(t, q, 0, 1, 0)
	})
}

// The receipt in the event is good for what the program wants.
func TestHookDeletesWhatCannotBeDecoded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q, _ := newBackend(t, "poison")
		r := run(t, q, nilHandler, worker.Options{OnEvent: func(e worker.Event) {
			d, _ := errors.AsType[*dabchick.DecodeError](e.Err)
			require.NoError(t, q.Delete(t.Context(), d.Receipt))
		}})
		counts(t, q, 0, 0, 0)
		require.NoError(t, r.stop())
	})
}

// It has come, so the receives before and after it did not fail in a row.
func TestFailuresOfReceivesAroundWhatCannotBeDecoded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		backend, _ := newBackend(t, "poison")
		q := &flaky{backend, 2}
		var waits []int
		r := run(t, q, nilHandler, worker.Options{
			Backoff: func(n int) time.Duration {
				waits = append(waits, n)
				return time.Second
			},
			OnEvent: func(worker.Event) { q.failures = 1 },
		})
		time.Sleep(3 * time.Second)
		require.NoError(t, r.stop())
		require.Equal(t, []int{1, 2, 1, 1}, waits[:4], "the third is that of the message")
	})
}

// careless is a codec with a typed nil for an error, whose methods panic.
type careless struct{ picky }

func (careless) Decode([]byte) (string, error) {
	var nothing *fs.PathError
	return "", nothing
}

func TestPanicInTheErrorOfACodec(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, s := newBackend(t)
		q := newQueue(t, dabchick.Options[string]{Driver: s, Codec: careless{}}, "job")
		r := run(t, q, nilHandler, worker.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		require.EqualValues(t, 1, r.Stats().Failed)
		require.NoError(t, r.stop())
	})
}

// A backend that does not hide it lets it come up when its timeout ends.
func TestMessageThatCannotBeDecodedIsNotHidden(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q, s := newBackend(t, "poison", "job")
		s.refuse = errors.New("refused")
		var log bytes.Buffer
		r := run(t, q, nilHandler, worker.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.Equal(t, worker.Stats{Workers: 1, Handled: 1, Lost: 1, Failed: 1}, r.Stats())
		require.Contains(t, log.String(), "verdict not carried out")
		require.Contains(t, log.String(), "refused")
		require.NoError(t, r.stop())
	})
}

func TestMessageThatCannotBeDecodedInABatch(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q, _ := newBackend(t, "poison", "1", "poison", "2")
		var got []string
		began := time.Now()
		handle := func(_ context.Context, ms []dabchick.Message[string]) error {
			got = append(got, fmt.Sprint(bodies(ms), " after ", time.Since(began)))
			return nil
		}
		hour := func(int) time.Duration { return time.Hour }
		r := runBatch(t, q, handle, worker.Options{BatchSize: 4, Backoff: hour})
		require.Equal(t, []string{"1 2 after 0s"}, got)
		require.Equal(t, worker.Stats{Workers: 1, Handled: 2, Retried: 2, Failed: 2}, r.Stats())
		time.Sleep(time.Hour - 1)
		counts(t, q, 0, 2, 0)
		require.NoError(t, r.stop())

		// A batch that fills goes on filling.
		_, err := q.Purge(t.Context())
		require.NoError(t, err)
		got, began = nil, time.Now()
		r = runBatch(t, q, handle, worker.Options{BatchSize: 4, BatchWait: 9 * time.Second, Backoff: hour})
		for _, body := range []string{"1", "poison", "2", "poison"} {
			_, err := q.Send(t.Context(), body)
			require.NoError(t, err)
			time.Sleep(2 * time.Second)
		}
		require.EqualValues(t, 2, r.Stats().Failed)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"1 2 after 9s"}, got)
		require.NoError(t, r.stop())
		counts(t, q, 0, 2, 0)
	})
}

func TestDrainPassesWhatCannotBeDecoded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		q, _ := newBackend(t, "poison", "1", "poison", "2")
		p, err := worker.New(q, nilHandler, worker.Options{})
		require.NoError(t, err)
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, worker.Stats{Handled: 2, Retried: 2, Failed: 2}, p.Stats())
		counts(t, q, 0, 2, 0)
	})
}

// atTheEnd is a queue whose message, or next one of a batch, comes when its pool stops.
type atTheEnd struct{ *dabchick.Queue[string] }

func (l atTheEnd) Receive(ctx context.Context) (dabchick.Message[string], error) {
	<-ctx.Done()
	return l.Queue.Receive(context.WithoutCancel(ctx))
}

func (l atTheEnd) ReceiveBatch(ctx context.Context, o dabchick.ReceiveOptions) ([]dabchick.Message[string], error) {
	if o.Wait != dabchick.Forever {
		<-ctx.Done()
	}
	return l.Queue.ReceiveBatch(context.WithoutCancel(ctx), o)
}

func TestMessageThatCannotBeDecodedAsThePoolStops(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := worker.Options{Backoff: func(int) time.Duration { return time.Hour }}
		q, _ := newBackend(t, "poison")
		r := run(t, atTheEnd{q}, nilHandler, o)
		require.NoError(t, r.stop())
		require.Equal(t, worker.Stats{Retried: 1, Failed: 1}, r.Stats())
		time.Sleep(time.Hour - 1)
		counts(t, q, 0, 1, 0)

		// In a batch that fills, what it holds is given back.
		q, _ = newBackend(t, "1", "poison")
		o.BatchSize, o.BatchWait = 2, time.Minute
		r = runBatch(t, atTheEnd{q}, func(context.Context, []dabchick.Message[string]) error {
			t.Error("handled")
			return nil
		}, o)
		counts(t, q, 0, 2, 0)
		require.NoError(t, r.stop())
		require.Equal(t, worker.Stats{Retried: 1, Failed: 1}, r.Stats())
		counts(t, q, 1, 1, 0)
	})
}
