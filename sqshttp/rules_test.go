package sqshttp_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// The rules of SQS, each as a test. Their numbers are those of the sections in
// docs/sqs-compatibility.md. [A] marks what others have recorded from the real service,
// [D] what AWS documents, [E] what emulators do, and [U] what nobody has settled: there
// the page says what we do. Each rule is held in both protocols, in fake time.

type rule struct {
	name  string
	check func(w *wire)
}

// m is the input or the output of an action.
type m = map[string]any

// A wire is a service, and a client that speaks one of its protocols.
type wire struct {
	*testing.T
	s     *sqshttp.Service
	query bool
}

func checkRules(t *testing.T, o sqshttp.Options, rules []rule) {
	for _, r := range rules {
		for protocol, query := range map[string]bool{"JSON": false, "Query": true} {
			t.Run(r.name+"/"+protocol, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r.check(&wire{t, newService(t, o), query})
				})
			})
		}
	}
}

// request returns an action as a request.
func (w *wire) request(action string, in m) *http.Request {
	if !w.query {
		body, err := json.Marshal(in)
		require.NoError(w, err)
		return jsonRequest(action, string(body))
	}
	form := url.Values{"Action": {action}, "Version": {"2012-11-05"}}
	spread(form, "", in)
	r := httptest.NewRequest("POST", host+"/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// send carries out an action and returns what came back, as it is and as JSON would say
// it. It may be called in any goroutine.
func (w *wire) send(action string, in m) (exchange, m) {
	x := do(w, w.s, w.request(action, in))
	if w.query {
		return x, gather(w, x.body)
	}
	out := m{}
	if x.body != "" {
		d := json.NewDecoder(strings.NewReader(x.body))
		d.UseNumber()
		require.NoError(w, d.Decode(&out))
	}
	return x, out
}

// ok carries out an action that has to succeed.
func (w *wire) ok(action string, in m) m {
	w.Helper()
	x, out := w.send(action, in)
	require.Equal(w, 200, x.status, "%s %.300v: %.300s", action, in, x.body)
	return out
}

// shapes are the errors that the service raises, by their codes: what the JSON protocol
// calls them, and their HTTP status.
var shapes = map[string]struct {
	shape  string
	status int
}{
	"AWS.SimpleQueueService.NonExistentQueue":             {"QueueDoesNotExist", 400},
	"QueueAlreadyExists":                                  {"QueueNameExists", 400},
	"AWS.SimpleQueueService.QueueDeletedRecently":         {"QueueDeletedRecently", 400},
	"AWS.SimpleQueueService.PurgeQueueInProgress":         {"PurgeQueueInProgress", 403},
	"InvalidAttributeName":                                {"InvalidAttributeName", 400},
	"InvalidAttributeValue":                               {"InvalidAttributeValue", 400},
	"InvalidMessageContents":                              {"InvalidMessageContents", 400},
	"ReceiptHandleIsInvalid":                              {"ReceiptHandleIsInvalid", 404},
	"OverLimit":                                           {"OverLimit", 403},
	"RequestThrottled":                                    {"RequestThrottled", 403},
	"AWS.SimpleQueueService.EmptyBatchRequest":            {"EmptyBatchRequest", 400},
	"AWS.SimpleQueueService.TooManyEntriesInBatchRequest": {"TooManyEntriesInBatchRequest", 400},
	"AWS.SimpleQueueService.BatchEntryIdsNotDistinct":     {"BatchEntryIdsNotDistinct", 400},
	"AWS.SimpleQueueService.InvalidBatchEntryId":          {"InvalidBatchEntryId", 400},
	"AWS.SimpleQueueService.BatchRequestTooLong":          {"BatchRequestTooLong", 400},
	"ResourceNotFoundException":                           {"ResourceNotFoundException", 404},
	"InvalidParameterValue":                               {"InvalidParameterValueException", 400},
	"MissingParameter":                                    {"MissingRequiredParameterException", 400},
}

// refused carries out an action that has to fail with that code, and returns the message.
func (w *wire) refused(code, action string, in m) string {
	w.Helper()
	x, out := w.send(action, in)
	about := fmt.Sprintf("%s %.300v: %.300s", action, in, x.body)
	require.Contains(w, shapes, code)
	require.Equal(w, shapes[code].status, x.status, about)
	if w.query {
		require.Equal(w, "text/xml", x.header.Get("Content-Type"))
		out = out["Error"].(m)
		require.Equal(w, "Sender", out["Type"])
		require.Equal(w, code, out["Code"], about)
		return out["Message"].(string)
	}
	require.Equal(w, "application/x-amz-json-1.0", x.header.Get("Content-Type"))
	require.Equal(w, code+";Sender", x.header.Get("x-amzn-query-error"), about)
	require.Equal(w, "com.amazonaws.sqs#"+shapes[code].shape, out["__type"])
	return out["message"].(string)
}

// queue makes a queue, FIFO if its name says so, and returns its name, which will do as a
// QueueUrl.
func (w *wire) queue(name string, attributes ...string) string {
	w.Helper()
	in := m{"QueueName": name}
	if strings.HasSuffix(name, ".fifo") {
		attributes = append(attributes, "FifoQueue", "true")
	}
	if len(attributes) > 0 {
		in["Attributes"] = texts(attributes...)
	}
	w.ok("CreateQueue", in)
	return name
}

func texts(pairs ...string) m {
	all := m{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return all
}

func (w *wire) set(q string, attributes ...string) {
	w.Helper()
	w.ok("SetQueueAttributes", m{"QueueUrl": q, "Attributes": texts(attributes...)})
}

// attribute returns one of a queue, or nil.
func (w *wire) attribute(q, name string) any {
	w.Helper()
	attributes, _ := w.ok("GetQueueAttributes", m{"QueueUrl": q, "AttributeNames": []any{name}})["Attributes"].(m)
	return attributes[name]
}

func (w *wire) put(q, body string, more ...m) m {
	w.Helper()
	return w.ok("SendMessage", with(m{"QueueUrl": q, "MessageBody": body}, more...))
}

func with(in m, more ...m) m {
	for _, each := range more {
		for k, v := range each {
			in[k] = v
		}
	}
	return in
}

// receive returns up to ten messages, as they come.
func (w *wire) receive(q string, more ...m) []m {
	w.Helper()
	out := w.ok("ReceiveMessage", with(m{"QueueUrl": q, "MaxNumberOfMessages": 10}, more...))
	var all []m
	list, _ := out["Messages"].([]any)
	for _, x := range list {
		all = append(all, x.(m))
	}
	return all
}

func bodies(messages []m) (all []string) {
	for _, x := range messages {
		all = append(all, x["Body"].(string))
	}
	return all
}

func handle(message m) m { return m{"ReceiptHandle": message["ReceiptHandle"]} }

// drop deletes a message; hide gives it another visibility timeout.
func (w *wire) drop(q string, message m) {
	w.Helper()
	w.ok("DeleteMessage", with(m{"QueueUrl": q}, handle(message)))
}

func (w *wire) hide(q string, message m, seconds int) {
	w.Helper()
	w.ok("ChangeMessageVisibility", with(m{"QueueUrl": q, "VisibilityTimeout": seconds}, handle(message)))
}

func arn(name string) string { return "arn:aws:sqs:us-east-1:000000000000:" + name }

func redrivePolicy(dead string, most int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn(dead), most)
}

// justBefore lets time pass up to a nanosecond before d is over, runs the check, and lets
// the nanosecond pass.
func justBefore(d time.Duration, check func()) {
	time.Sleep(d - 1)
	check()
	time.Sleep(time.Nanosecond)
}

// Names of lists and maps in the Query protocol, by those of the JSON protocol.
var queryNames = map[string]string{
	"Attributes": "Attribute", "tags": "Tag", "Tags": "Tag", "TagKeys": "TagKey", "AttributeNames": "AttributeName",
	"MessageAttributeNames": "MessageAttributeName", "MessageSystemAttributeNames": "MessageSystemAttributeName",
	"MessageAttributes": "MessageAttribute", "MessageSystemAttributes": "MessageSystemAttribute",
	"AWSAccountIds": "AWSAccountId", "Actions": "ActionName", "StringListValues": "StringListValue",
}

// spread writes an input as parameters of the Query protocol.
func spread(form url.Values, prefix string, in m) {
	for name, value := range in {
		at := prefix + name
		if q, ok := queryNames[name]; ok {
			at = prefix + q
		}
		switch v := value.(type) {
		case m:
			if at == prefix+"Value" { // of a message attribute
				spread(form, at+".", v)
				continue
			}
			for i, key := range sorted(v) {
				entry, called := fmt.Sprintf("%s.%d.", at, i+1), "Name"
				if at == "Tag" {
					called = "Key"
				}
				form.Set(entry+called, key)
				spread(form, entry, m{"Value": v[key]})
			}
		case []any:
			for i, x := range v {
				if e, ok := x.(m); ok {
					list := map[bool]string{true: "SendMessageBatchRequestEntry", false: "DeleteMessageBatchRequestEntry"}[e["ReceiptHandle"] == nil]
					if _, ok := e["VisibilityTimeout"]; ok {
						list = "ChangeMessageVisibilityBatchRequestEntry"
					}
					spread(form, fmt.Sprintf("%s.%d.", list, i+1), e)
					continue
				}
				form.Set(fmt.Sprintf("%s.%d", at, i+1), fmt.Sprint(x))
			}
		case []byte:
			form.Set(at, base64.StdEncoding.EncodeToString(v))
		default:
			form.Set(at, fmt.Sprint(v))
		}
	}
}

func sorted(all m) (keys []string) {
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Lists in XML, by the names of their elements.
var xmlLists = map[string]string{
	"Message": "Messages", "ListMessageMoveTasksResultEntry": "Results", "BatchResultErrorEntry": "Failed",
	"SendMessageBatchResultEntry": "Successful", "DeleteMessageBatchResultEntry": "Successful",
	"ChangeMessageVisibilityBatchResultEntry": "Successful",
}

// Maps in XML: each element is an entry.
var xmlMaps = map[string]string{"Attribute": "Attributes", "MessageAttribute": "MessageAttributes", "Tag": "Tags"}

// gather returns what an XML document says, as JSON would say it.
func gather(t testing.TB, text string) m {
	d := xml.NewDecoder(strings.NewReader(text))
	top := element(t, d, "")
	for name, x := range top {
		response, _ := x.(m)
		if name == "ErrorResponse" {
			return response
		}
		for name, x := range response {
			if result, ok := x.(m); ok && strings.HasSuffix(name, "Result") {
				return result
			}
		}
	}
	return m{}
}

// element reads an element up to its end: a text, or what it holds.
func element(t testing.TB, d *xml.Decoder, name string) m {
	members := m{}
	for {
		token, err := d.Token()
		if err == io.EOF && name == "" {
			return members
		}
		require.NoError(t, err)
		switch x := token.(type) {
		case xml.CharData:
			text, _ := members[""].(string)
			members[""] = text + string(x)
		case xml.EndElement:
			return members
		case xml.StartElement:
			insert(members, name, x.Name.Local, element(t, d, x.Name.Local))
		}
	}
}

func insert(members m, parent, name string, held m) {
	var value any = held
	if text, ok := held[""]; ok {
		value = text
	} else if len(held) == 0 && !strings.HasSuffix(name, "Result") {
		value = ""
	}
	list, many := xmlLists[name]
	if name == "Message" && parent == "Error" || name == "Message" && parent == "BatchResultErrorEntry" {
		many = false
	}
	if name == "QueueUrl" && strings.HasPrefix(parent, "List") {
		list, many = map[bool]string{true: "queueUrls", false: "QueueUrls"}[strings.HasPrefix(parent, "ListDeadLetter")], true
	}
	switch of := xmlMaps[name]; {
	case many:
		all, _ := members[list].([]any)
		members[list] = append(all, value)
	case of != "":
		entries, _ := members[of].(m)
		if entries == nil {
			entries = m{}
			members[of] = entries
		}
		key, tag := held["Key"]
		if !tag {
			key = held["Name"]
		}
		entries[key.(string)] = held["Value"]
	default:
		members[name] = value
	}
}
