package dabchick_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

func TestDeleteIsForGood(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "x")
		m := take(t, q)
		require.NoError(t, m.Delete(ctx))
		counts(t, q, 0, 0, 0)
		require.NoError(t, m.Delete(ctx), "any number of times")
		require.NoError(t, q.Delete(ctx, m.Receipt))
		require.EqualValues(t, 1, stats(t, q).Deleted)
		require.ErrorIs(t, m.Extend(ctx, time.Second), dabchick.ErrMessageGone)
		require.ErrorIs(t, m.Release(ctx), dabchick.ErrMessageGone)
		time.Sleep(time.Hour)
		takeNone(t, q)
	})
}

func TestDeleteWorksWithAnEndedContext(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "x")
		m := take(t, q)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		require.NoError(t, m.Delete(ended), "work that was done is not done again because a program ends")
		counts(t, q, 0, 0, 0)
	})
}

// What a receipt can do, before, at and after the deadline of its delivery.
func TestReceiptStandings(t *testing.T) {
	const timeout = 30 * time.Second
	for _, c := range []struct {
		name       string
		after      time.Duration
		again      bool // somebody else receives the message
		gone       bool // and deletes it
		wantDelete error
		wantChange error
	}{
		{name: "in flight", after: timeout - ns},
		{name: "expired at the deadline", after: timeout, wantChange: dabchick.ErrReceiptExpired},
		{name: "expired and unclaimed", after: time.Hour, wantChange: dabchick.ErrReceiptExpired},
		{name: "superseded", after: timeout, again: true,
			wantDelete: dabchick.ErrReceiptSuperseded, wantChange: dabchick.ErrReceiptSuperseded},
		{name: "superseded long ago", after: time.Hour, again: true,
			wantDelete: dabchick.ErrReceiptSuperseded, wantChange: dabchick.ErrReceiptSuperseded},
		{name: "gone by another receipt", after: timeout, again: true, gone: true,
			wantChange: dabchick.ErrMessageGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: timeout})
				send(t, q, "x")
				m := take(t, q)
				time.Sleep(c.after)
				var other dabchick.Message[string]
				if c.again {
					other = take(t, q)
				}
				if c.gone {
					require.NoError(t, other.Delete(ctx))
				}
				before := stats(t, q)
				check := func(want, got error) {
					t.Helper()
					if want != nil {
						require.ErrorIs(t, got, want)
						require.Equal(t, before, stats(t, q), "nothing has changed")
					} else {
						require.NoError(t, got)
					}
				}
				check(c.wantChange, m.Extend(ctx, time.Minute))
				check(c.wantChange, q.ChangeVisibility(ctx, time.Minute, m.Receipt))
				if c.wantChange != nil {
					check(c.wantChange, m.Release(ctx))
				}
				check(c.wantDelete, m.Delete(ctx))
				if c.again && !c.gone {
					require.NoError(t, other.Extend(ctx, time.Hour), "the newer delivery is untouched")
					require.NoError(t, other.Delete(ctx))
				}
				counts(t, q, 0, 0, 0)
			})
		})
	}
}

func TestForeignReceiptsOnFIFO(t *testing.T) {
	onEachWay(t, func(t *testing.T, ctx context.Context, q *dabchick.Queue[string]) {
		other := newFIFO(t, dabchick.Options[string]{})
		sendTo(t, q, "a1")
		sendTo(t, other, "a1")
		own, foreign := take(t, q), take(t, other)
		require.ErrorIs(t, q.Delete(ctx, foreign.Receipt), dabchick.ErrReceiptInvalid)
		counts(t, q, 0, 1, 0)
		require.NoError(t, own.Delete(ctx))
		counts(t, q, 0, 0, 0)
	})
}

func TestForeignReceipts(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		a, b := mustNew(t, dabchick.Options[string]{}), mustNew(t, dabchick.Options[string]{})
		send(t, a, "x")
		send(t, b, "x")
		ma := take(t, a)
		take(t, b)
		for _, r := range []dabchick.Receipt{ma.Receipt, {}} {
			require.ErrorIs(t, b.Delete(ctx, r), dabchick.ErrReceiptInvalid)
			require.ErrorIs(t, b.ChangeVisibility(ctx, time.Minute, r), dabchick.ErrReceiptInvalid)
		}
		counts(t, b, 0, 1, 0)
		var made dabchick.Message[string]
		require.ErrorIs(t, made.Delete(ctx), dabchick.ErrReceiptInvalid)
		require.ErrorIs(t, made.Extend(ctx, time.Minute), dabchick.ErrReceiptInvalid)
		require.ErrorIs(t, made.Release(ctx), dabchick.ErrReceiptInvalid)
		require.ErrorIs(t, made.DeadLetter(ctx, ""), dabchick.ErrReceiptInvalid)
	})
}

func TestStaleReceiptNeverTouchesTheNextMessageInItsPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[int]{})
		var stale []dabchick.Message[int]
		for i := range 1000 { // the same slot over and over
			send(t, q, i)
			m := take(t, q)
			for _, s := range stale {
				require.NoError(t, s.Delete(ctx))
				require.ErrorIs(t, s.Extend(ctx, time.Hour), dabchick.ErrMessageGone)
			}
			counts(t, q, 0, 1, 0)
			require.NoError(t, m.Delete(ctx))
			if stale = append(stale, m); len(stale) > 10 {
				stale = stale[1:]
			}
		}
	})
}

func TestExtend(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second})
		send(t, q, "x")
		m := take(t, q)
		for range 5 { // any number of times, each from now
			time.Sleep(9 * time.Second)
			require.NoError(t, m.Extend(ctx, 10*time.Second))
		}
		time.Sleep(10*time.Second - ns)
		takeNone(t, q)
		require.NoError(t, m.Extend(ctx, 20*time.Hour), "no ceiling")
		require.NoError(t, m.Extend(ctx, time.Second), "shorter than what was left")
		time.Sleep(time.Second - ns)
		takeNone(t, q)
		time.Sleep(ns)
		m = take(t, q)
		require.Equal(t, 2, m.Receives)
		time.Sleep(10*time.Second - ns)
		takeNone(t, q) // the next delivery has the queue's own timeout
		time.Sleep(ns)
		take(t, q)
	})
}

func TestReleaseGoesToTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b")
		a := take(t, q)
		require.NoError(t, a.Release(ctx))
		counts(t, q, 2, 0, 0)
		require.ErrorIs(t, a.Release(ctx), dabchick.ErrReceiptExpired)
		require.Equal(t, []string{"b", "a"}, takeAll(t, q))
	})
}

func TestOrderOfBecomingVisible(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: 10 * time.Second})
		_, err := q.SendWith(ctx, "delayed 10", dabchick.SendOptions{Delay: 10 * time.Second})
		require.NoError(t, err)
		_, err = q.SendWith(ctx, "delayed 5", dabchick.SendOptions{Delay: 5 * time.Second})
		require.NoError(t, err)
		send(t, q, "received at 0")
		take(t, q)
		time.Sleep(7 * time.Second)
		send(t, q, "sent at 7")
		time.Sleep(3 * time.Second)
		send(t, q, "sent at 10") // at the instant when two others come up
		require.Equal(t, []string{"delayed 5", "sent at 7", "delayed 10", "received at 0", "sent at 10"}, takeAll(t, q))
	})
}

func TestSettlingManyReceipts(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b", "c")
		a, b, c := take(t, q), take(t, q), take(t, q)
		require.NoError(t, b.Release(ctx))
		take(t, q)

		err := q.ChangeVisibility(ctx, time.Hour, a.Receipt, b.Receipt, dabchick.Receipt{}, c.Receipt)
		var failed *dabchick.BatchError
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed.Failed, 2)
		require.Equal(t, 1, failed.Failed[0].Index)
		require.ErrorIs(t, failed.Failed[0].Err, dabchick.ErrReceiptSuperseded)
		require.Equal(t, 2, failed.Failed[1].Index)
		require.ErrorIs(t, failed.Failed[1].Err, dabchick.ErrReceiptInvalid)
		require.ErrorIs(t, err, dabchick.ErrReceiptSuperseded, "errors.Is looks into every entry")
		require.ErrorIs(t, err, dabchick.ErrReceiptInvalid)

		err = q.Delete(ctx, a.Receipt, b.Receipt, c.Receipt, a.Receipt)
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed.Failed, 1, "the others were carried out")
		counts(t, q, 0, 1, 0)

		require.NoError(t, q.Delete(ctx))
		require.NoError(t, q.ChangeVisibility(ctx, time.Second))
	})
}

func TestVisibilityTimeoutsOutOfRange(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b")
		a, b := take(t, q), take(t, q)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, a.Extend(ctx, -time.Second), &invalid)
		require.Equal(t, -time.Second, invalid.Value)
		require.ErrorAs(t, q.ChangeVisibility(ctx, -time.Second, a.Receipt, b.Receipt), &invalid)
		counts(t, q, 0, 2, 0)
		require.NoError(t, a.Extend(ctx, dabchick.Immediately), "is a release")
		counts(t, q, 1, 1, 0)
		require.NoError(t, b.Extend(ctx, dabchick.Forever))
		time.Sleep(4 * 24 * time.Hour)
		counts(t, q, 1, 1, 0)
	})
}

// A delivery that is returned has not been, but for its receipt.
func TestReturnDoesNotSpendAnAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		dead := mustNew(t, dabchick.Options[string]{})
		q := mustNew(t, dabchick.Options[string]{DeadLetter: dead, MaxReceives: 1})
		send(t, q, "x")
		for range 3 {
			m := take(t, q)
			require.Equal(t, 1, m.Receives)
			require.True(t, m.FirstReceivedAt().Equal(time.Now()))
			time.Sleep(time.Second)
			require.NoError(t, m.Return(ctx))
			require.ErrorIs(t, m.Return(ctx), dabchick.ErrReceiptExpired)
			counts(t, q, 1, 0, 0)
		}
		require.EqualValues(t, 3, stats(t, q).Returned)
		m := take(t, q)
		require.NoError(t, m.Release(ctx)) // this one counts
		takeNone(t, q)
		require.Equal(t, 2, take(t, dead).Receives, "one there, one here")
		require.ErrorIs(t, q.Return(ctx, m.Receipt), dabchick.ErrMessageGone)
		require.ErrorIs(t, dabchick.Message[string]{}.Return(ctx), dabchick.ErrReceiptInvalid)
	})
}

// The receipt of a delivery that was returned is never that of a later one, and
// a message does not go round for ever.
func TestReturnedReceiptIsUsedUp(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "x")
		first := take(t, q)
		require.NoError(t, first.Return(ctx))
		second := take(t, q)
		require.NotEqual(t, first.Receipt, second.Receipt)
		require.ErrorIs(t, first.Delete(ctx), dabchick.ErrReceiptSuperseded)
		for range 254 {
			require.NoError(t, second.Return(ctx))
			second = take(t, q)
			require.Equal(t, 1, second.Receives)
		}
		require.NoError(t, second.Return(ctx))
		require.Equal(t, 2, take(t, q).Receives)
	})
}
