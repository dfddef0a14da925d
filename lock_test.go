package dabchick

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// What receivers write is not on a cache line with what senders use, wherever the
// queue lies in memory. (It halves throughput.)
func TestSendersAndReceiversShareNoCacheLine(t *testing.T) {
	const line = 64
	var q Queue[[]byte]
	require.GreaterOrEqual(t, unsafe.Offsetof(q.mu)-(unsafe.Offsetof(q.backlog)+unsafe.Sizeof(q.backlog)), uintptr(line))
	var b backlog[[]byte]
	require.GreaterOrEqual(t, unsafe.Offsetof(b.first)-(unsafe.Offsetof(b.spareShelf)+unsafe.Sizeof(b.spareShelf)), uintptr(line))
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
		spin(10 * lull) // others look in vain, and sleep
	}
	l.Unlock()
	all.Wait()
	require.Equal(t, goroutines*rounds, n)
}
