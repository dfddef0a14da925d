package dabchick_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var onlySeed = flag.Uint64("dabchick.seed", 0, "the one seed that a test with seeds runs; 0 for many")

// runSeeds runs seed after seed on all cores until they have done so much in all,
// or one fails. run returns how much its seed has done, in the unit given.
// Runs of more than ten seconds say how far they are. The last line, which starts
// with "proof:", is what the ledger keeps.
func runSeeds(t *testing.T, unit string, total int64, run func(t *testing.T, seed uint64) int64) {
	if *onlySeed != 0 {
		run(t, *onlySeed)
		return
	}
	first := rand.Uint64()>>1 | 1
	began := time.Now()
	var seeds, done atomic.Int64
	var failed atomic.Bool
	report := func(what string) {
		s := time.Since(began).Seconds()
		fmt.Fprintf(os.Stderr, "%s: %s: %d of %d %s, %d seeds from %d, %.1f s, %.0f %s/s\n",
			what, t.Name(), done.Load(), total, unit, seeds.Load(), first, s, float64(done.Load())/s, unit)
	}
	stop := make(chan struct{})
	var reporting sync.WaitGroup
	reporting.Go(func() {
		ticks := time.NewTicker(10 * time.Second)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				report("running")
			case <-stop:
				return
			}
		}
	})
	t.Run("seeds", func(t *testing.T) {
		for n := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				defer func() { // a failure leaves by Goexit
					if t.Failed() {
						failed.Store(true)
					}
				}()
				for done.Load() < total && !failed.Load() {
					seed := first + uint64(seeds.Add(1)) - 1
					if done.Add(run(t, seed)); t.Failed() {
						return
					}
				}
			})
		}
	})
	close(stop)
	reporting.Wait()
	if testing.Verbose() {
		report("proof")
	}
}
