package dabchick

// A directory has the numbers of message groups by their names, or those of other things by
// other keys. A place holds a hash and a number, and nothing else: a look-up costs one cache
// miss, besides that of the group's record, which is wanted anyway and has the name to
// compare.
//
// The places are searched from where the hash says on, to the first free one. A table
// that fills up is doubled. There are many small tables when there are many groups, so
// that no send has to wait for a large one.
//
// Names come from outside, so hashes are seeded: nobody can choose names that collide.
type directory struct {
	tables []table // one; or tableCount, by the first bits of the hash
}

type table struct {
	places []place // a power of two of them, or none
	taken  int
}

// A place is free if its number is 0.
type place struct{ hash, number uint32 }

const (
	firstPlaces = 16
	tableBits   = 8
	tableCount  = 1 << tableBits
	manyPlaces  = 4096 // more in one table are spread over tableCount
)

// table returns the table of a hash, or nil if nothing was ever put in.
func (d *directory) table(hash uint32) *table {
	switch len(d.tables) {
	case 0:
		return nil
	case 1:
		return &d.tables[0]
	}
	return &d.tables[hash>>(32-tableBits)]
}

// put adds a number that is not there yet.
func (d *directory) put(hash, number uint32) {
	if d.tables == nil {
		d.tables = []table{{places: make([]place, firstPlaces)}}
	}
	t := d.table(hash)
	if t.taken >= len(t.places)/4*3 {
		d.grow(t)
		t = d.table(hash)
	}
	t.put(place{hash, number})
}

// drop removes a number that is there.
func (d *directory) drop(hash, number uint32) { d.table(hash).drop(hash, number) }

// grow makes room in a table that is full.
func (d *directory) grow(t *table) {
	old := t.places
	if len(d.tables) == 1 && len(old) == manyPlaces {
		d.tables = make([]table, tableCount)
		for i := range d.tables {
			d.tables[i].places = make([]place, 2*manyPlaces/tableCount)
		}
	} else {
		*t = table{places: make([]place, 2*len(old))}
	}
	d.putAll(old)
}

// shrink gives back half of the table of a hash, if it is nearly empty.
func (d *directory) shrink(hash uint32) {
	if t := d.table(hash); len(t.places) > firstPlaces && t.taken < len(t.places)/8 {
		old := t.places
		*t = table{places: make([]place, len(old)/2)}
		d.putAll(old)
	}
}

func (d *directory) putAll(old []place) {
	for _, p := range old {
		if p.number != 0 {
			d.put(p.hash, p.number)
		}
	}
}

func (t *table) put(p place) {
	mask := uint32(len(t.places) - 1)
	i := p.hash & mask
	for t.places[i].number != 0 {
		i = (i + 1) & mask
	}
	t.places[i] = p
	t.taken++
}

// drop frees the place of a number. What stands behind it and would not be found any
// more moves up.
func (t *table) drop(hash, number uint32) {
	mask := uint32(len(t.places) - 1)
	i := hash & mask
	for t.places[i].number != number {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.places[j].number != 0; j = (j + 1) & mask {
		if home := t.places[j].hash & mask; (j-home)&mask >= (j-i)&mask {
			t.places[i] = t.places[j]
			i = j
		}
	}
	t.places[i] = place{}
	t.taken--
}
