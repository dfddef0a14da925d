package sqshttp_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// buried makes a queue whose messages become dead letters after n receives, each with a
// timeout of 0, and its dead-letter queue.
func (w *wire) buried(n int, suffix string) (q, dead string) {
	w.Helper()
	dead = w.queue("dead" + suffix)
	more := []string{}
	if suffix != "" {
		more = append(more, "ContentBasedDeduplication", "true")
	}
	return w.queue("q"+suffix, append(more, "VisibilityTimeout", "0", "RedrivePolicy", redrivePolicy(dead, n))...), dead
}

func TestRulesOfDeadLetters(t *testing.T) {
	const badValue = "InvalidParameterValue"
	system := m{"AttributeNames": []any{"All"}}
	checkRules(t, sqshttp.Options{}, []rule{
		{"8.1 [A] a redrive policy has both members, and says which one is missing", func(w *wire) {
			q := w.queue("q")
			w.queue("dead")
			for policy, name := range map[string]string{
				`{"maxReceiveCount":1}`: "deadLetterTargetArn", `{"deadLetterTargetArn":"` + arn("dead") + `"}`: "maxReceiveCount", `{}`: "deadLetterTargetArn",
			} {
				require.Contains(w, w.refuses(badValue, q, "RedrivePolicy", policy), name)
			}
		}},
		{"8.1 [A] the count is a number or a text of digits, and comes back as it was given", func(w *wire) { // of a text that is [U]
			q := w.queue("q")
			w.queue("dead")
			for _, count := range []string{`1`, `1000`, `"5"`} {
				policy := fmt.Sprintf(`{"maxReceiveCount":%s, "deadLetterTargetArn":%q}`, count, arn("dead"))
				w.set(q, "RedrivePolicy", policy)
				require.Equal(w, policy, w.attribute(q, "RedrivePolicy"))
			}
		}},
		{"8.1 [E] the count is from 1 to 1000, and a policy has no other members", func(w *wire) {
			q := w.queue("q")
			w.queue("dead")
			for _, count := range []string{"0", "1001", "-1", "1.5", `"x"`, "null", "true"} {
				w.refuses(badValue, q, "RedrivePolicy", fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%s}`, arn("dead"), count))
			}
			w.refuses(badValue, q, "RedrivePolicy", fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1,"x":1}`, arn("dead")))
			for _, policy := range []string{"x", "[]", "1", `{"deadLetterTargetArn":1,"maxReceiveCount":1}`} {
				w.refuses(badValue, q, "RedrivePolicy", policy)
			}
		}},
		{"8.1 [R] the target exists, and is of the same type", func(w *wire) {
			q := w.queue("q")
			w.queue("dead.fifo")
			require.Contains(w, w.refuses(badValue, q, "RedrivePolicy", redrivePolicy("nobody", 1)), "Dead letter target does not exist")
			require.Contains(w, w.refuses(badValue, q, "RedrivePolicy", redrivePolicy("dead.fifo", 1)), "must be same type of queue as the source")
			elsewhere := `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:q","maxReceiveCount":1}`
			w.refuses(badValue, q, "RedrivePolicy", elsewhere)
			w.refused(badValue, "CreateQueue", create("new", "RedrivePolicy", redrivePolicy("nobody", 1)))
		}},
		{"8.1 [A] a queue may name itself as its dead-letter queue; [U] messages stay, and go on being delivered", func(w *wire) {
			for _, suffix := range []string{"", ".fifo"} {
				w.refused(badValue, "CreateQueue", create("q"+suffix, "RedrivePolicy", redrivePolicy("q"+suffix, 1))) // it is not there yet
				q := w.queue("q"+suffix, "VisibilityTimeout", "0")
				w.set(q, "RedrivePolicy", redrivePolicy(q, 1))
				w.set(q, "DelaySeconds", "0")
				require.JSONEq(w, redrivePolicy(q, 1), w.attribute(q, "RedrivePolicy").(string))
				require.Equal(w, []any{host + "/000000000000/" + q}, w.ok("ListDeadLetterSourceQueues", m{"QueueUrl": q})["queueUrls"])
				more := m{}
				if suffix != "" {
					more = m{"MessageGroupId": "g", "MessageDeduplicationId": "1"}
				}
				w.put(q, "poison", more)
				for range 3 {
					require.Equal(w, []string{"poison"}, bodies(w.receive(q)))
				}
				dead := w.queue("dead" + suffix)
				w.set(q, "RedrivePolicy", redrivePolicy(dead, 1))
				require.Empty(w, w.receive(q))
				require.Equal(w, []string{"poison"}, bodies(w.receive(dead)))
				w.set(dead, "RedrivePolicy", redrivePolicy(dead, 1))
				w.set(q, "RedrivePolicy", "")
			}
		}},
		{"8.1 [D] many sources share a dead-letter queue, which may have one too", func(w *wire) {
			w.queue("last")
			w.queue("dead", "RedrivePolicy", redrivePolicy("last", 1))
			w.queue("a", "RedrivePolicy", redrivePolicy("dead", 1))
			w.queue("b", "RedrivePolicy", redrivePolicy("dead", 1))
			url := host + "/000000000000/"
			require.Equal(w, []any{url + "a", url + "b"}, w.ok("ListDeadLetterSourceQueues", m{"QueueUrl": "dead"})["queueUrls"])
			require.Equal(w, []any{url + "dead"}, w.ok("ListDeadLetterSourceQueues", m{"QueueUrl": "last"})["queueUrls"])
			out := w.ok("ListDeadLetterSourceQueues", m{"QueueUrl": "dead", "MaxResults": 1})
			require.Equal(w, []any{url + "a"}, out["queueUrls"])
			out = w.ok("ListDeadLetterSourceQueues", m{"QueueUrl": "dead", "MaxResults": 1, "NextToken": out["NextToken"]})
			require.Equal(w, []any{url + "b"}, out["queueUrls"])
			require.NotContains(w, out, "NextToken")
		}},
		{"8.2 [A] a message is moved by the receive after the last, which comes back empty", func(w *wire) {
			q, dead := w.buried(2, "")
			w.put(q, "x")
			for range 2 {
				require.Len(w, w.receive(q), 1)
			}
			require.Empty(w, w.receive(dead))
			require.Empty(w, w.receive(q))
			require.Len(w, w.receive(dead), 1)
		}},
		{"8.2 [A] the receive goes on with other messages", func(w *wire) {
			q, dead := w.buried(1, "")
			w.put(q, "poison")
			w.receive(q)
			w.put(q, "good")
			require.Equal(w, []string{"good"}, bodies(w.receive(q)))
			require.Equal(w, []string{"poison"}, bodies(w.receive(dead)))
		}},
		{"8.2 [U] a long poll moves a message after its last timeout, and waits on; one for it gets it", func(w *wire) {
			dead := w.queue("dead")
			q := w.queue("q", "VisibilityTimeout", "5", "RedrivePolicy", redrivePolicy(dead, 1))
			w.put(q, "poison")
			w.receive(q)
			began := time.Now()
			moved := make(chan time.Duration)
			go func() {
				require.Equal(w, []string{"poison"}, bodies(w.receive(dead, m{"WaitTimeSeconds": 20})))
				moved <- time.Since(began)
			}()
			later(8*time.Second, func() { w.put(q, "good") })
			require.Equal(w, []string{"good"}, bodies(w.receive(q, m{"WaitTimeSeconds": 20})))
			require.Equal(w, 8*time.Second, time.Since(began))
			require.Equal(w, 5*time.Second, <-moved)
		}},
		{"8.2 [D] a change of the count is for messages that are there, and without a policy nothing moves", func(w *wire) {
			q, dead := w.buried(5, "")
			w.put(q, "x")
			for range 3 {
				require.Len(w, w.receive(q), 1)
			}
			w.set(q, "RedrivePolicy", redrivePolicy(dead, 4))
			require.Len(w, w.receive(q), 1)
			w.set(q, "RedrivePolicy", "")
			require.Len(w, w.receive(q), 1)
			w.set(q, "RedrivePolicy", redrivePolicy(dead, 2))
			require.Empty(w, w.receive(q))
			require.Len(w, w.receive(dead), 1)
		}},
		{"8.2 [A] a receive moves as many as there are on its way to others", func(w *wire) {
			q, dead := w.buried(1, "")
			for i := range 25 {
				w.put(q, fmt.Sprint(i))
			}
			for range 3 {
				w.receive(q, m{"VisibilityTimeout": 1})
			}
			time.Sleep(time.Second)
			w.put(q, "good")
			require.Equal(w, []string{"good"}, bodies(w.receive(q)))
			require.Equal(w, "25", w.attribute(dead, "ApproximateNumberOfMessages"))
		}},
		{"8.2 [U] what an old handle can do to a dead letter: nothing", func(w *wire) {
			for _, suffix := range []string{"", ".fifo"} {
				q, dead := w.buried(1, suffix)
				more := m{}
				if suffix != "" {
					more["MessageGroupId"] = "g"
				}
				w.put(q, "x", more)
				got := w.receive(q)[0]
				w.receive(q)
				w.drop(q, got)
				w.refused(badValue, "ChangeMessageVisibility", changing(q, got, 60))
				w.refused("ReceiptHandleIsInvalid", "DeleteMessage", with(m{"QueueUrl": dead}, handle(got)))
				require.Len(w, w.receive(dead), 1)
			}
		}},
		{"8.2 [R] nothing moves by itself when the timeout ends", func(w *wire) {
			w.queue("dead")
			q := w.queue("q", "VisibilityTimeout", "5", "RedrivePolicy", redrivePolicy("dead", 1))
			w.put(q, "x")
			w.receive(q)
			time.Sleep(time.Hour)
			require.Equal(w, "0", w.attribute("dead", "ApproximateNumberOfMessages"))
			require.Equal(w, "1", w.attribute(q, "ApproximateNumberOfMessages"))
		}},
		{"8.2 [A] what a dead letter keeps, and its count", func(w *wire) {
			q, dead := w.buried(1, "")
			sent := w.put(q, "x", m{"MessageAttributes": m{"k": text("String", "x")}, "MessageSystemAttributes": m{"AWSTraceHeader": text("String", "Root=1")}})
			time.Sleep(time.Second)
			w.receive(q)
			time.Sleep(time.Second)
			w.receive(q)
			got := w.receive(dead, system, m{"MessageAttributeNames": []any{"All"}})[0]
			require.Equal(w, sent["MessageId"], got["MessageId"])
			require.Equal(w, "x", got["Body"])
			require.Equal(w, "a45daa70926828a2f0a1db3418e6feb4", got["MD5OfMessageAttributes"])
			require.Equal(w, m{"ApproximateReceiveCount": "2", "AWSTraceHeader": "Root=1", "DeadLetterQueueSourceArn": arn("q"), "SenderId": "000000000000",
				"SentTimestamp": "946684800000", "ApproximateFirstReceiveTimestamp": "946684801000"}, got["Attributes"])
		}},
		{"8.2 [U] a chain counts the receives of each queue by itself, and the delay of a dead-letter queue is not applied", func(w *wire) {
			w.queue("last")
			w.queue("dead", "VisibilityTimeout", "0", "DelaySeconds", "900", "RedrivePolicy", redrivePolicy("last", 2))
			q := w.queue("q", "VisibilityTimeout", "0", "RedrivePolicy", redrivePolicy("dead", 2))
			w.put(q, "x")
			for _, name := range []string{q, "dead"} {
				for _, want := range []int{1, 1, 0} {
					require.Len(w, w.receive(name), want, name)
				}
			}
			require.Equal(w, "5", w.receive("last", system)[0]["Attributes"].(m)["ApproximateReceiveCount"])
		}},
		{"8.2 [U] without its dead-letter queue, a queue goes on delivering", func(w *wire) {
			q, dead := w.buried(1, "")
			w.put(q, "x")
			w.ok("DeleteQueue", m{"QueueUrl": dead})
			for range 3 {
				require.Len(w, w.receive(q), 1)
			}
		}},
		{"4.6 [D] in a standard dead-letter queue retention counts from the send", func(w *wire) {
			w.queue("dead", "MessageRetentionPeriod", "100")
			q := w.queue("q", "VisibilityTimeout", "0", "RedrivePolicy", redrivePolicy("dead", 1))
			w.put(q, "x")
			time.Sleep(40 * time.Second)
			w.receive(q)
			w.receive(q)
			justBefore(60*time.Second+1, func() { require.Len(w, w.receive("dead", m{"VisibilityTimeout": 0}), 1) })
			require.Empty(w, w.receive("dead"))
		}},
		{"4.6 [D] in a FIFO dead-letter queue it counts from the move", func(w *wire) {
			w.queue("dead.fifo", "MessageRetentionPeriod", "100")
			q := w.fifo("g1m1", "VisibilityTimeout", "0", "RedrivePolicy", redrivePolicy("dead.fifo", 1))
			time.Sleep(40 * time.Second)
			w.receive(q)
			w.receive(q)
			justBefore(100*time.Second+1, func() { require.Len(w, w.receive("dead.fifo", m{"VisibilityTimeout": 0}), 1) })
			require.Empty(w, w.receive("dead.fifo"))
		}},
		{"6.5 [A] a dead letter of a FIFO queue keeps its id and group, and frees the group", func(w *wire) {
			q, dead := w.buried(1, ".fifo")
			sent := w.put(q, "g1m1", m{"MessageGroupId": "g1"})
			w.receive(q)
			w.put(dead, "before", m{"MessageGroupId": "g0", "MessageDeduplicationId": "d"})
			w.putAll(q, "g1m2")
			w.gets("g1m2", q)
			got := w.receive(dead, system)[1]
			require.Equal(w, sent["MessageId"], got["MessageId"])
			attributes := got["Attributes"].(m)
			require.Equal(w, "g1", attributes["MessageGroupId"])
			require.Equal(w, sent["MessageId"], attributes["MessageDeduplicationId"], "[D]: its id")
			require.Equal(w, arn(q), attributes["DeadLetterQueueSourceArn"])
			require.Greater(w, attributes["SequenceNumber"], sent["SequenceNumber"], "[U]: a new one")
		}},
		{"6.5 [U] a dead letter of a FIFO queue shows the time of its move, and of its first receive", func(w *wire) {
			q, dead := w.buried(1, ".fifo")
			w.putAll(q, "g1m1")
			time.Sleep(time.Second)
			w.receive(q)
			time.Sleep(time.Second)
			w.receive(q)
			attributes := w.receive(dead, system)[0]["Attributes"].(m)
			require.Equal(w, "946684802000", attributes["SentTimestamp"])
			require.Equal(w, "946684801000", attributes["ApproximateFirstReceiveTimestamp"])
		}},
		{"8.3 [D] who may have this queue as its dead-letter queue", func(w *wire) { // the code of the refusal is [U]
			for name, allow := range map[string]string{
				"all": `{"redrivePermission":"allowAll"}`, "none": `{"redrivePermission":"denyAll"}`,
				"some": fmt.Sprintf(`{"redrivePermission":"byQueue","sourceQueueArns":[%q]}`, arn("friend")),
			} {
				w.queue(name, "RedriveAllowPolicy", allow)
				require.Equal(w, allow, w.attribute(name, "RedriveAllowPolicy"))
			}
			w.queue("friend", "RedrivePolicy", redrivePolicy("some", 1))
			q := w.queue("q", "RedrivePolicy", redrivePolicy("all", 1))
			w.refuses(badValue, q, "RedrivePolicy", redrivePolicy("none", 1))
			w.refuses(badValue, q, "RedrivePolicy", redrivePolicy("some", 1))
		}},
		{"8.3 [U] a later denial leaves the sources that are there", func(w *wire) {
			q, dead := w.buried(1, "")
			w.set(dead, "RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`)
			w.set(q, "DelaySeconds", "0")
			w.put(q, "x")
			w.receive(q)
			w.receive(q)
			require.Len(w, w.receive(dead), 1)
		}},
		{"8.3 [E] what a redrive-allow policy may be", func(w *wire) {
			q := w.queue("q")
			eleven := make([]string, 11)
			for i := range eleven {
				eleven[i] = arn(fmt.Sprint(i))
			}
			list := func(n int) string { b, _ := json.Marshal(eleven[:n]); return string(b) }
			w.set(q, "RedriveAllowPolicy", `{"redrivePermission":"byQueue","sourceQueueArns":`+list(10)+`}`)
			for _, policy := range []string{"x", `{}`, `{"redrivePermission":"some"}`, `{"redrivePermission":"denyAll","x":1}`, `{"redrivePermission":"denyAll"}x`,
				`{"RedrivePermission":"denyAll"}`} {
				w.refuses("InvalidAttributeValue", q, "RedriveAllowPolicy", policy)
			}
			for _, policy := range []string{
				`{"redrivePermission":"denyAll","sourceQueueArns":` + list(1) + `}`, `{"redrivePermission":"byQueue"}`,
				`{"redrivePermission":"denyAll","sourceQueueArns":[]}`,
				`{"redrivePermission":"allowAll","sourceQueueArns":` + list(1) + `}`, `{"redrivePermission":"byQueue","sourceQueueArns":` + list(11) + `}`,
			} {
				w.refuses(badValue, q, "RedriveAllowPolicy", policy)
			}
		}},
	})
}
