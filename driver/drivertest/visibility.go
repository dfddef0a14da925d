package drivertest

import (
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

var exact = []driver.Feature{driver.ExactDeadlines}

var visibilityCases = []testCase{
	{
		name: "a received message is hidden",
		rule: "nobody else receives a message inside its visibility timeout (Visibility timeout)",
		run: func(e *env) {
			e.send("a", "b")
			e.receiveAll(2)
			e.none()
			time.Sleep(e.unit(2))
			e.none()
		},
	},
	{
		name:  "it comes up at the deadline",
		rule:  "a message that was not deleted is visible when its timeout has passed, and not before (Visibility timeout)",
		needs: exact,
		run: func(e *env) {
			e.send("a")
			m := e.oneFor(e.unit(3))
			e.check(m.VisibleAt.Equal(time.Now().Add(e.unit(3))) || e.h.RealTime, "visible at %v", m.VisibleAt)
			e.sleepToJustBefore(e.unit(3))
			e.none()
			e.sleepPast()
			again := e.one()
			e.equal(again.ID, m.ID)
			e.check(again.Handle != m.Handle, "two deliveries have one handle")
		},
	},
	{
		name: "it comes up",
		rule: "a message that was not deleted comes up again (Visibility timeout)",
		run: func(e *env) {
			e.send("a")
			e.oneFor(e.unit(1))
			time.Sleep(e.unit(3))
			e.equal(string(e.one().Body), "a")
		},
	},
	{
		name:  "no timeout leaves it visible",
		rule:  "a receive with a visibility timeout of 0 hands a message out and leaves it visible, once in one answer",
		needs: []driver.Feature{driver.NoTimeout},
		run: func(e *env) {
			e.send("a", "b")
			e.check(len(e.receiveFor(10, 0)) <= 2, "a message twice in one answer")
			m := e.oneFor(0)
			e.check(m.Receives >= 1, "not counted")
			e.equal(len(e.receiveAll(2)), 2)
		},
	},
	{
		name:  "delay",
		rule:  "a message is hidden for its delay after the send, and then visible (Message timers)",
		needs: []driver.Feature{driver.MessageDelay, driver.ExactDeadlines},
		run: func(e *env) {
			e.sendAll(driver.Outgoing{Body: []byte("late"), Delay: e.unit(3)},
				driver.Outgoing{Body: []byte("now")},
				driver.Outgoing{Body: []byte("soon"), Delay: e.unit(1)})
			e.equal(e.bodies(3), []string{"now"})
			e.sleepToJustBefore(e.unit(1))
			e.none()
			e.sleepPast()
			e.equal(e.bodies(3), []string{"soon"})
			e.sleepToJustBefore(e.unit(2) - e.h.Late)
			e.none()
			e.sleepPast()
			m := e.one()
			e.equal(string(m.Body), "late")
			e.equal(m.Receives, 1)
		},
	},
	{
		name:  "extend",
		rule:  "a new timeout counts from the call and replaces what was left (ChangeMessageVisibility)",
		needs: exact,
		run: func(e *env) {
			e.send("a")
			m := e.oneFor(e.unit(2))
			for range 3 {
				time.Sleep(e.unit(1))
				e.must(e.change(m.Handle, e.unit(2)))
			}
			e.sleepToJustBefore(e.unit(2))
			e.none()
			e.sleepPast()
			again := e.oneFor(e.unit(2))
			e.sleepToJustBefore(e.unit(2)) // this delivery has the timeout of its own receive
			e.none()
			e.sleepPast()
			e.equal(e.one().ID, again.ID)
		},
	},
	{
		name:  "shorten",
		rule:  "a new timeout may be shorter than what was left (ChangeMessageVisibility)",
		needs: exact,
		run: func(e *env) {
			e.send("a")
			m := e.oneFor(e.unit(20))
			e.must(e.change(m.Handle, e.unit(1)))
			e.sleepToJustBefore(e.unit(1))
			e.none()
			e.sleepPast()
			e.one()
		},
	},
	{
		name: "release",
		rule: "a timeout of 0 makes a message visible at once; its delivery still counts (ChangeMessageVisibility)",
		run: func(e *env) {
			e.send("a")
			m := e.one()
			e.must(e.change(m.Handle, 0))
			again := e.one()
			e.equal(again.Receives, 2)
			e.none()
		},
	},
	{
		name:  "a release goes to the end",
		rule:  "order is that of becoming visible, by whichever way",
		needs: []driver.Feature{driver.ArrivalOrder},
		run: func(e *env) {
			e.send("a", "b")
			e.must(e.change(e.one().Handle, 0))
			e.equal(e.bodies(2), []string{"b", "a"})
		},
	},
}
