package sqshttp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// fifo makes a FIFO queue with messages in it: g1m2 is of group g1.
func (w *wire) fifo(messages string, attributes ...string) string {
	w.Helper()
	q := w.queue("q.fifo", append(attributes, "ContentBasedDeduplication", "true")...)
	w.putAll(q, messages)
	return q
}

func (w *wire) putAll(q, messages string) {
	w.Helper()
	for _, body := range strings.Fields(messages) {
		w.put(q, body, m{"MessageGroupId": body[:2]})
	}
}

// gets asserts which messages a receive returns.
func (w *wire) gets(want, q string, more ...m) []m {
	w.Helper()
	got := w.receive(q, more...)
	require.Equal(w, want, strings.Join(bodies(got), " "))
	return got
}

func TestRulesOfGroups(t *testing.T) {
	two, three := m{"MaxNumberOfMessages": 2}, m{"MaxNumberOfMessages": 3}
	checkRules(t, sqshttp.Options{}, []rule{
		{"6.1 [A] a group is locked while one of it is in flight", func(w *wire) {
			q := w.fifo("g1m1 g1m2 g1m3 g1m4 g2m1")
			w.gets("g1m1 g1m2", q, two)
			w.gets("g2m1", q)
			w.gets("", q)
		}},
		{"6.1 [A] the rest is locked until all in flight are deleted", func(w *wire) {
			q := w.fifo("g1m1 g1m2 g1m3 g1m4")
			got := w.gets("g1m1 g1m2", q, two)
			w.drop(q, got[0])
			w.gets("", q)
			w.drop(q, got[1])
			w.gets("g1m3 g1m4", q)
		}},
		{"6.1 [A] a change to 0 frees that message only", func(w *wire) {
			q := w.fifo("g1m1 g1m2 g1m3")
			got := w.gets("g1m1 g1m2", q, two)
			w.hide(q, got[0], 0)
			w.gets("g1m1", q)
			w.gets("", q)
		}},
		{"6.1 [A] an extended first message blocks those behind it", func(w *wire) { extended(w, 0, "") }},
		{"6.1 [A] an extended second message lets the first one through", func(w *wire) { extended(w, 1, "g1m1") }},
		{"6.1 [A] an extended third message lets the first two through", func(w *wire) { extended(w, 2, "g1m1 g1m2") }},
		{"6.1 [A] a new send does not unlock its group", func(w *wire) {
			q := w.fifo("g1m1")
			w.gets("g1m1", q)
			w.putAll(q, "g1m2")
			w.gets("", q)
		}},
		{"6.1 [A] a receive with a timeout of 0 locks nothing and keeps the order", func(w *wire) {
			q := w.fifo("g1m1 g1m2")
			for range 2 {
				w.gets("g1m1 g1m2", q, m{"VisibilityTimeout": 0})
			}
		}},
		{"6.1 [A] after the timeout the same messages come in the same order, with new handles", func(w *wire) {
			q := w.fifo("g1m1 g1m2 g1m3", "VisibilityTimeout", "5")
			first := w.gets("g1m1 g1m2", q, two)
			justBefore(5*time.Second, func() { w.gets("", q) })
			again := w.gets("g1m1 g1m2 g1m3", q)
			require.NotEqual(w, handle(first[0]), handle(again[0]))
		}},
		{"6.1 [A] a receive fills from one group, then goes on to the next", func(w *wire) {
			w.gets("g1m1 g1m2 g1m3 g2m1", w.fifo("g1m1 g2m1 g1m2 g1m3"))
		}},
		{"6.1 [D] one receive returns up to ten of a group", func(w *wire) {
			q := w.fifo("g1m0 g1m1 g1m2 g1m3 g1m4 g1m5 g1m6 g1m7 g1m8 g1m9 g1mx")
			require.Len(w, w.receive(q), 10)
		}},
		{"6.1 [A] a group that was handed out goes behind the others", func(w *wire) {
			q := w.fifo("g1m1 g1m2 g2m1 g3m1")
			w.drop(q, w.gets("g1m1", q, m{"MaxNumberOfMessages": 1})[0])
			w.gets("g2m1 g3m1 g1m2", q, three)
		}},
	})
}

// extended holds g1m1 to g1m3 for a second, one of them for four, and asks after 2.5.
func extended(w *wire, which int, want string) {
	w.Helper()
	q := w.fifo("g1m1 g1m2 g1m3", "VisibilityTimeout", "1")
	got := w.gets("g1m1 g1m2 g1m3", q)
	w.hide(q, got[which], 4)
	time.Sleep(2500 * time.Millisecond)
	w.gets(want, q)
}

func TestRulesOfDeduplication(t *testing.T) {
	put := func(w *wire, group, id, body string) m {
		w.Helper()
		in := m{"MessageGroupId": group}
		if id != "" {
			in["MessageDeduplicationId"] = id
		}
		return w.put("q.fifo", body, in)
	}
	same := func(w *wire, a, b m) {
		w.Helper()
		require.Equal(w, a["MessageId"], b["MessageId"])
		require.Equal(w, a["SequenceNumber"], b["SequenceNumber"])
	}
	const hashOfX = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	checkRules(t, sqshttp.Options{}, []rule{
		{"6.2 [D] an id is remembered for five minutes from its send, which [U] duplicates do not renew", func(w *wire) {
			w.queue("q.fifo")
			first := put(w, "g", "id", "message-1")
			time.Sleep(time.Minute)
			same(w, first, put(w, "g", "id", "message-1"))
			justBefore(4*time.Minute, func() { same(w, first, put(w, "g", "id", "message-1")) })
			require.NotEqual(w, first["MessageId"], put(w, "g", "id", "message-1")["MessageId"])
			require.Equal(w, "2", w.attribute("q.fifo", "ApproximateNumberOfMessages"))
		}},
		{"6.2 [E] a duplicate answers as the first send did, with the digest of its own body", func(w *wire) {
			w.queue("q.fifo")
			first := put(w, "g", "id", "x")
			again := put(w, "other", "id", "message-1") // neither group nor body matter
			same(w, first, again)
			require.Equal(w, "3d6b824fd8c1520e9a047d21fee6fb1f", again["MD5OfMessageBody"])
			require.Equal(w, []string{"x"}, bodies(w.receive("q.fifo")))
		}},
		{"6.2 [D] content-based ids are SHA-256 of the body, and explicit ones go before them", func(w *wire) {
			w.queue("q.fifo", "ContentBasedDeduplication", "true")
			first := put(w, "g", "", "x")
			same(w, first, w.put("q.fifo", "x", m{"MessageGroupId": "g", "MessageAttributes": m{"k": text("String", "v")}}))
			same(w, first, put(w, "g", hashOfX, "y"))
			require.NotEqual(w, first["MessageId"], put(w, "g", "own", "x")["MessageId"])
		}},
		{"6.2 [D] an id is remembered after the delete", func(w *wire) {
			w.queue("q.fifo")
			first := put(w, "g", "id", "x")
			w.drop("q.fifo", w.receive("q.fifo")[0])
			same(w, first, put(w, "g", "id", "x"))
			require.Empty(w, w.receive("q.fifo"))
		}},
		{"6.2 [A] with the scope messageGroup ids are those of a group, whatever the throughput limit", func(w *wire) {
			w.queue("q.fifo", "DeduplicationScope", "messageGroup")
			first := put(w, "g", "id", "x")
			same(w, first, put(w, "g", "id", "x"))
			require.NotEqual(w, first["MessageId"], put(w, "h", "id", "x")["MessageId"])
		}},
		{"6.2 [A] with the scope messageGroup ids by content are those of a group, too", func(w *wire) {
			w.queue("q.fifo", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId",
				"ContentBasedDeduplication", "true")
			first := put(w, "g", "", "x")
			same(w, first, put(w, "g", "", "x"))
			same(w, first, put(w, "g", hashOfX, "y"))
			require.NotEqual(w, first["MessageId"], put(w, "h", "", "x")["MessageId"])
		}},
		{"6.2 [D] an id is remembered when its message is a dead letter", func(w *wire) {
			q, dead := w.buried(1, ".fifo")
			first := put(w, "g", "id", "x")
			w.receive(q)
			w.receive(q)
			same(w, first, put(w, "g", "id", "x"))
			require.Len(w, w.receive(dead), 1)
			w.gets("", q)
		}},
		{"1.3 [D] a purge frees groups, and ends what could be repeated", func(w *wire) {
			q := w.fifo("g1m1 g1m2")
			attempt := m{"ReceiveRequestAttemptId": "try", "MaxNumberOfMessages": 1}
			got := w.gets("g1m1", q, attempt)
			w.ok("PurgeQueue", m{"QueueUrl": q})
			w.putAll(q, "g1m3")
			w.gets("g1m3", q, attempt)
			w.drop(q, got[0])
			w.refused("InvalidParameterValue", "ChangeMessageVisibility", changing(q, got[0], 1))
		}},
		{"6.2 [U] an id twice in a batch succeeds twice", func(w *wire) {
			w.queue("q.fifo")
			ids := m{"MessageGroupId": "g", "MessageDeduplicationId": "id"}
			out := w.ok("SendMessageBatch", batch("q.fifo", entry("a", "x", ids), entry("b", "x", ids)))
			list := out["Successful"].([]any)
			same(w, list[0].(m), list[1].(m))
			require.Len(w, w.receive("q.fifo"), 1)
		}},
		{"6.3 [U] a change of the scope concerns the sends after it", func(w *wire) {
			w.queue("q.fifo")
			put(w, "g", "id", "x")
			w.set("q.fifo", "DeduplicationScope", "messageGroup")
			put(w, "g", "id2", "x")
			put(w, "h", "id2", "x")
			require.Equal(w, "3", w.attribute("q.fifo", "ApproximateNumberOfMessages"))
			w.set("q.fifo", "DeduplicationScope", "queue")
			put(w, "g", "id3", "x")
			put(w, "h", "id3", "x")
			require.Equal(w, "4", w.attribute("q.fifo", "ApproximateNumberOfMessages"))
		}},
		{"6.4 [D] a receive is repeated by its attempt id, with the same handles and the timeout anew", func(w *wire) {
			q := w.fifo("g1m1 g1m2", "VisibilityTimeout", "10")
			attempt := m{"ReceiveRequestAttemptId": "try", "AttributeNames": []any{"ApproximateReceiveCount"}}
			first := w.receive(q, attempt)
			time.Sleep(9 * time.Second)
			require.Equal(w, first, w.receive(q, attempt), "nor [U] does it count")
			justBefore(10*time.Second, func() { w.gets("", q) })
			require.NotEqual(w, first, w.receive(q, attempt), "an ordinary receive again")
		}},
		{"6.4 [D] a receive can be repeated for five minutes", func(w *wire) {
			q := w.fifo("g1m1", "VisibilityTimeout", "3600")
			attempt := m{"ReceiveRequestAttemptId": "try"}
			first := w.receive(q, attempt)
			justBefore(5*time.Minute, func() { require.Equal(w, first, w.receive(q, attempt)) })
			w.gets("", q, attempt)
		}},
		{"6.4 [U] after a delete or a change a repeated attempt is an ordinary receive", func(w *wire) {
			q := w.fifo("g1m1 g2m1 g3m1")
			attempt := m{"ReceiveRequestAttemptId": "try", "MaxNumberOfMessages": 1}
			w.drop(q, w.gets("g1m1", q, attempt)[0])
			w.hide(q, w.gets("g2m1", q, attempt)[0], 60)
			w.gets("g3m1", q, attempt)
		}},
		{"6.4 [D] an attempt id is an id, and [U] of FIFO queues only", func(w *wire) {
			w.refused("InvalidParameterValue", "ReceiveMessage", m{"QueueUrl": w.queue("q"), "ReceiveRequestAttemptId": "a"})
			for _, id := range []string{"", "a b", strings.Repeat("x", 129)} {
				w.refused("InvalidParameterValue", "ReceiveMessage", m{"QueueUrl": w.queue("q.fifo"), "ReceiveRequestAttemptId": id})
			}
		}},
	})
}

func TestRulesOfFairQueues(t *testing.T) {
	checkRules(t, sqshttp.Options{}, []rule{
		{"7 [A] a group on a standard queue is shown, has no sequence number and locks nothing", func(w *wire) {
			q := w.queue("q")
			require.NotContains(w, w.put(q, "1", m{"MessageGroupId": "g"}), "SequenceNumber")
			w.put(q, "2", m{"MessageGroupId": "g"})
			for _, body := range []string{"1", "2"} {
				got := w.receive(q, m{"MaxNumberOfMessages": 1, "AttributeNames": []any{"MessageGroupId", "SequenceNumber"}})[0]
				require.Equal(w, body, got["Body"])
				require.Equal(w, texts("MessageGroupId", "g"), got["Attributes"])
			}
		}},
		{"7 [D] a quiet tenant goes before a noisy one with 30 in flight", func(w *wire) {
			q := w.queue("q")
			for i := range 50 {
				w.put(q, fmt.Sprint("noisy", i), m{"MessageGroupId": "noisy"})
			}
			w.put(q, "quiet", m{"MessageGroupId": "quiet"})
			for range 3 {
				require.Len(w, w.receive(q), 10)
			}
			require.Equal(w, "quiet", w.receive(q)[0]["Body"])
		}},
	})
}
