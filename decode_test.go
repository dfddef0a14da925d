package dabchick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// decodeError returns what an error tells of a message that cannot be decoded.
func decodeError(t *testing.T, err error) *DecodeError {
	t.Helper()
	e, ok := errors.AsType[*DecodeError](err)
	require.True(t, ok, "%v", err)
	return e
}

func sendRaw(t *testing.T, behind *Queue[[]byte], bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		_, err := behind.SendWith(t.Context(), []byte(body), SendOptions{Group: "g"})
		require.NoError(t, err)
	}
}

// The error has what a program needs to deal with the message.
func TestBackendDecodeError(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, behind := onEngine(t, Options[int]{VisibilityTimeout: time.Second})
		sendRaw(t, behind, "seven")
		for n, receive := range []func() error{
			func() error { _, err := q.Receive(ctx); return err },
			func() error { _, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: 5}); return err },
			func() error { _, err := q.ReceiveInto(ctx, make([]Message[int], 5), ReceiveOptions{}); return err },
			func() error {
				var ended error
				for m, err := range q.Messages(ctx) {
					require.Zero(t, m)
					require.NoError(t, ended, "it ends after an error")
					ended = err
				}
				return ended
			},
			func() error {
				_, ok := q.TryReceive()
				require.False(t, ok)
				return nil
			},
		} {
			if err := receive(); err != nil {
				e := decodeError(t, err)
				require.Equal(t, n+1, e.Receives)
				require.Equal(t, []string{"g", "seven"}, []string{e.Group, string(e.Body)})
				require.EqualError(t, err, fmt.Sprintf(`dabchick: receive "front": decode body of message %v: %v`, e.ID, e.Err))
				require.ErrorAs(t, err, new(*json.SyntaxError))
			}
			time.Sleep(time.Second - time.Nanosecond)
			_, ok := q.TryReceive()
			require.False(t, ok, "it is hidden")
			time.Sleep(time.Nanosecond)
		}
		require.Zero(t, q.totals.Received)

		_, err := q.Receive(ctx)
		e := decodeError(t, err)
		require.Equal(t, 6, e.Receives)
		require.NoError(t, q.ChangeVisibility(ctx, time.Hour, e.Receipt))
		require.Zero(t, behind.core.counts[visible])
		time.Sleep(time.Hour)
		_, err = q.Receive(ctx)
		require.ErrorIs(t, q.ChangeVisibility(ctx, 0, e.Receipt), ErrReceiptSuperseded)
		e = decodeError(t, err)
		require.NoError(t, q.Delete(ctx, e.Receipt, e.Receipt))
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.Zero(t, s.InFlight)
	})
}

// hoarding is a codec that keeps the bytes of what it cannot decode, as it may.
type hoarding struct {
	jsonCodec[int]
	kept *[]byte
}

func (h hoarding) Decode(b []byte) (int, error) {
	*h.kept = b
	return h.jsonCodec.Decode(b)
}

func TestBackendDecodeErrorOwnsItsBody(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		kept := new([]byte)
		q, behind := onEngine(t, Options[int]{Codec: hoarding{kept: kept}, VisibilityTimeout: time.Second})
		sendRaw(t, behind, "seven")
		_, err := q.Receive(ctx)
		clear(decodeError(t, err).Body)
		require.Equal(t, "seven", string(*kept))
	})
}

// What is good comes without an error, as who sees one looks at nothing else. Each that is
// not is told once, by the receives that follow.
func TestBackendDecodeErrorsBesideMessages(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		q, behind := onEngine(t, Options[int]{VisibilityTimeout: time.Minute})
		sendRaw(t, behind, "one", "2", "three", "4", "five", "6")
		ms, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: 5})
		require.NoError(t, err)
		require.Equal(t, []int{2, 4}, []int{ms[0].Body, ms[1].Body})

		m, ok := q.TryReceive()
		require.True(t, ok, "who would not see the error does not take it from others")
		require.Equal(t, 6, m.Body)
		q.Pause()
		ms, err = q.ReceiveBatch(ctx, ReceiveOptions{})
		require.NoError(t, err, "a pause is one for all")
		require.Empty(t, ms)
		q.Resume()

		var told []string
		receive := func() error { _, err := q.Receive(ctx); return err }
		batch := func() error { _, err := q.ReceiveBatch(ctx, ReceiveOptions{Wait: time.Second}); return err }
		for _, receive := range []func() error{receive, batch, receive} {
			e := decodeError(t, receive())
			require.ErrorContains(t, e, e.ID.String())
			require.NoError(t, q.Delete(ctx, e.Receipt))
			told = append(told, string(e.Body))
		}
		require.Equal(t, []string{"one", "three", "five"}, told)
		require.NoError(t, batch(), "all have been told of")

		// All of them, and nothing beside.
		sendRaw(t, behind, "one", "two")
		for _, body := range []string{"one", "two"} {
			_, err := q.ReceiveBatch(ctx, ReceiveOptions{Max: 5})
			require.Equal(t, body, string(decodeError(t, err).Body))
		}
		require.NoError(t, batch())

		// A purge takes what would be told with it, and the end of the queue comes first.
		for _, end := range []func(){
			func() {
				_, err := q.Purge(ctx)
				require.NoError(t, err)
			},
			func() { require.NoError(t, q.Close()) },
		} {
			sendRaw(t, behind, "one", "2")
			_, err = q.ReceiveBatch(ctx, ReceiveOptions{Max: 5})
			require.NoError(t, err)
			end()
			_, err = q.ReceiveBatch(ctx, ReceiveOptions{})
			_, ok := errors.AsType[*DecodeError](err)
			require.False(t, ok)
		}
		require.ErrorIs(t, err, ErrClosed)
	})
}

// reading is a codec that reads what it needs somewhere else, until a context ends.
type reading struct {
	stringCodec
	until context.Context
	end   func()
}

func (r reading) Decode([]byte) (string, error) {
	r.end()
	return "", fmt.Errorf("schema: %w", r.until.Err())
}

// The error is told though it looks like the end of the call.
func TestBackendDecodeErrorOfAContext(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		q, behind := onEngine(t, Options[string]{Codec: reading{until: ctx, end: cancel}})
		sendRaw(t, behind, "x")
		_, err := q.Receive(ctx)
		require.Equal(t, "x", string(decodeError(t, err).Body))
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A dead letter goes on being the message that it was, and a redrive that stops at it says
// which one that is.
func TestBackendDecodeErrorOfADeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context) {
		dead, behind := onEngine(t, Options[string]{Codec: reversed{}})
		q := mustQueue(t, Options[string]{DeadLetter: dead, MaxReceives: 1})
		id, err := q.Send(ctx, "dab")
		require.NoError(t, err)
		m, ok := q.TryReceive()
		require.True(t, ok)
		require.NoError(t, m.DeadLetter(ctx, "why"))
		_, err = dead.Receive(ctx)
		e := decodeError(t, err)
		require.Equal(t, id, e.ID)
		require.Equal(t, 2, e.Receives)
		require.NoError(t, dead.ChangeVisibility(ctx, 0, e.Receipt))

		n, err := dead.Redrive(ctx, RedriveOptions[string]{To: q})
		require.Zero(t, n)
		e = decodeError(t, err)
		require.Equal(t, id, e.ID)
		require.Equal(t, 1, behind.core.counts[visible], "it is in its place")
		require.NoError(t, dead.Delete(ctx, e.Receipt), "and can be taken out of the way")
		n, err = dead.Redrive(ctx, RedriveOptions[string]{To: q})
		require.NoError(t, err)
		require.Zero(t, n)
	})
}
