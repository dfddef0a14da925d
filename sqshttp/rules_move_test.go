package sqshttp_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

func TestRulesOfMoveTasks(t *testing.T) {
	const badValue, notFound, noQueue = "InvalidParameterValue", "ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue"
	start := func(source string, more ...m) m { return with(m{"SourceArn": arn(source)}, more...) }
	list := func(w *wire, source string) []any {
		out, _ := w.ok("ListMessageMoveTasks", m{"SourceArn": arn(source), "MaxResults": 10})["Results"].([]any)
		return out
	}
	is := func(w *wire, want string, task any, name string) {
		w.Helper()
		require.Equal(w, want, fmt.Sprint(task.(m)[name]), "%s of %v", name, task)
	}
	slow := m{"MaxNumberOfMessagesPerSecond": 1}
	checkRules(t, sqshttp.Options{}, []rule{
		{"8.4 [A] the source exists, and is a dead-letter queue", func(w *wire) {
			w.refused(notFound, "StartMessageMoveTask", start("nobody"))
			w.queue("q")
			require.Contains(w, w.refused(badValue, "StartMessageMoveTask", start("q")), "must be configured as a Dead Letter Queue")
			for _, none := range []string{"q", "arn:aws:sns:us-east-1:000000000000:q", "urn:aws:sqs:us-east-1:000000000000:q", arn("q:x")} {
				w.refused(badValue, "StartMessageMoveTask", m{"SourceArn": none})
			}
			w.refused("MissingParameter", "StartMessageMoveTask", m{})
			w.refused(notFound, "ListMessageMoveTasks", start("nobody"))
			w.refused("MissingParameter", "ListMessageMoveTasks", m{})
		}},
		{"8.4 [A] the destination exists, and [E] is another queue of the same type", func(w *wire) {
			_, dead := w.buried(1, "")
			w.queue("q.fifo")
			w.refused(notFound, "StartMessageMoveTask", start(dead, m{"DestinationArn": arn("nobody")}))
			for _, to := range []string{arn(dead), arn("q.fifo"), "q"} {
				w.refused(badValue, "StartMessageMoveTask", start(dead, m{"DestinationArn": to}))
			}
		}},
		{"8.4 [A] without a destination each message goes back to its source, as a new one", func(w *wire) {
			dead := w.queue("dead")
			ids := m{}
			for _, name := range []string{"a", "b"} {
				w.queue(name, "VisibilityTimeout", "0", "RedrivePolicy", redrivePolicy(dead, 1))
				ids[name] = w.put(name, "from "+name, m{"MessageAttributes": m{"k": text("String", "x")}})["MessageId"]
				w.receive(name)
				w.receive(name)
			}
			time.Sleep(time.Minute)
			w.ok("StartMessageMoveTask", start(dead))
			synctest.Wait()
			for _, name := range []string{"a", "b"} {
				got := w.receive(name, m{"AttributeNames": []any{"All"}, "MessageAttributeNames": []any{"All"}})[0]
				require.Equal(w, "from "+name, got["Body"])
				require.NotEqual(w, ids[name], got["MessageId"])
				require.Equal(w, "a45daa70926828a2f0a1db3418e6feb4", got["MD5OfMessageAttributes"])
				require.Equal(w, texts("ApproximateReceiveCount", "1", "SentTimestamp", "946684860000", "SenderId", "000000000000",
					"ApproximateFirstReceiveTimestamp", "946684860000"), got["Attributes"])
			}
			task := list(w, dead)[0]
			is(w, "COMPLETED", task, "Status")
			is(w, "2", task, "ApproximateNumberOfMessagesMoved")
			is(w, "2", task, "ApproximateNumberOfMessagesToMove")
		}},
		{"8.4 [A] a message goes back to the queue that has its source's name now; without one the task fails", func(w *wire) {
			q, dead := w.buried(1, "")
			other := w.queue("other", "RedrivePolicy", redrivePolicy(dead, 1))
			w.put(q, "x")
			w.receive(q)
			w.receive(q)
			w.ok("DeleteQueue", m{"QueueUrl": q})
			w.ok("StartMessageMoveTask", start(dead))
			synctest.Wait()
			is(w, "FAILED", list(w, dead)[0], "Status")
			is(w, noQueue, list(w, dead)[0], "FailureReason")
			time.Sleep(time.Minute)
			w.queue(q)
			w.ok("StartMessageMoveTask", start(dead))
			synctest.Wait()
			is(w, "COMPLETED", list(w, dead)[0], "Status")
			require.Equal(w, []string{"x"}, bodies(w.receive(q)))
			require.Empty(w, w.receive(other))
		}},
		{"8.4 [D] a FIFO task keeps the group, and [U] is no duplicate", func(w *wire) {
			q, dead := w.buried(1, ".fifo")
			w.putAll(q, "g1m1")
			w.receive(q)
			w.receive(q)
			w.ok("StartMessageMoveTask", start(dead))
			synctest.Wait()
			got := w.receive(q, m{"AttributeNames": []any{"MessageGroupId"}})
			require.Equal(w, texts("MessageGroupId", "g1"), got[0]["Attributes"])
		}},
		{"8.4 [E] a message that came from nowhere fails the task, and stays", func(w *wire) {
			_, dead := w.buried(1, "")
			w.put(dead, "x")
			w.ok("StartMessageMoveTask", start(dead))
			synctest.Wait()
			is(w, "FAILED", list(w, dead)[0], "Status")
			is(w, "CouldNotDetermineMessageSource", list(w, dead)[0], "FailureReason")
			require.Len(w, w.receive(dead), 1)
		}},
		{"8.4 [D] the rate is from 1 to 500, and kept", func(w *wire) {
			_, dead := w.buried(1, "")
			to := w.queue("to")
			for _, n := range []int{0, 501, -1} {
				w.refused(badValue, "StartMessageMoveTask", start(dead, m{"MaxNumberOfMessagesPerSecond": n}))
			}
			for range 5 {
				w.put(dead, "x")
			}
			w.ok("StartMessageMoveTask", start(dead, slow, m{"DestinationArn": arn(to)}))
			synctest.Wait()
			first := w.attribute(to, "ApproximateNumberOfMessages").(string)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			require.Equal(w, "1", first)
			require.Equal(w, "3", w.attribute(to, "ApproximateNumberOfMessages"))
		}},
		{"8.4 [A] one task of a source at a time", func(w *wire) {
			_, dead := w.buried(1, "")
			to := m{"DestinationArn": arn(w.queue("to"))}
			w.put(dead, "x")
			w.put(dead, "x")
			w.ok("StartMessageMoveTask", start(dead, slow, to))
			require.Contains(w, w.refused(badValue, "StartMessageMoveTask", start(dead, to)), "already a task running")
			time.Sleep(time.Minute)
			w.ok("StartMessageMoveTask", start(dead, to))
		}},
		{"8.4 [D] tasks are listed newest first, one unless asked, ten at most", func(w *wire) {
			_, dead := w.buried(1, "")
			require.Empty(w, list(w, dead))
			for range 12 {
				w.ok("StartMessageMoveTask", start(dead))
				time.Sleep(time.Second)
			}
			all := list(w, dead)
			require.Len(w, all, 10)
			is(w, fmt.Sprint(time.Now().Add(-time.Second).UnixMilli()), all[0], "StartedTimestamp") // ms: [U]
			require.Len(w, w.ok("ListMessageMoveTasks", start(dead))["Results"], 1)
			require.Len(w, w.ok("ListMessageMoveTasks", start(dead, m{"MaxResults": 1}))["Results"], 1)
			for _, n := range []int{0, 11} {
				w.refused(badValue, "ListMessageMoveTasks", start(dead, m{"MaxResults": n}))
			}
		}},
		{"8.4 [A] what a list tells of a task, running and ended", func(w *wire) {
			_, dead := w.buried(1, "")
			for range 3 {
				w.put(dead, "x")
			}
			to := w.queue("to")
			started := w.ok("StartMessageMoveTask", start(dead, slow, m{"DestinationArn": arn(to)}))
			synctest.Wait()
			w.put(dead, "late")
			task := list(w, dead)[0]
			for name, want := range map[string]string{"Status": "RUNNING", "SourceArn": arn(dead), "DestinationArn": arn(to), "MaxNumberOfMessagesPerSecond": "1",
				"ApproximateNumberOfMessagesMoved": "1", "ApproximateNumberOfMessagesToMove": "3", "TaskHandle": started["TaskHandle"].(string)} {
				is(w, want, task, name)
			}
			time.Sleep(time.Minute)
			task = list(w, dead)[0]
			is(w, "COMPLETED", task, "Status")
			is(w, "3", task, "ApproximateNumberOfMessagesMoved")
			require.NotContains(w, task, "TaskHandle")
			require.NotContains(w, task, "FailureReason")
			w.ok("StartMessageMoveTask", start(dead))
			require.NotContains(w, list(w, dead)[0], "DestinationArn")
			require.NotContains(w, list(w, dead)[0], "MaxNumberOfMessagesPerSecond")
		}},
		{"8.4 [D] a task moves what there was when it started, and no more", func(w *wire) {
			_, dead := w.buried(1, "")
			to := w.queue("to")
			for n := range 50 { // what is sent then may come before the task has begun
				for range n % 2 {
					w.put(dead, "x")
				}
				w.ok("StartMessageMoveTask", start(dead, m{"DestinationArn": arn(to)}))
				w.put(dead, "late")
				synctest.Wait()
				is(w, fmt.Sprint(n%2), list(w, dead)[0], "ApproximateNumberOfMessagesMoved")
				w.drop(dead, w.receive(dead)[0])
			}
			require.NotContains(w, bodies(w.receive(to)), "late")
		}},
		{"8.4 [A] a destination that is deleted fails the task; what is not moved stays", func(w *wire) {
			_, dead := w.buried(1, "")
			for range 3 {
				w.put(dead, "x")
			}
			to := w.queue("to")
			w.ok("StartMessageMoveTask", start(dead, slow, m{"DestinationArn": arn(to)}))
			synctest.Wait()
			w.ok("DeleteQueue", m{"QueueUrl": to})
			time.Sleep(time.Minute)
			task := list(w, dead)[0]
			is(w, "FAILED", task, "Status")
			is(w, noQueue, task, "FailureReason")
			is(w, "1", task, "ApproximateNumberOfMessagesMoved")
			require.Len(w, w.receive(dead), 2)
		}},
		{"8.4 [U] a destination of the program's own that refuses a message fails the task, and says why", func(w *wire) {
			_, dead := w.buried(1, "")
			for name, o := range map[string]dabchick.Options[string]{
				"RequestThrottled": {MaxMessages: 1, FailFast: true}, badValue: {MaxBytes: 2},
			} {
				require.NoError(w, sqshttp.Register(w.s, native(w, name, o)))
				w.put(name, "x")
				w.put(dead, "xxx")
				w.ok("StartMessageMoveTask", start(dead, m{"DestinationArn": arn(name)}))
				synctest.Wait()
				is(w, "FAILED", list(w, dead)[0], "Status")
				is(w, name, list(w, dead)[0], "FailureReason")
				w.drop(dead, w.receive(dead)[0])
			}
		}},
		{"1.3 [A] a source that is deleted ends its task; what is not moved is gone", func(w *wire) {
			_, dead := w.buried(1, "")
			full := native(w, "full", dabchick.Options[string]{MaxMessages: 1})
			require.NoError(w, sqshttp.Register(w.s, full))
			w.put("full", "there is no room")
			w.put(dead, "x")
			w.ok("StartMessageMoveTask", start(dead, m{"DestinationArn": arn("full")}))
			synctest.Wait()
			w.ok("DeleteQueue", m{"QueueUrl": dead})
			synctest.Wait()
			w.drop("full", w.receive("full")[0])
			synctest.Wait()
			require.Empty(w, w.receive("full"))
		}},
		{"8.4 [A] a task is cancelled while it runs; what is moved stays moved", func(w *wire) {
			_, dead := w.buried(1, "")
			for range 9 {
				w.put(dead, "x")
			}
			to := w.queue("to")
			task := w.ok("StartMessageMoveTask", start(dead, slow, m{"DestinationArn": arn(to)}))
			time.Sleep(2500 * time.Millisecond)
			out := w.ok("CancelMessageMoveTask", task)
			require.Equal(w, "3", fmt.Sprint(out["ApproximateNumberOfMessagesMoved"]))
			require.Contains(w, []any{"CANCELLING", "CANCELLED"}, list(w, dead)[0].(m)["Status"])
			synctest.Wait()
			is(w, "CANCELLED", list(w, dead)[0], "Status")
			require.Len(w, w.receive(to), 3)
			require.Len(w, w.receive(dead), 6)
			w.refused(notFound, "CancelMessageMoveTask", task) // [U]
		}},
		{"8.4 [D] a task that has moved nothing yet says 0 when it is cancelled", func(w *wire) {
			_, dead := w.buried(1, "")
			w.put(dead, "x")
			full := native(w, "full", dabchick.Options[string]{MaxMessages: 1})
			require.NoError(w, sqshttp.Register(w.s, full))
			w.put("full", "there is no room")
			task := w.ok("StartMessageMoveTask", start(dead, m{"DestinationArn": arn("full")}))
			synctest.Wait()
			require.Equal(w, "0", fmt.Sprint(w.ok("CancelMessageMoveTask", task)["ApproximateNumberOfMessagesMoved"]))
			synctest.Wait()
			is(w, "CANCELLED", list(w, dead)[0], "Status")
			require.Len(w, w.receive(dead), 1)
		}},
		{"8.4 [A] handles of tasks: base64 of JSON", func(w *wire) {
			_, dead := w.buried(1, "")
			raw, err := base64.StdEncoding.DecodeString(w.ok("StartMessageMoveTask", start(dead))["TaskHandle"].(string))
			require.NoError(w, err)
			var h m
			require.NoError(w, json.Unmarshal(raw, &h))
			require.Equal(w, []string{"sourceArn", "taskId"}, sorted(h))
			require.Equal(w, arn(dead), h["sourceArn"])
			require.Regexp(w, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, h["taskId"])
			for _, bad := range []string{"x", "e30=", base64.StdEncoding.EncodeToString([]byte("x"))} {
				w.refused(badValue, "CancelMessageMoveTask", m{"TaskHandle": bad})
			}
			h["sourceArn"] = arn("nobody")
			raw, _ = json.Marshal(h)
			w.refused(notFound, "CancelMessageMoveTask", m{"TaskHandle": base64.StdEncoding.EncodeToString(raw)})
			w.refused("MissingParameter", "CancelMessageMoveTask", m{"TaskHandle": ""})
		}},
		{"6.5 [D] a task moves the oldest first", func(w *wire) {
			_, dead := w.buried(1, ".fifo")
			to := w.queue("to.fifo")
			for i, group := range []string{"a", "b", "a", "a", "c", "b"} {
				w.put(dead, fmt.Sprint(group, i), m{"MessageGroupId": group, "MessageDeduplicationId": fmt.Sprint(i)})
			}
			w.ok("StartMessageMoveTask", start(dead, slow, m{"DestinationArn": arn(to)}))
			for _, next := range []string{"a0", "b1", "a2", "a3", "c4", "b5"} { // whatever their groups
				synctest.Wait()
				w.drop(to, w.gets(next, to)[0])
				time.Sleep(time.Second)
			}
		}},
		{"8.4 [D] what is in flight is not moved", func(w *wire) {
			_, dead := w.buried(1, "")
			to := w.queue("to")
			w.put(dead, "in flight")
			w.receive(dead)
			w.put(dead, "visible")
			w.ok("StartMessageMoveTask", start(dead, m{"DestinationArn": arn(to)}))
			synctest.Wait()
			require.Equal(w, []string{"visible"}, bodies(w.receive(to)))
		}},
		{"10 [D] moves are not sends in the figures of the queue", func(w *wire) {
			q, dead := w.buried(1, "")
			w.put(q, "x")
			w.receive(q)
			w.receive(q)
			native, _ := w.s.Queue(dead)
			stats, err := native.Stats(w.Context())
			require.NoError(w, err)
			require.Equal(w, dabchick.Totals{Arrived: 1}, stats.Totals)
		}},
	})
}
