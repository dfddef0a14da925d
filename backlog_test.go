package dabchick_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
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

// Numbers around the largest that a place in a page has room for.
func TestNumbersThatJustFitIntoABacklog(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("no size is that large")
	}
	inBubble(t, func(t *testing.T, ctx context.Context) {
		for off := range int64(3) {
			n := math.MaxUint32 - 1 + off
			q := mustNew(t, dabchick.Options[int64]{Size: func(n int64) int { return int(n) }, Retention: dabchick.Forever})
			send(t, q, 0)
			time.Sleep(time.Duration(n))
			send(t, q, n)
			sent := time.Now()
			require.Equal(t, n, stats(t, q).Bytes)
			require.Zero(t, take(t, q).Body)
			m := take(t, q)
			require.Equal(t, n, m.Body)
			require.Equal(t, sent, m.SentAt())
			require.NoError(t, m.Delete(ctx))
			require.Zero(t, stats(t, q).Bytes)
		}
	})
}

func backlogOfThousands(t *testing.T, seed uint64) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(seed, 0))
	rare := []int{70, 3000}[seed%2] // what is special about a message stands in a margin of its page
	size := func(n int) int {
		if n%rare == 0 {
			return 5 << 30 & math.MaxInt // more than fits, but on 32 bits
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
		n := 1 + r.IntN(1<<r.IntN(16))
		switch r.IntN(8) {
		case 0, 1, 2:
			for range n {
				o := dabchick.SendOptions{}
				if next%(rare+30) == 0 {
					o.TraceHeader = "t"
				}
				_, err := q.SendWith(ctx, next, o)
				require.NoError(t, err)
				there = append(there, sent{next, time.Now(), o.TraceHeader})
				bytes += int64(size(next))
				next++
				if r.IntN(rare) < 3 {
					time.Sleep(time.Duration(r.Int64N(1 << r.IntN(36))))
				}
			}
		case 3, 4, 5, 6:
			n = min(n, len(there))
			most := 1 + r.IntN(1<<r.IntN(12))
			for n > 0 {
				ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: min(n, most)})
				require.NoError(t, err)
				require.Len(t, ms, min(n, most))
				var receipts []dabchick.Receipt
				for i, m := range ms {
					want := there[i]
					if got := (sent{m.Body, m.SentAt(), m.TraceHeader()}); got.body != want.body || !got.at.Equal(want.at) || got.trace != want.trace {
						require.FailNow(t, "wrong message", "seed %d: %v instead of %v", seed, got, want) // Equal is slow
					}
					receipts = append(receipts, m.Receipt)
					bytes -= int64(size(want.body))
				}
				require.NoError(t, q.Delete(ctx, receipts...))
				there, n = there[len(ms):], n-len(ms)
			}
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
