package dabchick_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// Backlogs that grow and shrink over many pages and shelves keep their order, and of each
// message when it was sent, how large it is, and its details.
func TestBacklogsOfThousands(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { backlogOfThousands(t, seed) })
	}
}

func backlogOfThousands(t *testing.T, seed uint64) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(seed, 0))
	size := func(n int) int {
		if n%70 == 0 {
			return 5 << 30
		}
		return n
	}
	q := mustNew(t, dabchick.Options[int]{Size: size})
	type sent struct {
		body  int
		at    time.Time
		trace string
	}
	var there []sent
	var bytes int64
	next := 0
	for range 100 {
		n := 1 + r.IntN(1<<r.IntN(15))
		switch r.IntN(8) {
		case 0, 1, 2:
			for range n {
				o := dabchick.SendOptions{}
				if next%100 == 0 {
					o.TraceHeader = "t"
				}
				_, err := q.SendWith(ctx, next, o)
				require.NoError(t, err)
				there = append(there, sent{next, time.Now(), o.TraceHeader})
				bytes += int64(size(next))
				next++
				if r.IntN(20) == 0 {
					time.Sleep(time.Duration(r.IntN(1 << r.IntN(32))))
				}
			}
		case 3, 4, 5, 6:
			for _, want := range there[:min(n, len(there))] {
				m := take(t, q)
				if got := (sent{m.Body, m.SentAt(), m.TraceHeader()}); got.body != want.body || !got.at.Equal(want.at) || got.trace != want.trace {
					require.FailNow(t, "wrong message", "seed %d: %v instead of %v", seed, got, want) // Equal is slow
				}
				require.NoError(t, m.Delete(ctx))
				bytes -= int64(size(want.body))
			}
			there = there[min(n, len(there)):]
		case 7:
			purged, err := q.Purge(ctx)
			require.NoError(t, err)
			require.Equal(t, len(there), purged, "seed %d", seed)
			there, bytes = nil, 0
		}
		s, err := q.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, len(there), s.Visible, "seed %d", seed)
		require.Equal(t, bytes, s.Bytes, "seed %d", seed)
	}
}
