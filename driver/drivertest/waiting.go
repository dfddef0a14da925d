package drivertest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick/driver"
)

var waitingCases = []testCase{
	{
		name: "a wait ends empty",
		rule: "a receive that waited in vain answers with no messages and no error (Short and long polling)",
		run: func(e *env) {
			w := e.wait(e.ctx, 1, e.unit(2))
			time.Sleep(e.unit(1))
			e.waits(w)
			time.Sleep(e.unit(1))
			r := e.returns(w)
			e.must(r.err)
			e.equal(len(r.ms), 0)
			e.check(r.took >= e.unit(2), "waited for %v instead of %v", r.took, e.unit(2))
		},
	},
	{
		name: "a send wakes",
		rule: "a waiting receive answers as soon as there is a message, and does not wait for more (Short and long polling)",
		run: func(e *env) {
			w := e.wait(e.ctx, 10, e.unit(50))
			e.waits(w)
			time.Sleep(e.unit(1))
			e.waits(w)
			e.send("a")
			e.returnsWith(w, "a")
		},
	},
	{
		name: "what is there is not waited for",
		rule: "a receive with a wait answers at once if there is a message (Short and long polling)",
		run: func(e *env) {
			e.send("a")
			w := e.wait(e.ctx, 10, e.unit(50))
			e.returnsWith(w, "a")
		},
	},
	{
		name:  "the end of a delay wakes",
		rule:  "a waiting receive answers when a delay ends, at that instant",
		needs: []driver.Feature{driver.MessageDelay, driver.ExactDeadlines},
		run: func(e *env) {
			e.sendAll(driver.Outgoing{Body: []byte("a"), Delay: e.unit(3)})
			w := e.wait(e.ctx, 1, e.unit(50))
			e.sleepToJustBefore(e.unit(3))
			e.waits(w)
			e.sleepPast()
			e.returnsWith(w, "a")
		},
	},
	{
		name:  "the end of a timeout wakes",
		rule:  "a waiting receive answers when a visibility timeout ends, also one that was changed while it waits",
		needs: exact,
		run: func(e *env) {
			e.send("a")
			m := e.oneFor(e.unit(3))
			w := e.wait(e.ctx, 1, e.unit(50))
			e.waits(w)
			e.must(e.change(m.Handle, e.unit(5)))
			e.sleepToJustBefore(e.unit(5))
			e.waits(w)
			e.must(e.change(m.Handle, e.unit(1)))
			e.sleepToJustBefore(e.unit(1))
			e.waits(w)
			e.sleepPast()
			e.returnsWith(w, "a")
		},
	},
	{
		name: "a release wakes",
		rule: "a waiting receive answers when a message is released",
		run: func(e *env) {
			e.send("a")
			m := e.one()
			w := e.wait(e.ctx, 1, e.unit(50))
			e.waits(w)
			e.must(e.change(m.Handle, 0))
			e.returnsWith(w, "a")
		},
	},
	{
		name: "a message for each who waits",
		rule: "of several waiting receives each gets one of as many messages",
		run: func(e *env) {
			var ws []<-chan waiting
			for range 5 {
				ws = append(ws, e.wait(e.ctx, 1, e.unit(50)))
			}
			e.waits(ws[0])
			e.send("a", "b")
			e.send("c", "d", "e")
			seen := map[string]bool{}
			for _, w := range ws {
				r := e.returns(w)
				e.must(r.err)
				e.check(len(r.ms) == 1, "%d messages for one receive", len(r.ms))
				seen[string(r.ms[0].Body)] = true
			}
			e.equal(len(seen), 5)
		},
	},
	{
		name: "a cancelled receive hides nothing",
		rule: "when its context ends, a receive returns that error, and no message is hidden by it",
		run: func(e *env) {
			ctx, cancel := context.WithCancel(e.ctx)
			w := e.wait(ctx, 1, e.unit(50))
			e.waits(w)
			cancel()
			e.check(e.returns(w).err == context.Canceled, "another error than the context's")
			e.send("a")
			m := e.one()
			e.equal(m.Receives, 1)
		},
	},
	{
		name: "a receive cancelled at the moment of hand-over",
		rule: "a message handed to a receive that is cancelled at that moment is received by it or by the next, and counted once",
		run: func(e *env) {
			for n := range 200 {
				ctx, cancel := context.WithCancel(e.ctx)
				w := e.wait(ctx, 1, e.unit(50))
				e.settle()
				if n%2 == 0 {
					go cancel()
				} else {
					cancel()
				}
				e.send(fmt.Sprint(n))
				r := e.returns(w)
				cancel()
				if r.err != nil {
					r.ms = []driver.Message{e.one()}
				}
				e.check(len(r.ms) == 1 && r.ms[0].Receives == 1, "%d messages, or one counted twice", len(r.ms))
				e.equal(string(r.ms[0].Body), fmt.Sprint(n))
				e.must(e.delete(r.ms[0].Handle)[0])
				e.none()
				if e.h.RealTime && n == 10 {
					break
				}
			}
		},
	},
	{
		name: "many at once",
		rule: "concurrent senders and receivers neither lose nor repeat a message",
		run: func(e *env) {
			const senders, receivers, each = 4, 4, 50
			ctx, cancel := context.WithCancel(e.ctx)
			defer cancel()
			var mu sync.Mutex
			seen := map[string]int{}
			var wg sync.WaitGroup
			var failure error
			fail := func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if failure == nil && ctx.Err() == nil {
					failure = err
					cancel()
				}
			}
			for s := range senders {
				wg.Go(func() {
					for i := range each {
						if _, err := e.q.Send(ctx, []driver.Outgoing{{Body: fmt.Append(nil, s, "/", i)}}); err != nil {
							fail(err)
							return
						}
					}
				})
			}
			for range receivers {
				wg.Go(func() {
					for ctx.Err() == nil {
						ms, err := e.q.Receive(ctx, driver.Receive{Max: 3, Wait: e.unit(5), Visibility: e.unit(1000)})
						if err != nil {
							fail(err)
							return
						}
						for _, m := range ms {
							if errs, err := e.q.Delete(ctx, []string{m.Handle}); err != nil || len(errs) != 1 || errs[0] != nil {
								fail(fmt.Errorf("delete: %v, %v", errs, err))
							}
							mu.Lock()
							if seen[string(m.Body)]++; len(seen) == senders*each {
								cancel()
							}
							mu.Unlock()
						}
						if len(ms) == 0 {
							fail(fmt.Errorf("a message was lost, or was there and not received"))
						}
					}
				})
			}
			wg.Wait()
			e.must(failure)
			for body, n := range seen {
				e.check(n == 1, "message %s came %d times", body, n)
			}
		},
	},
}
