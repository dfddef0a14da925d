package dabchick

import "sync"

// A lock is a mutex that looks again for a while before it lets its goroutine sleep.
// What is done under a queue's lock takes some tens of nanoseconds; falling asleep
// and being woken takes ten times that. sync.Mutex looks again too, but not while
// other goroutines are ready to run, which is when it matters. The pauses between
// looks let whoever has the lock use it several times while what it guards is in
// its processor's cache.
type lock struct{ sync.Mutex }

const (
	looks = 10
	lull  = 1000 // rounds of a loop that does nothing: a fraction of a microsecond
)

func (l *lock) Lock() {
	if !l.TryLock() {
		l.wait()
	}
}

func (l *lock) wait() {
	for range looks {
		spin(lull)
		if l.TryLock() {
			return
		}
	}
	l.Mutex.Lock()
}

//go:noinline
func spin(n int) {
	for range n {
	}
}
