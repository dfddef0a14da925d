package drivertest

import (
	"errors"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

var settlingCases = []testCase{
	{
		name: "delete",
		rule: "a deleted message never comes back (DeleteMessage)",
		run: func(e *env) {
			e.send("a", "b")
			for _, m := range e.receiveAllFor(2, e.unit(1)) {
				e.must(e.delete(m.Handle)[0])
			}
			time.Sleep(e.unit(3))
			e.none()
		},
	},
	{
		name: "delete twice",
		rule: "deleting a message that is gone succeeds, any number of times (DeleteMessage)",
		run: func(e *env) {
			e.send("a")
			m := e.one()
			for range 3 {
				e.must(e.delete(m.Handle)[0])
			}
			for _, err := range e.delete(m.Handle, m.Handle) {
				e.must(err)
			}
		},
	},
	{
		name: "delete after the timeout",
		rule: "a handle deletes until its message is received again, also after its timeout (DeleteMessage)",
		run: func(e *env) {
			e.send("a")
			m := e.oneFor(e.unit(1))
			time.Sleep(e.unit(3))
			e.must(e.delete(m.Handle)[0])
			e.none()
		},
	},
	{
		name:  "a superseded handle does nothing",
		rule:  "when a message was received again, older handles are refused and leave it alone",
		needs: []driver.Feature{driver.StaleReceipts},
		run: func(e *env) {
			e.send("a")
			old := e.one()
			e.must(e.change(old.Handle, 0))
			m := e.one()
			e.is(e.delete(old.Handle)[0], driver.ErrReceiptSuperseded)
			e.is(e.change(old.Handle, 0), driver.ErrReceiptSuperseded)
			e.is(e.change(old.Handle, e.unit(50)), driver.ErrReceiptSuperseded)
			e.none() // it was not released
			e.must(e.change(m.Handle, 0))
			e.equal(e.one().ID, m.ID) // nor deleted
		},
	},
	{
		name:  "an expired handle changes nothing",
		rule:  "after its timeout, or a release, a delivery cannot be extended",
		needs: []driver.Feature{driver.ExpiredReceipts, driver.ExactDeadlines},
		run: func(e *env) {
			e.send("a")
			m := e.oneFor(e.unit(2))
			e.sleepToJustBefore(e.unit(2))
			e.must(e.change(m.Handle, e.unit(2)))
			e.sleepToJustBefore(e.unit(2))
			e.sleepPast()
			e.is(e.change(m.Handle, e.unit(50)), driver.ErrReceiptExpired)
			m = e.one()
			e.must(e.change(m.Handle, 0))
			e.is(e.change(m.Handle, e.unit(50)), driver.ErrReceiptExpired)
			e.one()
		},
	},
	{
		name: "a message that is gone cannot be changed",
		rule: "a change of visibility for a deleted message is refused (ChangeMessageVisibility)",
		run: func(e *env) {
			e.send("a")
			m := e.one()
			e.must(e.delete(m.Handle)[0])
			e.is(e.change(m.Handle, e.unit(1)), driver.ErrMessageGone)
			e.is(e.change(m.Handle, 0), driver.ErrMessageGone)
			time.Sleep(e.unit(2))
			e.none()
		},
	},
	{
		name:  "forged handles",
		rule:  "a handle that the queue never gave out is refused (ReceiptHandleIsInvalid)",
		needs: []driver.Feature{driver.ForgedReceipts},
		run: func(e *env) {
			e.send("a")
			m := e.one()
			for _, h := range []string{"", "x", m.Handle + "A", m.Handle[:len(m.Handle)-1], "AAAA" + m.Handle[min(4, len(m.Handle)):]} {
				if h == m.Handle {
					continue
				}
				e.is(e.delete(h)[0], driver.ErrReceiptInvalid)
				e.is(e.change(h, 0), driver.ErrReceiptInvalid)
			}
			e.none()
		},
	},
	{
		name:  "handles of another queue",
		rule:  "a handle is good for its own queue only",
		needs: []driver.Feature{driver.ForgedReceipts},
		run: func(e *env) {
			e.send("a")
			m := e.one()
			other := e.second()
			other.send("b")
			other.one()
			e.is(other.delete(m.Handle)[0], driver.ErrReceiptInvalid)
			e.is(other.change(m.Handle, 0), driver.ErrReceiptInvalid)
			other.none()
		},
	},
	{
		name:  "entries of a batch stand by themselves",
		rule:  "a bad handle in a batch fails alone, and results come in the order of the handles",
		needs: []driver.Feature{driver.StaleReceipts},
		run: func(e *env) {
			e.send("a", "b", "c")
			ms := e.receiveAll(3)
			e.must(e.change(ms[1].Handle, 0))
			e.one()
			errs, err := e.q.ChangeVisibility(e.ctx, []driver.Change{
				{Handle: ms[0].Handle, Timeout: e.unit(20)}, {Handle: ms[1].Handle, Timeout: e.unit(20)}, {Handle: ms[2].Handle},
			})
			e.must(err)
			e.check(len(errs) == 3, "%d results for 3 changes", len(errs))
			e.must(errs[0])
			e.is(errs[1], driver.ErrReceiptSuperseded)
			e.must(errs[2])
			last := e.one()
			e.equal(last.ID, ms[2].ID)
			errs = e.delete(ms[0].Handle, ms[1].Handle, last.Handle)
			e.must(errs[0])
			e.is(errs[1], driver.ErrReceiptSuperseded)
			e.must(errs[2])
			time.Sleep(e.unit(25))
			e.equal(len(e.bodies(3)), 1)
		},
	},
}

func (e *env) is(err, want error) {
	e.Helper()
	e.check(errors.Is(err, want), "error %v, where %v was expected", err, want)
}
