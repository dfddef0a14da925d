package drivertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

var messageCases = []testCase{
	{
		name: "bodies come back as they were sent",
		rule: "a body is bytes: any bytes, none, or a megabyte",
		run: func(e *env) {
			all := make([]byte, 256)
			for i := range all {
				all[i] = byte(i)
			}
			for _, body := range [][]byte{{}, {0}, all, []byte("\r\n\t"), make([]byte, 256<<10)} {
				e.sendAll(driver.Outgoing{Body: body})
				m := e.one()
				e.equal(m.Body, body)
				e.delete(m.Handle)
			}
		},
	},
	{
		name: "what was sent is not kept",
		rule: "after Send returned, the caller may reuse the bytes",
		run: func(e *env) {
			body := []byte("before")
			e.sendAll(driver.Outgoing{Body: body})
			copy(body, "after!")
			e.equal(string(e.one().Body), "before")
		},
	},
	{
		name: "ids name messages",
		rule: "each message has an id of its own, the same in every delivery (Queue and message identifiers)",
		run: func(e *env) {
			ids := append(e.send("a", "b", "c"), e.send("d")...)
			for i, id := range ids {
				e.check(!slices.Contains(ids[:i], id), "id %v twice", id)
			}
			for range 2 {
				ms := e.receiveAll(len(ids))
				for _, m := range ms {
					e.check(slices.Contains(ids, m.ID), "id %v was never given out", m.ID)
					e.must(e.change(m.Handle, 0))
				}
			}
		},
	},
	{
		name:  "metadata",
		rule:  "attributes, group and trace header travel beside the body (Message metadata)",
		needs: []driver.Feature{driver.Metadata},
		run: func(e *env) {
			attributes := map[string]driver.Attribute{
				"text":   {Type: "String", Text: "ø\n"},
				"number": {Type: "Number.float", Text: "01.50"},
				"binary": {Type: "Binary", Data: []byte{0, 1, 0xff}},
			}
			e.sendAll(driver.Outgoing{Body: []byte("with"), Group: "user-7", Trace: "Root=1-5759e988", Attributes: attributes},
				driver.Outgoing{Body: []byte("without")})
			for range 2 {
				for _, m := range e.receiveAll(2) {
					if string(m.Body) == "with" {
						e.equal(m.Attributes, attributes)
						e.equal([]string{m.Group, m.Trace}, []string{"user-7", "Root=1-5759e988"})
					} else {
						e.equal(len(m.Attributes), 0)
						e.equal(m.Group+m.Trace, "")
					}
					e.must(e.change(m.Handle, 0))
				}
			}
		},
	},
	{
		name:  "origin",
		rule:  "a dead letter keeps what it tells of its past",
		needs: []driver.Feature{driver.Origins},
		run: func(e *env) {
			now := time.Now().UTC()
			o := driver.Origin{ID: driver.ID{1, 2, 3}, Queue: "source", Reason: "why", Receives: 3, SentAt: now.Add(-time.Minute), MovedAt: now}
			e.sendAll(driver.Outgoing{Body: []byte("dead"), Origin: &o}, driver.Outgoing{Body: []byte("alive")})
			for _, m := range e.receiveAll(2) {
				if string(m.Body) == "alive" {
					e.check(m.Origin == nil, "a message that came from nowhere has an origin")
					continue
				}
				e.check(m.Origin != nil, "no origin")
				e.check(m.Origin.SentAt.Equal(o.SentAt) && m.Origin.MovedAt.Equal(o.MovedAt), "other times: %+v", *m.Origin)
				got := *m.Origin
				got.SentAt, got.MovedAt = o.SentAt, o.MovedAt
				e.equal(got, o)
			}
		},
	},
	{
		name: "every entry of a batch is stored",
		rule: "a batch is so many messages, each once",
		run: func(e *env) {
			var want []string
			for i := range 10 {
				want = append(want, fmt.Sprint(i))
			}
			e.send(want...)
			got := e.bodies(20)
			slices.Sort(got)
			e.equal(got, want)
		},
	},
	{
		name:  "arrival order",
		rule:  "messages are delivered in the order in which they became visible, those of a batch in its order",
		needs: []driver.Feature{driver.ArrivalOrder},
		run: func(e *env) {
			e.send("0")
			e.send("1", "2", "3")
			e.send("4", "5")
			e.equal(e.bodies(6), []string{"0", "1", "2", "3", "4", "5"})
		},
	},
	{
		name: "no more than asked for",
		rule: "Max is a ceiling; fewer is normal (Short and long polling)",
		run: func(e *env) {
			e.send("a", "b", "c", "d", "e")
			for _, n := range []int{1, 3} {
				e.receive(n) // checks it
			}
			e.bodies(5)
			e.none()
		},
	},
	{
		name: "an empty receive is no error",
		rule: "when there is nothing, a receive answers with no messages (Short and long polling)",
		run: func(e *env) {
			e.none()
			e.send("a")
			e.one()
			e.none()
		},
	},
	{
		name: "receive count and first receive",
		rule: "the count goes up by one with each delivery, and the instant of the first stays (Message metadata)",
		run: func(e *env) {
			began := time.Now()
			e.send("a")
			var first time.Time
			for n := 1; n <= 4; n++ {
				m := e.one()
				e.equal(m.Receives, n)
				if n == 1 {
					first = m.FirstReceivedAt
					e.check(!first.Before(began.Add(-e.unit(1))) && !first.After(time.Now().Add(e.unit(1))), "first received at %v", first)
				}
				e.check(m.FirstReceivedAt.Equal(first), "first received at %v, then at %v", first, m.FirstReceivedAt)
				e.check(!m.SentAt.After(first), "sent at %v, received at %v", m.SentAt, first)
				e.must(e.change(m.Handle, 0))
				time.Sleep(e.unit(1))
			}
		},
	},
}

// receiveAll receives exactly n messages, hidden for ten units.
func (e *env) receiveAll(n int) []driver.Message {
	e.Helper()
	return e.receiveAllFor(n, e.unit(10))
}

func (e *env) receiveAllFor(n int, visibility time.Duration) []driver.Message {
	e.Helper()
	var all []driver.Message
	for len(all) < n {
		ms := e.receiveFor(n-len(all), visibility)
		e.check(len(ms) > 0, "%d messages, %d were sent", len(all), n)
		all = append(all, ms...)
	}
	return all
}
