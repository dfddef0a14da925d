package dabchick_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

var simulatedDays = flag.Int64("dabchick.days", 0, "days of fake time of TestSimulatedService in all; 0 for some weeks, less under -race")

// I1 to I10 over a long time: a service of six queues, with producers, consumers
// that crash, stall, extend and give back, and operators who pause, purge, redrive
// and change options. Each seed is a fortnight in fake time. What is wrong is
// noticed at once, and at the end every message is accounted for by its number.
func TestSimulatedService(t *testing.T) {
	const days = 14
	total := *simulatedDays
	if total == 0 {
		if total = 4 * days; dabchick.RaceEnabled {
			total = days
		}
	}
	var calls atomic.Int64
	began := time.Now()
	runSeeds(t, "days", total, func(t *testing.T, seed uint64) int64 {
		calls.Add(simulateService(t, seed, days, nil))
		return days
	})
	t.Logf("%d acts, %.0f a second", calls.Load(), float64(calls.Load())/time.Since(began).Seconds())
}

// I17: the same seed does the same things, byte for byte.
func TestSameSeedSameTrace(t *testing.T) {
	seed := rand.Uint64()
	var first, second bytes.Buffer
	simulateService(t, seed, 2, &first)
	simulateService(t, seed, 2, &second)
	require.Greater(t, first.Len(), 100_000)
	require.True(t, bytes.Equal(first.Bytes(), second.Bytes()), "seed %d: the traces differ", seed)
}

// simulateService runs a service for some days, and writes down what happened.
func simulateService(t *testing.T, seed uint64, days int, trace *bytes.Buffer) (calls int64) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, rand.New(rand.NewPCG(seed, 0)), trace)
		defer func() { // a fault leaves by Goexit
			if t.Failed() {
				s.stop()
				t.Logf("replay: go test -run TestSimulatedService -dabchick.seed %d .\nthe last that happened:\n%s", seed, s.tail())
			}
		}()
		s.run(time.Duration(days) * 24 * time.Hour)
		s.finish()
		calls = s.calls
	})
	return calls
}

// I16: instants of a queue are measured by the monotonic clock, so that jumps of
// the wall clock do not matter: it is read once, when the queue is made, and every
// time that a queue tells carries its monotonic reading.
func TestTimesAreMonotonic(t *testing.T) {
	q := mustNew(t, dabchick.Options[int]{})
	send(t, q, 1)
	m := take(t, q)
	for name, at := range map[string]time.Time{"SentAt": m.SentAt(), "FirstReceivedAt": m.FirstReceivedAt(), "VisibleAt": m.VisibleAt()} {
		require.Contains(t, at.String(), " m=", name)
		require.NotContains(t, at.Round(0).String(), " m=", "the mark of a monotonic reading")
	}
	require.Equal(t, dabchick.DefaultVisibilityTimeout, m.VisibleAt().Sub(m.FirstReceivedAt()))
}

// I19: what happens to a queue does not depend on what happens to others: the same
// random program does the same next to queues that are filled, drained and purged.
func TestQueuesAreIsolated(t *testing.T) {
	run := func(seed uint64, noise bool) (trace []string) {
		synctest.Test(t, func(t *testing.T) {
			r, loud := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
			p := newProgram(t, int(seed%kinds), r.IntN)
			dead := mustNew(t, dabchick.Options[int]{})
			others := []*dabchick.Queue[int]{mustNew(t, dabchick.Options[int]{DeadLetter: dead, MaxReceives: 1}), dead}
			for range 2000 {
				require.NoError(t, p.step())
				for i := 0; noise && i < 20; i++ {
					q := others[loud.IntN(2)]
					switch n := loud.IntN(1000); {
					case n == 0:
						_, err := q.Purge(t.Context())
						require.NoError(t, err)
					case n < 500:
						send(t, q, i)
					default:
						if m, ok := q.TryReceive(); ok && n%2 == 0 {
							require.NoError(t, m.Release(t.Context()))
						}
					}
				}
			}
			trace = p.lines()
		})
		return trace
	}
	for range 6 {
		seed := rand.Uint64()
		require.Equal(t, run(seed, false), run(seed, true), fmt.Sprint("seed ", seed))
	}
}
