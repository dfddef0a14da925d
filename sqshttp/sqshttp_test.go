package sqshttp_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const host = "http://localhost:9324"

func newService(t testing.TB, o sqshttp.Options) *sqshttp.Service {
	t.Helper()
	s, err := sqshttp.New(o)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// An exchange is what came back.
type exchange struct {
	status int
	header http.Header
	body   string
}

func do(t testing.TB, s *sqshttp.Service, r *http.Request) exchange {
	t.Helper()
	resp, err := s.Do(r)
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return exchange{resp.StatusCode, resp.Header, string(b)}
}

// call sends a request of the JSON protocol.
func call(t testing.TB, s *sqshttp.Service, action, body string) exchange {
	t.Helper()
	r := httptest.NewRequest("POST", host+"/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	return do(t, s, r)
}

// query sends a request of the Query protocol, as a form.
func query(t testing.TB, s *sqshttp.Service, path string, params ...string) exchange {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	r := httptest.NewRequest("POST", host+path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, s, r)
}

func (x exchange) member(t testing.TB, name string) string {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(x.body), &m), x.body)
	return fmt.Sprint(m[name])
}

// element returns the text of the first element of that name.
func (x exchange) element(t testing.TB, name string) string {
	t.Helper()
	require.NoError(t, xml.Unmarshal([]byte(x.body), new(struct{ XMLName xml.Name })), "well formed")
	_, rest, ok := strings.Cut(x.body, "<"+name+">")
	require.True(t, ok, "%s in %s", name, x.body)
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return text
}

// Shapes that were recorded from the real service.
func TestErrorsAreShapedAsRecorded(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	x := call(t, s, "ReceiveMessage", `{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/000000000000/nobody"}`)
	require.Equal(t, 400, x.status)
	require.Equal(t, "application/x-amz-json-1.0", x.header.Get("Content-Type"))
	require.Equal(t, "com.amazonaws.sqs#QueueDoesNotExist", x.member(t, "__type"))
	require.Equal(t, "The specified queue does not exist.", x.member(t, "message"))
	require.Equal(t, "AWS.SimpleQueueService.NonExistentQueue;Sender", x.header.Get("x-amzn-query-error"))
	require.NotEmpty(t, x.header.Get("x-amzn-RequestId"))

	_, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	require.Equal(t, "{}", call(t, s, "ReceiveMessage", `{"QueueUrl":"q"}`).body, "no Messages member")
	x = call(t, s, "SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"DelaySeconds":"1"}}`)
	require.Equal(t, 200, x.status)
	require.Empty(t, x.body, "an action without output")
	x = call(t, s, "DeleteMessage", `{"QueueUrl":"q","ReceiptHandle":"<bad\u0000>"}`)
	require.Equal(t, 404, x.status)
	require.Contains(t, x.member(t, "message"), `"<bad\x00>" is not a valid receipt handle`)
}

func TestQueueURLsInEveryForm(t *testing.T) {
	s := newService(t, sqshttp.Options{Account: "123456789012"})
	x := call(t, s, "CreateQueue", `{"QueueName":"q"}`)
	require.Equal(t, "http://localhost:9324/123456789012/q", x.member(t, "QueueUrl"))
	for _, u := range []string{
		"q", "/123456789012/q", "http://localhost:9324/123456789012/q", "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
		"https://queue.amazonaws.com/123456789012/q/", "http://localhost/q", "http://localhost/queue/us-east-1/123456789012/q",
	} {
		require.Equal(t, 200, call(t, s, "ListQueueTags", fmt.Sprintf(`{"QueueUrl":%q}`, u)).status, u)
	}
	require.Equal(t, 400, call(t, s, "ListQueueTags", `{"QueueUrl":"http://localhost/999999999999/q"}`).status, "another's")
	require.Equal(t, "MissingParameter;Sender", call(t, s, "ListQueueTags", `{}`).header.Get("x-amzn-query-error"))

	s = newService(t, sqshttp.Options{BaseURL: "https://sqs.example.org/"})
	x = call(t, s, "CreateQueue", `{"QueueName":"q"}`)
	require.Equal(t, "https://sqs.example.org/000000000000/q", x.member(t, "QueueUrl"))
}

func TestQueryProtocol(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	x := query(t, s, "/", "Action", "CreateQueue", "QueueName", "q", "Attribute.1.Name", "VisibilityTimeout", "Attribute.1.Value", "5",
		"Tag.1.Key", "team", "Tag.1.Value", "a<b", "Version", "2012-11-05")
	require.Equal(t, 400, x.status, "a tag with <")
	x = query(t, s, "/", "Action", "CreateQueue", "QueueName", "q", "Attribute.1.Name", "VisibilityTimeout", "Attribute.1.Value", "5",
		"Tag.1.Key", "team", "Tag.1.Value", "blue")
	require.Equal(t, "text/xml", x.header.Get("Content-Type"))
	require.Equal(t, host+"/000000000000/q", x.element(t, "QueueUrl"))
	require.Contains(t, x.body, `<CreateQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><CreateQueueResult>`)
	require.Contains(t, query(t, s, "/000000000000/q", "Action", "ListQueueTags").body, "<Tag><Key>team</Key><Value>blue</Value></Tag>")

	x = query(t, s, "/000000000000/q", "Action", "SendMessage", "MessageBody", "a <b> & c\r\n",
		"MessageAttribute.1.Name", "k", "MessageAttribute.1.Value.DataType", "String", "MessageAttribute.1.Value.StringValue", "x",
		"MessageAttribute.2.Name", "b", "MessageAttribute.2.Value.DataType", "Binary",
		"MessageAttribute.2.Value.BinaryValue", base64.StdEncoding.EncodeToString([]byte{0, 255}))
	require.Equal(t, 200, x.status, x.body)
	require.NotContains(t, x.body, "SequenceNumber")
	require.Equal(t, 400, query(t, s, "/000000000000/q", "Action", "SendMessage").status)
	require.Equal(t, "MissingParameter", query(t, s, "/000000000000/q", "Action", "SendMessage").element(t, "Code"))

	x = query(t, s, "/elsewhere", "Action", "ReceiveMessage", "QueueUrl", "q", // the parameter wins
		"AttributeName.1", "All", "MessageAttributeName.1", "k", "MaxNumberOfMessages", "10")
	require.Contains(t, x.body, "<Body>a &lt;b&gt; &amp; c&#xD;&#xA;</Body>")
	require.Contains(t, x.body, "<MessageAttribute><Name>k</Name><Value><DataType>String</DataType><StringValue>x</StringValue></Value></MessageAttribute>")
	require.Contains(t, x.body, "<MD5OfMessageAttributes>a45daa70926828a2f0a1db3418e6feb4</MD5OfMessageAttributes>", "of what is returned")
	require.Contains(t, x.body, "<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>")
	require.Contains(t, query(t, s, "/q", "Action", "ReceiveMessage").body, "<ReceiveMessageResult/>")
	handle := x.element(t, "ReceiptHandle")
	x = query(t, s, "/q", "Action", "DeleteMessageBatch",
		"DeleteMessageBatchRequestEntry.1.Id", "a", "DeleteMessageBatchRequestEntry.1.ReceiptHandle", handle,
		"DeleteMessageBatchRequestEntry.2.Id", "b", "DeleteMessageBatchRequestEntry.2.ReceiptHandle", "x")
	require.Contains(t, x.body, "<DeleteMessageBatchResultEntry><Id>a</Id></DeleteMessageBatchResultEntry>")
	require.Contains(t, x.body, "<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault><Code>ReceiptHandleIsInvalid</Code>")
	x = query(t, s, "/q", "Action", "SendMessageBatch",
		"SendMessageBatchRequestEntry.1.Id", "a", "SendMessageBatchRequestEntry.1.MessageBody", "x", "SendMessageBatchRequestEntry.1.DelaySeconds", "9")
	require.Equal(t, "a", x.element(t, "Id"))
	require.Contains(t, query(t, s, "/q", "Action", "GetQueueAttributes", "AttributeName.1", "ApproximateNumberOfMessagesDelayed").body,
		"<Value>1</Value>")
}

func TestQueryErrorsAreShapedAsRecorded(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	_, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	x := query(t, s, "/nobody", "Action", "ListQueueTags")
	require.Equal(t, 400, x.status)
	require.Equal(t, "AWS.SimpleQueueService.NonExistentQueue", x.element(t, "Code"))
	require.Equal(t, "The specified queue does not exist for this wsdl version.", x.element(t, "Message"))
	require.Equal(t, "Sender", x.element(t, "Type"))
	require.NotEmpty(t, x.element(t, "RequestId"))

	x = query(t, s, "/")
	require.Equal(t, 404, x.status)
	require.Equal(t, "<UnknownOperationException/>\n", x.body)
	require.Equal(t, "InvalidAction", query(t, s, "/", "Action", "Dance").element(t, "Code"))
	require.Equal(t, "InvalidAction", query(t, s, "/q", "Action", "ListQueues").element(t, "Code"))
	require.Equal(t, "InvalidAction", query(t, s, "/q", "Action", "CreateQueue", "QueueName", "x").element(t, "Code"))
	require.Equal(t, 404, query(t, s, "/", "Action", "ReceiveMessage").status)
	require.Equal(t, "InvalidAddress", query(t, s, "/", "Action", "ReceiveMessage").element(t, "Code"))
	require.Equal(t, "InvalidParameterValue", query(t, s, "/q", "Action", "ReceiveMessage", "MaxNumberOfMessages", "many").element(t, "Code"))

	get := func(target string) exchange { return do(t, s, httptest.NewRequest("GET", host+target, nil)) }
	require.Equal(t, 200, get("/q?Action=GetQueueUrl&QueueName=q").status)
	require.Equal(t, 200, get("/q?Action=DeleteQueue").status)
	require.Equal(t, 404, do(t, s, httptest.NewRequest("PUT", host+"/?Action=ListQueues", nil)).status)
}

// Digests recorded from the real service.
func TestAttributeDigests(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	_, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	text := func(pairs ...string) string {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 3 {
			m[pairs[i]] = map[string]string{"DataType": pairs[i+1], "StringValue": pairs[i+2]}
		}
		b, _ := json.Marshal(m)
		return string(b)
	}
	binary, _ := json.Marshal(map[string]any{"attr1": map[string]any{"DataType": "Binary",
		"BinaryValue": []byte("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01")}})
	for want, attributes := range map[string]string{
		"a45daa70926828a2f0a1db3418e6feb4": text("k", "String", "x"),
		"ae7155c6026991b6d54b11589678bf9c": text("Foo", "String", "Bar"),
		"adb59cd4678ea5a855436b949cd07ab6": text("MyAttribute", "String", "foobar"),
		"235c5c510d26fb653d073faed50ae77c": text("timestamp", "Number", "1493147359900"),
		"4c360f3fdafd970e05fae2f149d997f5": text("General", "String", "Kenobi", "Hello", "String", "There", "Help.Me", "String", "Me"),
		"fca026605781cb4126a1e9044df24232": text("General", "String", "Kenobi", "Hello", "String", "There"),
		"8cbe4db156db8a94db8b801b7addb984": string(binary),
	} {
		x := call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"b","MessageAttributes":`+attributes+`}`)
		require.Equal(t, want, x.member(t, "MD5OfMessageAttributes"), attributes)
	}
	x := call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"b","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String",
		"StringValue":"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}}}`)
	require.Equal(t, "5ae4d5d7636402d80f4eb6d213245a88", x.member(t, "MD5OfMessageSystemAttributes"))
	require.Equal(t, "<nil>", x.member(t, "MD5OfMessageAttributes"))
}

// What each call refuses, by the code of the Query protocol.
func TestRefusals(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	for name, attributes := range map[string]map[string]string{
		"q": {"MaximumMessageSize": "1024"}, "f.fifo": {"FifoQueue": "true"}, "dead": nil, "closed": {"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`},
	} {
		_, err := s.CreateQueue(name, attributes)
		require.NoError(t, err)
	}
	const arn = "arn:aws:sqs:us-east-1:000000000000:"
	redrive := func(policy string) string {
		b, _ := json.Marshal(map[string]any{"QueueUrl": "q", "Attributes": map[string]string{"RedrivePolicy": policy}})
		return string(b)
	}
	attribute := func(name, dataType, value string) string {
		b, _ := json.Marshal(map[string]any{"QueueUrl": "q", "MessageBody": "b",
			"MessageAttributes": map[string]any{name: map[string]any{"DataType": dataType, "StringValue": value}}})
		return string(b)
	}
	for _, c := range []struct{ code, action, body string }{
		{"UnknownOperationException", "Dance", `{}`},
		{"SerializationException", "ListQueues", `{"MaxResults":"ten"}`},
		{"SerializationException", "ListQueues", `{`},
		{"SerializationException", "ListQueues", `{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`},
		{"InvalidMessageContents", "SendMessage", "{\"QueueUrl\":\"q\",\"MessageBody\":\"\xff\"}"},
		{"InvalidMessageContents", "SendMessage", `{"QueueUrl":"q","MessageBody":"\ud800x"}`},
		{"InvalidMessageContents", "SendMessage", `{"QueueUrl":"q","MessageBody":"\udc00"}`},
		{"InvalidMessageContents", "SendMessage", `{"QueueUrl":"q","MessageBody":"\uffff"}`},
		{"MissingParameter", "SendMessage", `{"QueueUrl":"q","MessageBody":""}`},
		{"InvalidParameterValue", "SendMessage", `{"QueueUrl":"q","MessageBody":"` + strings.Repeat("x", 1025) + `"}`},
		{"InvalidParameterValue", "SendMessage", `{"QueueUrl":"q","MessageBody":"x","DelaySeconds":901}`},
		{"InvalidParameterValue", "SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageGroupId":""}`},
		{"InvalidParameterValue", "SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageGroupId":"a b"}`},
		{"InvalidParameterValue", "SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageDeduplicationId":"a"}`},
		{"InvalidParameterValue", "SendMessage", `{"QueueUrl":"f.fifo","MessageBody":"x","MessageGroupId":"a"}`},
		{"MissingParameter", "SendMessage", `{"QueueUrl":"f.fifo","MessageBody":"x","MessageDeduplicationId":"a"}`},
		{"InvalidParameterValue", "SendMessageBatch", `{"QueueUrl":"f.fifo","Entries":[{"Id":"a","MessageBody":"x","MessageDeduplicationId":"a"}]}`},
		{"InvalidParameterValue", "SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageSystemAttributes":{"Other":{"DataType":"String","StringValue":"x"}}}`},
		{"InvalidParameterValue", "SendMessage", attribute("AWS.x", "String", "x")},
		{"InvalidParameterValue", "SendMessage", attribute(".x", "String", "x")},
		{"InvalidParameterValue", "SendMessage", attribute("x..y", "String", "x")},
		{"InvalidParameterValue", "SendMessage", attribute(strings.Repeat("x", 257), "String", "x")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "String", "")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "String", "\x01")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "Text", "x")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "", "x")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "Binary", "x")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "Number", "twelve")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "Number", "1e200")},
		{"InvalidParameterValue", "SendMessage", attribute("x", "Number", strings.Repeat("1", 39))},
		{"InvalidParameterValue", "ReceiveMessage", `{"QueueUrl":"q","MaxNumberOfMessages":11}`},
		{"InvalidParameterValue", "ReceiveMessage", `{"QueueUrl":"q","MaxNumberOfMessages":0}`},
		{"InvalidParameterValue", "ReceiveMessage", `{"QueueUrl":"q","WaitTimeSeconds":21}`},
		{"InvalidParameterValue", "ReceiveMessage", `{"QueueUrl":"q","VisibilityTimeout":43201}`},
		{"InvalidParameterValue", "ReceiveMessage", `{"QueueUrl":"q","ReceiveRequestAttemptId":"a"}`},
		{"MissingParameter", "DeleteMessage", `{"QueueUrl":"q"}`},
		{"InvalidParameterValue", "CreateQueue", `{"QueueName":"a/b"}`},
		{"InvalidParameterValue", "CreateQueue", `{"QueueName":""}`},
		{"InvalidParameterValue", "CreateQueue", `{"QueueName":"x.fifo"}`},
		{"InvalidParameterValue", "CreateQueue", `{"QueueName":"x","Attributes":{"FifoQueue":"true"}}`},
		{"InvalidAttributeName", "CreateQueue", `{"QueueName":"x","Attributes":{"FifoQueue":"false"}}`},
		{"InvalidAttributeName", "CreateQueue", `{"QueueName":"x","Attributes":{"DeduplicationScope":"queue"}}`},
		{"InvalidAttributeValue", "CreateQueue", `{"QueueName":"x.fifo","Attributes":{"FifoQueue":"true","FifoThroughputLimit":"perMessageGroupId"}}`},
		{"InvalidAttributeValue", "SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"DelaySeconds":" 1"}}`},
		{"InvalidAttributeValue", "SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"DelaySeconds":""}}`},
		{"InvalidAttributeValue", "SetQueueAttributes", `{"QueueUrl":"f.fifo","Attributes":{"FifoQueue":"false"}}`},
		{"InvalidAttributeName", "SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"QueueArn":"x"}}`},
		{"InvalidAttributeName", "SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"KmsMasterKeyId":"k","SqsManagedSseEnabled":"true"}}`},
		{"InvalidAttributeName", "GetQueueAttributes", `{"QueueUrl":"q","AttributeNames":["Colour"]}`},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`nonsense`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"maxReceiveCount":1}`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `dead"}`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `dead","maxReceiveCount":0}`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `nobody","maxReceiveCount":1}`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `q","maxReceiveCount":1}`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `f.fifo","maxReceiveCount":1}`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `closed","maxReceiveCount":1}`)},
		{"InvalidParameterValue", "SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `dead","maxReceiveCount":1,"x":1}`)},
		{"InvalidParameterValue", "ListQueues", `{"MaxResults":0}`},
		{"InvalidParameterValue", "ListQueues", `{"NextToken":"?"}`},
		{"MissingParameter", "TagQueue", `{"QueueUrl":"q"}`},
		{"InvalidParameterValue", "TagQueue", `{"QueueUrl":"q","Tags":{"aws:x":"y"}}`},
		{"OverLimit", "AddPermission", `{"QueueUrl":"q","Label":"l","AWSAccountIds":["000000000000"],"Actions":["a","b","c","d","e","f","g","h"]}`},
		{"InvalidParameterValue", "RemovePermission", `{"QueueUrl":"q","Label":"nobody"}`},
		{"ResourceNotFoundException", "ListMessageMoveTasks", `{"SourceArn":"` + arn + `nobody"}`},
	} {
		x := call(t, s, c.action, c.body)
		code, _, _ := strings.Cut(x.header.Get("x-amzn-query-error"), ";")
		require.Equal(t, c.code, code, "%s %.200s: %s", c.action, c.body, x.body)
	}
	// And what is just allowed.
	for _, c := range []struct{ action, body string }{
		{"SendMessage", `{"QueueUrl":"q","MessageBody":"` + strings.Repeat("x", 1024) + `"}`},
		{"SendMessage", `{"QueueUrl":"q","MessageBody":"\ud83d\ude00","DelaySeconds":900,"MessageGroupId":"a"}`},
		{"SendMessage", `{"QueueUrl":"f.fifo","MessageBody":"x","MessageGroupId":"a","MessageDeduplicationId":"b","DelaySeconds":0}`},
		{"SendMessage", attribute("øß.ä", "Number", "-1.5e10")},
		{"SetQueueAttributes", redrive(`{"deadLetterTargetArn":"` + arn + `dead","maxReceiveCount":"1000"}`)},
		{"SetQueueAttributes", redrive(``)},
		{"CreateQueue", `{"QueueName":"f.fifo"}`},
		{"CreateQueue", `{"QueueName":"q","Attributes":{"MaximumMessageSize":"1024","SqsManagedSseEnabled":"True"}}`},
		{"SetQueueAttributes", `{"QueueUrl":"f.fifo","Attributes":{"FifoQueue":"true"}}`},
	} {
		require.Equal(t, 200, call(t, s, c.action, c.body).status, "%s %.200s", c.action, c.body)
	}
}

func TestAttributesOfFreshQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, sqshttp.Options{})
		_, err := s.CreateQueue("q", nil)
		require.NoError(t, err)
		_, err = s.CreateQueue("f.fifo", map[string]string{"FifoQueue": "True"})
		require.NoError(t, err)
		const common = `"ApproximateNumberOfMessages":"0","ApproximateNumberOfMessagesDelayed":"0","ApproximateNumberOfMessagesNotVisible":"0",
			"CreatedTimestamp":"946684800","LastModifiedTimestamp":"946684800","DelaySeconds":"0","MaximumMessageSize":"1048576",
			"MessageRetentionPeriod":"345600","ReceiveMessageWaitTimeSeconds":"0","SqsManagedSseEnabled":"true","VisibilityTimeout":"30"`
		require.JSONEq(t, `{"Attributes":{`+common+`,"QueueArn":"arn:aws:sqs:us-east-1:000000000000:q"}}`,
			call(t, s, "GetQueueAttributes", `{"QueueUrl":"q","AttributeNames":["All"]}`).body)
		require.JSONEq(t, `{"Attributes":{`+common+`,"QueueArn":"arn:aws:sqs:us-east-1:000000000000:f.fifo","FifoQueue":"true",
			"ContentBasedDeduplication":"false","DeduplicationScope":"queue","FifoThroughputLimit":"perQueue"}}`,
			call(t, s, "GetQueueAttributes", `{"QueueUrl":"f.fifo","AttributeNames":["All"]}`).body)
		s.Close()
	})
}

// A policy names its dead-letter queue, which may be deleted and made again.
func TestDeadLetterQueueThatIsMadeAgain(t *testing.T) {
	s := newService(t, sqshttp.Options{NoPauses: true})
	_, err := s.CreateQueue("dead", nil)
	require.NoError(t, err)
	q, err := s.CreateQueue("q", map[string]string{"VisibilityTimeout": "0",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}`})
	require.NoError(t, err)
	require.Equal(t, 200, call(t, s, "DeleteQueue", `{"QueueUrl":"dead"}`).status)
	_, err = q.Send(t.Context(), "poison")
	require.NoError(t, err)
	for range 3 { // it is never lost
		require.Contains(t, call(t, s, "ReceiveMessage", `{"QueueUrl":"q"}`).body, "poison")
	}
	dead, err := s.CreateQueue("dead", nil)
	require.NoError(t, err)
	require.Equal(t, "{}", call(t, s, "ReceiveMessage", `{"QueueUrl":"q"}`).body)
	m, ok := dead.TryReceive()
	require.True(t, ok)
	require.Equal(t, "poison", m.Body)
}

// A web page in the developer's browser must not be able to send or purge.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	s := newService(t, sqshttp.Options{Hosts: []string{"sqs.example.org"}})
	for _, c := range []struct {
		method, host string
		header       map[string]string
		want         int
	}{
		{"GET", "localhost:9324", nil, 200},
		{"POST", "127.0.0.1:9324", nil, 200},
		{"POST", "[::1]:9324", nil, 200},
		{"POST", "SQS.example.org", nil, 200},
		{"GET", "localhost:9324", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"POST", "localhost:9324", map[string]string{"Origin": "http://localhost:9324"}, 200},
		{"POST", "evil.example", nil, 403},
		{"GET", "evil.example:9324", nil, 403},
		{"GET", "localhost.evil.example", nil, 403},
		{"GET", "localhost:9324", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"GET", "localhost:9324", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"POST", "localhost:9324", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"POST", "localhost:9324", map[string]string{"Origin": "https://evil.example"}, 403},
		{"GET", "localhost:9324", map[string]string{"Origin": "null"}, 403},
	} {
		for _, json := range []bool{false, true} {
			r := httptest.NewRequest(c.method, "http://"+c.host+"/?Action=ListQueues", nil)
			r.Host = c.host
			if json {
				if c.method == "GET" {
					continue // not of that protocol
				}
				r.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
			}
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			require.Equal(t, c.want, w.Code, "%v, JSON %v: %s", c, json, w.Body)
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
}

func TestLargeAndPackedBodiesAreRefused(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	r := httptest.NewRequest("POST", host+"/", io.LimitReader(zeros{}, 9<<20))
	r.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
	require.Equal(t, 413, do(t, s, r).status)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", host+"/", io.LimitReader(zeros{}, 9<<20)))
	require.Equal(t, 413, w.Code)
	r = httptest.NewRequest("POST", host+"/", bytes.NewReader(nil))
	r.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
	r.Header.Set("Content-Encoding", "gzip")
	require.Equal(t, 400, do(t, s, r).status)
	many := strings.Repeat("a=1&", 3000) + "Action=ListQueues"
	r = httptest.NewRequest("POST", host+"/", strings.NewReader(many))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, 400, do(t, s, r).status)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestOptionsOutOfRange(t *testing.T) {
	for field, o := range map[string]sqshttp.Options{"Account": {Account: "12"}, "Region": {Region: "Mars!"}, "Keys": {Keys: map[string]string{"AKIDEXAMPLE": ""}}} {
		_, err := sqshttp.New(o)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
}

func TestCloseEndsPollsAndQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, sqshttp.Options{})
		_, err := s.CreateQueue("q", nil)
		require.NoError(t, err)
		go func() {
			time.Sleep(time.Second)
			s.Close()
		}()
		x := call(t, s, "ReceiveMessage", `{"QueueUrl":"q","WaitTimeSeconds":20}`)
		require.Equal(t, "com.amazonaws.sqs#QueueDoesNotExist", x.member(t, "__type"))
		q, err := s.CreateQueue("late", nil)
		require.NoError(t, err)
		_, err = q.Send(t.Context(), "x")
		require.ErrorIs(t, err, dabchick.ErrClosed)
	})
}

// No request panics, hangs or gets an answer that is not well formed.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		`{"QueueUrl":"q","MessageBody":"x","MessageAttributes":{"k":{"DataType":"String","StringValue":"x"}}}`,
		`{"QueueUrl":"q","Entries":[{"Id":"a","MessageBody":"x"}]}`, `{"QueueUrl":"q","AttributeNames":["All"]}`,
		`{"QueueUrl":"q","MaxNumberOfMessages":10}`, `{"QueueUrl":"q","Attributes":{"RedrivePolicy":"{}"}}`, `{"x":"\ud800\udc00\ud800"}`,
	} {
		f.Add("SendMessage", body)
		f.Add("ReceiveMessage", body)
		f.Add("SetQueueAttributes", body)
	}
	s := newService(f, sqshttp.Options{})
	s.CreateQueue("q", nil)
	f.Fuzz(func(t *testing.T, action, body string) {
		if strings.Contains(body, "WaitTime") {
			t.Skip("takes its time")
		}
		x := call(t, s, action, body)
		if x.body != "" && !json.Valid([]byte(x.body)) {
			t.Fatalf("%d %q", x.status, x.body)
		}
		if x.status >= 500 {
			t.Fatalf("%d %s", x.status, x.body)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, text := range []string{
		"Action=SendMessage&MessageBody=x&MessageAttribute.1.Name=k&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=y",
		"Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=All", "Action=CreateQueue&QueueName=x&Attribute.1.Name=Policy&Attribute.1.Value={}",
		"Action=ListQueues", "Action=GetQueueAttributes&AttributeName.1=All", "Action=Dance", "%zz",
	} {
		f.Add(text)
	}
	s := newService(f, sqshttp.Options{})
	s.CreateQueue("q", nil)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "WaitTime") {
			t.Skip("takes its time")
		}
		r := httptest.NewRequest("POST", host+"/000000000000/q", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		x := do(t, s, r)
		d := xml.NewDecoder(strings.NewReader(x.body))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %q", err, x.body)
			}
		}
		if x.status >= 500 {
			t.Fatalf("%d %s", x.status, x.body)
		}
	})
}
