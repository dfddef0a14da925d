package drivertest

import (
	"strings"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

// fifoCases are for backends that have FIFO queues. Where SQS orders nothing,
// between groups, nothing is asked.
var fifoCases = []testCase{
	{
		name: "a group is locked while one of it is in flight",
		rule: "no message of a group is delivered while an earlier one of it is in flight; other groups go on (FIFO queue delivery logic)",
		run: func(e *env) {
			e.sendTo("a1", "a2", "b1")
			a := e.one()
			e.equal(string(a.Body), "a1")
			b := e.one()
			e.equal(string(b.Body), "b1")
			e.none()
			e.sendTo("a3")
			e.none()
			e.must(e.delete(a.Handle)[0])
			e.equal(string(e.one().Body), "a2")
		},
	},
	{
		name: "a batch of a group",
		rule: "a receive may return several messages of a group, in order; those behind are locked until all are deleted",
		run: func(e *env) {
			e.sendTo("a1", "a2", "a3")
			ms := e.receive(2)
			e.check(len(ms) >= 1, "nothing to receive")
			e.equal(string(ms[0].Body), "a1")
			if len(ms) == 2 {
				e.equal(string(ms[1].Body), "a2")
				e.must(e.delete(ms[0].Handle)[0])
				e.none()
				ms = ms[1:]
			}
			e.must(e.delete(ms[0].Handle)[0])
			next := e.one()
			e.check(string(next.Body) > string(ms[0].Body), "received %s after %s", next.Body, ms[0].Body)
		},
	},
	{
		name: "order over timeouts",
		rule: "after a visibility timeout the messages of a group come in the same order, and nothing overtakes them",
		run: func(e *env) {
			e.sendTo("a1", "a2")
			for range 3 {
				e.equal(string(e.oneFor(e.unit(2)).Body), "a1")
				time.Sleep(e.unit(3))
			}
			m := e.one()
			e.must(e.change(m.Handle, e.unit(50)))
			time.Sleep(e.unit(20))
			e.none() // an extended message holds back its group
			e.must(e.change(m.Handle, 0))
			for _, want := range []string{"a1", "a2"} {
				m := e.one()
				e.equal(string(m.Body), want)
				e.must(e.delete(m.Handle)[0])
			}
		},
	},
	{
		name: "a duplicate is swallowed",
		rule: "a send that repeats a deduplication id succeeds, stores nothing, and answers with the first one's id; deleting makes no difference (Exactly-once processing)",
		run: func(e *env) {
			out := driver.Outgoing{Body: []byte("first"), Group: "a", DedupID: "x"}
			id := e.sendAll(out)[0]
			out.Body = []byte("second")
			e.equal(e.sendAll(out)[0], id)
			m := e.one()
			e.equal([]string{string(m.Body), m.Group, m.DedupID}, []string{"first", "a", "x"})
			e.must(e.delete(m.Handle)[0])
			e.equal(e.sendAll(out)[0], id)
			e.none()
			out.DedupID = "y"
			e.sendAll(out)
			e.equal(string(e.one().Body), "second")
		},
	},
	{
		name: "sequence numbers rise",
		rule: "messages of a group have numbers that rise in the order of sending (SequenceNumber)",
		run: func(e *env) {
			e.sendTo("a1", "a2", "a3")
			last := ""
			for range 3 {
				m := e.one()
				number := strings.TrimLeft(m.Sequence, "0")
				e.check(len(number) > len(last) || len(number) == len(last) && number > last,
					"message %s has number %q, after %q", m.Body, m.Sequence, last)
				last = number
				e.must(e.delete(m.Handle)[0])
			}
		},
	},
	{
		name: "a receive is repeated by its attempt id",
		rule: "a receive with the id of an earlier one returns the same messages, which count as received once (ReceiveRequestAttemptId)",
		run: func(e *env) {
			e.sendTo("a1", "b1")
			var got [2]driver.Message
			for i := range got {
				ms, err := e.q.Receive(e.ctx, driver.Receive{Max: 1, Visibility: e.unit(10), Attempt: "try"})
				e.must(err)
				e.check(len(ms) == 1, "%d messages instead of one", len(ms))
				got[i] = ms[0]
			}
			e.equal(got[1].ID, got[0].ID)
			e.equal(got[1].Receives, 1)
			e.must(e.delete(got[1].Handle)[0])
		},
	},
	{
		name:  "a handle is good for its timeout",
		rule:  "on a FIFO queue a delete after the visibility timeout is refused",
		needs: []driver.Feature{driver.ExpiredReceipts},
		run: func(e *env) {
			e.sendTo("a1")
			m := e.oneFor(e.unit(1))
			time.Sleep(e.unit(3))
			e.is(e.delete(m.Handle)[0], driver.ErrReceiptExpired)
			e.equal(string(e.one().Body), "a1")
		},
	},
}

// sendTo stores bodies in the groups that their first letters name, each under an
// id of its own.
func (e *env) sendTo(bodies ...string) {
	e.Helper()
	for _, body := range bodies {
		e.sendAll(driver.Outgoing{Body: []byte(body), Group: body[:1], DedupID: body})
	}
}
