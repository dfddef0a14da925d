package dabchick

import (
	"runtime"
	"sync"
	"sync/atomic"
)

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

// How often who finds a lock held looks again before it sleeps, and for how long it pauses
// before each look.
const (
	spinLooks   = 5
	firstPause  = 1000 // rounds of a loop that does nothing: a fraction of a microsecond
	pauseGrowth = 3    // so the last pause is some 20 µs
)

// Lock is not inlined. The calls of which a message needs one each write it out.
func (l *lock) Lock() {
	if !l.TryLock() {
		l.wait()
	}
}

func (l *lock) wait() {
	pause := firstPause
	for range spinLooks {
		spin(pause)
		if l.TryLock() {
			return
		}
		pause *= pauseGrowth
	}
	l.Mutex.Lock()
}

//go:noinline
func spin(n int) {
	for range n {
	}
}

// A tally is a count that anyone may read, and in the same word the lock under which it
// is changed: to unlock it is to publish it, which costs a store of its own otherwise.
// It is for what takes some tens of nanoseconds: the first of those who wait does not
// sleep, but lets others run.
type tally struct {
	word atomic.Uint64 // twice the count, and 1 if locked
	line sync.Mutex    // held by the first of those who wait
}

// lock returns the count.
func (t *tally) lock() uint64 {
	n, ok := t.tryLock()
	if !ok {
		n = t.wait()
	}
	return n
}

func (t *tally) tryLock() (n uint64, ok bool) {
	w := t.word.Load()
	return w >> 1, w&1 == 0 && t.word.CompareAndSwap(w, w|1)
}

func (t *tally) wait() uint64 {
	pause := firstPause
	for range spinLooks {
		spin(pause)
		if n, ok := t.tryLock(); ok {
			return n
		}
		pause *= pauseGrowth
	}
	t.line.Lock()
	defer t.line.Unlock()
	for {
		if n, ok := t.tryLock(); ok {
			return n
		}
		runtime.Gosched()
	}
}

// unlock sets the count.
func (t *tally) unlock(n uint64) { t.word.Store(n << 1) }

func (t *tally) count() uint64 { return t.word.Load() >> 1 }
