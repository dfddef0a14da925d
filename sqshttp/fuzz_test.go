package sqshttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fuzzed is a service for fuzz targets, with queues q and f.fifo.
func fuzzed(f *testing.F) *Service {
	s, err := New(Options{NoPauses: true})
	if err != nil {
		f.Fatal(err)
	}
	for name, attributes := range map[string]map[string]string{"q": {"VisibilityTimeout": "0"}, "f.fifo": {"FifoQueue": "true"}} {
		if _, err := s.CreateQueue(name, attributes); err != nil {
			f.Fatal(err)
		}
	}
	return s
}

// handle lets a service answer a request. Polls end at once.
func handle(s *Service, r *http.Request) *httptest.ResponseRecorder {
	ended, end := context.WithCancel(context.Background())
	end()
	w := httptest.NewRecorder()
	s.serve(w, r, ended)
	return w
}

func jsonRequest(action, body string) *http.Request {
	r := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	return r
}

func formRequest(body string) *http.Request {
	r := httptest.NewRequest("POST", "http://localhost/000000000000/q", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// wellFormed fails a test unless text is XML, or nothing.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
	}
}

// Any request of the JSON protocol has an answer that is JSON, and none is the service's
// fault.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		`{"QueueUrl":"q","MessageBody":"x","MessageAttributes":{"k":{"DataType":"String","StringValue":"x"},"b":{"DataType":"Binary","BinaryValue":"AAE="}}}`,
		`{"QueueUrl":"f.fifo","MessageBody":"x","MessageGroupId":"g","MessageDeduplicationId":"d"}`,
		`{"QueueUrl":"q","Entries":[{"Id":"a","MessageBody":"x","ReceiptHandle":"AQEB","VisibilityTimeout":1}]}`,
		`{"QueueUrl":"q","AttributeNames":["All"]}`, `{"QueueUrl":"q","MaxNumberOfMessages":10,"WaitTimeSeconds":20}`,
		`{"QueueUrl":"q","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:q\",\"maxReceiveCount\":1}"}}`,
		`{"QueueUrl":"q","Label":"l","AWSAccountIds":["000000000000"],"Actions":["*"]}`, `{"QueueUrl":"q","Tags":{"a":"b"},"TagKeys":["a"]}`,
		`{"QueueName":"x","Attributes":{"DelaySeconds":"1"},"tags":{"a":"b"}}`, `{"SourceArn":"arn:aws:sqs:us-east-1:000000000000:q","TaskHandle":"e30="}`,
		`{"x":"\ud800\udc00\ud800"}`, `{"x":1e999,"x":2}`, `[[[[[[`, `{"a":"\`, "\xff",
	} {
		for _, action := range sortedKeys(actions) {
			f.Add(action, body)
		}
	}
	s := fuzzed(f)
	f.Fuzz(func(t *testing.T, action, body string) {
		w := handle(s, jsonRequest(action, body))
		if text := w.Body.Bytes(); len(text) > 0 && !json.Valid(text) || w.Code >= 500 {
			t.Fatalf("%d %q", w.Code, text)
		}
	})
}

// Any request of the Query protocol has an answer that is XML, or JSON if asked for.
func FuzzQuery(f *testing.F) {
	for _, text := range []string{
		"Action=SendMessage&MessageBody=x&MessageAttribute.1.Name=k&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=y",
		"Action=SendMessageBatch&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x&SendMessageBatchRequestEntry.2.Id=b",
		"Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=All&WaitTimeSeconds=20", "Action=PurgeQueue",
		"Action=CreateQueue&QueueName=x&Attribute.1.Name=Policy&Attribute.1.Value={}&Tag.1.Key=a&Tag.1.Value=b",
		"Action=DeleteMessageBatch&DeleteMessageBatchRequestEntry.1.Id=a&DeleteMessageBatchRequestEntry.1.ReceiptHandle=AQEB",
		"Action=ListQueues&MaxResults=1&NextToken=cQ==", "Action=GetQueueAttributes&AttributeName.1=All", "Action=Dance", "%zz", "a;b", "....=&.=",
	} {
		f.Add(text)
	}
	s := fuzzed(f)
	f.Fuzz(func(t *testing.T, text string) {
		w := handle(s, formRequest(text))
		wellFormed(t, w.Body.String())
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		r := formRequest(text)
		r.Header.Set("Accept", "application/json")
		w = handle(s, r)
		if w.Code != 404 && !json.Valid(w.Body.Bytes()) { // a request without an Action is told so in XML
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// What is sent in one protocol comes out in each of them as it was, or is refused.
func FuzzBodyInIsBodyOut(f *testing.F) {
	f.Add("hello", "text", true)
	f.Add("<&>\"'\r\n\t]]>", "\u2028\ufffd&#x0;", false)
	f.Add("\x00\x1f", "\ufffe", true)
	f.Add("\U0001f600 é +%41", "\xff", false)
	f.Fuzz(func(t *testing.T, body, value string, form bool) {
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateQueue("q", map[string]string{"VisibilityTimeout": "0"}); err != nil {
			t.Fatal(err)
		}
		var w *httptest.ResponseRecorder
		if form {
			w = handle(s, formRequest(url.Values{
				"Action": {"SendMessage"}, "MessageBody": {body}, "MessageAttribute.1.Name": {"a"},
				"MessageAttribute.1.Value.DataType": {"String"}, "MessageAttribute.1.Value.StringValue": {value},
			}.Encode()))
		} else {
			if !utf8.ValidString(body) || !utf8.ValidString(value) {
				t.Skip("encoding/json would replace it")
			}
			text, _ := json.Marshal(map[string]any{"QueueUrl": "q", "MessageBody": body,
				"MessageAttributes": map[string]any{"a": map[string]string{"DataType": "String", "StringValue": value}}})
			w = handle(s, jsonRequest("SendMessage", string(text)))
		}
		if allowed := body != "" && value != "" && legal(body) && legal(value); allowed != (w.Code == 200) {
			t.Fatalf("%q, %q: %d %s", body, value, w.Code, w.Body)
		} else if !allowed {
			return
		}
		var inXML struct {
			Body  string `xml:"ReceiveMessageResult>Message>Body"`
			Value string `xml:"ReceiveMessageResult>Message>MessageAttribute>Value>StringValue"`
		}
		w = handle(s, formRequest("Action=ReceiveMessage&MessageAttributeName.1=All"))
		if err := xml.Unmarshal(w.Body.Bytes(), &inXML); err != nil || inXML.Body != body || inXML.Value != value {
			t.Fatalf("%q, %q came out as %q, %q: %v in %s", body, value, inXML.Body, inXML.Value, err, w.Body)
		}
		var inJSON struct {
			Messages []struct {
				Body              string
				MessageAttributes map[string]struct{ StringValue string }
			}
		}
		w = handle(s, jsonRequest("ReceiveMessage", `{"QueueUrl":"q","MessageAttributeNames":["All"]}`))
		if err := json.Unmarshal(w.Body.Bytes(), &inJSON); err != nil || len(inJSON.Messages) != 1 ||
			inJSON.Messages[0].Body != body || inJSON.Messages[0].MessageAttributes["a"].StringValue != value {
			t.Fatalf("%q, %q came out as %+v: %v", body, value, inJSON, err)
		}
	})
}

// A request that is signed by its canonical form is accepted, and refused when the form is
// another's; nothing in it can pass for another part of the form.
func FuzzSignature(f *testing.F) {
	f.Add("GET", "/?Action=ListQueues&a=b&a=%41", "X-Meta", "  a   b ", "", "host;x-amz-date")
	f.Add("POST", "//a/./b/../ሴ?x=%2F+y", "X-Amz-Target", "AmazonSQS.ListQueues", "{}", "host;x-amz-date;x-amz-target")
	f.Add("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fsqs%2Faws4_request&X-Amz-Date=20150830T123600Z"+
		"&X-Amz-SignedHeaders=host&X-Amz-Expires=3600&X-Amz-Signature=00", "Content-Length", "1", "x", "host")
	f.Add("POST", "/", "X-Meta", "a", "", "host;x-amz-date;x-meta\nhost")
	f.Add("PUT", "*", "Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=x", "", "")
	s, err := New(Options{Keys: map[string]string{"AKIDEXAMPLE": "secret"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target, name, value, body, signed string) {
		text := method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + name + ": " + value + "\r\n\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Skip("the server refuses it")
		}
		now := time.Now().UTC()
		if r.Header.Get("Authorization") == "" && !r.URL.Query().Has("X-Amz-Algorithm") {
			r.Header.Set("X-Amz-Date", now.Format(stamp))
			r.Header.Set("Authorization", algorithm+" Credential=AKIDEXAMPLE/"+now.Format("20060102")+"/us-east-1/sqs/aws4_request, SignedHeaders="+signed+", Signature=00")
		}
		if err := s.authenticate(r, "localhost", []byte(body)); err == nil {
			t.Fatal("accepted without a signature")
		}
		g, err := readSignature(r)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status >= 500 {
				t.Fatal(err)
			}
			return
		}
		form := g.canonical(r, "localhost", []byte(body))
		if lines := strings.Count(form, "\n"); lines != len(g.headers)+5 {
			t.Fatalf("%d lines, but %d headers, in %q", lines, len(g.headers), form)
		}
		if g.presigned || g.key != "AKIDEXAMPLE" || now.Sub(g.date).Abs() > time.Minute || r.Header.Get("X-Amz-Security-Token") != "" || r.URL.Query().Has("X-Amz-Security-Token") {
			return
		}
		r.Header.Set("Authorization", strings.TrimSuffix(r.Header.Get("Authorization"), "00")+g.sign("secret", form))
		if err := s.authenticate(r, "localhost", []byte(body)); err != nil && slices.Equal(g.scope[1:], []string{"us-east-1", "sqs", "aws4_request"}) {
			t.Fatalf("%v: %q", err, form)
		}
		if s.authenticate(r, "localhost:1", []byte(body)) == nil || s.authenticate(r, "localhost", []byte(body+"x")) == nil {
			t.Fatalf("accepted for another host or body: %q", form)
		}
	})
}

// Policies of all kinds are refused or taken, and what AddPermission adds is what
// RemovePermission takes away.
func FuzzPolicies(f *testing.F) {
	for _, text := range []string{
		"", "{}", "[]", "null", `{"Version":"2008-10-17","Id":"x","Statement":[{"Sid":"a"},{"Sid":1},null,[]]}`, `{"Statement":{}}`,
		`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"1"}`, `{"deadLetterTargetArn":1,"maxReceiveCount":-1}`,
		`{"redrivePermission":"byQueue","sourceQueueArns":["a"]}`, `{"redrivePermission":"denyAll"} x`,
	} {
		f.Add(text, "label", "000000000000", "SendMessage")
	}
	dead := &queue{name: "dead", set: defaults(false)}
	lookup := func(arn string) (*queue, bool) {
		return dead, arn == "arn:aws:sqs:us-east-1:000000000000:dead"
	}
	f.Fuzz(func(t *testing.T, text, label, account, action string) {
		set := defaults(false)
		for _, name := range []string{"Policy", "RedrivePolicy", "RedriveAllowPolicy"} {
			if err := set.set(name, text, "arn", lookup); err == nil && text != "" && !json.Valid([]byte(text)) {
				t.Fatalf("%s takes %q", name, text)
			}
		}
		granted, err := grant(text, "arn", label, []string{account}, []string{action})
		if err != nil {
			return
		}
		if !json.Valid([]byte(granted)) {
			t.Fatalf("%q", granted)
		}
		if _, err := grant(granted, "arn", label, []string{account}, []string{action}); err == nil {
			t.Fatalf("%q has its label twice", granted)
		}
		revoked, err := revoke(granted, label)
		if err != nil || strings.Contains(revoked, `"Sid":"`+label+`"`) {
			t.Fatalf("%q: %v", revoked, err)
		}
	})
}

// A text that is taken for a receipt handle is one that the queue gave out, whatever was
// changed in it; and another queue does not take it.
func FuzzReceiptHandles(f *testing.F) {
	s := fuzzed(f)
	q, _ := s.Queue("q")
	other, err := s.CreateQueue("other", nil)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := q.Send(context.Background(), "x"); err != nil {
		f.Fatal(err)
	}
	m, ok := q.TryReceive()
	if !ok {
		f.Fatal("no message")
	}
	issued := wireHandle(m.Receipt, time.Now())
	f.Add("", 0, byte(0))
	f.Add("AQEB", 0, byte(1))
	f.Add("", len(issued)-1, byte('A'^'B'))
	f.Add(base64.StdEncoding.EncodeToString([]byte(handleMark+"12345678"+strings.Repeat("A", 43))), 3, byte(0))
	f.Fuzz(func(t *testing.T, text string, at int, flip byte) {
		if text == "" {
			b := []byte(issued)
			b[uint(at)%uint(len(b))] ^= flip
			text = string(b)
		}
		if _, _, err := readHandle(bodies[string]{other}, text); err == nil {
			t.Fatalf("another queue takes %q", text)
		}
		r, _, err := readHandle(bodies[string]{q}, text)
		if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Status >= 500) {
			t.Fatal(err)
		}
		if err == nil && r != m.Receipt {
			t.Fatalf("%q was never given out", text)
		}
	})
}

// A text that is not the handle of a task that runs cancels nothing.
func FuzzTaskHandles(f *testing.F) {
	s := fuzzed(f)
	f.Add("")
	f.Add("e30=")
	f.Add((&moveTask{ID: "x", Source: s.arn("q")}).handle())
	f.Add(base64.StdEncoding.EncodeToString([]byte(`{"taskId":"` + newID() + `","sourceArn":"` + s.arn("q") + `","taskId":1}`)))
	f.Fuzz(func(t *testing.T, text string) {
		_, err := cancelMessageMoveTask(&call{s: s, ctx: context.Background()}, &cancelMoveInput{TaskHandle: text})
		if e, ok := errors.AsType[*Error](err); !ok || e.Status >= 500 {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// Digests of attributes are as the documentation of SQS tells clients to compute them.
func FuzzAttributeDigests(f *testing.F) {
	f.Add("a", "String", "x", "b", "Binary.gif", "\x00")
	f.Add("é", "Number.int", "1", "z", "String", "")
	f.Fuzz(func(t *testing.T, name1, type1, value1, name2, type2, value2 string) {
		a := attributeValues{}
		names := []string{name1, name2}
		for i, v := range [][2]string{{type1, value1}, {type2, value2}} {
			if strings.HasPrefix(v[0], "Binary") {
				a[names[i]] = attributeValue{DataType: v[0], BinaryValue: []byte(v[1])}
			} else {
				a[names[i]] = attributeValue{DataType: v[0], StringValue: &v[1]}
			}
		}
		slices.Sort(names)
		var b bytes.Buffer
		for _, name := range slices.Compact(names) {
			v := a[name]
			kind, value := byte(1), ""
			if strings.HasPrefix(v.DataType, "Binary") {
				kind, value = 2, string(v.BinaryValue)
			} else {
				value = *v.StringValue
			}
			binary.Write(&b, binary.BigEndian, uint32(len(name)))
			b.WriteString(name)
			binary.Write(&b, binary.BigEndian, uint32(len(v.DataType)))
			b.WriteString(v.DataType)
			b.WriteByte(kind)
			binary.Write(&b, binary.BigEndian, uint32(len(value)))
			b.WriteString(value)
		}
		sum := md5.Sum(b.Bytes())
		if want := hex.EncodeToString(sum[:]); a.digest() != want {
			t.Fatalf("%s, not %s", a.digest(), want)
		}
	})
}
