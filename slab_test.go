package dabchick

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSlabAgainstAMap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := core[uint64]{spares: new(spares)}
	s := &c.slab
	live := map[uint32]uint64{}
	var slots []uint32
	number := uint64(0)
	for round := range 60 {
		grow := round%2 == 0 // fill, then drain
		for range r.IntN(4000) {
			if grow || len(slots) == 0 {
				slot, m := c.lay(number+1, nil, 0)
				require.NotZero(t, slot, "slot 0 stands for none")
				_, taken := live[slot]
				require.False(t, taken, "slot %d twice", slot)
				number++
				m.seq, m.state = number, visible
				live[slot] = number
				slots = append(slots, slot)
				continue
			}
			i := r.IntN(len(slots))
			require.Equal(t, live[slots[i]], s.at(slots[i]).seq, "slots do not move")
			require.Equal(t, live[slots[i]], c.cell(slots[i]).body)
			c.vacate(slots[i], s.at(slots[i]))
			delete(live, slots[i])
			slots = slices.Delete(slots, i, i+1)
		}
		got, err := s.check()
		require.NoError(t, err)
		require.Len(t, got, len(live))
	}
	for _, slot := range slots {
		c.vacate(slot, s.at(slot))
	}
	kept := 0
	for _, c := range s.chunks {
		if c != nil {
			kept++
		}
	}
	require.LessOrEqual(t, kept, 1, "an empty slab keeps one chunk")
	require.Nil(t, s.lookup(1<<31), "a slot that never was")
}
