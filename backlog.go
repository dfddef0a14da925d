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
	shelf     *shelf[T]     // where that page is
	at        int64         // when the last message was sent
	bytes     int64         // sum of the sizes of all that were ever added; it may wrap around

	begun      *shelf[T] // the first since the last clear
	spare      atomic.Pointer[page[T]]
	spareShelf atomic.Pointer[shelf[T]]

	_ [64]byte // what senders write is not on a line with what the core writes

	// Guarded by the queue's lock.
	first   *page[T]  // of the first message; nil when a page is used up
	front   *shelf[T] // where that page was
	taken   uint64    // how many the core has taken: the number of the first
	seen    uint64    // what added was lately
	emptyAt int64     // when the core last found nothing
	weighed int64     // sum of the sizes of those that were taken
}

// A mail is a message in a backlog.
type mail[T any] struct {
	body T
	size int64
	at   int64
}

const (
	pageSize  = 64
	shelfSize = 64
)

// A page is a stretch of a backlog.
type page[T any] struct {
	mail [pageSize]mail[T]
	// nil as long as no message here had any. A sender may set it while the core reads it
	// for a message before.
	more atomic.Pointer[[pageSize]*details[T]]
}

// A shelf is a stretch of pages. It is there for the garbage collector, which would
// have to follow a chain of pages one by one, on one processor.
type shelf[T any] struct {
	pages [shelfSize]*page[T]
	next  *shelf[T]
}

// add puts message n, which comes next, at the end. It needs the backlog's lock.
func (b *backlog[T]) add(n uint64, at int64, body T, more *details[T], size int64) {
	p := b.page
	if p == nil || n%pageSize == 0 {
		p = b.turn(n)
	}
	b.at = max(b.at, at)
	m := &p.mail[n%pageSize]
	m.body, m.size, m.at = body, size, b.at
	if more != nil {
		p.detail(n, more)
	}
	b.bytes += size
}

// detail adds what most messages do not have.
func (p *page[T]) detail(n uint64, more *details[T]) {
	all := p.more.Load()
	if all == nil {
		all = new([pageSize]*details[T])
		p.more.Store(all)
	}
	all[n%pageSize] = more
}

// turn begins the page of message n. It needs the backlog's lock.
func (b *backlog[T]) turn(n uint64) *page[T] {
	n /= pageSize
	if b.shelf == nil || n%shelfSize == 0 {
		s := b.spareShelf.Swap(nil)
		if s == nil {
			s = new(shelf[T])
		}
		if b.shelf == nil {
			b.begun = s
		} else {
			b.shelf.next = s
		}
		b.shelf = s
	}
	p := b.spare.Swap(nil)
	if p == nil {
		p = new(page[T])
	}
	b.shelf.pages[n%shelfSize] = p
	b.page = p
	return p
}

// peek returns the first message, or nil. It needs the queue's lock.
func (b *backlog[T]) peek(now int64) *mail[T] {
	if b.taken == b.seen {
		b.seen = b.added.count()
		if b.taken == b.seen {
			b.emptyAt = now
			return nil
		}
	}
	if b.first == nil {
		b.nextPage()
	}
	m := &b.first.mail[b.taken%pageSize]
	// A sender that was overtaken between its look at the clock and its lock
	// counts as sending when it was, in either direction.
	m.at = min(max(m.at, b.emptyAt), now)
	return m
}

// nextPage finds the page of the first message. It needs the queue's lock.
func (b *backlog[T]) nextPage() {
	n := b.taken / pageSize
	switch s := b.front; {
	case s == nil:
		b.front = b.begun
	case n%shelfSize == 0:
		b.front = s.next
		s.next = nil
		b.spareShelf.Store(s)
	}
	b.first = b.front.pages[n%shelfSize]
	b.front.pages[n%shelfSize] = nil
}

// take removes the first message, which peek returned, and returns its details. It
// needs the queue's lock.
func (b *backlog[T]) take(m *mail[T]) (more *details[T]) {
	p := b.first
	if all := p.more.Load(); all != nil {
		more = all[b.taken%pageSize]
		all[b.taken%pageSize] = nil
	}
	b.weighed += m.size
	*m = mail[T]{}
	b.taken++
	if b.taken%pageSize == 0 {
		b.spare.Store(p)
		b.first = nil
	}
	return more
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
	b.add(n, reading, body, more, size)
	q.putID(id, numberOf(n)) // what is read just after it was written in halves stalls
	b.added.unlock(n + 1)
	return true
}

// queueUpBatch is queueUp for a whole batch, or nothing.
func (q *Queue[T]) queueUpBatch(batch []Outgoing[T]) ([]ID, bool) {
	b := q.backlog
	if b.most.Load() == 0 {
		return nil, false
	}
	var few [32]int64
	sizes := few[:0] // found without the lock, as it calls the user's function
	left := int64(math.MaxInt64)
	for i := range batch {
		size := q.size(batch[i].Body, nil)
		if !batch[i].SendOptions.isZero() || size > left {
			return nil, false
		}
		sizes = append(sizes, size)
		left -= size
	}
	ids := make([]ID, len(batch))
	reading := q.clock()
	n := b.added.lock()
	if n+uint64(len(batch)) > b.most.Load() || math.MaxInt64-left > b.mostBytes-b.bytes {
		b.added.unlock(n)
		return nil, false
	}
	for i := range batch {
		b.add(n, reading, batch[i].Body, nil, sizes[i])
		q.putID(&ids[i], numberOf(n))
		n++
	}
	b.added.unlock(n)
	return ids, true
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
	q.calm = q.opts.OnEvent == nil && !q.core.grouped && !q.paused && !q.closed && q.backend == nil
	q.orderOnly = q.heedsOrderOnly()
	if q.mayOpen() {
		b := q.backlog
		n := b.added.lock()
		b.most.Store(q.most())
		b.mostBytes = q.mostBytes()
		b.added.unlock(n)
	}
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
