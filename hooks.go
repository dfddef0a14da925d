package dabchick

import (
	"strconv"
	"time"
)

// An Event is something that happened to a message, or to a queue. The queue's
// Options.OnEvent is called for each, one at a time, in the order in which they
// happened.
//
// It is called without the queue's lock, by one of the calls that caused
// events, and before that call returns unless another call is busy with earlier
// ones at that moment. It may therefore use the queue, and events that it
// causes follow when it has returned; but it holds up that call for as long as
// it takes. A panic in it goes to that call, and nothing is lost by it; when it
// was a waiting receiver's alarm that noticed the event, there is no call, and
// the panic ends the program.
//
// A queue starts nothing by itself, so the end of a delay, of a visibility
// timeout or of retention is told when the next call comes or a waiting
// receiver is woken for it. Time says when that was. Nothing is kept, and
// nothing computed, while OnEvent is nil.
type Event[T any] struct {
	Kind  EventKind
	Queue string    // name of the queue
	Time  time.Time // when it was noticed
	// Message is the message as it was after the event, with a zero Receipt.
	// ID and Receives together name a delivery. It is zero for events that
	// concern the whole queue, and on a backend when a receipt is settled, which does
	// not say whose it is.
	Message Message[T]
	// Reason says why a message was dead-lettered.
	Reason string
	// To is the name of the queue that a message was moved to.
	To string
	// Count is how many messages were purged.
	Count int
}

// An EventKind says what happened.
type EventKind uint8

// The kinds of events. A queue on a backend tells those that its own calls
// cause: not what the backend does by itself (Appeared, Reappeared, Expired).
const (
	Sent         EventKind = iota + 1 // a send stored the message
	Appeared                          // its delay ended
	Received                          // it was delivered
	HandedBack                        // its receiver's context had ended: the delivery before does not count
	Deleted                           // its receiver deleted it
	Released                          // its receiver made it visible
	Extended                          // its receiver gave it a new visibility timeout, till Message.VisibleAt
	Reappeared                        // its visibility timeout ended
	Expired                           // its retention ended, and it is gone
	DeadLettered                      // it was moved to the dead-letter queue named To
	Arrived                           // it came here as a dead letter
	Redriven                          // a redrive moved it to the queue named To
	Purged                            // Count messages were removed
	Paused                            // deliveries were paused
	Resumed                           // deliveries were resumed
	Closed                            // the queue was closed
	Returned                          // its receiver gave it back: the delivery does not count
	Deduplicated                      // a send repeated the message with that ID; nothing was stored
)

var eventKinds = [...]string{
	Sent: "sent", Appeared: "appeared", Received: "received", HandedBack: "handed back",
	Deleted: "deleted", Released: "released", Extended: "extended", Reappeared: "reappeared",
	Expired: "expired", DeadLettered: "dead-lettered", Arrived: "arrived", Redriven: "redriven",
	Purged: "purged", Paused: "paused", Resumed: "resumed", Closed: "closed", Returned: "returned", Deduplicated: "deduplicated",
}

func (k EventKind) String() string {
	if int(k) < len(eventKinds) && eventKinds[k] != "" {
		return eventKinds[k]
	}
	return "event " + strconv.Itoa(int(k))
}

// note records an event of the message in slot, to be told after unlocking.
// It needs the lock. Callers on hot paths check listening first.
func (q *Queue[T]) note(now int64, kind EventKind, slot uint32, m *meta) *Event[T] {
	if !q.listening() {
		return new(Event[T])
	}
	e := Event[T]{Kind: kind, Queue: q.name, Time: q.time(now)}
	if m != nil {
		q.show(now, &e.Message, slot, m)
	}
	q.events = append(q.events, e)
	return &q.events[len(q.events)-1]
}

// listening says whether events are wanted. It needs the lock.
func (q *Queue[T]) listening() bool { return q.opts.OnEvent != nil }

// mostTold is how many events are told at once most of the time: so much room is used
// again, more is given back.
const mostTold = 64

// tell unlocks the queue and calls the hook for all events that are recorded.
// If another call is doing that already, it will tell these too: so events
// stay in order, and a hook that uses the queue does not wait for itself.
func (q *Queue[T]) tell() {
	if q.telling {
		q.mu.Unlock()
		return
	}
	q.telling = true
	var batch []Event[T]
	defer func() {
		// The lock is held, or the hook has panicked: then what it did not get
		// to see stays for the next call.
		if batch != nil {
			q.mu.Lock()
			q.events = append(batch, q.events...)
		}
		q.telling = false
		q.mu.Unlock()
	}()
	for len(q.events) > 0 {
		told := q.events
		batch, q.events, q.told = told, q.told, nil
		hook := q.opts.OnEvent
		q.mu.Unlock()
		for len(batch) > 0 {
			e := batch[0]
			batch = batch[1:]
			if hook != nil {
				hook(e)
			}
		}
		q.mu.Lock()
		batch = nil
		if cap(told) <= mostTold {
			clear(told)
			q.told = told[:0]
		}
	}
}
