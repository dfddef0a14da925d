package worker

import (
	"strconv"
	"time"

	"github.com/dabchickmq/dabchick"
)

// An Event is something that happened to a message in a pool: for metrics and
// traces. What happens to it in the queue is told by the queue; see
// dabchick.Event.
type Event struct {
	Kind     EventKind
	Time     time.Time
	Message  dabchick.ID
	Group    string // its message group, or ""
	Receives int    // which delivery this is, from 1

	// Took is for how long the handler had run. In a batch each message has its
	// part of that in Ended, so that they add up.
	Took time.Duration
	// Outcome is what has become of the message, in Ended.
	Outcome Outcome
	// Err is what the handler returned, in Ended, or the cause that its context
	// ended with, in LeaseLost. In Ended it is a *dabchick.DecodeError if the body could
	// not be decoded: whoever wants to delete the message then has its receipt.
	Err error
	// Stack is that of the handler's goroutine, in Stuck.
	Stack []byte
}

// An EventKind says what happened.
type EventKind uint8

// The kinds of events. Of each message that is handed to a handler, Began is the
// first and Ended the last; only while a batch fills is it Renewed, or LeaseLost,
// before. Of one that cannot be decoded there is Ended alone.
const (
	Began     EventKind = iota + 1 // the handler is called
	Renewed                        // the lease was renewed
	LeaseLost                      // the lease was lost, and the handler is told so
	Stuck                          // the handler has run for Options.StuckAfter
	Ended                          // the verdict was carried out, or the handler was abandoned
)

var eventKinds = [...]string{Began: "began", Renewed: "renewed", LeaseLost: "lease lost", Stuck: "stuck", Ended: "ended"}

func (k EventKind) String() string {
	if k >= Began && int(k) < len(eventKinds) {
		return eventKinds[k]
	}
	return "event " + strconv.Itoa(int(k))
}

// An Outcome is what has become of a message that was handed to a handler, or
// could not be decoded.
type Outcome uint8

// The outcomes.
const (
	Handled      Outcome = iota + 1 // done and deleted
	Retried                         // hidden for a backoff, or for as long as RetryAfter said
	Discarded                       // deleted though not done
	DeadLettered                    // moved to the dead-letter queue, as the verdict said
	Returned                        // given back because the pool stops
	Abandoned                       // given back while the handler still ran
	Lost                            // the verdict came too late, or could not be carried out
)

var outcomes = [...]string{
	Handled: "handled", Retried: "retried", Discarded: "discarded", DeadLettered: "dead-lettered",
	Returned: "returned", Abandoned: "abandoned", Lost: "lost",
}

func (o Outcome) String() string {
	if o >= Handled && int(o) < len(outcomes) {
		return outcomes[o]
	}
	return "outcome " + strconv.Itoa(int(o))
}

// report tells of an event of a message, if somebody listens.
func (p *Pool[T]) report(m *dabchick.Message[T], e Event) {
	if p.o.OnEvent == nil {
		return
	}
	e.Message, e.Group, e.Receives = m.ID, m.Group(), m.Receives
	p.emit(e)
}

// emit tells of an event, if somebody listens.
func (p *Pool[T]) emit(e Event) {
	if p.o.OnEvent == nil {
		return
	}
	e.Time = time.Now()
	p.o.OnEvent(e)
}
