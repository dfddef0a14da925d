package dabchick

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReserveAgainstAMap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := reserve[int]{spares: new(spares)}
	type message struct {
		body int
		more *details[int]
	}
	live := map[uint32]message{}
	var numbers []uint32
	sent := 0
	for round := range 40 {
		grow := round%2 == 0 // fill, then drain
		for range r.IntN(2000) {
			if grow || len(numbers) == 0 {
				sent++
				m := message{body: sent}
				if r.IntN(3) == 0 {
					m.more = new(details[int])
				}
				n, e := s.put(m.body, m.more)
				require.True(t, isReserved(n), "a number is no slot")
				require.Zero(t, e.seq, "a place that is taken")
				e.seq = uint64(sent)
				require.NotContains(t, live, n, "a place twice")
				live[n] = m
				numbers = append(numbers, n)
				continue
			}
			i := r.IntN(len(numbers))
			n := numbers[i]
			body, more := s.contents(n)
			require.Equal(t, live[n].body, body, "numbers stay good")
			require.Same(t, live[n].more, more)
			s.release(n)
			delete(live, n)
			numbers = slices.Delete(numbers, i, i+1)
		}
		got, err := s.check(0, func(n uint32) (uint32, bool) { return s.at(n).next, s.at(n).seq == 0 })
		require.NoError(t, err)
		require.Len(t, got, len(live))
	}
	for _, n := range numbers {
		s.release(n)
	}
	kept := 0
	for _, c := range s.chunks {
		if c == nil {
			continue
		}
		kept++
		require.Zero(t, c.bodies, "nothing is kept of what was released")
		if c.more != nil {
			require.Zero(t, *c.more)
		}
	}
	require.LessOrEqual(t, kept, 1, "an empty reserve keeps one chunk")
	require.Nil(t, s.lookup(inReserve|1<<30), "a place that never was")
}
