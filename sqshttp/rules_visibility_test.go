package sqshttp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

// changing returns the input of a change of visibility.
func changing(q string, message m, seconds int) m {
	return with(m{"QueueUrl": q, "VisibilityTimeout": seconds}, handle(message))
}

// later runs something at an instant from now, while the test waits.
func later(d time.Duration, do func()) {
	go func() {
		time.Sleep(d)
		do()
	}()
}

func TestRulesOfVisibility(t *testing.T) {
	const badHandle, badValue = "ReceiptHandleIsInvalid", "InvalidParameterValue"
	checkRules(t, sqshttp.Options{}, []rule{
		{"4.1 [D] a received message is hidden until its timeout", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "5")
			w.put(q, "x")
			for _, asked := range []m{{}, {"VisibilityTimeout": 5}} {
				require.Len(w, w.receive(q, asked), 1)
				justBefore(5*time.Second, func() { require.Empty(w, w.receive(q)) })
			}
			require.Len(w, w.receive(q, m{"VisibilityTimeout": 43_200}), 1)
			justBefore(12*time.Hour, func() { require.Empty(w, w.receive(q)) })
			require.Len(w, w.receive(q), 1)
		}},
		{"4.1 [A] a receive with a timeout of 0 leaves the message visible, and counts", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			count := m{"VisibilityTimeout": 0, "AttributeNames": []any{"ApproximateReceiveCount"}}
			require.Equal(w, texts("ApproximateReceiveCount", "1"), w.receive(q, count)[0]["Attributes"])
			require.Equal(w, texts("ApproximateReceiveCount", "2"), w.receive(q, count)[0]["Attributes"])
		}},
		{"4.1 [D] retention ends every state", func(w *wire) {
			q := w.queue("q", "MessageRetentionPeriod", "60")
			w.put(q, "in flight")
			w.receive(q)
			w.put(q, "visible")
			w.put(q, "delayed", m{"DelaySeconds": 900})
			justBefore(time.Minute+1, func() {
				all := w.all(q)
				require.Equal(w, "2", all["ApproximateNumberOfMessages"]) // the timeout has ended
				require.Equal(w, "1", all["ApproximateNumberOfMessagesDelayed"])
			})
			all := w.all(q)
			require.Equal(w, "0", all["ApproximateNumberOfMessages"])
			require.Equal(w, "0", all["ApproximateNumberOfMessagesDelayed"], "the delay is inside the retention: [U]")
		}},
		{"4.1 [A] a message in flight that expires does not come back, and its delete succeeds", func(w *wire) {
			q := w.queue("q", "MessageRetentionPeriod", "60", "VisibilityTimeout", "100")
			w.put(q, "x")
			got := w.receive(q)[0]
			time.Sleep(101 * time.Second)
			require.Empty(w, w.receive(q))
			w.drop(q, got)
			w.refused(badValue, "ChangeMessageVisibility", changing(q, got, 1))
		}},
		{"4.1 [A] a message of a FIFO queue that expires in flight does not come back, and frees its group", func(w *wire) {
			q := w.fifo("g1m1", "MessageRetentionPeriod", "60", "VisibilityTimeout", "100")
			got := w.gets("g1m1", q)
			time.Sleep(30 * time.Second)
			w.putAll(q, "g1m2")
			justBefore(30*time.Second+1, func() { w.gets("", q) })
			w.gets("g1m2", q)
			w.drop(q, got[0])
			w.refused(badValue, "ChangeMessageVisibility", changing(q, got[0], 1))
		}},
		{"4.2 [D] a message's delay goes before the queue's", func(w *wire) {
			q := w.queue("q", "DelaySeconds", "10")
			w.put(q, "own", m{"DelaySeconds": 5})
			w.put(q, "queue's")
			justBefore(5*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Equal(w, []string{"own"}, bodies(w.receive(q)))
			justBefore(5*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Equal(w, []string{"queue's"}, bodies(w.receive(q)))
		}},
		{"4.2 [U] a delay of 0 on a queue with a delay is none", func(w *wire) {
			q := w.queue("q", "DelaySeconds", "10")
			w.put(q, "x", m{"DelaySeconds": 0})
			require.Len(w, w.receive(q), 1)
		}},
		{"4.3 [A] delete with the current handle, and with one whose timeout was extended", func(w *wire) {
			for _, q := range []string{w.queue("q", "VisibilityTimeout", "2"), w.queue("q.fifo", "VisibilityTimeout", "2", "ContentBasedDeduplication", "true")} {
				w.put(q, "x", m{"MessageGroupId": "g"})
				got := w.receive(q)[0]
				w.hide(q, got, 60)
				time.Sleep(3 * time.Second)
				w.hide(q, got, 60)
				w.drop(q, got)
				time.Sleep(time.Hour)
				require.Empty(w, w.receive(q))
			}
		}},
		{"4.3 [A] delete with an expired handle: deletes, on FIFO queues an error", func(w *wire) {
			std, fifo := w.queue("q", "VisibilityTimeout", "2"), w.queue("q.fifo", "VisibilityTimeout", "2", "ContentBasedDeduplication", "true")
			for _, q := range []string{std, fifo} {
				w.put(q, "x", m{"MessageGroupId": "g"})
			}
			a, b := w.receive(std)[0], w.receive(fifo)[0]
			time.Sleep(2 * time.Second)
			w.drop(std, a)
			require.Empty(w, w.receive(std))
			why := w.refused(badValue, "DeleteMessage", with(m{"QueueUrl": fifo}, handle(b)))
			require.Contains(w, why, "receipt handle has expired")
			require.Len(w, w.receive(fifo), 1)
		}},
		{"4.3 [D] delete with a superseded handle: succeeds and [U] deletes nothing, on FIFO queues an error", func(w *wire) {
			std, fifo := w.queue("q", "VisibilityTimeout", "2"), w.queue("q.fifo", "VisibilityTimeout", "2", "ContentBasedDeduplication", "true")
			for _, q := range []string{std, fifo} {
				w.put(q, "x", m{"MessageGroupId": "g"})
			}
			a, b := w.receive(std)[0], w.receive(fifo)[0]
			time.Sleep(2 * time.Second)
			w.receive(std)
			w.receive(fifo)
			w.drop(std, a)
			require.Contains(w, w.refused(badValue, "DeleteMessage", with(m{"QueueUrl": fifo}, handle(b))), "receipt handle has expired")
			time.Sleep(2 * time.Second)
			require.Len(w, w.receive(std), 1)
			require.Len(w, w.receive(fifo), 1)
		}},
		{"4.3 [A] delete of a deleted message succeeds, any number of times", func(w *wire) { // on FIFO queues that is [U]
			for _, q := range []string{w.queue("q"), w.queue("q.fifo", "ContentBasedDeduplication", "true")} {
				w.put(q, "x", m{"MessageGroupId": "g"})
				got := w.receive(q)[0]
				for range 3 {
					w.drop(q, got)
				}
			}
		}},
		{"4.3 [A] what is not a handle, quoted", func(w *wire) {
			for _, q := range []string{w.queue("q"), w.queue("q.fifo")} {
				why := w.refused(badHandle, "DeleteMessage", m{"QueueUrl": q, "ReceiptHandle": "made up"})
				require.Contains(w, why, `"made up" is not a valid receipt handle`)
				long := strings.Repeat("made up ", 50)
				why = w.refused(badHandle, "DeleteMessage", m{"QueueUrl": q, "ReceiptHandle": long})
				require.Contains(w, why, `"`+long+`" is not`, "as it was given")
				w.refused(badHandle, "ChangeMessageVisibility", m{"QueueUrl": q, "ReceiptHandle": "made up", "VisibilityTimeout": 1})
				w.refused("MissingParameter", "DeleteMessage", m{"QueueUrl": q, "ReceiptHandle": ""})
			}
			w.put("q", "x")
			handle := w.receive("q")[0]["ReceiptHandle"].(string)
			for _, almost := range []string{
				handle + "!", handle + "A", handle + "====", handle + "\n", handle[:20] + "\r\n" + handle[20:], " " + handle, handle[1:],
				handle[4:], handle[:4], handle[:15],
			} {
				w.refused(badHandle, "DeleteMessage", m{"QueueUrl": "q", "ReceiptHandle": almost})
			}
		}},
		{"4.3 [U] a handle of another queue", func(w *wire) {
			q, other := w.queue("q"), w.queue("other")
			w.put(q, "x")
			got := w.receive(q)[0]
			w.refused(badHandle, "DeleteMessage", with(m{"QueueUrl": other}, handle(got)))
			w.refused(badHandle, "ChangeMessageVisibility", changing(other, got, 1))
		}},
		{"4.3 [A] change with an expired handle succeeds and changes nothing; on FIFO queues [U] an error", func(w *wire) {
			std, fifo := w.queue("q", "VisibilityTimeout", "2"), w.queue("q.fifo", "VisibilityTimeout", "2", "ContentBasedDeduplication", "true")
			for _, q := range []string{std, fifo} {
				w.put(q, "x", m{"MessageGroupId": "g"})
			}
			a, b := w.receive(std)[0], w.receive(fifo)[0]
			time.Sleep(2 * time.Second)
			w.hide(std, a, 60)
			w.refused(badValue, "ChangeMessageVisibility", changing(fifo, b, 60))
			require.Len(w, w.receive(std), 1)
			require.Len(w, w.receive(fifo), 1)
			w.hide(std, a, 0) // superseded now: [U]
			w.refused(badValue, "ChangeMessageVisibility", changing(fifo, b, 0))
			require.Empty(w, w.receive(std))
			require.Empty(w, w.receive(fifo))
		}},
		{"4.3 [A] change of a message that is deleted", func(w *wire) {
			for _, q := range []string{w.queue("q"), w.queue("q.fifo", "ContentBasedDeduplication", "true")} {
				w.put(q, "x", m{"MessageGroupId": "g"})
				got := w.receive(q)[0]
				w.drop(q, got)
				why := w.refused(badValue, "ChangeMessageVisibility", changing(q, got, 1))
				require.Contains(w, why, "does not exist or is not available for visibility timeout change")
			}
		}},
		{"4.4 [D] a new timeout counts from the call, for this receive only", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "10")
			w.put(q, "x")
			got := w.receive(q)[0]
			time.Sleep(5 * time.Second)
			w.hide(q, got, 20)
			justBefore(20*time.Second, func() { require.Empty(w, w.receive(q)) })
			got = w.receive(q)[0]
			w.hide(q, got, 3)
			justBefore(3*time.Second, func() { require.Empty(w, w.receive(q)) })
			w.receive(q)
			justBefore(10*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Len(w, w.receive(q), 1)
		}},
		{"4.4 [A] a timeout of 0 makes it visible at once", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			w.hide(q, w.receive(q)[0], 0)
			require.Len(w, w.receive(q), 1)
		}},
		{"4.4 [D] a message is in flight for twelve hours at most, counted from when its receive began", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "100")
			later(10*time.Second, func() { w.put(q, "x") })
			time.Sleep(250 * time.Millisecond) // not at a whole second
			got := w.receive(q, m{"WaitTimeSeconds": 20})[0]
			time.Sleep(20250 * time.Millisecond) // 30 s after the receive began
			why := w.refused(badValue, "ChangeMessageVisibility", changing(q, got, 43_171))
			require.Contains(w, why, "Total VisibilityTimeout")
			require.Contains(w, why, "beyond the limit [43200 seconds]")
			w.hide(q, got, 43_170)
			time.Sleep(time.Nanosecond)
			w.refused(badValue, "ChangeMessageVisibility", changing(q, got, 43_170))
			w.hide(q, got, 43_169)
			justBefore(43_169*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Len(w, w.receive(q), 1)
		}},
		{"4.4 [U] handles of a receive that can be repeated have no limit of twelve hours", func(w *wire) {
			q := w.fifo("g1m1")
			got := w.receive(q, m{"ReceiveRequestAttemptId": "try"})[0]
			time.Sleep(10 * time.Second)
			w.hide(q, got, 43_200)
		}},
		{"4.4 [D] the range of a timeout", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			got := w.receive(q)[0]
			w.hide(q, got, 43_200) // no time has passed
			w.refused(badValue, "ChangeMessageVisibility", changing(q, got, 43_201))
			w.refused(badValue, "ChangeMessageVisibility", changing(q, got, -1))
		}},
		{"4.3 [R] a handle older than twelve hours has expired", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "43200")
			w.put(q, "x")
			got := w.receive(q)[0]
			time.Sleep(12 * time.Hour)
			w.drop(q, got)
			time.Sleep(time.Nanosecond)
			w.refused(badValue, "DeleteMessage", with(m{"QueueUrl": q}, handle(got)))
		}},
	})
}

func TestRulesOfPolling(t *testing.T) {
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.6 [A] ranges of a receive's parameters", func(w *wire) {
			q := w.queue("q")
			for name, r := range map[string][2]int{"MaxNumberOfMessages": {1, 10}, "WaitTimeSeconds": {0, 20}, "VisibilityTimeout": {0, 43_200}} {
				w.ok("ReceiveMessage", m{"QueueUrl": q, name: r[0]})
				w.ok("ReceiveMessage", m{"QueueUrl": q, name: r[1]})
				for _, n := range []int{r[0] - 1, r[1] + 1} {
					why := w.refused("InvalidParameterValue", "ReceiveMessage", m{"QueueUrl": q, name: n})
					require.Contains(w, why, fmt.Sprintf("Value %d for parameter %s is invalid", n, name))
				}
			}
		}},
		{"0.1 [D] a receive takes one message unless it asks for more, and ten at most", func(w *wire) {
			q := w.queue("q")
			for i := range 12 {
				w.put(q, fmt.Sprint(i))
			}
			require.Len(w, w.ok("ReceiveMessage", m{"QueueUrl": q})["Messages"], 1)
			require.Len(w, w.receive(q), 10)
			require.Len(w, w.receive(q), 1)
		}},
		{"5 [A] an empty receive has no list of messages", func(w *wire) {
			require.Empty(w, w.ok("ReceiveMessage", m{"QueueUrl": w.queue("q")}))
		}},
		{"5 [D] the request's wait goes before the queue's, 0 included", func(w *wire) {
			q := w.queue("q", "ReceiveMessageWaitTimeSeconds", "20")
			for _, c := range []struct {
				asked m
				want  time.Duration
			}{{m{}, 20 * time.Second}, {m{"WaitTimeSeconds": 0}, 0}, {m{"WaitTimeSeconds": 3}, 3 * time.Second}} {
				began := time.Now()
				require.Empty(w, w.receive(q, c.asked))
				require.Equal(w, c.want, time.Since(began))
			}
		}},
		{"5 [D] a short poll answers at once", func(w *wire) {
			began := time.Now()
			require.Empty(w, w.receive(w.queue("q")))
			require.Zero(w, time.Since(began))
		}},
		{"5 [A] a long poll answers as soon as there is one message, at that instant, and does not wait to fill", func(w *wire) {
			q := w.queue("q")
			w.put(q, "there")
			began := time.Now()
			require.Equal(w, []string{"there"}, bodies(w.receive(q, m{"WaitTimeSeconds": 20})))
			require.Zero(w, time.Since(began))
		}},
		{"5 [A] what wakes a long poll: a send, the end of a delay and of a timeout, a change to 0", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "7")
			wakes := func(after time.Duration) m {
				began := time.Now()
				got := w.receive(q, m{"WaitTimeSeconds": 20})
				require.Len(w, got, 1)
				require.Equal(w, after, time.Since(began))
				return got[0]
			}
			later(3*time.Second, func() { w.put(q, "x") })
			wakes(3 * time.Second)
			got := wakes(7 * time.Second)
			later(4*time.Second, func() { w.hide(q, got, 0) })
			w.drop(q, wakes(4*time.Second))
			w.put(q, "delayed", m{"DelaySeconds": 5})
			wakes(5 * time.Second)
		}},
		{"5 [A] a deleted message frees its group and wakes a long poll", func(w *wire) {
			q := w.queue("q.fifo", "ContentBasedDeduplication", "true")
			w.put(q, "1", m{"MessageGroupId": "g"})
			w.put(q, "2", m{"MessageGroupId": "g"})
			first := w.receive(q, m{"MaxNumberOfMessages": 1})[0]
			later(2*time.Second, func() { w.drop(q, first) })
			began := time.Now()
			require.Equal(w, []string{"2"}, bodies(w.receive(q, m{"WaitTimeSeconds": 20})))
			require.Equal(w, 2*time.Second, time.Since(began))
		}},
		{"6.1 [A] a long poll wakes when the last one in flight of its group is deleted", func(w *wire) {
			q := w.fifo("g1m1 g1m2 g1m3 g1m4")
			got := w.gets("g1m1 g1m2", q, m{"MaxNumberOfMessages": 2})
			drop := func(message m) { w.ok("DeleteMessageBatch", batch(q, with(m{"Id": "a"}, handle(message)))) }
			later(2*time.Second, func() { drop(got[1]) })
			later(5*time.Second, func() { drop(got[0]) })
			began := time.Now()
			w.gets("g1m3 g1m4", q, m{"WaitTimeSeconds": 20})
			require.Equal(w, 5*time.Second, time.Since(began))
		}},
		{"5 [A] a long poll of a FIFO queue wakes for the end of a timeout and of a delay, and a change to 0", func(w *wire) {
			q := w.fifo("g1m1 g1m2", "VisibilityTimeout", "7")
			wakes := func(want string, after time.Duration) []m {
				w.Helper()
				began := time.Now()
				got := w.gets(want, q, m{"WaitTimeSeconds": 20})
				require.Equal(w, after, time.Since(began))
				return got
			}
			w.gets("g1m1 g1m2", q)
			got := wakes("g1m1 g1m2", 7*time.Second)
			later(3*time.Second, func() { w.hide(q, got[0], 0) })
			wakes("g1m1", 3*time.Second)
			w.set(q, "DelaySeconds", "900")
			w.putAll(q, "g2m1")
			later(time.Second, func() { w.set(q, "DelaySeconds", "2") })
			wakes("g2m1", 2*time.Second)
		}},
		{"5 [D] the timeout of a message counts from its hand-over", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "5")
			later(10*time.Second, func() { w.put(q, "x") })
			require.Len(w, w.receive(q, m{"WaitTimeSeconds": 20}), 1)
			justBefore(5*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Len(w, w.receive(q), 1)
		}},
		{"5 [U] a delete of the queue ends a long poll, a purge does not", func(w *wire) {
			q := w.queue("q")
			later(time.Second, func() { w.ok("PurgeQueue", m{"QueueUrl": q}) })
			later(2*time.Second, func() { w.ok("DeleteQueue", m{"QueueUrl": q}) })
			began := time.Now()
			w.refused("AWS.SimpleQueueService.NonExistentQueue", "ReceiveMessage", m{"QueueUrl": q, "WaitTimeSeconds": 20})
			require.Equal(w, 2*time.Second, time.Since(began))
		}},
		{"5 [U] who waits is served in the order of coming", func(w *wire) {
			q := w.queue("q")
			order := make(chan int, 3)
			for i := range 3 {
				go func() {
					w.receive(q, m{"WaitTimeSeconds": 20})
					order <- i
				}()
				synctest.Wait()
			}
			for i := range 3 {
				w.put(q, "x")
				require.Equal(w, i, <-order)
			}
		}},
	})
}

func TestRulesOfMessagesInFlight(t *testing.T) {
	const most = 120_000
	// filled returns a queue with the most messages in flight and ten that are visible.
	filled := func(w *wire, q string) {
		w.queue(q, "VisibilityTimeout", "600")
		native, _ := w.s.Queue(q)
		batch := make([]dabchick.Outgoing[string], most+10)
		for i := range batch {
			batch[i].Body = "x"
			if native.Options().FIFO {
				batch[i].Group, batch[i].DedupID = fmt.Sprint(i), fmt.Sprint(i)
			}
		}
		_, err := native.SendBatch(w.Context(), batch)
		require.NoError(w, err)
		got, err := native.ReceiveBatch(w.Context(), dabchick.ReceiveOptions{Max: most + 10})
		require.NoError(w, err)
		require.Len(w, got, most)
	}
	checkRules(t, sqshttp.Options{}, []rule{
		{"4.5 [D] at 120,000 in flight a short poll of a standard queue is OverLimit, and a long poll waits until there are fewer", func(w *wire) {
			filled(w, "q")
			began := time.Now()
			w.refused("OverLimit", "ReceiveMessage", m{"QueueUrl": "q"})
			require.Empty(w, w.receive("q", m{"WaitTimeSeconds": 20}))
			require.Equal(w, 20*time.Second, time.Since(began))
			time.Sleep(575 * time.Second)
			require.Len(w, w.receive("q", m{"WaitTimeSeconds": 20}), 10)
			require.Equal(w, 600*time.Second, time.Since(began))
		}},
		{"4.5 [D] a FIFO queue gives no error, and a long poll waits as well", func(w *wire) {
			filled(w, "q.fifo")
			began := time.Now()
			require.Empty(w, w.receive("q.fifo"))
			require.Empty(w, w.receive("q.fifo", m{"WaitTimeSeconds": 20}))
			require.Equal(w, 20*time.Second, time.Since(began))
			time.Sleep(575 * time.Second)
			require.Len(w, w.receive("q.fifo", m{"WaitTimeSeconds": 20}), 10)
			require.Equal(w, 600*time.Second, time.Since(began))
		}},
	})
}
