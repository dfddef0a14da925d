package sqshttp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

func (w *wire) all(q string) m {
	w.Helper()
	all, _ := w.ok("GetQueueAttributes", m{"QueueUrl": q, "AttributeNames": []any{"All"}})["Attributes"].(m)
	return all
}

// refuses asserts that attributes cannot be set.
func (w *wire) refuses(code, q string, attributes ...string) string {
	w.Helper()
	return w.refused(code, "SetQueueAttributes", m{"QueueUrl": q, "Attributes": texts(attributes...)})
}

func TestRulesOfQueueAttributes(t *testing.T) {
	fresh := func(name string, more ...string) m {
		return with(texts("ApproximateNumberOfMessages", "0", "ApproximateNumberOfMessagesDelayed", "0", "ApproximateNumberOfMessagesNotVisible", "0",
			"CreatedTimestamp", "946684800", "LastModifiedTimestamp", "946684800", "DelaySeconds", "0", "MaximumMessageSize", "1048576",
			"MessageRetentionPeriod", "345600", "QueueArn", arn(name), "ReceiveMessageWaitTimeSeconds", "0",
			"SqsManagedSseEnabled", "true", "VisibilityTimeout", "30"), texts(more...))
	}
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.4 [D] without names there are no attributes", func(w *wire) {
			require.Empty(w, w.ok("GetQueueAttributes", m{"QueueUrl": w.queue("q")}))
		}},
		{"2 [A] a fresh standard queue has twelve attributes", func(w *wire) {
			require.Equal(w, fresh("q"), w.all(w.queue("q")))
		}},
		{"2 [A] a fresh FIFO queue has four more", func(w *wire) {
			want := fresh("q.fifo", "FifoQueue", "true", "ContentBasedDeduplication", "false", "DeduplicationScope", "queue", "FifoThroughputLimit", "perQueue")
			require.Equal(w, want, w.all(w.queue("q.fifo")))
		}},
		{"1.4 [A] attributes by name: unknown ones are refused, those that are not set are left out", func(w *wire) {
			q := w.queue("q")
			why := w.refused("InvalidAttributeName", "GetQueueAttributes", m{"QueueUrl": q, "AttributeNames": []any{"QueueArn", "Colour"}})
			require.Contains(w, why, "Unknown Attribute Colour.")
			out := w.ok("GetQueueAttributes", m{"QueueUrl": q, "AttributeNames": []any{"QueueArn", "Policy", "FifoQueue"}})
			require.Equal(w, m{"QueueArn": arn("q")}, out["Attributes"])
		}},
		{"2 [D] ranges of numbers, both ends included", func(w *wire) {
			q := w.queue("q")
			for name, r := range map[string][2]int{
				"VisibilityTimeout": {0, 43_200}, "DelaySeconds": {0, 900}, "MaximumMessageSize": {1024, 1_048_576},
				"MessageRetentionPeriod": {60, 1_209_600}, "ReceiveMessageWaitTimeSeconds": {0, 20},
			} {
				for _, n := range r {
					w.set(q, name, fmt.Sprint(n))
					require.Equal(w, fmt.Sprint(n), w.attribute(q, name))
				}
				w.refuses("InvalidAttributeValue", q, name, fmt.Sprint(r[0]-1))
				w.refuses("InvalidAttributeValue", q, name, fmt.Sprint(r[1]+1))
			}
			w.set(q, "KmsDataKeyReusePeriodSeconds", "60")
			w.set(q, "KmsDataKeyReusePeriodSeconds", "86400")
			w.refuses("InvalidAttributeValue", q, "KmsDataKeyReusePeriodSeconds", "59")
			w.refuses("InvalidAttributeValue", q, "KmsDataKeyReusePeriodSeconds", "86401")
		}},
		{"1.4 [U] an attribute has only characters that the answers of both protocols can carry", func(w *wire) {
			q := w.queue("q")
			for _, text := range []string{"\x01", "\uffff"} {
				w.refused("InvalidAttributeValue", "SetQueueAttributes", m{"QueueUrl": q, "Attributes": m{"KmsMasterKeyId": text}})
				w.refused("InvalidAttributeValue", "SetQueueAttributes", m{"QueueUrl": q, "Attributes": m{"Policy": `{"Id":"` + text + `"}`}})
			}
		}},
		{"1.4 [E] numbers are digits only", func(w *wire) {
			q := w.queue("q")
			for _, text := range []string{"", " 1", "1 ", "+1", "-1", "1.0", "1e1", "0x1", "1_0", "٣", "99999999999999999999"} {
				w.refuses("InvalidAttributeValue", q, "DelaySeconds", text)
			}
		}},
		{"1.4 [E] unknown and read-only attributes cannot be set", func(w *wire) {
			q := w.queue("q")
			for _, name := range []string{"Colour", "All", "QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", "ApproximateNumberOfMessages"} {
				w.refuses("InvalidAttributeName", q, name, "1")
			}
			w.refused("MissingParameter", "SetQueueAttributes", m{"QueueUrl": q})
		}},
		{"1.4 [A] what cannot be set changes nothing", func(w *wire) {
			q := w.queue("q")
			w.refuses("InvalidAttributeValue", q, "DelaySeconds", "5", "VisibilityTimeout", "43201")
			require.Equal(w, "0", w.attribute(q, "DelaySeconds"))
		}},
		{"1.4 [A] the kind of a queue cannot be changed", func(w *wire) {
			fifo, std := w.queue("q.fifo"), w.queue("q")
			w.set(fifo, "FifoQueue", "true")
			w.refuses("InvalidAttributeValue", fifo, "FifoQueue", "false")
			w.refuses("InvalidAttributeName", std, "FifoQueue", "true")
			w.refuses("InvalidAttributeName", std, "FifoQueue", "false")
		}},
		{"2 [D] values of the FIFO attributes", func(w *wire) {
			q := w.queue("q.fifo")
			w.set(q, "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId")
			w.refuses("InvalidAttributeValue", q, "DeduplicationScope", "group")
			w.refuses("InvalidAttributeValue", q, "FifoThroughputLimit", "perGroup")
			w.refuses("InvalidAttributeValue", q, "ContentBasedDeduplication", "yes")
		}},
		{"6.3 [A] messageGroup scope goes with perQueue", func(w *wire) {
			w.queue("q.fifo", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perQueue")
		}},
		{"1.4 [D] perMessageGroupId needs the scope messageGroup", func(w *wire) { // the code is [U]
			w.refused("InvalidAttributeValue", "CreateQueue", create("q.fifo", "FifoQueue", "true", "FifoThroughputLimit", "perMessageGroupId"))
			q := w.queue("q.fifo", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId")
			w.refuses("InvalidAttributeValue", q, "DeduplicationScope", "queue")
		}},
		{"1.4 [A] an empty text clears Policy and RedrivePolicy", func(w *wire) {
			w.queue("dead")
			q := w.queue("q", "Policy", `{"Version":"2012-10-17"}`, "RedrivePolicy", redrivePolicy("dead", 3))
			require.Equal(w, `{"Version":"2012-10-17"}`, w.attribute(q, "Policy"))
			w.set(q, "Policy", "", "RedrivePolicy", "")
			require.Nil(w, w.attribute(q, "Policy"))
			require.Nil(w, w.attribute(q, "RedrivePolicy"))
			require.Empty(w, w.ok("ListDeadLetterSourceQueues", m{"QueueUrl": "dead"})["queueUrls"])
		}},
		{"1.4 [E] an empty text clears RedriveAllowPolicy", func(w *wire) {
			q := w.queue("q", "RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`)
			w.set(q, "RedriveAllowPolicy", "")
			require.Nil(w, w.attribute(q, "RedriveAllowPolicy"))
		}},
		{"1.4 [A] a KMS key switches SQS's own encryption off, and clearing it leaves that off", func(w *wire) {
			q := w.queue("q")
			w.set(q, "KmsMasterKeyId", "key", "KmsDataKeyReusePeriodSeconds", "6000")
			require.Equal(w, "false", w.attribute(q, "SqsManagedSseEnabled"))
			require.Equal(w, "key", w.attribute(q, "KmsMasterKeyId"))
			require.Equal(w, "6000", w.attribute(q, "KmsDataKeyReusePeriodSeconds"))
			w.set(q, "KmsMasterKeyId", "", "KmsDataKeyReusePeriodSeconds", "300")
			require.Equal(w, with(fresh("q"), m{"SqsManagedSseEnabled": "false"}), w.all(q))
		}},
		{"2 [D] the reuse period of keys is shown beside a key only", func(w *wire) {
			q := w.queue("q", "KmsDataKeyReusePeriodSeconds", "600")
			require.Equal(w, fresh("q"), w.all(q))
			w.ok("CreateQueue", create("q", "KmsDataKeyReusePeriodSeconds", "600"))
			w.refused("QueueAlreadyExists", "CreateQueue", create("q", "KmsDataKeyReusePeriodSeconds", "700"))
			w.set(q, "KmsMasterKeyId", "key")
			require.Equal(w, "600", w.attribute(q, "KmsDataKeyReusePeriodSeconds"))
		}},
		{"1.4 [A] there is one kind of encryption at a time", func(w *wire) {
			w.refused("InvalidAttributeName", "CreateQueue", create("q", "KmsMasterKeyId", "key", "SqsManagedSseEnabled", "true"))
			q := w.queue("q", "KmsMasterKeyId", "key")
			w.refuses("InvalidAttributeName", q, "SqsManagedSseEnabled", "true")
			w.set(q, "KmsMasterKeyId", "", "SqsManagedSseEnabled", "true")
		}},
		{"1.4 [D] a change of retention concerns what is there", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			w.set(q, "MessageRetentionPeriod", "60")
			justBefore(time.Minute+1, func() { require.Equal(w, "1", w.attribute(q, "ApproximateNumberOfMessages")) })
			require.Equal(w, "0", w.attribute(q, "ApproximateNumberOfMessages"))
		}},
		{"4.2 [D] a change of the delay concerns what is there on FIFO queues only", func(w *wire) {
			std, fifo := w.queue("q"), w.queue("q.fifo", "ContentBasedDeduplication", "true")
			for _, q := range []string{std, fifo} {
				w.set(q, "DelaySeconds", "900")
				w.put(q, "x", m{"MessageGroupId": "g"})
				w.set(q, "DelaySeconds", "10")
			}
			justBefore(10*time.Second, func() { require.Empty(w, w.receive(fifo)) })
			require.Len(w, w.receive(fifo), 1)
			justBefore(890*time.Second, func() { require.Empty(w, w.receive(std)) })
			require.Len(w, w.receive(std), 1)
		}},
		{"1.4 [D] a change of the visibility timeout concerns later receives", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "10")
			w.put(q, "x")
			w.receive(q)
			w.set(q, "VisibilityTimeout", "20")
			justBefore(10*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Len(w, w.receive(q), 1)
			justBefore(20*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Len(w, w.receive(q), 1)
		}},
		{"2 [D] counts, and timestamps in seconds", func(w *wire) {
			q := w.queue("q")
			w.put(q, "in flight")
			w.receive(q)
			w.put(q, "visible")
			w.put(q, "visible too")
			w.put(q, "delayed", m{"DelaySeconds": 100})
			time.Sleep(2500 * time.Millisecond)
			w.set(q, "DelaySeconds", "0")
			all := w.all(q)
			require.Equal(w, "2", all["ApproximateNumberOfMessages"])
			require.Equal(w, "1", all["ApproximateNumberOfMessagesNotVisible"])
			require.Equal(w, "1", all["ApproximateNumberOfMessagesDelayed"])
			require.Equal(w, "946684800", all["CreatedTimestamp"])
			require.Equal(w, "946684802", all["LastModifiedTimestamp"])
		}},
		{"2 [A] what a group holds back counts as visible", func(w *wire) {
			q := w.queue("q.fifo", "ContentBasedDeduplication", "true")
			w.put(q, "1", m{"MessageGroupId": "g"})
			w.put(q, "2", m{"MessageGroupId": "g"})
			w.receive(q, m{"MaxNumberOfMessages": 1})
			require.Equal(w, "1", w.attribute(q, "ApproximateNumberOfMessages"))
			require.Equal(w, "1", w.attribute(q, "ApproximateNumberOfMessagesNotVisible"))
		}},
	})
}

func TestRulesOfTagsAndPermissions(t *testing.T) {
	policy := func(w *wire, q string) (p struct {
		Version, Id string
		Statement   []m
	}) {
		text, _ := w.attribute(q, "Policy").(string)
		require.NoError(w, json.Unmarshal([]byte(text), &p), text)
		return p
	}
	allow := func(label string, accounts, actions []any) m {
		return m{"QueueUrl": "q", "Label": label, "AWSAccountIds": accounts, "Actions": actions}
	}
	one := []any{"123456789012"}
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.5 [A] tags are added and replaced, by keys that are case-sensitive", func(w *wire) {
			q := w.queue("q")
			require.NotContains(w, w.ok("ListQueueTags", m{"QueueUrl": q}), "Tags")
			w.ok("TagQueue", m{"QueueUrl": q, "Tags": m{"team": "blue", "Team": ""}})
			w.ok("TagQueue", m{"QueueUrl": q, "Tags": m{"team": "red"}})
			require.Equal(w, m{"team": "red", "Team": ""}, w.ok("ListQueueTags", m{"QueueUrl": q})["Tags"])
			w.ok("UntagQueue", m{"QueueUrl": q, "TagKeys": []any{"team", "unknown"}})
			require.Equal(w, m{"Team": ""}, w.ok("ListQueueTags", m{"QueueUrl": q})["Tags"])
		}},
		{"1.5 [D] what a tag may be", func(w *wire) {
			q := w.queue("q")
			w.ok("TagQueue", m{"QueueUrl": q, "Tags": m{strings.Repeat("ä", 128): strings.Repeat("ß", 256), "a _.:/=+-@1": " "}})
			for key, value := range map[string]string{
				"": "x", strings.Repeat("k", 129): "x", "k": strings.Repeat("v", 257), "aws:k": "x", "AWS:k": "x", "k<": "x", "kk": "v\n",
			} {
				w.refused("InvalidParameterValue", "TagQueue", m{"QueueUrl": q, "Tags": m{key: value}})
				w.refused("InvalidParameterValue", "CreateQueue", m{"QueueName": "new", "tags": m{key: value}})
			}
		}},
		{"1.5 [E] at most 50 tags, at least one", func(w *wire) {
			q := w.queue("q")
			tags := m{}
			for i := range 50 {
				tags[fmt.Sprint(i)] = ""
			}
			w.ok("TagQueue", m{"QueueUrl": q, "Tags": tags})
			w.ok("TagQueue", m{"QueueUrl": q, "Tags": m{"1": "x"}})
			w.refused("InvalidParameterValue", "TagQueue", m{"QueueUrl": q, "Tags": m{"51": ""}})
			require.Len(w, w.ok("ListQueueTags", m{"QueueUrl": q})["Tags"], 50)
			w.refused("MissingParameter", "TagQueue", m{"QueueUrl": q, "Tags": m{}})
			w.refused("MissingParameter", "UntagQueue", m{"QueueUrl": q, "TagKeys": []any{}})
		}},
		{"1.5 [A] AddPermission adds a statement to the policy", func(w *wire) {
			q := w.queue("q")
			w.ok("AddPermission", allow("first", one, []any{"SendMessage"}))
			w.ok("AddPermission", allow("second", []any{"123456789012", "210987654321"}, []any{"*", "ReceiveMessage"}))
			p := policy(w, q)
			require.Equal(w, "2008-10-17", p.Version)
			require.Equal(w, arn("q")+"/SQSDefaultPolicy", p.Id)
			require.Equal(w, []m{
				{"Sid": "first", "Effect": "Allow", "Principal": m{"AWS": "arn:aws:iam::123456789012:root"}, "Action": "SQS:SendMessage", "Resource": arn("q")},
				{"Sid": "second", "Effect": "Allow", "Principal": m{"AWS": []any{"arn:aws:iam::123456789012:root", "arn:aws:iam::210987654321:root"}},
					"Action": []any{"SQS:*", "SQS:ReceiveMessage"}, "Resource": arn("q")},
			}, p.Statement)
			w.ok("RemovePermission", m{"QueueUrl": q, "Label": "first"})
			require.Len(w, policy(w, q).Statement, 1)
			w.ok("RemovePermission", m{"QueueUrl": q, "Label": "second"})
			require.Nil(w, w.attribute(q, "Policy"), "the last statement takes the policy with it")
		}},
		{"1.5 [D] permissions beside statements of the queue's own policy", func(w *wire) {
			const own = `{"Version":"2012-10-17","Statement":{"Sid":"own","Effect":"Allow","Principal":"*","Action":"sqs:*"}}`
			q := w.queue("q", "Policy", own)
			w.ok("AddPermission", allow("more", one, []any{"SendMessage"}))
			require.Equal(w, m{"Sid": "own", "Effect": "Allow", "Principal": "*", "Action": "sqs:*"}, policy(w, q).Statement[0])
			require.Contains(w, w.refused("InvalidParameterValue", "AddPermission", allow("own", one, []any{"SendMessage"})), "Already exists")
			w.ok("RemovePermission", m{"QueueUrl": q, "Label": "own"})
			require.Equal(w, "more", policy(w, q).Statement[0]["Sid"])

			w.set(q, "Policy", `{"Version":"2012-10-17","Statement":[{"Sid":"a"},{"Sid":"b"}]}`)
			w.ok("RemovePermission", m{"QueueUrl": q, "Label": "a"})
			require.JSONEq(w, `{"Version":"2012-10-17","Statement":[{"Sid":"b"}]}`, w.attribute(q, "Policy").(string))
		}},
		{"1.5 [A] labels are used once, and known", func(w *wire) {
			q := w.queue("q")
			w.ok("AddPermission", allow("l", one, []any{"SendMessage"}))
			require.Contains(w, w.refused("InvalidParameterValue", "AddPermission", allow("l", one, []any{"SendMessage"})), "Already exists")
			why := w.refused("InvalidParameterValue", "RemovePermission", m{"QueueUrl": q, "Label": "nobody"})
			require.Contains(w, why, "can't find label")
		}},
		{"1.5 [D] labels have 1 to 80 letters, digits, hyphens and underscores", func(w *wire) {
			q := w.queue("q")
			w.ok("AddPermission", allow(strings.Repeat("l", 80), one, []any{"SendMessage"}))
			w.refused("InvalidParameterValue", "AddPermission", allow(strings.Repeat("l", 81), one, []any{"SendMessage"}))
			w.refused("InvalidParameterValue", "AddPermission", allow("a b", one, []any{"SendMessage"}))
			w.refused("MissingParameter", "AddPermission", allow("", one, []any{"SendMessage"}))
			w.refused("MissingParameter", "RemovePermission", m{"QueueUrl": q, "Label": ""})
			w.refused("MissingParameter", "AddPermission", allow("l", nil, []any{"SendMessage"}))
			w.refused("MissingParameter", "AddPermission", allow("l", one, nil))
		}},
		{"1.5 [E] more than seven actions, names of batches, and what only the owner does", func(w *wire) {
			w.queue("q")
			eight := []any{"a", "b", "c", "d", "e", "f", "g", "h"}
			w.refused("OverLimit", "AddPermission", allow("l", one, eight))
			for _, action := range []any{"SendMessageBatch", "CreateQueue", "TagQueue", "Dance"} {
				w.refused("InvalidParameterValue", "AddPermission", allow("l", one, []any{action}))
			}
		}},
		{"1.5 [D] a policy has at most 20 statements and 8192 bytes", func(w *wire) {
			q := w.queue("q")
			for i := range 20 {
				w.ok("AddPermission", allow(fmt.Sprint(i), one, []any{"SendMessage"}))
			}
			w.refused("OverLimit", "AddPermission", allow("20", one, []any{"SendMessage"}))
			text := func(n int) string { return `{"a":"` + strings.Repeat("x", n-len(`{"a":""}`)) + `"}` }
			w.set(q, "Policy", text(8192))
			w.refuses("InvalidAttributeValue", q, "Policy", text(8193))
			for _, none := range []string{"not JSON", "null", "5", `[{"Sid":"a"}]`} {
				w.refuses("InvalidAttributeValue", q, "Policy", none)
			}
		}},
	})
}
