package dabchick_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

var linearOps = flag.Int64("dabchick.linear", 0, "operations of each test of linearizability; 0 for some hundred thousand, less under -race")

func linearTotal() int64 {
	switch {
	case *linearOps > 0:
		return *linearOps
	case dabchick.RaceEnabled:
		return 40_000
	}
	return 400_000
}

// I3, I4, I7, I8, I10, I11: what concurrent callers saw could have been seen by
// callers one at a time, in an order that agrees with real time: which messages
// came, in which order and as which delivery, what receipts were worth, counts,
// and that there was nothing when nothing came. Timeouts and delays end meanwhile;
// receives wait, and are cancelled while messages are handed to them; queues are
// purged and closed, and some are full now and then.
func TestConcurrentHistoriesAreLinearizable(t *testing.T) { checkHistories(t, false) }

// I5: so it is of FIFO queues: a receive gets the oldest messages of a group, and
// only while the first is not in flight.
func TestConcurrentFIFOHistoriesAreLinearizable(t *testing.T) { checkHistories(t, true) }

func checkHistories(t *testing.T, fifo bool) {
	runSeeds(t, "operations", linearTotal(), func(t *testing.T, seed uint64) int64 {
		ops, cancelled, most := record(t, rand.New(rand.NewPCG(seed, 0)), fifo)
		if t.Failed() {
			return 0
		}
		if porcupine.CheckOperations(lineModel(fifo, most), ops) {
			return int64(len(ops))
		}
		// What a cancelled receive was handed for a moment may have been missed.
		ops = append(ops, cancelled...)
		result, info := porcupine.CheckOperationsVerbose(lendingModel(fifo, most), ops, time.Minute)
		if result != porcupine.Ok {
			f, err := os.CreateTemp("", "dabchick-history-*.html")
			require.NoError(t, err)
			require.NoError(t, porcupine.Visualize(lendingModel(fifo, most), info, f))
			require.NoError(t, f.Close())
			t.Fatalf("seed %d: %v: no order of calls explains what they saw, see %s", seed, result, f.Name())
		}
		return int64(len(ops))
	})
}
