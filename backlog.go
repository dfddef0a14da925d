package dabchick

import (
	"math"
	"sync/atomic"
)

// A backlog is the messages that were sent, can be delivered, and have not been
// looked at since, in the order of sending. It is what keeps senders and receivers
// out of each other's way: it has a lock of its own, and an entry is a quarter of what
// a message takes in the core, where only what is being worked on has to be.
//
// Senders add at one end, under its lock. The other end is the core's, which takes a
// message in when it is to be delivered, to expire or to be shown. All that the two
// share is how many were added.
//
// A message is sent to the core, past the backlog, if it has a group or a delay, and
// while the backlog is shut: when somebody waits, or the queue has a hook to heed. The
// core knows the order between the two; see meta.order.
//
// A queue with bounds tells its backlog how much senders may add without asking. That
// is all the room there is when the backlog is opened; what is deleted later makes room
// that is noticed when a sender has used up the rest and comes to the queue's lock.
type backlog[T any] struct {
	added tally // how many there ever were; they are numbered from 0

	// Guarded by added. To change the first two takes the queue's lock as well.
	most      atomic.Uint64 // added may become, 0 while shut; what is read without a lock is a hint
	mostBytes int64         // bytes may become
	page      *page[T]      // to add to
	filled    int           // places of it
	at        int64         // when the last message was sent
	bytes     int64         // sum of the sizes of all that were ever added; it may wrap around

	// From here on it is the next line of the cache, which most calls do without.
	shelf      *shelf[T] // where the page to add to is
	shelved    int       // pages there
	begun      *shelf[T] // the first since the last clear
	spare      atomic.Pointer[page[T]]
	spareShelf atomic.Pointer[shelf[T]]
	spares     *spares

	_ [64]byte // what senders write is not on a line with what the core writes

	// Guarded by the queue's lock. Here it is the first line that most calls do without.
	front     *shelf[T] // where the first message's page was
	unshelved int       // pages taken from there
	emptyAt   int64     // when the core last found nothing
	first     *page[T]  // of the first message; nil when a page is used up
	place     int       // of that message in its page
	taken     uint64    // how many the core has taken: the number of the first
	seen      uint64    // what added was lately
	weighed   int64     // sum of the sizes of those that were taken
	firstAt   int64     // when the first message was sent, as far as the core is concerned
	looked    bool      // at the first message, so that firstAt is known
}

// A mail is a message in a backlog. Most fit into two numbers of 32 bits; where they do
// not, the number is wide, and the real one stands in the margin of the page.
type mail[T any] struct {
	body     T
	at, size uint32 // at is counted from the page's
}

const wide = math.MaxUint32

// A page is a stretch of a backlog.
type page[T any] struct {
	mail []mail[T]
	at   int64 // when its first message was sent

	times margin[int64]
	sizes margin[int64]
	more  margin[*details[T]]
}

// Pages are small at first, and larger when there is more than one: few large ones are
// quicker to allocate and to collect. They have a place less than a power of two, as the
// allocator wants a word of its own.
const (
	smallPage = 1<<6 - 1
	largePage = 1<<10 - 1
	shelfSize = 16
)

// A shelf is a stretch of pages. It is there for the garbage collector, which would
// have to follow a chain of pages one by one, on one processor.
type shelf[T any] struct {
	pages [shelfSize]*page[T]
	next  *shelf[T]
}

// A margin holds what few messages of a page have, by their places; it takes no memory
// until there is one. A sender may write while the core reads for messages before.
type margin[V any] struct{ values atomic.Pointer[[]V] }

func (m *margin[V]) set(places, i int, v V) {
	values := m.values.Load()
	if values == nil {
		made := make([]V, places)
		values = &made
		m.values.Store(values)
	}
	(*values)[i] = v
}

// add puts a message at the end. It needs the backlog's lock.
func (b *backlog[T]) add(at int64, body T, more *details[T], size int64) {
	b.at = max(b.at, at)
	p := b.page
	if p == nil || b.filled == len(p.mail) {
		p = b.turn()
	}
	i := b.filled
	b.filled++
	m := &p.mail[i]
	m.body = body
	if since := b.at - p.at; since < wide {
		m.at = uint32(since)
	} else {
		m.at = wide
		p.times.set(len(p.mail), i, b.at)
	}
	if size < wide {
		m.size = uint32(size)
	} else {
		m.size = wide
		p.sizes.set(len(p.mail), i, size)
	}
	if more != nil {
		p.more.set(len(p.mail), i, more)
	}
	b.bytes += size
}

// turn begins a page. It needs the backlog's lock.
func (b *backlog[T]) turn() *page[T] {
	if b.shelf == nil || b.shelved == shelfSize {
		s := b.spareShelf.Swap(nil)
		if s == nil {
			s = new(shelf[T])
		}
		if b.shelf == nil {
			b.begun = s
		} else {
			b.shelf.next = s
		}
		b.shelf, b.shelved = s, 0
	}
	p := b.spare.Swap(nil)
	if p == nil && b.page != nil {
		p, _ = b.spares.pages.Get().(*page[T])
	}
	if p == nil {
		places := smallPage
		if b.page != nil {
			places = min(2*len(b.page.mail)+1, largePage)
		}
		p = &page[T]{mail: make([]mail[T], places)}
	}
	p.at = b.at
	b.shelf.pages[b.shelved] = p
	b.shelved++
	b.page, b.filled = p, 0
	return p
}

// hasFirst says whether there is a first message. It needs the queue's lock.
func (b *backlog[T]) hasFirst(now int64) bool {
	if b.taken == b.seen {
		b.seen = b.added.count()
		if b.taken == b.seen {
			b.emptyAt = now
			return false
		}
	}
	return true
}

// peek says whether there is a first message, and sets firstAt. It needs the queue's lock.
func (b *backlog[T]) peek(now int64) bool {
	if b.looked {
		return true
	}
	if !b.hasFirst(now) {
		return false
	}
	if b.first == nil {
		b.nextPage()
	}
	since := int64(b.first.mail[b.place].at)
	if since == wide {
		since = (*b.first.times.values.Load())[b.place] - b.first.at
	}
	b.firstAt = b.sentAt(since, now)
	b.looked = true
	return true
}

// sentAt returns when a message of the page of the first was sent, as far as the core is
// concerned, by its time since that page was begun. A sender that was overtaken between
// its look at the clock and its lock counts as sending when it was, in either direction.
func (b *backlog[T]) sentAt(since, now int64) int64 {
	return min(max(b.first.at+since, b.emptyAt), now)
}

// nextPage finds the page of the first message. It needs the queue's lock.
func (b *backlog[T]) nextPage() {
	switch s := b.front; {
	case s == nil:
		b.front = b.begun
	case b.unshelved == shelfSize:
		b.front, b.unshelved = s.next, 0
		s.next = nil
		b.spareShelf.Store(s)
	}
	b.first, b.place = b.front.pages[b.unshelved], 0
	b.front.pages[b.unshelved] = nil
	b.unshelved++
}

// take removes the first message, at which peek has looked. It needs the queue's lock.
func (b *backlog[T]) take() (body T, more *details[T], size int64) {
	p, i := b.first, b.place
	m := &p.mail[i]
	body, size = m.body, int64(m.size)
	if size == wide {
		size = (*p.sizes.values.Load())[i]
	}
	if all := p.more.values.Load(); all != nil {
		more = (*all)[i]
		(*all)[i] = nil
	}
	b.weighed += size
	*m = mail[T]{}
	b.taken++
	b.looked = false
	if b.place++; b.place == len(p.mail) {
		b.endPage()
	}
	return body, more, size
}

// isPlain says whether there is nothing in the margins about message i.
func (p *page[T]) isPlain(i int) bool {
	if m := &p.mail[i]; m.at == wide || m.size == wide {
		return false
	}
	more := p.more.values.Load()
	return more == nil || (*more)[i] == nil
}

// plain returns the first messages, up to n, as they lie in a page, as long as they are
// plain. They stay there until pass. It needs the queue's lock, and that peek has looked.
func (b *backlog[T]) plain(n int) []mail[T] {
	p := b.first
	mails := p.mail[b.place:][:min(n, len(p.mail)-b.place, int(b.seen-b.taken))]
	for i := range mails {
		if !p.isPlain(b.place + i) {
			return mails[:i]
		}
	}
	return mails
}

// pass removes messages that plain has returned, and that have this size together.
func (b *backlog[T]) pass(mails []mail[T], size int64) {
	clear(mails)
	b.weighed += size
	b.taken += uint64(len(mails))
	b.looked = false
	if b.place += len(mails); b.place == len(b.first.mail) {
		b.endPage()
	}
}

// endPage is done with the page of the first message. The larger of two is kept. So in
// the end all pages of a backlog that stands are of one size, and there is always one when
// a sender needs it. Further large ones are there until the garbage collector takes them,
// for a backlog that goes up and down.
func (b *backlog[T]) endPage() {
	p := b.spare.Swap(b.first)
	if p != nil && len(p.mail) > len(b.first.mail) {
		p = b.spare.Swap(p)
	}
	if p != nil && len(p.mail) == largePage {
		b.spares.pages.Put(p)
	}
	b.first = nil
}

// len returns how many messages there are. It needs the queue's lock.
func (b *backlog[T]) len() int { return int(b.added.count() - b.taken) }

// sums returns how many messages were ever added, how many are there, and their
// sizes. Those that are not there count as sent no earlier than now: somebody knows
// what was there before them. It needs the queue's lock.
func (b *backlog[T]) sums(now int64) (added uint64, n int, bytes int64) {
	added = b.added.lock()
	defer b.added.unlock(added)
	b.at = max(b.at, now)
	return added, int(added - b.taken), b.bytes - b.weighed
}

// clear drops all messages, and returns how many. It needs the queue's lock.
func (b *backlog[T]) clear() int {
	added := b.added.lock()
	defer b.added.unlock(added)
	n := int(added - b.taken)
	b.taken = added
	b.seen = b.taken
	b.weighed = b.bytes
	b.page, b.shelf, b.begun, b.first, b.front = nil, nil, nil, nil, nil
	b.unshelved, b.looked = 0, false
	b.spare.Store(nil)
	b.spareShelf.Store(nil)
	return n
}

// queueUp stores a message in the backlog, if that is open, and sets its id.
func (q *Queue[T]) queueUp(body T, more *details[T], size int64, id *ID) bool {
	b := q.backlog
	if b.most.Load() == 0 {
		return false
	}
	reading := q.clock()
	n, ok := b.added.tryLock()
	if !ok {
		n = b.added.wait()
	}
	if n >= b.most.Load() || size > b.mostBytes-b.bytes {
		b.added.unlock(n)
		return false
	}
	b.add(reading, body, more, size)
	q.putID(id, numberOf(n)) // what is read just after it was written in halves stalls
	b.added.unlock(n + 1)
	return true
}

// queueUpBatch is queueUp for a whole batch, or nothing; ids may be nil.
func (q *Queue[T]) queueUpBatch(ids []ID, batch []Outgoing[T]) bool {
	b := q.backlog
	if b.most.Load() == 0 {
		return false
	}
	var few [32]int64
	sizes := few[:0] // found without the lock, as it calls the user's function
	left := int64(math.MaxInt64)
	for i := range batch {
		if !batch[i].SendOptions.isZero() {
			return false
		}
		if !q.weighs {
			continue
		}
		size := q.size(batch[i].Body, nil)
		if size > left {
			return false
		}
		sizes = append(sizes, size)
		left -= size
	}
	reading := q.clock()
	n := b.added.lock()
	if n+uint64(len(batch)) > b.most.Load() || math.MaxInt64-left > b.mostBytes-b.bytes {
		b.added.unlock(n)
		return false
	}
	for i := range batch {
		size := int64(0)
		if q.weighs {
			size = sizes[i]
		}
		b.add(reading, batch[i].Body, nil, size)
		if ids != nil {
			q.putID(&ids[i], numberOf(n))
		}
		n++
	}
	b.added.unlock(n)
	return true
}

// shutBacklog sends senders to the queue's lock and other calls on their general ways,
// until leave has done what there is to do and finds that nobody waits. It needs the
// lock.
func (q *Queue[T]) shutBacklog() {
	q.calm, q.orderOnly, q.shut = false, false, true
	if b := q.backlog; b.most.Load() > 0 {
		n := b.added.lock()
		b.most.Store(0)
		b.added.unlock(n)
	}
}

// openBacklog lets senders use the backlog again, if nobody waits. It needs the
// lock.
func (q *Queue[T]) openBacklog() {
	if q.receivers.n+q.senders.n > 0 {
		return
	}
	q.shut = false
	q.calm = q.isQuiet()
	q.orderOnly = q.heedsOrderOnly()
	if q.mayOpen() {
		b := q.backlog
		n := b.added.lock()
		b.most.Store(q.most())
		b.mostBytes = q.mostBytes()
		b.added.unlock(n)
	}
}

// isQuiet says whether the options and the state of the queue leave nothing to heed but
// visibility and bounds. It needs the lock.
func (q *Queue[T]) isQuiet() bool {
	return q.opts.OnEvent == nil && !q.core.grouped && !q.paused && !q.closed && q.backend == nil
}

// most returns how many messages may ever have been added to the backlog, by what there
// is room for now. It needs the lock.
func (q *Queue[T]) most() uint64 {
	return q.backlog.taken + uint64(max(q.core.maxMessages+q.core.counts[free], 0))
}

// mostBytes returns what their sizes may be together. It needs the lock.
func (q *Queue[T]) mostBytes() int64 {
	return q.backlog.weighed + q.core.maxBytes - q.core.bytes
}

// keepRoom keeps senders from using up the room that there is, until leave. It needs the
// lock.
func (q *Queue[T]) keepRoom() {
	if q.opts.isBounded() && q.mayOpen() {
		q.shutBacklog()
	}
}

// isBounded says whether it matters to a send what the queue holds.
func (o *Options[T]) isBounded() bool { return o.MaxMessages > 0 || o.MaxBytes > 0 }

// mayOpen says whether senders may use the backlog: if it matters to nobody that there
// was a send. With bounds and groups it would have to be shut at each send that has a
// group. It needs the lock.
func (q *Queue[T]) mayOpen() bool {
	o := &q.opts
	return !(q.core.grouped && o.isBounded()) && o.OnEvent == nil && o.Delay <= 0 && !o.FIFO && q.backend == nil && !q.closed
}
