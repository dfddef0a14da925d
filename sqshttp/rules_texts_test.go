package sqshttp_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// Programs look into the messages of errors. Those that were recorded from SQS are the
// same here.
func TestRecordedTextsOfErrors(t *testing.T) {
	const badValue, notFound = "InvalidParameterValue", "ResourceNotFoundException"
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.6 [A] texts of errors of messages", func(w *wire) {
			q := w.queue("q", "MaximumMessageSize", "1024")
			body := m{"QueueUrl": q, "MessageBody": "x"}
			is := func(want, code, action string, in m) {
				w.Helper()
				require.Equal(w, want, w.refused(code, action, in))
			}
			is("Message (user) attribute 'a' must contain a non-empty value of type 'String'.", badValue, "SendMessage",
				with(m{"MessageAttributes": m{"a": text("String", "")}}, body))
			is("One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.", badValue, "SendMessage",
				m{"QueueUrl": q, "MessageBody": strings.Repeat("x", 1025)})
			out := w.ok("SendMessageBatch", batch(q, entry("a", strings.Repeat("x", 1025))))
			require.Equal(w, "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes.",
				out["Failed"].([]any)[0].(m)["Message"])
			for _, n := range []int{-1, 21} {
				is(fmt.Sprintf("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", n), badValue,
					"ReceiveMessage", m{"QueueUrl": q, "WaitTimeSeconds": n})
			}
			is("Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", badValue,
				"ReceiveMessage", m{"QueueUrl": q, "MaxNumberOfMessages": 11})
			for _, id := range []string{"", "group 123", strings.Repeat("a", 129)} {
				is("Value "+id+" for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include "+
					"alphanumeric and punctuation characters. 1 to 128 in length.", badValue, "SendMessage", with(m{"MessageGroupId": id}, body))
			}
		}},
		{"1.4 [A] texts of errors of queues", func(w *wire) {
			q := w.queue("q.fifo")
			require.Equal(w, "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
				w.refuses("InvalidAttributeValue", q, "FifoQueue", "false"))
			require.Equal(w, "Value l for parameter Label is invalid. Reason: can't find label.",
				w.refused(badValue, "RemovePermission", m{"QueueUrl": q, "Label": "l"}))
		}},
		{"8.4 [A] texts of errors of move tasks", func(w *wire) {
			_, dead := w.buried(1, "")
			to := w.queue("to")
			source := m{"SourceArn": arn(dead)}
			require.Equal(w, "Source queue must be configured as a Dead Letter Queue.",
				w.refused(badValue, "StartMessageMoveTask", m{"SourceArn": arn(to)}))
			w.put(dead, "1")
			w.put(dead, "2")
			slow := with(m{"DestinationArn": arn(to), "MaxNumberOfMessagesPerSecond": 1}, source)
			w.ok("StartMessageMoveTask", slow)
			require.Equal(w, "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
				w.refused(badValue, "StartMessageMoveTask", slow))
			require.Equal(w, "Value for parameter TaskHandle is invalid.",
				w.refused(badValue, "CancelMessageMoveTask", m{"TaskHandle": "foobared"}))
			for arn, want := range map[string]string{
				"arn:aws:sqs:us-east-1:878966065785:nobody": "The resource that you specified for the SourceArn parameter doesn't exist.",
				arn(dead): "Task does not exist.",
			} {
				handle := taskHandle("10f57157-fc38-4da9-a113-4de7e12d05dd", arn)
				require.Equal(w, want, w.refused(notFound, "CancelMessageMoveTask", m{"TaskHandle": handle}))
			}
		}},
	})
}

func taskHandle(id, source string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"taskId":%q,"sourceArn":%q}`, id, source))
}

// required are the actions, each with the parameters that it has to have.
var required = map[string]m{
	"CreateQueue":                {"QueueName": "q"},
	"GetQueueUrl":                {"QueueName": "q"},
	"ListQueues":                 {},
	"DeleteQueue":                {"QueueUrl": "q"},
	"PurgeQueue":                 {"QueueUrl": "q"},
	"GetQueueAttributes":         {"QueueUrl": "q"},
	"SetQueueAttributes":         {"QueueUrl": "q", "Attributes": m{"DelaySeconds": "0"}},
	"ListDeadLetterSourceQueues": {"QueueUrl": "q"},
	"TagQueue":                   {"QueueUrl": "q", "Tags": m{"a": "b"}},
	"UntagQueue":                 {"QueueUrl": "q", "TagKeys": []any{"a"}},
	"ListQueueTags":              {"QueueUrl": "q"},
	"AddPermission": {
		"QueueUrl": "q", "Label": "l", "AWSAccountIds": []any{"123456789012"}, "Actions": []any{"*"},
	},
	"RemovePermission":        {"QueueUrl": "q", "Label": "l"},
	"SendMessage":             {"QueueUrl": "q", "MessageBody": "x"},
	"SendMessageBatch":        {"QueueUrl": "q", "Entries": []any{entry("a", "x")}},
	"ReceiveMessage":          {"QueueUrl": "q"},
	"DeleteMessage":           {"QueueUrl": "q", "ReceiptHandle": "x"},
	"DeleteMessageBatch":      {"QueueUrl": "q", "Entries": []any{m{"Id": "a", "ReceiptHandle": "x"}}},
	"ChangeMessageVisibility": {"QueueUrl": "q", "ReceiptHandle": "x", "VisibilityTimeout": 1},
	"ChangeMessageVisibilityBatch": {
		"QueueUrl": "q", "Entries": []any{m{"Id": "a", "ReceiptHandle": "x", "VisibilityTimeout": 1}},
	},
	"StartMessageMoveTask":  {"SourceArn": arn("q")},
	"ListMessageMoveTasks":  {"SourceArn": arn("q")},
	"CancelMessageMoveTask": {"TaskHandle": "x"},
}

func TestRulesOfParameters(t *testing.T) {
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.2 [D] parameters that an action has to have", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x")
			for action, in := range required {
				for _, name := range sorted(in) {
					less := with(m{}, in)
					delete(less, name)
					switch {
					case name == "VisibilityTimeout": // the handle is looked at first
						less["ReceiptHandle"] = w.receive(q)[0]["ReceiptHandle"]
						w.refused("MissingParameter", action, less)
					case name == "Entries":
						w.refused("AWS.SimpleQueueService.EmptyBatchRequest", action, less)
					case name == "QueueUrl" && w.query: // it may be in the path
						x, out := w.send(action, less)
						require.Equal(w, 404, x.status)
						require.Equal(w, "InvalidAddress", out["Error"].(m)["Code"])
					default:
						require.Equal(w, "The request must contain the parameter "+name+".", w.refused("MissingParameter", action, less))
					}
				}
			}
		}},
		{"1.1 [D] every action about a queue says that it is not there", func(w *wire) {
			for action, in := range required {
				if in["QueueUrl"] != nil {
					w.refused("AWS.SimpleQueueService.NonExistentQueue", action, in)
				}
			}
			w.refused("AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl", required["GetQueueUrl"])
			w.refused("ResourceNotFoundException", "StartMessageMoveTask", required["StartMessageMoveTask"])
			w.refused("ResourceNotFoundException", "ListMessageMoveTasks", required["ListMessageMoveTasks"])
		}},
	})
}
