package entry

import (
	"sync"
	"time"

	"github.com/google/btree"
)

// What the bare structures share: one lock, the time, and receivers that wait.
// They look neither at contexts nor at anything else that a product has.
type bare struct {
	mu         sync.Mutex
	arrived    sync.Cond // a message may be there, or the queue was closed
	closed     bool
	waiting    int
	alarm      *time.Timer // for what is hidden while receivers wait
	start      time.Time
	visibility time.Duration
	sent       uint64
}

func (b *bare) init(s Setup) {
	b.start, b.visibility = time.Now(), s.visibility()
	b.arrived.L = &b.mu
}

func (b *bare) now() time.Duration { return time.Since(b.start) }

// wake has one waiting receiver look again. It needs the lock.
func (b *bare) wake() {
	if b.waiting > 0 {
		b.arrived.Signal()
	}
}

// wait waits until something may be there: at the instant next at the latest,
// if it is not 0. It needs the lock, and has it again when it returns.
func (b *bare) wait(now, next time.Duration) {
	if next > 0 {
		if b.alarm == nil {
			b.alarm = time.AfterFunc(next-now, func() {
				b.mu.Lock()
				b.arrived.Broadcast()
				b.mu.Unlock()
			})
		} else {
			b.alarm.Reset(next - now)
		}
	}
	b.waiting++
	b.arrived.Wait()
	b.waiting--
}

func (b *bare) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.alarm != nil {
		b.alarm.Stop()
	}
	b.arrived.Broadcast()
	return nil
}

// A timed message, in order of the instant at which it is there.
type timed struct {
	at   time.Duration
	id   uint64
	body []byte
}

func (t timed) less(o timed) bool { return t.at < o.at || t.at == o.at && t.id < o.id }

// A place is where a timed message stands: enough to take it out of its tree.
type place struct {
	at time.Duration
	id uint64
}

const degree = 64 // best from 100,000 messages up

func newTree() *btree.BTreeG[timed] { return btree.NewG(degree, timed.less) }

// A ring is a list that grows, of what is visible.
type ring struct {
	places []timed // as many as a power of two
	head   int
	n      int
}

func (r *ring) push(t timed) {
	if r.n == len(r.places) {
		grown := make([]timed, max(2*r.n, 64))
		for i := range r.n {
			grown[i] = r.places[(r.head+i)&(len(r.places)-1)]
		}
		r.places, r.head = grown, 0
	}
	r.places[(r.head+r.n)&(len(r.places)-1)] = t
	r.n++
}

func (r *ring) pop() timed {
	t := r.places[r.head]
	r.places[r.head].body = nil
	r.head = (r.head + 1) & (len(r.places) - 1)
	r.n--
	return t
}
