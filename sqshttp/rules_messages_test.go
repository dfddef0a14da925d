package sqshttp_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

func text(dataType, value string) m { return m{"DataType": dataType, "StringValue": value} }

func binary(value []byte) m { return m{"DataType": "Binary", "BinaryValue": value} }

// refusesMessage asserts that a message cannot be sent.
func (w *wire) refusesMessage(code, q string, in m) string {
	w.Helper()
	return w.refused(code, "SendMessage", with(m{"QueueUrl": q, "MessageBody": "x"}, in))
}

func TestRulesOfSending(t *testing.T) {
	checkRules(t, sqshttp.Options{}, []rule{
		{"1.6 [A] a body is there and not empty", func(w *wire) {
			q := w.queue("q")
			w.refusesMessage("MissingParameter", q, m{"MessageBody": ""})
			w.refused("MissingParameter", "SendMessage", m{"QueueUrl": q})
		}},
		{"3.1 [D] code points of a body", func(w *wire) {
			q := w.queue("q")
			for _, r := range []rune{'\t', '\n', '\r', ' ', 0x7f, 0x80, 0xd7ff, 0xe000, 0xfffd, 0x10000, 0x10ffff} {
				w.put(q, string(r))
				require.Equal(w, []string{string(r)}, bodies(w.receive(q)))
			}
		}},
		{"3.1 [A] other code points are refused", func(w *wire) {
			q := w.queue("q")
			for _, r := range []rune{0, 1, 8, 0xb, 0xc, 0xe, 0x1f, 0xfffe, 0xffff} {
				w.refusesMessage("InvalidMessageContents", q, m{"MessageBody": "a" + string(r)})
			}
		}},
		{"3.1 [A] CR LF survives", func(w *wire) {
			q := w.queue("q")
			w.put(q, " a\r\n\tb\n ")
			require.Equal(w, []string{" a\r\n\tb\n "}, bodies(w.receive(q)))
		}},
		{"3.2 [A] size is that of body and attributes, the limit included", func(w *wire) {
			q := w.queue("q", "MaximumMessageSize", "1024")
			w.put(q, strings.Repeat("x", 1024))
			why := w.refusesMessage("InvalidParameterValue", q, m{"MessageBody": strings.Repeat("x", 1025)})
			require.Contains(w, why, "shorter than 1024 bytes")
			w.refusesMessage("InvalidParameterValue", q, m{"MessageBody": strings.Repeat("ü", 513)})
			attributes := m{"MessageAttributes": m{"ab": text("String.xyz", "12345"), "c": binary([]byte{1, 2, 3})}}
			n := 1024 - len("ab"+"String.xyz"+"12345") - len("c"+"Binary"+"123")
			w.put(q, strings.Repeat("x", n), attributes)
			w.refusesMessage("InvalidParameterValue", q, with(m{"MessageBody": strings.Repeat("x", n+1)}, attributes))
		}},
		{"3.2 [D] system attributes do not count", func(w *wire) { // nor do ids, which is [U]
			q, fifo := w.queue("q", "MaximumMessageSize", "1024"), w.queue("q.fifo", "MaximumMessageSize", "1024")
			w.put(q, strings.Repeat("x", 1024), m{"MessageSystemAttributes": m{"AWSTraceHeader": text("String", "Root=1")}})
			w.put(fifo, strings.Repeat("x", 1024), m{"MessageGroupId": "group", "MessageDeduplicationId": "id"})
		}},
		{"1.6 [E] a delay has 0 to 900 s", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x", m{"DelaySeconds": 0})
			w.put(q, "x", m{"DelaySeconds": 900})
			w.refusesMessage("InvalidParameterValue", q, m{"DelaySeconds": 901})
			w.refusesMessage("InvalidParameterValue", q, m{"DelaySeconds": -1})
		}},
		{"1.6 [A] on a FIFO queue a delay is refused, and 0 leaves the queue's", func(w *wire) {
			q := w.queue("q.fifo", "DelaySeconds", "5", "ContentBasedDeduplication", "true")
			w.refusesMessage("InvalidParameterValue", q, m{"MessageGroupId": "g", "DelaySeconds": 1})
			w.put(q, "x", m{"MessageGroupId": "g", "DelaySeconds": 0})
			justBefore(5*time.Second, func() { require.Empty(w, w.receive(q)) })
			require.Len(w, w.receive(q), 1)
		}},
		{"1.6 [A] ids have 1 to 128 letters, digits and punctuation", func(w *wire) {
			std, fifo := w.queue("q"), w.queue("q.fifo")
			w.put(std, "x", m{"MessageGroupId": "a"}) // since July 2025
			ok := "azAZ09!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
			for _, id := range []string{ok, strings.Repeat("x", 128)} {
				w.put(fifo, "x", m{"MessageGroupId": id, "MessageDeduplicationId": id})
			}
			for _, id := range []string{"", " ", "a b", "ä", "a\n", strings.Repeat("x", 129)} {
				w.refusesMessage("InvalidParameterValue", std, m{"MessageGroupId": id})
				w.refusesMessage("InvalidParameterValue", fifo, m{"MessageGroupId": id, "MessageDeduplicationId": "d"})
				w.refusesMessage("InvalidParameterValue", fifo, m{"MessageGroupId": "g", "MessageDeduplicationId": id})
			}
		}},
		{"1.6 [A] a FIFO queue wants a group, and a deduplication id or content-based deduplication", func(w *wire) {
			q := w.queue("q.fifo")
			w.refusesMessage("MissingParameter", q, m{"MessageDeduplicationId": "d"})
			w.refusesMessage("InvalidParameterValue", q, m{"MessageGroupId": "g"})
			w.refusesMessage("MissingParameter", q, m{}) // both are missing: [U]
			w.set(q, "ContentBasedDeduplication", "true")
			w.put(q, "x", m{"MessageGroupId": "g"})
		}},
		{"1.6 [E] a standard queue takes no deduplication id", func(w *wire) {
			w.refusesMessage("InvalidParameterValue", w.queue("q"), m{"MessageDeduplicationId": "d"})
		}},
		{"3.4 [E] system attributes other than the trace header are refused", func(w *wire) {
			q := w.queue("q")
			for name, v := range map[string]m{"SenderId": text("String", "x"), "AWSTraceHeader": text("Number", "1"), "awstraceheader": text("String", "x")} {
				w.refusesMessage("InvalidParameterValue", q, m{"MessageSystemAttributes": m{name: v}})
			}
			w.refusesMessage("InvalidParameterValue", q, m{"MessageSystemAttributes": m{"AWSTraceHeader": text("String", "")}})
		}},
	})
}

func TestRulesOfMessageAttributes(t *testing.T) {
	checkRules(t, sqshttp.Options{}, []rule{
		{"3.3 [D] up to ten attributes", func(w *wire) {
			q, attributes := w.queue("q"), m{}
			for i := range 10 {
				attributes[fmt.Sprint(i)] = text("String", "x")
			}
			w.put(q, "x", m{"MessageAttributes": attributes})
			attributes["10"] = text("String", "x")
			w.refusesMessage("InvalidParameterValue", q, m{"MessageAttributes": attributes})
		}},
		{"3.3 [A] names", func(w *wire) {
			q := w.queue("q")
			for _, name := range []string{"a", "A-z_0.9", "øßä", "AWS", "Amazonian", "x.AWS.y", strings.Repeat("x", 256)} {
				w.put(q, "x", m{"MessageAttributes": m{name: text("String", "x")}})
			}
			for _, name := range []string{".a", "a.", "AWS.a", "aws.a", "Amazon.a", "aMAZON.a", "a b", "a/b", strings.Repeat("x", 257)} {
				w.refusesMessage("InvalidParameterValue", q, m{"MessageAttributes": m{name: text("String", "x")}})
			}
		}},
		{"3.3 [U] names with two periods together", func(w *wire) {
			w.refusesMessage("InvalidParameterValue", w.queue("q"), m{"MessageAttributes": m{"a..b": text("String", "x")}})
		}},
		{"3.3 [D] names are case-sensitive", func(w *wire) {
			q := w.queue("q")
			w.put(q, "x", m{"MessageAttributes": m{"a": text("String", "1"), "A": text("String", "2")}})
			require.Len(w, w.receive(q, m{"MessageAttributeNames": []any{"All"}})[0]["MessageAttributes"], 2)
		}},
		{"3.3 [A] types begin with String, Number or Binary, and may have a label", func(w *wire) {
			q := w.queue("q")
			for _, dataType := range []string{"String", "String.<ä>", "Number.int", "String." + strings.Repeat("x", 249)} {
				w.put(q, "x", m{"MessageAttributes": m{"a": text(dataType, "1")}})
				got := w.receive(q, m{"MessageAttributeNames": []any{"a"}})[0]["MessageAttributes"]
				require.Equal(w, m{"a": text(dataType, "1")}, got)
			}
			for _, dataType := range []string{"", "string", "Text", "Stringx", ".String", "String.\x01", "String." + strings.Repeat("x", 250)} {
				w.refusesMessage("InvalidParameterValue", q, m{"MessageAttributes": m{"a": text(dataType, "1")}})
			}
		}},
		{"3.3 [A] values are not empty, and of their type; a bad character in one is InvalidParameterValue", func(w *wire) {
			q := w.queue("q")
			for _, v := range []m{
				text("String", ""), text("Number", ""), text("String", "\x01"), text("Binary", "x"),
				{"DataType": "String"}, {"DataType": "Binary"}, {"DataType": "String", "BinaryValue": []byte("x")},
				with(text("String", "x"), binary([]byte("x"))), with(binary([]byte("x")), m{"StringValue": "x"}),
				with(text("Number", "1"), m{"BinaryValue": []byte("x")}),
			} {
				w.refusesMessage("InvalidParameterValue", q, m{"MessageAttributes": m{"a": v}})
			}
		}},
		{"3.3 [D] numbers have up to 38 digits, from 10^-128 to 10^126", func(w *wire) {
			q := w.queue("q")
			for _, n := range []string{
				"0", "-1", "+1", ".5", "5.", "-12.50", "1e126", "1E-128", "-9.9e126", "0.01e128", "007", "1.000", strings.Repeat("9", 38),
				"1" + strings.Repeat("0", 100), "0." + strings.Repeat("0", 100) + "1",
			} {
				w.put(q, n, m{"MessageAttributes": m{"a": text("Number", n)}})
				got := w.receive(q, m{"MessageAttributeNames": []any{"a"}})[0]["MessageAttributes"]
				require.Equal(w, m{"a": text("Number", n)}, got, "echoed as it is: [U]")
			}
			for _, n := range []string{"one", "1 ", "1,5", "0x1", "1e", "--1", "1e999", "1e-999", "Inf", "NaN", "e5", ".", "-", strings.Repeat("9", 39), "1e127", "9.9e-129", "0.1e-128", "100e125"} {
				w.refusesMessage("InvalidParameterValue", q, m{"MessageAttributes": m{"a": text("Number", n)}})
			}
		}},
		{"3.3 [E] list values are refused", func(w *wire) {
			v := m{"DataType": "String", "StringListValues": []any{"a", "b"}}
			w.refusesMessage("InvalidParameterValue", w.queue("q"), m{"MessageAttributes": m{"a": v}})
		}},
		{"3.3 [D] binary values are base64 on the wire", func(w *wire) {
			q, raw := w.queue("q"), []byte{0, 1, 0xff}
			w.put(q, "x", m{"MessageAttributes": m{"a": binary(raw)}})
			got := w.receive(q, m{"MessageAttributeNames": []any{"a"}})[0]["MessageAttributes"]
			require.Equal(w, m{"a": m{"DataType": "Binary", "BinaryValue": base64.StdEncoding.EncodeToString(raw)}}, got)
		}},
		{"3.3 [A] attributes that a receive selects, and their digest", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "0")
			sent := w.put(q, "x", m{"MessageAttributes": m{"General": text("String", "Kenobi"), "Hello": text("String", "There"), "Help.Me": text("String", "Me")}})
			const all, hel = "4c360f3fdafd970e05fae2f149d997f5", "" // hel: whatever it is, not that of all
			require.Equal(w, all, sent["MD5OfMessageAttributes"])
			for _, c := range []struct {
				names  []any
				want   []string
				digest string
			}{
				{nil, nil, ""},
				{[]any{"All"}, []string{"General", "Hello", "Help.Me"}, all},
				{[]any{".*"}, []string{"General", "Hello", "Help.Me"}, all},
				{[]any{"*"}, []string{"General", "Hello", "Help.Me"}, all},
				{[]any{"General", "Hello"}, []string{"General", "Hello"}, "fca026605781cb4126a1e9044df24232"},
				{[]any{"Hel.*"}, []string{"Hello", "Help.Me"}, hel},
				{[]any{"Help.*"}, []string{"Help.Me"}, hel},
				{[]any{"general", "AWS.", "..foo", "none"}, nil, ""},
			} {
				got := w.receive(q, m{"MessageAttributeNames": c.names})[0]
				if c.want == nil {
					require.NotContains(w, got, "MessageAttributes")
					require.NotContains(w, got, "MD5OfMessageAttributes")
					continue
				}
				require.Equal(w, c.want, sorted(got["MessageAttributes"].(m)), c.names)
				if c.digest != hel {
					require.Equal(w, c.digest, got["MD5OfMessageAttributes"])
				} else {
					require.NotEqual(w, all, got["MD5OfMessageAttributes"])
				}
			}
		}},
	})
}

func TestRulesOfIdentityAndDigests(t *testing.T) {
	checkRules(t, sqshttp.Options{}, []rule{
		{"3.5 [A] digests of the body, recorded", func(w *wire) {
			q := w.queue("q")
			require.Equal(w, "3d6b824fd8c1520e9a047d21fee6fb1f", w.put(q, "message-1")["MD5OfMessageBody"])
			require.Equal(w, "3d6b824fd8c1520e9a047d21fee6fb1f", w.receive(q)[0]["MD5OfBody"])
			require.NotContains(w, w.put(q, "x"), "MD5OfMessageAttributes")
		}},
		{"3.5 [A] digests of attributes, recorded", func(w *wire) {
			q := w.queue("q")
			for want, attributes := range map[string]m{
				"a45daa70926828a2f0a1db3418e6feb4": {"k": text("String", "x")},
				"ae7155c6026991b6d54b11589678bf9c": {"Foo": text("String", "Bar")},
				"adb59cd4678ea5a855436b949cd07ab6": {"MyAttribute": text("String", "foobar")},
				"235c5c510d26fb653d073faed50ae77c": {"timestamp": text("Number", "1493147359900")},
				"4c360f3fdafd970e05fae2f149d997f5": {"General": text("String", "Kenobi"), "Hello": text("String", "There"), "Help.Me": text("String", "Me")},
				"fca026605781cb4126a1e9044df24232": {"General": text("String", "Kenobi"), "Hello": text("String", "There")},
				"8cbe4db156db8a94db8b801b7addb984": {"attr1": binary([]byte("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"))},
			} {
				require.Equal(w, want, w.put(q, "x", m{"MessageAttributes": attributes})["MD5OfMessageAttributes"])
				got := w.receive(q, m{"MessageAttributeNames": []any{"All"}})[0]
				require.Equal(w, want, got["MD5OfMessageAttributes"])
			}
		}},
		{"3.5 [A] the digest of system attributes, recorded, leaves that of attributes alone", func(w *wire) {
			header := text("String", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
			q := w.queue("q")
			out := w.put(q, "x", m{"MessageSystemAttributes": m{"AWSTraceHeader": header}, "MessageAttributes": m{"k": text("String", "x")}})
			require.Equal(w, "5ae4d5d7636402d80f4eb6d213245a88", out["MD5OfMessageSystemAttributes"])
			require.Equal(w, "a45daa70926828a2f0a1db3418e6feb4", out["MD5OfMessageAttributes"])
			require.NotContains(w, w.receive(q)[0], "MD5OfMessageSystemAttributes")
		}},
		{"3.5 [U] names are sorted by their bytes", func(w *wire) {
			// In UTF-16 the second would come first.
			low, high := "\ufb00", "\U00010400"
			sent := w.put(w.queue("q"), "x", m{"MessageAttributes": m{high: text("String", "2"), low: text("String", "1")}})
			h := md5.New()
			for _, field := range []string{low, "String", "1", high, "String", "2"} {
				h.Write([]byte{0, 0, 0, byte(len(field))})
				io.WriteString(h, field)
				if field == "String" {
					h.Write([]byte{1})
				}
			}
			require.Equal(w, fmt.Sprintf("%x", h.Sum(nil)), sent["MD5OfMessageAttributes"])
		}},
		{"3.4 [A] system attributes of a standard queue", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "1")
			header := text("String", "Root=1-5759e988-bd862e3fe1be46a994272793")
			w.put(q, "x", m{"MessageGroupId": "g", "MessageSystemAttributes": m{"AWSTraceHeader": header}})
			all := m{"AttributeNames": []any{"All"}}
			time.Sleep(1500 * time.Millisecond)
			want := m{"SenderId": "000000000000", "SentTimestamp": "946684800000", "ApproximateReceiveCount": "1",
				"ApproximateFirstReceiveTimestamp": "946684801500", "AWSTraceHeader": header["StringValue"], "MessageGroupId": "g"}
			require.Equal(w, want, w.receive(q, all)[0]["Attributes"])
			time.Sleep(time.Second)
			want["ApproximateReceiveCount"] = "2"
			require.Equal(w, want, w.receive(q, all)[0]["Attributes"], "the first receive is noted once")
		}},
		{"3.4 [A] the header X-Amzn-Trace-Id of a send is its trace header, unless it has one of its own", func(w *wire) {
			q := w.queue("q")
			traced := func(by, action string, in m) string {
				r := w.request(action, in)
				r.Header.Set("X-Amzn-Trace-Id", by)
				x := do(w, w.s, r)
				require.Equal(w, 200, x.status, x.body)
				return x.body
			}
			own := m{"MessageSystemAttributes": m{"AWSTraceHeader": text("String", "Root=own")}}
			said := traced("Root=1;Sampled=1", "SendMessage", m{"QueueUrl": q, "MessageBody": "1"})
			require.NotContains(w, said, "MD5OfMessageSystemAttributes", "of which the sender knows nothing")
			traced("Root=2", "SendMessage", m{"QueueUrl": q, "MessageBody": "2", "MessageSystemAttributes": own["MessageSystemAttributes"]})
			traced("Root=3", "SendMessageBatch", batch(q, entry("a", "3"), entry("b", "4", own)))
			traced("Root=\x01", "SendMessage", m{"QueueUrl": q, "MessageBody": "5"}) // an answer could not carry it
			var got []any
			for _, message := range w.receive(q, m{"AttributeNames": []any{"AWSTraceHeader"}}) {
				attributes, _ := message["Attributes"].(m)
				got = append(got, attributes["AWSTraceHeader"])
			}
			require.Equal(w, []any{"Root=1;Sampled=1", "Root=own", "Root=3", "Root=own", nil}, got)
		}},
		{"3.4 [A] system attributes of a FIFO queue", func(w *wire) {
			q := w.queue("q.fifo", "ContentBasedDeduplication", "true")
			out := w.put(q, "x", m{"MessageGroupId": "g"})
			got := w.receive(q, m{"MessageSystemAttributeNames": []any{"All"}})[0]["Attributes"].(m)
			require.Equal(w, "g", got["MessageGroupId"])
			require.Equal(w, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", got["MessageDeduplicationId"], "SHA-256 of the body")
			require.Equal(w, out["SequenceNumber"], got["SequenceNumber"])
		}},
		{"3.4 [A] both lists of names count, and what is not there is left out", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "0")
			w.put(q, "x")
			got := w.receive(q, m{"AttributeNames": []any{"SenderId", "SequenceNumber"}, "MessageSystemAttributeNames": []any{"SentTimestamp", "AWSTraceHeader"}})[0]
			require.Equal(w, []string{"SenderId", "SentTimestamp"}, sorted(got["Attributes"].(m)))
			require.NotContains(w, w.receive(q)[0], "Attributes")
			require.NotContains(w, w.receive(q, m{"AttributeNames": []any{"SequenceNumber"}})[0], "Attributes")
		}},
		{"3.6 [A] forms of ids", func(w *wire) {
			q, fifo := w.queue("q"), w.queue("q.fifo", "ContentBasedDeduplication", "true")
			const uuid = `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`
			sent := w.put(q, "x")
			require.Regexp(w, uuid, sent["MessageId"])
			require.NotContains(w, sent, "SequenceNumber")
			got := w.receive(q)[0]
			require.Equal(w, sent["MessageId"], got["MessageId"])
			require.LessOrEqual(w, len(got["ReceiptHandle"].(string)), 1024)
			require.Regexp(w, `^AQEB[A-Za-z0-9+/]{40,}=*$`, got["ReceiptHandle"])
			last := ""
			for i := range 20 {
				n := w.put(fifo, fmt.Sprint(i), m{"MessageGroupId": "g"})["SequenceNumber"].(string)
				require.Regexp(w, `^[0-9]{20}$`, n)
				require.Greater(w, n, last)
				last = n
			}
		}},
		{"3.6 [D] each receive has a handle of its own", func(w *wire) {
			q := w.queue("q", "VisibilityTimeout", "0")
			w.put(q, "x")
			require.NotEqual(w, handle(w.receive(q)[0]), handle(w.receive(q)[0]))
		}},
	})
}
