package dabchick

import "sync"

// A lock is a mutex that looks again for a while before it lets its goroutine sleep.
// What is done under a queue's lock takes some tens of nanoseconds; falling asleep
// and being woken takes ten times that. sync.Mutex looks again too, but not while
// other goroutines are ready to run, which is when it matters.
//
// The pauses between looks grow. A lock that is free at the second look was held by
// chance; one that is still held is what all processors want, and then the most is
// done by letting one of them have it many times in a row, while all that it guards
// is in that processor's cache.
type lock struct{ sync.Mutex }

const (
	looks = 5
	lull  = 1000 // rounds of a loop that does nothing: a fraction of a microsecond
	grow  = 3    // so the last pause is some 20 µs
)

func (l *lock) Lock() {
	if !l.TryLock() {
		l.wait()
	}
}

func (l *lock) wait() {
	pause := lull
	for range looks {
		spin(pause)
		if l.TryLock() {
			return
		}
		pause *= grow
	}
	l.Mutex.Lock()
}

//go:noinline
func spin(n int) {
	for range n {
	}
}
