package dabchick

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// A Queue holds messages with bodies of type T and hands them to receivers. A
// received message is hidden from others for its visibility timeout; unless it
// is deleted in that time, it comes up again, for somebody else.
//
// Messages are delivered in the order in which they became visible: by being
// sent, by the end of a delay or a visibility timeout, or by a release. Receivers
// and senders that wait are served in the order in which they came. Message
// groups add to this: see Options.FIFO and Options.Fairness. At any time at most
// one receipt can settle a message: the newest.
//
// Make a Queue with [New]; the zero Queue is not usable. All methods may be
// called concurrently. None of them starts a goroutine, and while nobody waits
// no timer runs either: time is looked at when somebody calls.
//
// A queue is kept in the memory of the process, unless Options.Driver puts it
// in a backend. Where the two differ, the method says so. In memory a body is kept
// as it is, in room for 256 of them at a time: a large T is better a pointer.
type Queue[T any] struct {
	name    string
	epoch   time.Time // instants are counted from here
	idBase  uint64    // first half of the ids of messages
	issuer  issuer
	sizer   func(T) int    // as the user set it, or nil
	weighs  bool           // bodies have a size
	dedupID func(T) string // may be nil
	fifo    bool           // as core.fifo, on a line that only New writes
	backend *backend[T]    // nil for the built-in engine
	backlog *backlog[T]    // belongs to core, but for its lock
	spares  *spares        // what there is to use again

	_ [64]byte // the lock, which receivers write, is not on a line with what senders read

	mu lock

	// Everything below is guarded by mu. The backlog's own lock may be taken under
	// it, never the other way round. No two queues' locks are ever held at once, and
	// nothing foreign is called while one is.
	opts      Options[T] // with defaults filled in
	core      core[T]
	receivers line[T]
	senders   line[T]
	alarm     alarm
	paused    bool
	closed    bool
	calm      bool // there is nothing to heed but visibility and bounds, so that quick.go will do
	shut      bool // the backlog is, until leave finds that it need not be
	orderOnly bool // nothing has to be heeded but bounds and the order of groups, so that inorder.go will do
	totals    Totals
	accepted  memory[dedupKey, ID]      // sends inside the deduplication window
	attempts  memory[string, []attempt] // receives that can be repeated
	moves     []move[T]                 // dead letters to carry over after unlocking
	events    []Event[T]                // to tell after unlocking
	told      []Event[T]                // empty, room for more of them; nil if it is in use
	telling   bool                      // somebody is telling events

	redrives map[*context.CancelCauseFunc]struct{} // what ends those that are under way
}

// New returns an empty queue. The name is for people: it appears in errors,
// events and the origin of dead letters, and need not be unique; it is 1 to 255
// bytes of UTF-8 without control characters. A name or options out of range give
// an *InvalidError, and no queue.
//
// A queue without a Driver need not be closed to be collected as garbage.
func New[T any](name string, options Options[T]) (*Queue[T], error) {
	if err := checkName(name); err != nil {
		return nil, &opError{"new", name, err}
	}
	o, err := options.settled()
	if err != nil {
		return nil, &opError{"new", name, err}
	}
	q := &Queue[T]{name: name, epoch: time.Now(), fifo: o.FIFO, spares: new(spares)}
	if o.Driver != nil {
		q.backend = newBackend(q, &o)
	}
	q.backlog = &backlog[T]{spares: q.spares}
	q.core.backlog, q.core.spares = q.backlog, q.spares
	q.core.fifo = o.FIFO
	q.core.reserve.spares = q.spares
	q.core.groups = newGroups(!o.FIFO, q.spares)
	if err := q.checkDestination("DeadLetter", o.DeadLetter); err != nil {
		return nil, &opError{"new", name, err}
	}
	var secret [40]byte
	rand.Read(secret[:]) // does not fail
	// Version 8 of RFC 9562: random to the first half, a number in the second.
	q.idBase = binary.BigEndian.Uint64(secret[:])&^0xf000 | 0x8000
	q.issuer = newIssuer(secret[8:], q.backend != nil)
	q.sizer, q.dedupID = options.Size, o.DedupKey
	q.weighs = o.Size != nil
	q.opts = o
	if o.FIFO {
		q.core.heedGroups()
	}
	q.core.clear()
	q.shut = true
	q.apply()
	q.alarm = alarm{ring: q.ring, at: never}
	q.openBacklog()
	return q, nil
}

// apply gives the core the options that concern it.
func (q *Queue[T]) apply() {
	c := &q.core
	c.visibility = q.opts.VisibilityTimeout
	c.delay = q.opts.Delay
	c.maxReceives = int64(q.opts.MaxReceives)
	c.maxMessages = cmp.Or(q.opts.MaxMessages, math.MaxInt)
	c.maxBytes = cmp.Or(q.opts.MaxBytes, math.MaxInt64)
	c.maxInFlight = cmp.Or(q.opts.MaxInFlight, math.MaxInt)
	c.fair = q.opts.Fairness
	if !c.fifo {
		c.groups.linger = c.fair.Window
	}
	c.setGroupLimit(q.opts.MaxInFlightPerGroup)
	c.setRetention(q.opts.Retention)
}

// Name returns the name given to New.
func (q *Queue[T]) Name() string { return q.name }

// Options returns the options in force, with defaults filled in.
func (q *Queue[T]) Options() Options[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.opts
}

// SetOptions replaces the options, all of them: start from what [Queue.Options]
// returns. An option out of range gives an *InvalidError, and nothing changes.
// Driver, Codec, Size and DedupKey stay as they were given to New; FIFO cannot
// be changed.
//
// A visibility timeout applies to later receives and a delay to later sends, on
// a FIFO queue also to messages that wait for the end of the old one; a
// retention, a dead-letter policy, a deduplication window and the bounds apply
// to what is there as well. A bound below what the queue holds drops nothing.
//
// It takes O(1), and once for each message that is past a shorter retention, or in
// a delay that changes on a FIFO queue; a change of MaxInFlightPerGroup takes a walk
// over the groups.
func (q *Queue[T]) SetOptions(options Options[T]) error {
	options.Size = q.sizer // without which there is no MaxBytes
	if options.FIFO != q.fifo {
		return q.fail("set options", &InvalidError{"FIFO", options.FIFO, "what the queue was made with"})
	}
	o, err := options.settled()
	if err == nil {
		err = q.checkDestination("DeadLetter", o.DeadLetter)
	}
	if err == nil && (o.Driver != nil) != (q.backend != nil) {
		err = &InvalidError{"Driver", o.Driver, "the one that the queue was made with"}
	}
	if err != nil {
		return q.fail("set options", err)
	}
	now := q.enter(q.clock())
	q.shutBacklog()
	o.Driver, o.Codec, o.Size, o.DedupKey = q.opts.Driver, q.opts.Codec, q.opts.Size, q.opts.DedupKey
	if o.FIFO && o.Delay != q.opts.Delay {
		q.core.redelay(now, o.Delay)
	}
	q.accepted.rewindow(now, q.opts.DedupWindow)
	q.opts = o
	q.apply()
	q.leaveTimed(now) // a shorter retention takes effect at once
	return nil
}

// Send stores a message and returns its id. It returns at once, except when
// MaxMessages or MaxBytes is reached: then it waits for room until ctx ends,
// behind those that wait already, or returns ErrFull if FailFast is set.
//
// The queue keeps body as it is; the sender must not change any more what it
// points to. Errors: the context's own, ErrClosed, ErrFull, and an
// *InvalidError for a body larger than MaxBytes. After an error nothing is
// stored, unless the queue is on a backend whose answer was lost.
//
// On a FIFO queue a message needs a group, so use SendWith there.
//
// It takes O(1), or O(log n) with a delay that is not the queue's own.
func (q *Queue[T]) Send(ctx context.Context, body T) (id ID, err error) {
	if q.backend != nil || ctx.Err() != nil {
		return q.send(ctx, &entry[T]{body: body})
	}
	size := q.size(body, nil)
	if q.queueUp(body, nil, size, &id) {
		return id, nil
	}
	return q.sendLocked(ctx, q.enter(q.clock()), &entry[T]{body: body, size: size})
}

// SendWith is Send with options for this message. Besides Send's errors, an
// option out of range gives an *InvalidError. With a Group it takes O(log n) in
// the groups that have visible messages, or O(1) on a FIFO queue. If it has a delay
// there, its own or the queue's, and others before it in its group have none and
// were not received, it takes O(n) in these and in the groups that are ready, once.
//
// On a FIFO queue a send that repeats the deduplication id of an earlier one
// inside the window stores nothing, and returns the id of that message: it
// succeeds, so that a sender who does not know whether its first try came
// through can simply try again.
func (q *Queue[T]) SendWith(ctx context.Context, body T, o SendOptions) (ID, error) {
	if q.fifo && q.dedupID == nil && o.isStraight() && ctx.Err() == nil {
		return q.sendInOrder(ctx, body, o.Group)
	}
	if err := o.check(); err != nil {
		return ID{}, q.fail("send", err)
	}
	e := q.entry(0, body, &o)
	return q.send(ctx, &e)
}

func (q *Queue[T]) send(ctx context.Context, e *entry[T]) (id ID, err error) {
	if err := ctx.Err(); err != nil {
		return id, err
	}
	if q.backend != nil {
		return q.backend.send(ctx, e)
	}
	e.size = q.size(e.body, e.more)
	if e.plain() && q.queueUp(e.body, e.more, e.size, &id) {
		return id, nil
	}
	return q.sendLocked(ctx, q.enter(q.clock()), e)
}

// sendLocked is send for the built-in engine and an entry whose size is known. It
// needs the lock, from enter, and unlocks.
func (q *Queue[T]) sendLocked(ctx context.Context, now int64, e *entry[T]) (id ID, err error) {
	if e.group != "" {
		now = q.heed(now)
	}
	if q.handOver(now, e, &id) {
		return id, nil
	}
	err = q.admit(now, e, &id, q.senders.n > 0)
	if err == errWait {
		s := &sending[T]{entries: []entry[T]{*e}, ids: make([]ID, 1)}
		q.awaitRoom(ctx, now, s)
		return s.ids[0], q.fail("send", s.failed.first())
	}
	q.leave(now)
	return id, q.fail("send", err)
}

// SendBatch stores messages in the order given and returns their ids. Each
// entry succeeds or fails by itself: if some failed the error is a *BatchError,
// and their ids are zero. Entries wait for room as in Send, so a batch may be
// larger than what the queue may hold. A context that had ended before the
// call gives its error, and nothing is stored.
//
// All entries that need not wait are stored under one lock: nothing comes in
// between. The slice is not kept. It takes the time of so many Sends, less
// what they spend on locking.
func (q *Queue[T]) SendBatch(ctx context.Context, batch []Outgoing[T]) ([]ID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ids := make([]ID, len(batch))
	return ids, q.sendBatch(ctx, ids, batch)
}

// SendInto is SendBatch that puts the ids into a slice of the caller's, which has a place
// for each message and can be used again and again; or it is nil, if nobody wants to know
// them. It allocates nothing for messages without options, on a standard queue without a
// delay or a hook, while nobody waits there and it is not full; with more than 32 messages
// only if bodies have no size (see Options.Size).
//
// Errors are those of SendBatch, and an *InvalidError for a slice of another length. After
// that one and a context's own the slice is as it was; else what was not stored has no id.
// The slice is the queue's until the call returns.
func (q *Queue[T]) SendInto(ctx context.Context, ids []ID, batch []Outgoing[T]) error {
	if ids != nil && len(ids) != len(batch) {
		return q.fail("send batch", &InvalidError{"length of the slice of ids", len(ids), fmt.Sprintf("%d, that of the batch, or no slice", len(batch))})
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.sendBatch(ctx, ids, batch)
}

func (q *Queue[T]) sendBatch(ctx context.Context, ids []ID, batch []Outgoing[T]) error {
	if q.backend == nil && q.queueUpBatch(ids, batch) {
		return nil
	}
	if ids == nil {
		ids = make([]ID, len(batch))
	}
	clear(ids)
	s := &sending[T]{entries: make([]entry[T], 0, len(batch)), ids: ids}
	for i := range batch {
		o := &batch[i]
		if err := o.check(); err != nil {
			s.failed = s.failed.add(i, err)
			continue
		}
		e := q.entry(i, o.Body, &o.SendOptions)
		if q.backend == nil {
			e.size = q.size(e.body, e.more)
		}
		s.entries = append(s.entries, e)
		s.grouped = s.grouped || e.group != ""
	}
	if q.backend != nil {
		q.backend.sendBatch(ctx, s)
	} else {
		q.store(ctx, s)
	}
	return q.failBatch("send batch", s.failed)
}

// Purge removes all messages, in flight and delayed ones too, and returns how
// many. It forgets deduplication ids as well, as SQS does. It takes O(1).
// Receivers go on waiting, and senders that waited for room have it. A backend
// may not know how many, and then returns 0.
func (q *Queue[T]) Purge(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if q.backend != nil {
		return q.backend.purge(ctx)
	}
	now := q.enter(q.clock())
	defer q.leave(now)
	if q.closed {
		return 0, q.fail("purge", ErrClosed)
	}
	// A message that is on its way to another queue is counted there, or
	// when it comes back and has no place any more.
	n := q.core.clear()
	q.accepted.clear()
	q.attempts.clear()
	q.totals.Purged += uint64(n)
	q.note(now, Purged, 0, nil).Count = n
	return n, nil
}

// Pause stops deliveries: receivers wait, and TryReceive has nothing. Sends
// and settling go on, and so does time. It concerns this Queue only, not
// others on the same backend; what a backend is handing over at that moment
// may still be delivered.
func (q *Queue[T]) Pause() { q.setPaused(true, Paused) }

// Resume takes deliveries up again, first to those who have waited longest.
func (q *Queue[T]) Resume() { q.setPaused(false, Resumed) }

func (q *Queue[T]) setPaused(paused bool, kind EventKind) {
	now := q.enter(q.clock())
	defer q.leave(now)
	if q.paused != paused {
		q.shutBacklog()
		q.paused = paused
		q.note(now, kind, 0, nil)
		if q.backend != nil {
			q.backend.setPaused(paused)
		}
	}
}

// Close ends the queue's service. Calls that wait return ErrClosed at once, and
// so does every later Send, Receive, Purge and Redrive; TryReceive has nothing.
// What is in flight can still be settled, and Stats and Peek tell what is left,
// so that a program can finish what it holds and say what it leaves behind. The
// messages go with the queue. On a backend, Close closes the driver: the
// messages stay there, and settling ends too.
//
// A second Close does nothing and returns nil.
func (q *Queue[T]) Close() error {
	if !q.end() || q.backend == nil {
		return nil
	}
	return q.fail("close", q.backend.close())
}

// end is Close but for a backend. It says whether the queue was open.
func (q *Queue[T]) end() bool {
	now := q.enter(q.clock())
	if q.closed {
		q.leave(now)
		return false
	}
	q.shutBacklog()
	q.closed = true
	for _, l := range []*line[T]{&q.receivers, &q.senders} {
		for l.head != nil {
			q.wake(l, ErrClosed)
		}
	}
	redrives := q.redrives
	q.redrives = nil
	defer func() { // also when a hook panics
		for cancel := range redrives {
			(*cancel)(errEnded)
		}
	}()
	q.note(now, Closed, 0, nil)
	q.leave(now)
	return true
}

// time returns an instant of the core as a time.
func (q *Queue[T]) time(at int64) time.Time { return q.epoch.Add(time.Duration(at)) }

// instant is the reverse of time. The zero Time is never.
func (q *Queue[T]) instant(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return int64(t.Sub(q.epoch))
}

// clock reads the time: nanoseconds since the queue was made, by the monotonic
// clock, so that changes of the wall clock do not matter.
func (q *Queue[T]) clock() int64 { return int64(time.Since(q.epoch)) }
