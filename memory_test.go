package dabchick

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMemory(t *testing.T) {
	const window = 10
	var m memory[string, int]
	put := func(now int64, key string, value int) {
		m.drop(key)
		m.put(now, key, value)
		require.NoError(t, m.check())
	}
	_, ok := m.get(0, window, "a")
	require.False(t, ok)
	put(0, "a", 1)
	put(5, "b", 2)
	put(6, "a", 3) // in place of the first
	v, ok := m.get(15, window, "a")
	require.True(t, ok)
	require.Equal(t, 3, v)
	_, ok = m.get(15, window, "b")
	require.False(t, ok)
	m.drop("a")
	_, ok = m.get(15, window, "a")
	require.False(t, ok)
	put(15, "a", 4)
	v, ok = m.get(16, window, "a") // the dropped one's time is over, not this one's
	require.True(t, ok)
	require.Equal(t, 4, v)
	_, ok = m.get(25, window, "a")
	require.False(t, ok)
	require.Zero(t, m.len(), "nothing is left")
	require.Nil(t, m.pages)
}

// A program of puts, gets, drops and changes of the window, over pages, tables and the end of
// the directory's numbers, has what a map and a list of instants have.
func TestMemoryIsAMapOfTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m memory[string, int]
		m.oldest = rapid.SampledFrom([]uint64{0, memoryNumbers - 100, 7*memoryNumbers - 1}).Draw(t, "first")
		m.next = m.oldest
		type put struct {
			value int
			until int64
		}
		there := map[string]put{}
		now, window, value := int64(0), time.Duration(100), 0
		step := rapid.Int64Range(0, rapid.SampledFrom([]int64{1, 10, 200}).Draw(t, "longest pause"))
		for range rapid.IntRange(0, 2000).Draw(t, "steps") {
			now += step.Draw(t, "pause")
			key := strconv.Itoa(rapid.IntRange(0, 300).Draw(t, "key"))
			want := there[key]
			got, ok := m.get(now, window, key)
			if ok != (now < want.until) || ok && got != want.value {
				t.Fatalf("%q at %d: %d %v, want %+v", key, now, got, ok, want)
			}
			switch rapid.IntRange(0, 9).Draw(t, "action") {
			case 0:
				m.drop(key)
				delete(there, key)
			case 1:
				former := window
				window = time.Duration(rapid.Int64Range(1, 1000).Draw(t, "window"))
				m.rewindow(now, former)
				for k, p := range there {
					if now >= p.until {
						delete(there, k)
						continue
					}
					p.until += int64(window - former)
					there[k] = p
				}
			default:
				if ok {
					m.drop(key)
				}
				value++
				m.put(now, key, value)
				there[key] = put{value, now + int64(window)}
			}
		}
		require.NoError(t, m.check())
	})
}

// What is remembered takes memory as long as its time lasts, and the directory shrinks with it.
func TestMemoryOfAWindow(t *testing.T) {
	const window = 20_000
	var m memory[int, int]
	room := func() (places int) {
		for _, t := range m.numbers.tables {
			places += len(t.places)
		}
		return places
	}
	now := int64(0)
	put := func(n, every int) {
		for range n {
			now += int64(every)
			_, ok := m.get(now, window, int(now))
			require.False(t, ok)
			m.put(now, int(now), 0)
		}
	}
	put(3*window, 1)
	require.InDelta(t, window, m.len(), 1)
	require.InDelta(t, window/memoryPage, len(m.pages), 2)
	require.Less(t, room(), 8*window)
	put(window/2, 100)
	require.InDelta(t, window/100, m.len(), 1)
	require.InDelta(t, window/100/memoryPage, len(m.pages), 2)
	require.LessOrEqual(t, room(), tableCount*firstPlaces)
	require.NoError(t, m.check())
}
