package dabchick

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An average over many short times is the one over the long time that they make
// up, whether a step is so short that it is computed in another way or not.
func TestUsageDoesNotDependOnTheSteps(t *testing.T) {
	for _, step := range []int64{1, 500, 1_000_000} {
		var steps, whole usage
		const n = 10_000
		for i := range int64(n) {
			steps.pass((i+1)*step, 3, time.Second)
		}
		whole.pass(n*step, 3, time.Second)
		require.InEpsilon(t, whole.mean, steps.mean, 1e-6, step)
		for i := range int64(n) {
			steps.pass((n+i+1)*step, 0, time.Second)
		}
		whole.pass(2*n*step, 0, time.Second)
		require.InEpsilon(t, whole.mean, steps.mean, 1e-6, step)
	}
}

func TestUsageApproachesWhatIsInFlight(t *testing.T) {
	var u usage
	u.pass(int64(time.Minute), 7, time.Second)
	require.InDelta(t, 7, u.mean, 1e-9)
	u.pass(int64(time.Minute+time.Second), 0, time.Second)
	require.InDelta(t, 7/2.718281828459045, u.mean, 1e-9)
	u.pass(0, 100, time.Second) // the past is over
	require.InDelta(t, 7/2.718281828459045, u.mean, 1e-9)
}

func TestMemory(t *testing.T) {
	const window = 10
	var m memory[string, int]
	_, ok := m.get(0, window, "a")
	require.False(t, ok)
	m.put(0, window, "a", 1)
	m.put(5, window, "b", 2)
	m.put(6, window, "a", 3) // in place of the first
	v, ok := m.get(15, window, "a")
	require.True(t, ok)
	require.Equal(t, 3, v)
	_, ok = m.get(15, window, "b")
	require.False(t, ok)
	m.drop("a")
	_, ok = m.get(15, window, "a")
	require.False(t, ok)
	m.put(15, window, "a", 4)
	v, ok = m.get(16, window, "a") // the dropped one's time is over, not this one's
	require.True(t, ok)
	require.Equal(t, 4, v)
	_, ok = m.get(25, window, "a")
	require.False(t, ok)
	require.Nil(t, m.oldest, "nothing is left")
}
