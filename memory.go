package dabchick

import (
	"hash/maphash"
	"math"
	"time"
)

// A memory keeps values for a time, counted from when they were put in. Its zero
// value is empty. A call takes O(1): it drops a few of the values whose time is
// over, or all of them if that is so for the latest.
//
// Values lie in the order in which they came, in pages: each is dropped in its turn, and the
// garbage collector has few objects to visit. A directory finds them by their keys.
type memory[K comparable, V any] struct {
	numbers directory // of values, by the hashes of their keys
	seed    maphash.Seed
	pages   []*[memoryPage]remembered[K, V] // the first has the oldest
	spare   *[memoryPage]remembered[K, V]   // empty; or nil
	oldest  uint64                          // values are counted; this is the first that is here
	next    uint64                          // and this the one to come
	since   int64                           // what was put in earlier is over in any window
}

type remembered[K comparable, V any] struct {
	key   K
	value V
	at    int64
	hash  uint32
	gone  bool // it was dropped, or put in anew
}

const memoryPage = 64

func (m *memory[K, V]) clear() { *m = memory[K, V]{} }

// len returns how many values there are, those included that are over or gone.
func (m *memory[K, V]) len() int { return int(m.next - m.oldest) }

// get returns what was put in under a key less than window ago. If there is nothing, the key
// is free to be put in.
func (m *memory[K, V]) get(now int64, window time.Duration, key K) (value V, ok bool) {
	m.forget(now, window)
	e, n := m.find(key)
	switch {
	case e == nil:
		return value, false
	case m.over(e, now, window):
		m.remove(e, n)
		return value, false
	}
	return e.value, true
}

// put remembers a value from now on, under a key that is free.
func (m *memory[K, V]) put(now int64, key K, value V) {
	if m.pages == nil {
		m.seed = maphash.MakeSeed()
	}
	if m.pages == nil || m.next%memoryPage == 0 {
		p := m.spare
		if m.spare = nil; p == nil {
			p = new([memoryPage]remembered[K, V])
		}
		m.pages = append(m.pages, p)
	}
	hash := m.hash(key)
	*m.at(m.next) = remembered[K, V]{key: key, value: value, at: now, hash: hash}
	m.numbers.put(hash, numberAt(m.next))
	m.next++
}

// drop forgets a key, which is free then.
func (m *memory[K, V]) drop(key K) {
	if e, n := m.find(key); e != nil {
		m.remove(e, n)
	}
}

func (m *memory[K, V]) remove(e *remembered[K, V], number uint32) {
	m.numbers.drop(e.hash, number)
	*e = remembered[K, V]{at: e.at, gone: true}
}

// rewindow is told that the window changes. What is over in the old one stays so.
func (m *memory[K, V]) rewindow(now int64, old time.Duration) {
	m.since = max(m.since, now-int64(old)+1)
}

func (m *memory[K, V]) over(e *remembered[K, V], now int64, window time.Duration) bool {
	return now >= after(e.at, window) || e.at < m.since
}

// forget drops what is over, a little at a time.
func (m *memory[K, V]) forget(now int64, window time.Duration) {
	const atOnce = 4 // more than one comes in at a time
	if m.len() > 0 && m.over(m.at(m.next-1), now, window) {
		m.clear()
		return
	}
	for range min(atOnce, m.len()) {
		e := m.at(m.oldest)
		if !m.over(e, now, window) {
			break
		}
		if !e.gone {
			m.numbers.drop(e.hash, numberAt(m.oldest))
			m.numbers.shrink(e.hash)
		}
		*e = remembered[K, V]{}
		if m.oldest++; m.oldest%memoryPage == 0 {
			m.spare = m.pages[0]
			m.pages[0] = nil
			m.pages = m.pages[1:]
		}
	}
}

func (m *memory[K, V]) hash(key K) uint32 { return uint32(maphash.Comparable(m.seed, key)) }

// at returns the value that was the nth, counted from 0.
func (m *memory[K, V]) at(n uint64) *remembered[K, V] {
	return &m.pages[n/memoryPage-m.oldest/memoryPage][n%memoryPage]
}

// find returns what there is under a key, and its number in the directory; or nil.
func (m *memory[K, V]) find(key K) (*remembered[K, V], uint32) {
	if m.len() == 0 {
		return nil, 0
	}
	hash := m.hash(key)
	t := m.numbers.table(hash)
	mask := uint32(len(t.places) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		p := t.places[i]
		if p.number == 0 {
			return nil, 0
		}
		if p.hash == hash {
			if e := m.at(countOf(p.number, m.oldest)); e.key == key {
				return e, p.number
			}
		}
	}
}

// A directory has numbers of 32 bits, of which 0 is none; so they come around.
const memoryNumbers = math.MaxUint32

func numberAt(n uint64) uint32 { return uint32(n%memoryNumbers) + 1 }

// countOf is the reverse of numberAt for what is not older than the oldest.
func countOf(number uint32, oldest uint64) uint64 {
	return oldest + (uint64(number-1)+memoryNumbers-oldest%memoryNumbers)%memoryNumbers
}
