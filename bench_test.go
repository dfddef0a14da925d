package dabchick_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dabchickmq/dabchick"
)

// BenchmarkFloor is what three calls cannot avoid: three uncontended locks and
// two readings of the clock.
func BenchmarkFloor(b *testing.B) {
	var mu sync.Mutex
	var reading time.Duration
	start := time.Now()
	set := func(d time.Duration) {
		mu.Lock()
		reading = d
		mu.Unlock()
	}
	for b.Loop() {
		set(time.Since(start))
		set(time.Since(start))
		set(reading)
	}
}

// BenchmarkChannel is a send and a receive on a buffered channel, which keeps
// nothing once a message is taken.
func BenchmarkChannel(b *testing.B) {
	c := make(chan []byte, 1)
	body := make([]byte, 256)
	for b.Loop() {
		c <- body
		<-c
	}
}

// BenchmarkCycle is one message sent, received and deleted on an empty queue.
func BenchmarkCycle(b *testing.B) {
	q := mustNew(b, dabchick.Options[[]byte]{})
	cycle(b, q)
}

// BenchmarkDeep is the same over a standing backlog of n visible messages.
func BenchmarkDeep(b *testing.B) {
	for _, n := range []int{1e3, 1e5, 1e6, 1e7} {
		b.Run(fmt.Sprintf("n=%.0e", float64(n)), func(b *testing.B) {
			q := mustNew(b, dabchick.Options[[]byte]{Retention: dabchick.Forever})
			fillUp(b, q, n)
			cycle(b, q)
		})
	}
}

// BenchmarkInFlight is the cycle while n messages are in flight, with the
// queue's own timeout, or each with one of its own.
func BenchmarkInFlight(b *testing.B) {
	for _, n := range []int{1e3, 1e5, 1e6} {
		for _, own := range []bool{false, true} {
			name := fmt.Sprintf("n=%.0e", float64(n))
			if own {
				name += "/scattered"
			}
			b.Run(name, func(b *testing.B) {
				ctx := context.Background()
				q := mustNew(b, dabchick.Options[[]byte]{VisibilityTimeout: time.Hour, Retention: dabchick.Forever})
				fillUp(b, q, n)
				for i := range n {
					o := dabchick.ReceiveOptions{}
					if own {
						o.Visibility = time.Hour + time.Duration(i*7919%n)*time.Microsecond
					}
					if _, err := q.ReceiveBatch(ctx, o); err != nil {
						b.Fatal(err)
					}
				}
				cycle(b, q)
			})
		}
	}
}

func fillUp(b *testing.B, q *dabchick.Queue[[]byte], n int) {
	b.Helper()
	body := make([]byte, 256)
	for range n {
		if _, err := q.Send(context.Background(), body); err != nil {
			b.Fatal(err)
		}
	}
}

func cycle(b *testing.B, q *dabchick.Queue[[]byte]) {
	ctx := context.Background()
	body := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Send(ctx, body); err != nil {
			b.Fatal(err)
		}
		m, err := q.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Delete(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFIFO is the cycle on a FIFO queue with a million resident messages,
// spread over groups, beside a standard queue with as many. Each message is sent
// to the next group, and the groups take turns.
func BenchmarkFIFO(b *testing.B) {
	const resident = 1_000_000
	b.Run("standard", func(b *testing.B) {
		q := mustNew(b, dabchick.Options[[]byte]{Retention: dabchick.Forever})
		fillUp(b, q, resident)
		cycle(b, q)
	})
	for _, groups := range []int{1, 1_000, 100_000} {
		names := make([]string, groups)
		for i := range names {
			names[i] = fmt.Sprintf("group-%d", i)
		}
		b.Run(fmt.Sprintf("groups=%.0e", float64(groups)), func(b *testing.B) {
			q := mustNew(b, dabchick.Options[[]byte]{FIFO: true, Retention: dabchick.Forever})
			fillGroups(b, q, names, resident)
			cycleGroups(b, q, names)
		})
		b.Run(fmt.Sprintf("fair/groups=%.0e", float64(groups)), func(b *testing.B) {
			q := mustNew(b, dabchick.Options[[]byte]{Retention: dabchick.Forever})
			fillGroups(b, q, names, resident)
			cycleGroups(b, q, names)
		})
	}
}

// BenchmarkBlockedGroups is the cycle of a free group while 100,000 others, with
// a million messages behind, are held back by one in flight each.
func BenchmarkBlockedGroups(b *testing.B) {
	const groups = 100_000
	names := make([]string, groups)
	for i := range names {
		names[i] = fmt.Sprintf("group-%d", i)
	}
	q := mustNew(b, dabchick.Options[[]byte]{FIFO: true, Retention: dabchick.Forever, VisibilityTimeout: time.Hour})
	fillGroups(b, q, names, 10*groups)
	for range groups {
		if _, err := q.Receive(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	cycleGroups(b, q, []string{"free"})
}

func fillGroups(b *testing.B, q *dabchick.Queue[[]byte], names []string, n int) {
	b.Helper()
	body := make([]byte, 256)
	for i := range n {
		o := dabchick.SendOptions{Group: names[i%len(names)]}
		if _, err := q.SendWith(context.Background(), body, o); err != nil {
			b.Fatal(err)
		}
	}
}

func cycleGroups(b *testing.B, q *dabchick.Queue[[]byte], names []string) {
	ctx := context.Background()
	body := make([]byte, 256)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.SendWith(ctx, body, dabchick.SendOptions{Group: names[i]}); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(names) {
			i = 0
		}
		m, err := q.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Delete(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBounds is the cycle on a queue with every bound there is, none of which is
// reached, and the send that a full queue refuses.
func BenchmarkBounds(b *testing.B) {
	bounds := dabchick.Options[[]byte]{MaxMessages: 1000, MaxBytes: 1 << 20, MaxInFlight: 1000}
	b.Run("none", func(b *testing.B) { cycle(b, mustNew(b, dabchick.Options[[]byte]{})) })
	b.Run("all", func(b *testing.B) { cycle(b, mustNew(b, bounds)) })
	b.Run("fifo/none", func(b *testing.B) { cycleGroups(b, mustNew(b, dabchick.Options[[]byte]{FIFO: true}), []string{"g"}) })
	bounds.FIFO = true
	b.Run("fifo/all", func(b *testing.B) { cycleGroups(b, mustNew(b, bounds), []string{"g"}) })
	b.Run("full", func(b *testing.B) {
		q := mustNew(b, dabchick.Options[[]byte]{MaxMessages: 1, FailFast: true})
		fillUp(b, q, 1)
		for b.Loop() {
			q.Send(b.Context(), nil)
		}
	})
}

// BenchmarkHook is the cycle on a queue whose hook does nothing with its three events.
func BenchmarkHook(b *testing.B) {
	cycle(b, mustNew(b, dabchick.Options[[]byte]{OnEvent: func(dabchick.Event[[]byte]) {}}))
}

// BenchmarkDedup is the cycle on a FIFO queue with deduplication ids, none of them twice, and
// without. What is remembered stays for the window, which is longer than the benchmark.
func BenchmarkDedup(b *testing.B) {
	ctx := context.Background()
	body := make([]byte, 256)
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("ids=%v", with), func(b *testing.B) {
			q := mustNew(b, dabchick.Options[[]byte]{FIFO: true})
			ids := make([]string, b.N)
			for i := range ids {
				if with {
					ids[i] = fmt.Sprintf("%016x", i)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, id := range ids {
				if _, err := q.SendWith(ctx, body, dabchick.SendOptions{Group: "a", DedupID: id}); err != nil {
					b.Fatal(err)
				}
				m, _ := q.TryReceive()
				if err := q.Delete(ctx, m.Receipt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpAndDown is a message sent, received and deleted while a queue fills up to n
// messages and is drained again: of a standard queue, of one with all of them in flight at
// once, and of a FIFO queue with a group for each.
func BenchmarkUpAndDown(b *testing.B) {
	ctx := context.Background()
	body := make([]byte, 256)
	for _, c := range []struct {
		name string
		fifo bool
		held bool
	}{{name: "messages"}, {name: "in flight", held: true}, {name: "groups", fifo: true}} {
		for _, n := range []int{100, 1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/n=%d", c.name, n), func(b *testing.B) {
				q := mustNew(b, dabchick.Options[[]byte]{FIFO: c.fifo})
				outgoing := make([]dabchick.SendOptions, n)
				for i := range outgoing {
					if c.fifo {
						outgoing[i].Group = fmt.Sprint(i)
					}
				}
				atOnce := 1
				if c.held {
					atOnce = n
				}
				held := make([]dabchick.Message[[]byte], atOnce)
				b.ReportAllocs()
				b.ResetTimer()
				for done := 0; done < b.N; done += n {
					for _, o := range outgoing {
						if _, err := q.SendWith(ctx, body, o); err != nil {
							b.Fatal(err)
						}
					}
					for range n / atOnce {
						for i := range held {
							held[i], _ = q.TryReceive()
						}
						for i := range held {
							if err := q.Delete(ctx, held[i].Receipt); err != nil {
								b.Fatal(err)
							}
						}
					}
				}
			})
		}
	}
}

// BenchmarkThroughput is a million messages from so many producers to so many
// consumers, beside a channel that has room for all of them; and through a queue that
// may hold a thousand.
func BenchmarkThroughput(b *testing.B) {
	const messages = 1_000_000
	for _, n := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("channel/%d+%d", n, n), func(b *testing.B) {
			for b.Loop() {
				c := make(chan []byte, messages)
				throughput(n, messages, func(body []byte) { c <- body }, func() { <-c })
			}
			b.ReportMetric(float64(b.N)*messages/b.Elapsed().Seconds()/1e6, "M/s")
		})
		for name, most := range map[string]int{"queue": 0, "bounded": 1000} {
			b.Run(fmt.Sprintf("%s/%d+%d", name, n, n), func(b *testing.B) {
				ctx := context.Background()
				for b.Loop() {
					q := mustNew(b, dabchick.Options[[]byte]{MaxMessages: most})
					throughput(n, messages, func(body []byte) { q.Send(ctx, body) }, func() {
						m, _ := q.Receive(ctx)
						m.Delete(ctx)
					})
				}
				b.ReportMetric(float64(b.N)*messages/b.Elapsed().Seconds()/1e6, "M/s")
			})
		}
	}
}

func throughput(n, messages int, send func([]byte), receive func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			body := make([]byte, 256)
			for range messages / n {
				send(body)
			}
		})
		all.Go(func() {
			for range messages / n {
				receive()
			}
		})
	}
	all.Wait()
}
