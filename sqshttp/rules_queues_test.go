package sqshttp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

func create(name string, attributes ...string) m {
	in := m{"QueueName": name}
	if len(attributes) > 0 {
		in["Attributes"] = texts(attributes...)
	}
	return in
}

func TestRulesOfTheLifeOfQueues(t *testing.T) {
	const noQueue = "AWS.SimpleQueueService.NonExistentQueue"
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.3 [D] names have 1 to 80 letters, digits, hyphens and underscores, the suffix .fifo included", func(w *wire) {
			for _, name := range []string{"a", "A-b_9", strings.Repeat("x", 80)} {
				w.queue(name)
			}
			w.queue(strings.Repeat("x", 75) + ".fifo")
			for _, name := range []string{"", "a b", "a.b", "a/b", "ä", strings.Repeat("x", 81)} {
				w.refused("InvalidParameterValue", "CreateQueue", create(name))
			}
			w.refused("InvalidParameterValue", "CreateQueue", create(strings.Repeat("x", 76)+".fifo", "FifoQueue", "true"))
		}},
		{"1.3 [D] names are case-sensitive", func(w *wire) {
			w.queue("Jobs")
			w.refused(noQueue, "GetQueueUrl", m{"QueueName": "jobs"})
		}},
		{"1.3 [A] .fifo and FifoQueue go together", func(w *wire) {
			w.refused("InvalidParameterValue", "CreateQueue", create("x.fifo"))
			w.refused("InvalidParameterValue", "CreateQueue", create("x", "FifoQueue", "true"))
			for _, truth := range []string{"false", "False", "", "yes"} {
				w.refused("InvalidParameterValue", "CreateQueue", create("x.fifo", "FifoQueue", truth))
			}
		}},
		{"1.3 [D] absent attributes take their defaults", func(w *wire) {
			q := w.queue("q", "DelaySeconds", "7")
			require.Equal(w, "7", w.attribute(q, "DelaySeconds"))
			require.Equal(w, "30", w.attribute(q, "VisibilityTimeout"))
		}},
		{"1.3 [A] create of a name that is taken, without attributes, returns its URL", func(w *wire) {
			first := w.ok("CreateQueue", create("q", "DelaySeconds", "7"))
			require.Equal(w, first, w.ok("CreateQueue", create("q")))
			w.queue("f.fifo")
			w.ok("CreateQueue", create("f.fifo"))
		}},
		{"1.3 [A] create of a name that is taken compares the attributes that are given, with those of now", func(w *wire) {
			q := w.queue("q", "DelaySeconds", "7")
			w.set(q, "DelaySeconds", "8")
			w.ok("CreateQueue", create("q", "DelaySeconds", "8"))
			w.ok("CreateQueue", create("q", "VisibilityTimeout", "30"))
			why := w.refused("QueueAlreadyExists", "CreateQueue", create("q", "DelaySeconds", "7", "VisibilityTimeout", "30"))
			require.Contains(w, why, "DelaySeconds")
			why = w.refused("QueueAlreadyExists", "CreateQueue", create("q", "DelaySeconds", "7", "VisibilityTimeout", "1"))
			require.Contains(w, why, "DelaySeconds", "the first one")
			w.queue("f.fifo")
			w.ok("CreateQueue", create("f.fifo", "DelaySeconds", "0"))
			w.refused("InvalidAttributeValue", "CreateQueue", create("q", "DelaySeconds", "x"))
		}},
		{"1.3 [A] .fifo and FifoQueue go together also if the name is taken", func(w *wire) {
			w.queue("q")
			w.refused("InvalidParameterValue", "CreateQueue", create("q", "FifoQueue", "true"))
			w.queue("q.fifo")
			w.refused("InvalidParameterValue", "CreateQueue", create("q.fifo", "FifoQueue", "false"))
		}},
		{"1.3 [A] create of a name that is taken compares each attribute by itself, by its value", func(w *wire) {
			w.queue("q", "KmsMasterKeyId", "k", "KmsDataKeyReusePeriodSeconds", "300", "VisibilityTimeout", "060")
			w.ok("CreateQueue", create("q", "KmsMasterKeyId", "k", "KmsDataKeyReusePeriodSeconds", "300", "VisibilityTimeout", "060"))
			w.set("q", "KmsDataKeyReusePeriodSeconds", "0600")
			require.Equal(w, "600", w.attribute("q", "KmsDataKeyReusePeriodSeconds"))
			w.ok("CreateQueue", create("q", "KmsDataKeyReusePeriodSeconds", "600"))
			w.refused("QueueAlreadyExists", "CreateQueue", create("q", "SqsManagedSseEnabled", "true"))
			w.queue("f.fifo", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId")
			why := w.refused("QueueAlreadyExists", "CreateQueue", create("f.fifo", "DeduplicationScope", "queue"))
			require.Contains(w, why, "DeduplicationScope")
		}},
		{"1.3 [U] policies are compared as JSON", func(w *wire) {
			w.queue("dead")
			w.queue("q", "RedrivePolicy", redrivePolicy("dead", 3), "Policy", `{"Id":"x","Version":"2012-10-17"}`,
				"RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`)
			again := func(name, value string) m { return create("q", name, value) }
			w.ok("CreateQueue", again("RedrivePolicy", `{"maxReceiveCount": 3, "deadLetterTargetArn": "`+arn("dead")+`"}`))
			w.ok("CreateQueue", again("RedrivePolicy", `{"maxReceiveCount":"3","deadLetterTargetArn":"`+arn("dead")+`"}`))
			w.ok("CreateQueue", again("Policy", `{ "Version":"2012-10-17", "Id":"x" }`))
			w.ok("CreateQueue", again("RedriveAllowPolicy", ` {"redrivePermission" : "denyAll"}`))
			for name, value := range map[string]string{"RedrivePolicy": redrivePolicy("dead", 4), "Policy": `{"Id":"y","Version":"2012-10-17"}`,
				"RedriveAllowPolicy": `{"redrivePermission":"allowAll"}`} {
				for _, value := range []string{value, ""} {
					require.Contains(w, w.refused("QueueAlreadyExists", "CreateQueue", again(name, value)), name)
				}
			}
		}},
		{"1.3 [A] counts and timestamps are not compared", func(w *wire) {
			w.queue("q")
			w.ok("CreateQueue", create("q", "ApproximateNumberOfMessages", "5", "CreatedTimestamp", "1"))
		}},
		{"1.3 [E] an attribute that is unknown is so with an empty text too, and if the name is taken", func(w *wire) {
			w.queue("living")
			for _, name := range []string{"q", "living"} {
				for _, attribute := range []string{"Bogus", "", "FifoQueue", "DeduplicationScope"} {
					w.refused("InvalidAttributeName", "CreateQueue", create(name, attribute, ""))
				}
				w.refused("InvalidAttributeValue", "CreateQueue", create(name, "KmsDataKeyReusePeriodSeconds", ""))
			}
			w.ok("CreateQueue", create("living", "Policy", "", "RedrivePolicy", "", "RedriveAllowPolicy", "", "KmsMasterKeyId", ""))
		}},
		{"1.3 [U] tags are neither compared nor added", func(w *wire) {
			w.ok("CreateQueue", m{"QueueName": "q", "tags": m{"a": "1"}})
			w.ok("CreateQueue", m{"QueueName": "q", "tags": m{"a": "2", "b": "3"}})
			require.Equal(w, m{"a": "1"}, w.ok("ListQueueTags", m{"QueueUrl": "q"})["Tags"])
		}},
		{"1.3 [A] truth is taken in both cases and returned in lower case", func(w *wire) {
			w.ok("CreateQueue", create("f.fifo", "FifoQueue", "True", "ContentBasedDeduplication", "True"))
			require.Equal(w, "true", w.attribute("f.fifo", "ContentBasedDeduplication"))
			w.ok("CreateQueue", create("f.fifo", "FifoQueue", "true", "ContentBasedDeduplication", "TRUE"))
			w.set("f.fifo", "ContentBasedDeduplication", "False")
			require.Equal(w, "false", w.attribute("f.fifo", "ContentBasedDeduplication"))
		}},
		{"1.3 [A] attributes of FIFO queues are unknown on standard ones", func(w *wire) {
			w.queue("living")
			for _, name := range []string{"q", "living"} {
				for _, attribute := range []string{"FifoQueue", "ContentBasedDeduplication"} {
					why := w.refused("InvalidAttributeName", "CreateQueue", create(name, attribute, "false"))
					require.Contains(w, why, "Unknown Attribute "+attribute)
				}
				why := w.refused("InvalidAttributeName", "CreateQueue", create(name, "DeduplicationScope", "queue"))
				require.Contains(w, why, "only when FifoQueue is set")
				why = w.refused("InvalidAttributeName", "CreateQueue", create(name, "FifoThroughputLimit", "perQueue"))
				require.Contains(w, why, "only when FifoQueue is set")
			}
		}},
		{"1.3 [A] a queue is deleted whatever it holds, and a second delete is an error", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			w.ok("DeleteQueue", m{"QueueUrl": q})
			w.refused(noQueue, "DeleteQueue", m{"QueueUrl": q})
			w.refused(noQueue, "SendMessage", m{"QueueUrl": q, "MessageBody": "x"})
		}},
		{"1.3 [A] a name is kept for 60 s after a delete", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			w.ok("DeleteQueue", m{"QueueUrl": q})
			justBefore(time.Minute, func() {
				w.refused("AWS.SimpleQueueService.QueueDeletedRecently", "CreateQueue", create("q"))
			})
			w.queue("q")
			require.Empty(w, w.receive(q))
		}},
		{"1.3 [A] the URL of an unknown queue", func(w *wire) {
			w.queue("q")
			w.refused(noQueue, "GetQueueUrl", m{"QueueName": "nobody"})
			w.refused(noQueue, "GetQueueUrl", m{"QueueName": "q", "QueueOwnerAWSAccountId": "123456789012"})
			w.ok("GetQueueUrl", m{"QueueName": "q", "QueueOwnerAWSAccountId": "000000000000"})
		}},
		{"1.3 [E] the URL of no name", func(w *wire) { w.refused("InvalidParameterValue", "GetQueueUrl", m{"QueueName": ""}) }},
		{"1.3 [D] queues are listed by prefix", func(w *wire) {
			for _, name := range []string{"aa", "ab", "Ab", "b"} {
				w.queue(name)
			}
			url := func(name string) string { return host + "/000000000000/" + name }
			require.Equal(w, []any{url("aa"), url("ab")}, w.ok("ListQueues", m{"QueueNamePrefix": "a"})["QueueUrls"])
			require.Len(w, w.ok("ListQueues", m{})["QueueUrls"], 4)
			require.NotContains(w, w.ok("ListQueues", m{"QueueNamePrefix": "x"}), "QueueUrls")
		}},
		{"1.3 [A] a list has a token when MaxResults was given and more remain", func(w *wire) {
			for i := range 5 {
				w.queue(fmt.Sprint("q", i))
			}
			out := w.ok("ListQueues", m{"MaxResults": 2})
			require.Len(w, out["QueueUrls"], 2)
			out = w.ok("ListQueues", m{"MaxResults": 3, "NextToken": out["NextToken"]})
			require.Len(w, out["QueueUrls"], 3)
			require.NotContains(w, out, "NextToken")
			require.NotContains(w, w.ok("ListQueues", m{"MaxResults": 5}), "NextToken")
			require.NotContains(w, w.ok("ListQueues", m{}), "NextToken")
		}},
		{"1.3 [D] a list has up to 1000 queues", func(w *wire) {
			for i := range 1001 {
				_, err := w.s.CreateQueue(fmt.Sprint("q", i), nil)
				require.NoError(w, err)
			}
			out := w.ok("ListQueues", m{})
			require.Len(w, out["QueueUrls"], 1000)
			require.NotContains(w, out, "NextToken")
			require.NotEmpty(w, w.ok("ListQueues", m{"MaxResults": 1000})["NextToken"])
		}},
		{"1.3 [E] bad limits and tokens of a list", func(w *wire) {
			for _, n := range []int{-1, 0, 1001} {
				w.refused("InvalidParameterValue", "ListQueues", m{"MaxResults": n})
			}
			w.refused("InvalidParameterValue", "ListQueues", m{"MaxResults": 1, "NextToken": "?"})
		}},
		{"1.3 [A] purge removes what is visible, in flight and delayed", func(w *wire) {
			q := w.queue("q")
			w.put(q, "in flight")
			require.Len(w, w.receive(q), 1)
			w.put(q, "visible")
			w.put(q, "delayed", m{"DelaySeconds": 1})
			w.ok("PurgeQueue", m{"QueueUrl": q})
			time.Sleep(time.Hour)
			require.Empty(w, w.receive(q))
		}},
		{"1.3 [A] purge forgets deduplication ids", func(w *wire) {
			q := w.queue("q.fifo", "ContentBasedDeduplication", "true")
			w.put(q, "x", m{"MessageGroupId": "g"})
			w.ok("PurgeQueue", m{"QueueUrl": q})
			w.put(q, "x", m{"MessageGroupId": "g"})
			require.Len(w, w.receive(q), 1)
		}},
		{"1.3 [A] a queue is purged once in 60 s, also when it is empty", func(w *wire) {
			q, other := w.queue("q"), w.queue("other")
			w.ok("PurgeQueue", m{"QueueUrl": q})
			w.ok("PurgeQueue", m{"QueueUrl": other})
			justBefore(time.Minute, func() {
				why := w.refused("AWS.SimpleQueueService.PurgeQueueInProgress", "PurgeQueue", m{"QueueUrl": q})
				require.Contains(w, why, "60 seconds")
			})
			w.ok("PurgeQueue", m{"QueueUrl": q})
		}},
	})
	checkRules(t, sqshttp.Options{NoPauses: true}, []rule{
		{"1.3 [A] the 60-second rules can be switched off", func(w *wire) {
			q := w.queue("q")
			w.ok("PurgeQueue", m{"QueueUrl": q})
			w.ok("PurgeQueue", m{"QueueUrl": q})
			w.ok("DeleteQueue", m{"QueueUrl": q})
			w.queue("q")
		}},
	})
}
