package dabchick

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestReserveAgainstAMap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	q, err := New("q", Options[int]{FIFO: true})
	require.NoError(t, err)
	c := &q.core
	s := &c.reserve
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
				n, _ := c.setAside(0, m.body, m.more, c.groups.begin(uint32(sent), ""), 0)
				require.True(t, isReserved(n), "a number is no slot")
				require.NotContains(t, live, n, "a place twice")
				live[n] = m
				numbers = append(numbers, n)
				continue
			}
			i := r.IntN(len(numbers))
			n := numbers[i]
			body, more := s.contents(n)
			require.Equal(t, live[n], message{body, more}, "numbers stay good")
			c.strike(s.at(n).arrived)
			s.release(n)
			delete(live, n)
			numbers = slices.Delete(numbers, i, i+1)
		}
		got, err := s.check(0, func(n uint32) (uint32, bool) { return *s.next(n), s.at(n).seq == 0 })
		require.NoError(t, err)
		require.Len(t, got, len(live))
	}
	for _, n := range numbers {
		c.strike(s.at(n).arrived)
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

// A message that is received together with the one before it, and handed back when that is gone,
// stands where it was sent.
func TestPlaceOfAMessageThatIsCalledUp(t *testing.T) {
	var c core[string]
	c.fifo, c.backlog, c.spares = true, new(backlog[string]), new(spares)
	c.groups = newGroups(false, c.spares)
	c.reserve.spares = c.spares
	c.clear()
	c.heedGroups()
	send := func(group string) { c.setAside(0, group, nil, c.join(group), 0) }
	for _, group := range []string{"a", "b", "a"} {
		send(group)
	}
	first := c.next(0, c.drawn)
	c.deliver(0, first, c.slab.at(first), 1)
	second := c.follower(0, first)
	m := c.slab.at(second)
	was := c.deliver(0, second, m, 1)
	c.drop(first, c.slab.at(first))
	c.undeliver(second, m, was)
	require.NoError(t, c.check())
	next := c.next(0, c.drawn)
	require.Equal(t, "b", c.groupName(c.slab.at(next)), "it is behind b, which came before it")
}

// However many messages there are, each can come to have a slot.
func TestSlotsDoNotRunOut(t *testing.T) {
	q, err := New("q", Options[int]{FIFO: true, FailFast: true})
	require.NoError(t, err)
	q.core.counts[free] -= mostSlots - 1 // made believe
	_, err = q.SendWith(t.Context(), 1, SendOptions{Group: "a"})
	require.NoError(t, err)
	_, err = q.SendWith(t.Context(), 2, SendOptions{Group: "a"})
	require.ErrorIs(t, err, ErrFull)
	require.LessOrEqual(t, uint32(maxChunks*chunkSize), uint32(inReserve), "no slot is a number in reserve")
}

// Nor do they for a receive that waits.
func TestNoSlotForAReceiveThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := New("q", Options[int]{FailFast: true})
		require.NoError(t, err)
		got := make(chan int)
		go func() {
			m, err := q.Receive(t.Context())
			require.NoError(t, err)
			got <- m.Body
		}()
		synctest.Wait()
		q.core.counts[free] -= mostSlots // made believe
		_, err = q.Send(t.Context(), 1)
		require.ErrorIs(t, err, ErrFull)
		q.core.counts[free] += mostSlots
		_, err = q.Send(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, 2, <-got)
	})
}
