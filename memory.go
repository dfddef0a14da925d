package dabchick

import "time"

// A memory keeps values for a time, counted from when they were put in. Its zero
// value is empty. A call takes O(1): it drops a few of the values whose time is
// over, or all of them if that is so for the latest.
type memory[K comparable, V any] struct {
	entries map[K]*remembered[K, V]
	// What entries was before it had become much too large. It loses its
	// entries as their time passes, and then its memory.
	former         map[K]*remembered[K, V]
	peak           int
	oldest, newest *remembered[K, V]
	since          int64 // what was put in earlier is over in any window
}

type remembered[K comparable, V any] struct {
	key   K
	value V
	at    int64
	later *remembered[K, V]
}

func (m *memory[K, V]) clear() { *m = memory[K, V]{} }

// get returns what was put in under a key less than window ago.
func (m *memory[K, V]) get(now int64, window time.Duration, key K) (value V, ok bool) {
	m.forget(now, window)
	e := m.entries[key]
	if e == nil {
		e = m.former[key]
	}
	if e == nil || m.over(e, now, window) {
		return value, false
	}
	return e.value, true
}

// put remembers a value from now on, in place of one under the same key.
func (m *memory[K, V]) put(now int64, window time.Duration, key K, value V) {
	m.forget(now, window)
	if m.entries == nil {
		m.entries = map[K]*remembered[K, V]{}
	}
	e := &remembered[K, V]{key: key, value: value, at: now}
	m.entries[key] = e
	m.peak = max(m.peak, len(m.entries))
	if m.newest != nil {
		m.newest.later = e
	} else {
		m.oldest = e
	}
	m.newest = e
}

// drop forgets a key.
func (m *memory[K, V]) drop(key K) {
	delete(m.entries, key)
	delete(m.former, key)
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
	if m.newest != nil && m.over(m.newest, now, window) {
		m.clear()
		return
	}
	for range atOnce {
		e := m.oldest
		if e == nil || !m.over(e, now, window) {
			break
		}
		m.oldest = e.later
		for _, entries := range []map[K]*remembered[K, V]{m.entries, m.former} {
			if entries[e.key] == e {
				delete(entries, e.key)
			}
		}
	}
	// A map does not shrink by itself.
	const large = 1024
	if len(m.former) == 0 {
		m.former = nil
		if m.peak > large && len(m.entries) < m.peak/4 {
			m.former, m.entries, m.peak = m.entries, nil, 0
		}
	}
}
