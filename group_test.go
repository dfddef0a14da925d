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
