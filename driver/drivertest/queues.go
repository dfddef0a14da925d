package drivertest

import (
	"context"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

var queueCases = []testCase{
	{
		name:  "stats",
		rule:  "the counts of visible, hidden and delayed messages are exact",
		needs: []driver.Feature{driver.ExactStats, driver.MessageDelay, driver.ExactDeadlines},
		run: func(e *env) {
			e.counts(0, 0, 0)
			e.send("a", "b", "c")
			e.sendAll(driver.Outgoing{Body: []byte("d"), Delay: e.unit(1)})
			e.counts(3, 0, 1)
			m := e.oneFor(e.unit(2))
			e.counts(2, 1, 1)
			time.Sleep(e.unit(1) + e.h.Late)
			e.counts(3, 1, 0)
			time.Sleep(e.unit(1) + e.h.Late)
			e.counts(4, 0, 0)
			e.must(e.delete(m.Handle)[0])
			e.counts(3, 0, 0)
		},
	},
	{
		name:  "purge",
		rule:  "a purge removes what is visible, in flight and delayed (PurgeQueue)",
		needs: []driver.Feature{driver.Purging},
		run: func(e *env) {
			e.send("a", "b")
			e.sendAll(driver.Outgoing{Body: []byte("c"), Delay: e.unit(1)})
			m := e.oneFor(e.unit(1))
			e.must(e.q.Purge(e.ctx))
			e.none()
			time.Sleep(e.unit(3))
			e.none()
			e.must(e.delete(m.Handle)[0])
			e.is(e.change(m.Handle, e.unit(1)), driver.ErrMessageGone)
			e.send("d")
			e.equal(e.bodies(5), []string{"d"})
		},
	},
	{
		name: "an ended context does nothing",
		rule: "a call whose context has ended returns its error, and sends or hides nothing",
		run: func(e *env) {
			ended, cancel := context.WithCancel(e.ctx)
			cancel()
			e.send("a")
			e.is(e.sendError(ended), context.Canceled)
			_, err := e.q.Receive(ended, driver.Receive{Max: 1, Visibility: e.unit(5)})
			e.is(err, context.Canceled)
			e.equal(e.bodies(5), []string{"a"})
		},
	},
	{
		name: "close",
		rule: "Close ends receives that wait, later calls return ErrClosed, and a second Close does nothing",
		run: func(e *env) {
			w := e.wait(e.ctx, 1, e.unit(50))
			e.waits(w)
			e.must(e.q.Close())
			e.is(e.returns(w).err, driver.ErrClosed)
			e.must(e.q.Close())
			_, err := e.q.Receive(e.ctx, driver.Receive{Max: 1, Visibility: e.unit(1)})
			e.is(err, driver.ErrClosed)
			e.is(e.sendError(e.ctx), driver.ErrClosed)
		},
	},
	{
		name: "queues are apart",
		rule: "a message is in the queue that it was sent to, and in no other",
		run: func(e *env) {
			other := e.second()
			e.send("here")
			other.send("there")
			e.equal(e.bodies(5), []string{"here"})
			e.equal(other.bodies(5), []string{"there"})
		},
	},
}

// sendError returns why one message is not sent: the call may say so, or its entry.
func (e *env) sendError(ctx context.Context) error {
	sent, err := e.q.Send(ctx, []driver.Outgoing{{Body: []byte("not sent")}})
	if err == nil && len(sent) == 1 {
		err = sent[0].Err
	}
	return err
}

func (e *env) counts(visible, inFlight, delayed int) {
	e.Helper()
	s, err := e.q.Stats(e.ctx)
	e.must(err)
	e.equal(s, driver.Stats{Visible: visible, InFlight: inFlight, Delayed: delayed})
}
