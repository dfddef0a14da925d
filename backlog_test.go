package dabchick_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// Backlogs that grow and shrink over many pages and shelves keep their order, and the
// details of each message.
func TestBacklogsOfThousands(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		q := mustNew(t, dabchick.Options[int]{})
		first, end := 0, 0 // what is there is the numbers from first to end
		for range 100 {
			n := 1 + r.IntN(1<<r.IntN(15))
			switch r.IntN(8) {
			case 0, 1, 2:
				for range n {
					o := dabchick.SendOptions{}
					if end%100 == 0 {
						o.TraceHeader = "t"
					}
					_, err := q.SendWith(ctx, end, o)
					require.NoError(t, err)
					end++
				}
			case 3, 4, 5, 6:
				for range min(n, end-first) {
					m := take(t, q)
					if m.Body != first || (m.TraceHeader() != "") != (first%100 == 0) { // require is slow in a long loop
						require.FailNow(t, "wrong message", "seed %d: %d, trace %q, instead of %d", seed, m.Body, m.TraceHeader(), first)
					}
					require.NoError(t, m.Delete(ctx))
					first++
				}
			case 7:
				purged, err := q.Purge(ctx)
				require.NoError(t, err)
				require.Equal(t, end-first, purged, "seed %d", seed)
				first = end
			}
			counts(t, q, end-first, 0, 0)
		}
	}
}
