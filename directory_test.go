package dabchick

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A program of groups that come and go finds all that are there and no others,
// however many hashes are alike.
func TestDirectoryIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few bits make long stretches of places, also over the end of a table.
		bits := rapid.SampledFrom([]uint32{0, 0xf, 0xff00000f, ^uint32(0)}).Draw(t, "bits")
		groups := newGroups(false, new(spares))
		groups.clear()
		hash := func(name int) uint32 { return (uint32(name)*2654435761 | 0xc) & bits }
		numbers := map[int]uint32{}
		check := func(name int) {
			require.Equal(t, numbers[name], groups.find(hash(name), strconv.Itoa(name)))
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			name := rapid.IntRange(0, 60).Draw(t, "name")
			check(name)
			if numbers[name] == 0 || rapid.Bool().Draw(t, "again") {
				n := groups.join(0, hash(name), strconv.Itoa(name))
				require.True(t, n == numbers[name] || numbers[name] == 0)
				groups.at(n).line.head = 1 // has a message
				numbers[name] = n
			} else {
				groups.leave(0, numbers[name])
				delete(numbers, name)
			}
			check(name)
		}
		for name := range 61 {
			check(name)
		}
	})
}

// Many groups are spread over many small tables. When they go, the memory does.
func TestDirectoryGrowsInSmallTables(t *testing.T) {
	const many = 100_000
	groups := newGroups(false, new(spares))
	groups.clear()
	join := func(i int) uint32 {
		name := strconv.Itoa(i)
		n := groups.join(0, groups.hash(name), name)
		groups.at(n).line.head = 1 // has a message
		return n
	}
	for i := range many {
		require.EqualValues(t, i+1, join(i))
		if i < manyPlaces/2 {
			require.Len(t, groups.numbers.tables, 1, "few need no more than one")
		}
	}
	places := 0
	for _, table := range groups.numbers.tables {
		places += len(table.places)
		require.LessOrEqual(t, len(table.places), manyPlaces)
	}
	require.LessOrEqual(t, places, 4*many)
	for i := range many {
		require.EqualValues(t, i+1, join(i))
	}
	for i := range many {
		groups.leave(0, uint32(i+1))
		require.Zero(t, groups.lookup(strconv.Itoa(i)))
	}
	require.Empty(t, groups.chunks)
	require.Empty(t, groups.numbers.tables)
}

// The memory of many groups is not kept for a few.
func TestGroupsDoNotKeepWhatIsOfNoUse(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // which finds what it has given back
	groups := newGroups(false, new(spares))
	groups.clear()
	comeAndGo := func(n int) (chunks int) {
		for i := range n {
			name := strconv.Itoa(i)
			groups.join(0, groups.hash(name), name)
		}
		chunks = len(groups.chunks)
		for i := range n {
			name := strconv.Itoa(i)
			groups.leave(0, groups.lookup(name))
		}
		return chunks
	}
	many := comeAndGo(10_000)
	require.LessOrEqual(t, comeAndGo(3), many)
	require.Equal(t, 1, comeAndGo(3), "chunks")
	require.Equal(t, many, comeAndGo(10_000))
	require.LessOrEqual(t, comeAndGo(5_000), many)
	require.GreaterOrEqual(t, comeAndGo(5_000), many/2)
}

// Groups that come and go take no more room than those that are there at a time.
func TestDirectoryOfGroupsThatComeAndGo(t *testing.T) {
	groups := newGroups(false, new(spares))
	groups.clear()
	for i := range 1000 {
		name := strconv.Itoa(i)
		groups.leave(0, groups.join(0, groups.hash(name), name))
	}
	require.Len(t, groups.numbers.tables, 1)
	require.Len(t, groups.numbers.tables[0].places, firstPlaces)
}
