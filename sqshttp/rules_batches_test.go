package sqshttp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

func entry(id, body string, more ...m) any { return with(m{"Id": id, "MessageBody": body}, more...) }

func batch(q string, entries ...any) m { return m{"QueueUrl": q, "Entries": entries} }

// outcome returns the ids that succeeded, and the codes of those that failed.
func outcome(out m) (ok []string, failed m) {
	list, _ := out["Successful"].([]any)
	for _, x := range list {
		ok = append(ok, x.(m)["Id"].(string))
	}
	failed = m{}
	list, _ = out["Failed"].([]any)
	for _, x := range list {
		failed[x.(m)["Id"].(string)] = x.(m)["Code"]
	}
	return ok, failed
}

func TestRulesOfBatches(t *testing.T) {
	const (
		empty    = "AWS.SimpleQueueService.EmptyBatchRequest"
		tooMany  = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
		same     = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"
		badID    = "AWS.SimpleQueueService.InvalidBatchEntryId"
		tooLong  = "AWS.SimpleQueueService.BatchRequestTooLong"
		badValue = "InvalidParameterValue"
	)
	// each runs a check with each of the three batches, and what their entries need.
	each := func(w *wire, check func(action string, e func(id string) any)) {
		check("SendMessageBatch", func(id string) any { return entry(id, "x") })
		check("DeleteMessageBatch", func(id string) any { return m{"Id": id, "ReceiptHandle": "x"} })
		check("ChangeMessageVisibilityBatch", func(id string) any { return m{"Id": id, "ReceiptHandle": "x", "VisibilityTimeout": 1} })
	}
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.1 [A] what fails a whole batch", func(w *wire) {
			q := w.queue("q")
			each(w, func(action string, e func(string) any) {
				w.refused(empty, action, batch(q))
				var eleven []any
				for i := range 11 {
					eleven = append(eleven, e(fmt.Sprint(i)))
				}
				why := w.refused(tooMany, action, batch(q, eleven...))
				require.Regexp(w, "10.*11", why)
				why = w.refused(same, action, batch(q, e("a"), e("b"), e("c"), e("b"), e("c")))
				require.Contains(w, why, "Id b repeated")
				for _, id := range []string{"", "a b", "a.b", "ä", strings.Repeat("x", 81)} {
					w.refused(badID, action, batch(q, e("a"), e(id)))
				}
			})
			require.Empty(w, w.receive(q), "nothing was carried out")
		}},
		{"1.1 [A] ids of entries have 1 to 80 letters, digits, hyphens and underscores", func(w *wire) {
			ok, _ := outcome(w.ok("SendMessageBatch", batch(w.queue("q"), entry("aZ_0-9", "x"), entry(strings.Repeat("x", 80), "x"))))
			require.Len(w, ok, 2)
		}},
		{"1.6 [E] order of checks: empty, too many, ids, FIFO, distinct, size", func(w *wire) {
			q, fifo := w.queue("q"), w.queue("q.fifo")
			var bad []any
			for range 11 {
				bad = append(bad, entry("a b", "x"))
			}
			w.refused(tooMany, "SendMessageBatch", batch(q, bad...))
			w.refused(badID, "SendMessageBatch", batch(fifo, entry("a", "x"), entry("a", "x"), entry("a b", "x")))
			w.refused(badValue, "SendMessageBatch", batch(fifo, entry("a", "x"), entry("a", "x")))
			large := strings.Repeat("x", 1<<20)
			w.refused(same, "SendMessageBatch", batch(q, entry("a", large), entry("a", large)))
			w.refused(tooLong, "SendMessageBatch", batch(q, entry("a", large), entry("b", "\x01")))
		}},
		{"3.2 [A] a batch has up to 1 MiB in all, whatever the queue's limit", func(w *wire) {
			q := w.queue("q", "MaximumMessageSize", "2048")
			ok, _ := outcome(w.ok("SendMessageBatch", batch(q, entry("a", strings.Repeat("x", 2000)), entry("b", strings.Repeat("x", 49)))))
			require.Len(w, ok, 2)
			large := w.queue("large")
			half := strings.Repeat("x", 1<<19)
			ok, _ = outcome(w.ok("SendMessageBatch", batch(large, entry("a", half), entry("b", half))))
			require.Len(w, ok, 2)
			why := w.refused(tooLong, "SendMessageBatch", batch(large, entry("a", half), entry("b", half+"x")))
			require.Regexp(w, "1048576.*1048577", why)
		}},
		{"3.2 [A] one entry of more than 1 MiB is BatchRequestTooLong", func(w *wire) {
			w.refused(tooLong, "SendMessageBatch", batch(w.queue("q"), entry("a", strings.Repeat("x", 1<<20+1))))
		}},
		{"1.6 [A] entries with bad contents fail by themselves", func(w *wire) {
			q, fifo := w.queue("q", "MaximumMessageSize", "1024"), w.queue("q.fifo", "ContentBasedDeduplication", "true")
			out := w.ok("SendMessageBatch", batch(q, entry("a", "1"), entry("b", "\x01"), entry("c", strings.Repeat("x", 1025)), entry("d", ""),
				entry("e", "x", m{"DelaySeconds": 901}), entry("f", "x", m{"MessageDeduplicationId": "d"}),
				entry("g", "x", m{"MessageAttributes": m{"AWS.x": text("String", "x")}}), entry("h", "2")))
			ok, failed := outcome(out)
			require.Equal(w, []string{"a", "h"}, ok)
			require.Equal(w, m{"b": "InvalidMessageContents", "c": badValue, "d": "MissingParameter", "e": badValue, "f": badValue, "g": badValue}, failed)
			first := out["Failed"].([]any)[0].(m)
			require.Equal(w, "true", fmt.Sprint(first["SenderFault"]))
			require.NotEmpty(w, first["Message"])
			require.Equal(w, []string{"1", "2"}, bodies(w.receive(q)))

			group := m{"MessageGroupId": "g"}
			ok, failed = outcome(w.ok("SendMessageBatch", batch(fifo, entry("a", "1", group), entry("b", "\x01", group), entry("c", "2", group))))
			require.Equal(w, []string{"a", "c"}, ok)
			require.Equal(w, m{"b": "InvalidMessageContents"}, failed)
			require.Equal(w, []string{"1", "2"}, bodies(w.receive(fifo)))
		}},
		{"1.6 [A] a batch on a FIFO queue fails as a whole if one entry has no group or deduplication id", func(w *wire) {
			q := w.queue("q.fifo")
			good := entry("a", "x", m{"MessageGroupId": "g", "MessageDeduplicationId": "d"})
			w.refused(badValue, "SendMessageBatch", batch(q, good, entry("b", "x", m{"MessageDeduplicationId": "e"})))
			w.refused(badValue, "SendMessageBatch", batch(q, good, entry("b", "x", m{"MessageGroupId": "g"})))
			require.Empty(w, w.receive(q))
		}},
		{"1.6 [E] a batch on a FIFO queue fails as a whole if one entry is too large", func(w *wire) {
			q := w.queue("q.fifo", "MaximumMessageSize", "1024", "ContentBasedDeduplication", "true")
			group := m{"MessageGroupId": "g"}
			w.refused(badValue, "SendMessageBatch", batch(q, entry("a", "x", group), entry("b", strings.Repeat("x", 1025), group)))
			require.Empty(w, w.receive(q))
		}},
		{"1.2 [A] an empty list of what succeeded or failed is left out", func(w *wire) {
			q := w.queue("q")
			require.NotContains(w, w.ok("SendMessageBatch", batch(q, entry("a", "x"))), "Failed")
			require.NotContains(w, w.ok("SendMessageBatch", batch(q, entry("a", "\x01"))), "Successful")
			require.NotContains(w, w.ok("DeleteMessageBatch", batch(q, m{"Id": "a", "ReceiptHandle": "x"})), "Successful")
		}},
		{"1.2 [D] what an entry that was sent tells", func(w *wire) {
			q := w.queue("q.fifo")
			out := w.ok("SendMessageBatch", batch(q, entry("a", "message-1", m{"MessageGroupId": "g", "MessageDeduplicationId": "d",
				"MessageAttributes": m{"k": text("String", "x")}})))
			e := out["Successful"].([]any)[0].(m)
			require.Equal(w, "3d6b824fd8c1520e9a047d21fee6fb1f", e["MD5OfMessageBody"])
			require.Equal(w, "a45daa70926828a2f0a1db3418e6feb4", e["MD5OfMessageAttributes"])
			require.NotEmpty(w, e["SequenceNumber"])
			require.Equal(w, e["MessageId"], w.receive(q)[0]["MessageId"])
		}},
		{"6.1 [D] entries are stored in their order", func(w *wire) {
			q := w.queue("q.fifo", "ContentBasedDeduplication", "true")
			var entries []any
			for i := range 10 {
				entries = append(entries, entry(fmt.Sprint(9-i), fmt.Sprint(i), m{"MessageGroupId": "g"}))
			}
			w.ok("SendMessageBatch", batch(q, entries...))
			require.Equal(w, strings.Split("0123456789", ""), bodies(w.receive(q)))
		}},
		{"1.6 [E] entries of the other batches fail by themselves", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			got := w.receive(q)[0]["ReceiptHandle"]
			ok, failed := outcome(w.ok("ChangeMessageVisibilityBatch", batch(q,
				m{"Id": "a", "ReceiptHandle": got, "VisibilityTimeout": 43_201}, m{"Id": "b", "ReceiptHandle": "x", "VisibilityTimeout": 1},
				m{"Id": "c", "ReceiptHandle": "", "VisibilityTimeout": 1}, m{"Id": "d", "ReceiptHandle": got, "VisibilityTimeout": 1})))
			require.Equal(w, []string{"d"}, ok)
			require.Equal(w, m{"a": badValue, "b": "ReceiptHandleIsInvalid", "c": "MissingParameter"}, failed)
			ok, failed = outcome(w.ok("DeleteMessageBatch", batch(q,
				m{"Id": "a", "ReceiptHandle": "x"}, m{"Id": "b", "ReceiptHandle": ""}, m{"Id": "c", "ReceiptHandle": got})))
			require.Equal(w, []string{"c"}, ok)
			require.Equal(w, m{"a": "ReceiptHandleIsInvalid", "b": "MissingParameter"}, failed)
		}},
		{"9.1 [A] handles are deleted twice in batches, and that succeeds", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			got := w.receive(q)[0]["ReceiptHandle"]
			for range 2 {
				ok, _ := outcome(w.ok("DeleteMessageBatch", batch(q, m{"Id": "a", "ReceiptHandle": got}, m{"Id": "b", "ReceiptHandle": got})))
				require.Equal(w, []string{"a", "b"}, ok)
			}
		}},
		{"9.1 [A] of a message that is gone the batch says ReceiptHandleIsInvalid, the single call InvalidParameterValue", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			got := w.receive(q)[0]
			w.drop(q, got)
			out := w.ok("ChangeMessageVisibilityBatch", batch(q, with(m{"Id": "a", "VisibilityTimeout": 1}, handle(got))))
			_, failed := outcome(out)
			require.Equal(w, m{"a": "ReceiptHandleIsInvalid"}, failed)
			require.Equal(w, "true", fmt.Sprint(out["Failed"].([]any)[0].(m)["SenderFault"]))
			why := w.refused(badValue, "ChangeMessageVisibility", with(m{"QueueUrl": q, "VisibilityTimeout": 1}, handle(got)))
			require.Contains(w, why, "does not exist or is not available for visibility timeout change")
		}},
	})
}

// An entry without its timeout, which spread could not tell from one of a delete.
func TestChangeWithoutTimeout(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	w := &wire{t, s, false}
	q := w.queue("q")
	w.put(q, "x")
	got := w.receive(q)[0]["ReceiptHandle"]
	_, failed := outcome(w.ok("ChangeMessageVisibilityBatch", batch(q, m{"Id": "a", "ReceiptHandle": got})))
	require.Equal(t, m{"a": "MissingParameter"}, failed) // [E]
	w.refused("MissingParameter", "ChangeMessageVisibility", m{"QueueUrl": q, "ReceiptHandle": got})
}
