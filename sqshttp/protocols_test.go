package sqshttp_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// The same random calls, many of them wrong, get the same answers in both protocols.
func TestProtocolsAnswerAlike(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			o := sqshttp.Options{NoPauses: seed%2 == 0}
			sides := [2]*side{{w: &wire{t, newService(t, o), false}}, {w: &wire{t, newService(t, o), true}}}
			for _, s := range sides {
				for _, pair := range [][2]string{{"a", "b"}, {"c.fifo", "d.fifo"}} {
					s.w.queue(pair[1])
					s.w.queue(pair[0], "RedrivePolicy", redrivePolicy(pair[1], 1), "VisibilityTimeout", "5")
				}
			}
			for step := range 150 {
				name, in := caller{r}.call(len(sides[0].handles))
				var said [2]string
				var calls sync.WaitGroup
				for i, s := range sides {
					calls.Go(func() { said[i] = s.ask(name, in) }) // both wait in the same time
				}
				calls.Wait()
				synctest.Wait()
				if said[0] != said[1] {
					require.FailNow(t, "two answers", "seed %d, step %d: %s %v\nJSON:  %s\nQuery: %s", seed, step, name, in, said[0], said[1])
				}
				time.Sleep(time.Duration(1+r.IntN(1e6)) * time.Microsecond) // no wait ends just when something comes up
				if r.IntN(6) == 0 {
					time.Sleep(time.Duration(r.IntN(40)) * time.Second)
				}
			}
		})
	}
}

// A side is one of two services, each spoken to in a protocol of its own.
type side struct {
	w       *wire
	handles []string // of receipts and of tasks that it has given out
}

// An nthHandle in a call stands for the nth handle that a side has given out.
type nthHandle int

// ask returns the answer, but for what is drawn at random.
func (s *side) ask(name string, in m) string {
	x, out := s.w.send(name, s.fill(in).(m))
	if messages, ok := out["Messages"].([]any); ok {
		for _, message := range messages {
			s.handles = append(s.handles, message.(m)["ReceiptHandle"].(string))
		}
	}
	if task, ok := out["TaskHandle"].(string); ok {
		s.handles = append(s.handles, task)
	}
	switch {
	case x.status == 200:
	case s.w.query:
		e := out["Error"].(m)
		out = m{"Code": e["Code"], "Message": strings.ReplaceAll(e["Message"].(string), " for this wsdl version", "")}
	default:
		code, _, _ := strings.Cut(x.header.Get("x-amzn-query-error"), ";")
		out = m{"Code": code, "Message": out["message"]}
	}
	text, err := json.Marshal(textual(out))
	require.NoError(s.w, err)
	return fmt.Sprint(x.status, " ", drawn.ReplaceAllString(string(text), "..."))
}

var drawn = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|AQEB[A-Za-z0-9+/=]+|eyJ[A-Za-z0-9+/=]+`)

// fill puts the side's own handles into a call.
func (s *side) fill(v any) any {
	switch v := v.(type) {
	case m:
		out := m{}
		for name, x := range v {
			out[name] = s.fill(x)
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, s.fill(x))
		}
		return out
	case nthHandle:
		return s.handles[v]
	}
	return v
}

// textual makes numbers and truths texts, as all is in the Query protocol, which has no
// empty lists either.
func textual(v any) any {
	switch v := v.(type) {
	case m:
		for name, x := range v {
			if list, ok := x.([]any); ok && len(list) == 0 {
				delete(v, name)
				continue
			}
			v[name] = textual(x)
		}
		return v
	case []any:
		for i := range v {
			v[i] = textual(v[i])
		}
		return v
	case nil:
		return nil
	}
	return fmt.Sprint(v)
}

// A caller makes up calls.
type caller struct{ *rand.Rand }

func (r caller) pick(all ...any) any { return all[r.IntN(len(all))] }

func (r caller) number() any {
	return r.pick(0, 1, 1, 2, 5, 10, 11, -1, 20, 21, 30, 900, 901, 43200, 43201, 2147483647)
}

func (r caller) text() string {
	return r.pick("", "a", "b", "ä☃", "\x01", "\uffff", "a b", "a\r\nb", "<&>\"'", "True", "false", "5", "-5", "1e5",
		"0x5", " 5", "100", strings.Repeat("x", 81), strings.Repeat("y", 129), strings.Repeat("z", 1025), "All", "*",
		"a.*", "_", "\U0001F600", "a;b", "a+b%20").(string)
}

func (r caller) queue() any {
	return r.pick("a", "b", "c.fifo", "d.fifo", "a", "b", "c.fifo", "d.fifo", "x", "000000000000/a", "111111111111/a",
		"http://h/000000000000/b?x", "none")
}

// maybe adds a member, one time in n.
func (r caller) maybe(n int, in m, name string, value func() any) {
	if r.IntN(n) == 0 {
		in[name] = value()
	}
}

// list returns up to 11 entries, of which a batch may have 10.
func (r caller) list(entry func() m) (entries []any) {
	for range 1 + r.IntN(11) {
		e := entry()
		e["Id"] = r.pick("1", "2", "3", "4", "5", "6", r.text())
		entries = append(entries, e)
	}
	return entries
}

func (r caller) attributes() any {
	out := m{}
	for range 1 + r.IntN(2) {
		name := r.pick("VisibilityTimeout", "DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod",
			"ReceiveMessageWaitTimeSeconds", "Policy", "RedrivePolicy", "RedriveAllowPolicy", "FifoQueue",
			"ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "SqsManagedSseEnabled",
			"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "QueueArn", "Bogus", "")
		out[name.(string)] = r.pick(r.text(), r.text(), r.text(), r.text(), "true", "60", "1024", "messageGroup", "perMessageGroupId", "queue", "300",
			redrivePolicy("b", 1), redrivePolicy("d.fifo", 2), `{"redrivePermission":"denyAll"}`,
			`{"redrivePermission":"byQueue","sourceQueueArns":["`+arn("a")+`"]}`, "{}", "null")
	}
	return out
}

func (r caller) messageAttributes() any {
	out := m{}
	for range 1 + r.IntN(3) {
		v := m{"DataType": r.pick("String", "Number", "Binary", "String.x", "Binary.y", "Str", r.text())}
		if r.IntN(4) > 0 {
			v["StringValue"] = r.pick(r.text(), "1", "1e126", "1e127", "-0", ".", "1.5")
		}
		r.maybe(3, v, "BinaryValue", func() any { return []byte(r.pick("", "x", "\xff\x00").(string)) })
		r.maybe(20, v, "StringListValues", func() any { return []any{"x"} })
		out[r.pick(r.text(), "n", "N", "AWS.x", "a..b").(string)] = v
	}
	return out
}

func (r caller) message() m {
	in := m{}
	if r.IntN(15) > 0 {
		in["MessageBody"] = r.pick("hello", "hello", "hello", r.text())
	}
	r.maybe(8, in, "DelaySeconds", r.number)
	r.maybe(4, in, "MessageAttributes", r.messageAttributes)
	r.maybe(10, in, "MessageSystemAttributes", func() any {
		return m{r.pick("AWSTraceHeader", "x").(string): m{"DataType": r.pick("String", "Number"), "StringValue": r.text()}}
	})
	r.maybe(2, in, "MessageGroupId", func() any { return r.pick("g", "h", "g", "h", r.text()) })
	r.maybe(3, in, "MessageDeduplicationId", func() any { return r.pick("1", "2", "3", "4", r.text()) })
	return in
}

// call makes up a call, when each side has given out n handles.
func (r caller) call(n int) (name string, in m) {
	receipt := func() any {
		if n > 0 && r.IntN(6) > 0 {
			return nthHandle(r.IntN(n))
		}
		return r.pick("", "x", "AQEB", "AQEBAAAA")
	}
	on := func(in m) m {
		in["QueueUrl"] = r.queue()
		return in
	}
	timeout := func() m { return m{"ReceiptHandle": receipt(), "VisibilityTimeout": r.number()} }
	switch r.IntN(30) {
	case 0, 19:
		in = m{"QueueName": r.pick("a", "c.fifo", "e", r.text(), "e.fifo")}
		r.maybe(3, in, "Attributes", r.attributes)
		r.maybe(3, in, "tags", func() any { return m{r.text(): r.text()} })
		return "CreateQueue", in
	case 1, 20:
		return "SetQueueAttributes", on(m{"Attributes": r.attributes()})
	case 2, 21, 22:
		return "GetQueueAttributes", on(m{"AttributeNames": []any{r.pick("All", "All", "All", "Policy", "Bogus", "RedrivePolicy")}})
	case 3, 4, 5, 6:
		return "SendMessage", on(r.message())
	case 7, 8:
		return "SendMessageBatch", on(m{"Entries": r.list(r.message)})
	case 9, 10, 11, 12:
		in = on(m{"MessageAttributeNames": []any{r.pick("All", r.text())}, "AttributeNames": []any{r.pick("All", "SentTimestamp", r.text())}})
		r.maybe(4, in, "MaxNumberOfMessages", r.number)
		r.maybe(6, in, "WaitTimeSeconds", r.number)
		r.maybe(4, in, "VisibilityTimeout", r.number)
		r.maybe(8, in, "ReceiveRequestAttemptId", func() any { return r.pick("1", r.text()) })
		return "ReceiveMessage", in
	case 13:
		return "DeleteMessage", on(m{"ReceiptHandle": receipt()})
	case 14:
		return "ChangeMessageVisibility", on(timeout())
	case 15:
		if r.IntN(2) == 0 {
			return "ChangeMessageVisibilityBatch", on(m{"Entries": r.list(timeout)})
		}
		return "DeleteMessageBatch", on(m{"Entries": r.list(func() m { return m{"ReceiptHandle": receipt()} })})
	case 16:
		return r.pick("PurgeQueue", "PurgeQueue", "PurgeQueue", "DeleteQueue", "ListQueueTags").(string), on(m{})
	case 17:
		in = m{"SourceArn": r.pick(arn("b"), arn("d.fifo"), arn("b"), arn("d.fifo"), arn("zz"), r.text())}
		r.maybe(3, in, "DestinationArn", func() any { return r.pick(arn("a"), arn("c.fifo"), arn("b"), r.text()) })
		r.maybe(3, in, "MaxNumberOfMessagesPerSecond", r.number)
		return "StartMessageMoveTask", in
	case 18:
		in = on(m{})
		r.maybe(3, in, "MaxResults", r.number)
		r.maybe(3, in, "NextToken", func() any { return r.pick(r.text(), "YQ==") })
		return "ListDeadLetterSourceQueues", in
	case 23, 24:
		return "CancelMessageMoveTask", m{"TaskHandle": receipt()}
	case 25:
		in = m{"SourceArn": r.pick(arn("b"), arn("d.fifo"), arn("zz"), r.text())}
		r.maybe(2, in, "MaxResults", r.number)
		return "ListMessageMoveTasks", in
	case 26:
		in = m{}
		r.maybe(3, in, "QueueNamePrefix", func() any { return r.text() })
		r.maybe(3, in, "MaxResults", r.number)
		r.maybe(3, in, "NextToken", func() any { return r.pick(r.text(), "YQ==") })
		return "ListQueues", in
	case 27:
		in = m{"QueueName": r.pick("a", "c.fifo", r.text())}
		r.maybe(4, in, "QueueOwnerAWSAccountId", func() any { return r.pick("000000000000", "111111111111", r.text()) })
		return "GetQueueUrl", in
	case 28:
		if r.IntN(2) == 0 {
			return "RemovePermission", on(m{"Label": r.text()})
		}
		return "UntagQueue", on(m{"TagKeys": []any{r.text(), r.text()}})
	}
	if r.IntN(2) == 0 {
		return "TagQueue", on(m{"Tags": m{r.text(): r.text()}})
	}
	return "AddPermission", on(m{"Label": r.text(), "AWSAccountIds": []any{r.pick("123456789012", r.text())},
		"Actions": []any{r.pick("SendMessage", "*", r.text())}})
}
