package dabchick

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What receivers write is not on a cache line with what senders use, wherever the
// queue lies in memory. (It halves throughput.)
func TestSendersAndReceiversShareNoCacheLine(t *testing.T) {
	const line = 64
	var q Queue[[]byte]
	require.GreaterOrEqual(t, unsafe.Offsetof(q.mu)-(unsafe.Offsetof(q.backlog)+unsafe.Sizeof(q.backlog)), uintptr(line))
	var b backlog[[]byte]
	require.GreaterOrEqual(t, unsafe.Offsetof(b.front)-(unsafe.Offsetof(b.spareShelf)+unsafe.Sizeof(b.spareShelf)), uintptr(line))
}

// A tally excludes as a lock does, whether its goroutines look again, let others run or
// sleep, and publishes the count.
func TestTallyExcludes(t *testing.T) {
	const goroutines, rounds = 64, 1000
	var tally tally
	var all sync.WaitGroup
	n := uint64(0)
	for range goroutines {
		all.Go(func() {
			for range rounds {
				count := tally.lock()
				assert.Equal(t, n, count)
				n++
				tally.unlock(n)
			}
		})
	}
	count := tally.lock()
	for range 100 {
		spin(10 * firstPause) // the first of those who wait looks in vain
		require.Equal(t, count, tally.count(), "readers do not wait")
	}
	tally.unlock(count)
	all.Wait()
	require.EqualValues(t, goroutines*rounds, tally.count())
}

// The lock excludes, whether its goroutines look again or sleep.
func TestLockExcludes(t *testing.T) {
	const goroutines, rounds = 64, 1000
	var l lock
	var all sync.WaitGroup
	n := 0
	for range goroutines {
		all.Go(func() {
			for range rounds {
				l.Lock()
				n++
				l.Unlock()
			}
		})
	}
	l.Lock()
	for range 100 {
		spin(10 * firstPause) // others look in vain, and sleep
	}
	l.Unlock()
	all.Wait()
	require.Equal(t, goroutines*rounds, n)
}
