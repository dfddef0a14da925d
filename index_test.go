package dabchick

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIndexAgainstASortedSlice(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := core[int]{spares: new(spares)}
	s := &c.slab
	x := newIndex(s)
	var want []key
	for n := range uint64(5000) {
		if r.IntN(5) < 3 || len(want) == 0 {
			slot, m := c.lay(0, nil, 0)
			at := int64(n)
			if r.IntN(2) == 0 {
				at = r.Int64N(6000) // out of order
			}
			*m = meta{at: at, place: n, seq: n + 1, state: inFlight}
			x.push(home(r.IntN(int(runs))), slot, m)
			k := key{at: at, place: n, slot: slot}
			i, _ := slices.BinarySearchFunc(want, k, func(a, b key) int {
				return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.place, b.place))
			})
			want = slices.Insert(want, i, k)
		} else {
			i := 0
			if r.IntN(2) == 0 {
				i = r.IntN(len(want))
			}
			x.remove(want[i].slot, s.at(want[i].slot))
			c.vacate(want[i].slot, s.at(want[i].slot))
			want = slices.Delete(want, i, i+1)
		}
		first := uint32(0)
		if len(want) > 0 {
			first = want[0].slot
			require.Equal(t, first, x.due(want[0].at), "due at its instant")
			require.Zero(t, x.due(want[0].at-1), "and not before")
		}
		require.Equal(t, first, x.due(math.MaxInt64))
		if n%50 == 0 {
			homes := newHomes(s)
			require.NoError(t, x.check(homes))
			require.Equal(t, len(want), homes.found)
			some := min(len(want), r.IntN(50))
			slots := []uint32{}
			for _, k := range want[:some] {
				slots = append(slots, k.slot)
			}
			require.Equal(t, slots, x.list(some))
		}
	}
}
