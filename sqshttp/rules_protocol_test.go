package sqshttp_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// A bytesRule is a rule about the bytes on the wire. Its service has a queue q.
type bytesRule struct {
	name  string
	check func(t *testing.T, s *sqshttp.Service)
}

func checkBytes(t *testing.T, rules []bytesRule) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			s := newService(t, sqshttp.Options{})
			_, err := s.CreateQueue("q", nil)
			require.NoError(t, err)
			r.check(t, s)
		})
	}
}

// get sends a request of the Query protocol without a body.
func get(t testing.TB, s *sqshttp.Service, target string, headers ...string) exchange {
	t.Helper()
	r := httptest.NewRequest("GET", host+target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return do(t, s, r)
}

var (
	requestIDs = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	handles    = regexp.MustCompile(`AQEB[A-Za-z0-9+/]+=*`)
)

// normal returns a body with ids and handles replaced.
func (x exchange) normal() string {
	return handles.ReplaceAllString(requestIDs.ReplaceAllString(x.body, "ID"), "HANDLE")
}

func TestRulesOfTheJSONProtocol(t *testing.T) {
	const notFound = `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`
	checkBytes(t, []bytesRule{
		{"9.1 [A] an error: status, content type, __type and the old code", func(t *testing.T, s *sqshttp.Service) {
			x := call(t, s, "ReceiveMessage", `{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/000000000000/nobody"}`)
			require.Equal(t, 400, x.status)
			require.Equal(t, "application/x-amz-json-1.0", x.header.Get("Content-Type"))
			require.Equal(t, "AWS.SimpleQueueService.NonExistentQueue;Sender", x.header.Get("x-amzn-query-error"))
			require.Regexp(t, requestIDs, x.header.Get("x-amzn-RequestId"))
			require.JSONEq(t, notFound, x.body)
		}},
		{"9.1 [A] an action without output answers an empty body", func(t *testing.T, s *sqshttp.Service) {
			for _, c := range []struct{ action, in string }{
				{"SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"DelaySeconds":"0"}}`},
				{"TagQueue", `{"QueueUrl":"q","Tags":{"a":"b"}}`}, {"UntagQueue", `{"QueueUrl":"q","TagKeys":["a"]}`},
				{"AddPermission", `{"QueueUrl":"q","Label":"l","AWSAccountIds":["123456789012"],"Actions":["*"]}`},
				{"RemovePermission", `{"QueueUrl":"q","Label":"l"}`}, {"PurgeQueue", `{"QueueUrl":"q"}`}, {"DeleteQueue", `{"QueueUrl":"q"}`},
			} {
				x := call(t, s, c.action, c.in)
				require.Equal(t, 200, x.status, x.body)
				require.Empty(t, x.body)
				require.Equal(t, "application/x-amz-json-1.0", x.header.Get("Content-Type"))
			}
		}},
		{"9.1 [A] empty lists and maps are left out", func(t *testing.T, s *sqshttp.Service) {
			require.Equal(t, "{}", call(t, s, "ReceiveMessage", `{"QueueUrl":"q"}`).body)
			require.Equal(t, "{}", call(t, s, "GetQueueAttributes", `{"QueueUrl":"q"}`).body)
			require.Equal(t, "{}", call(t, s, "ListQueueTags", `{"QueueUrl":"q"}`).body)
		}},
		{"9.1 [D] tags of CreateQueue and queueUrls of ListDeadLetterSourceQueues are in lower case", func(t *testing.T, s *sqshttp.Service) {
			call(t, s, "CreateQueue", `{"QueueName":"t","tags":{"a":"b"}}`)
			require.Equal(t, `{"Tags":{"a":"b"}}`, call(t, s, "ListQueueTags", `{"QueueUrl":"t"}`).body)
			require.Equal(t, `{"queueUrls":[]}`, call(t, s, "ListDeadLetterSourceQueues", `{"QueueUrl":"q"}`).body)
		}},
		{"9.1 [A] the path plays no part", func(t *testing.T, s *sqshttp.Service) {
			for _, path := range []string{"/", "/000000000000/q", "/queue/q/"} {
				r := httptest.NewRequest("POST", host+path, strings.NewReader(`{"QueueUrl":"q"}`))
				r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
				r.Header.Set("X-Amzn-Query-Mode", "true")
				require.Equal(t, "{}", do(t, s, r).body)
			}
		}},
		{"9.1 [D] counts are numbers, attributes are texts, blobs base64", func(t *testing.T, s *sqshttp.Service) {
			call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageAttributes":{"b":{"DataType":"Binary","BinaryValue":"AAH/"}}}`)
			x := call(t, s, "ReceiveMessage", `{"QueueUrl":"q","AttributeNames":["ApproximateReceiveCount"],"MessageAttributeNames":["b"],"VisibilityTimeout":0}`)
			require.Equal(t, `{"Messages":[{"MessageId":"ID","ReceiptHandle":"HANDLE","MD5OfBody":"9dd4e461268c8034f5c8564e155c67a6","Body":"x",`+
				`"Attributes":{"ApproximateReceiveCount":"1"},"MD5OfMessageAttributes":"`+x.digest(t)+`",`+
				`"MessageAttributes":{"b":{"DataType":"Binary","BinaryValue":"AAH/"}}}]}`, x.normal())
		}},
		{"9.1 [E] wrong types and bad JSON are serialization errors", func(t *testing.T, s *sqshttp.Service) {
			for _, in := range []string{`{`, `[]`, `"x"`, `{"MaxResults":"ten"}`, `{"MaxResults":1.5}`, `{"MaxResults":99999999999999999999}`, `{"NextToken":1}`,
				`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`} {
				x := call(t, s, "ListQueues", in)
				require.Equal(t, 400, x.status)
				require.Equal(t, "com.amazonaws.sqs#SerializationException", x.member(t, "__type"), in)
			}
			for _, blob := range []string{`[1,2,3]`, `[]`, `5`, `{}`, `true`, `"?"`} {
				x := call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"x",
					"MessageAttributes":{"b":{"DataType":"Binary","BinaryValue":`+blob+`}}}`)
				require.Equal(t, 400, x.status, blob)
				require.Equal(t, "com.amazonaws.sqs#SerializationException", x.member(t, "__type"), blob)
			}
		}},
		{"9.1 [U] an unknown target", func(t *testing.T, s *sqshttp.Service) {
			for _, target := range []string{"AmazonSQS.Dance", "AmazonSNS.Publish", "SendMessage"} {
				r := httptest.NewRequest("POST", host+"/", strings.NewReader(`{}`))
				r.Header.Set("X-Amz-Target", target)
				x := do(t, s, r)
				require.Equal(t, 400, x.status)
				require.Equal(t, "com.amazonaws.sqs#UnknownOperationException", x.member(t, "__type"))
			}
		}},
		{"3.1 [U] invalid UTF-8 and half surrogates", func(t *testing.T, s *sqshttp.Service) {
			for _, body := range []string{"\xff", `\ud800`, `\ud800x`, `\udc00`, `\ud800\ud800`} {
				x := call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"`+body+`"}`)
				require.Equal(t, "InvalidMessageContents;Sender", x.header.Get("x-amzn-query-error"), body)
			}
			require.Equal(t, 200, call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"\ud83d\ude00"}`).status)
		}},
	})
}

// elements returns the texts of all XML elements of that name.
func (x exchange) elements(name string) (all []string) {
	for _, found := range regexp.MustCompile("<"+name+">([^<]*)</").FindAllStringSubmatch(x.body, -1) {
		all = append(all, found[1])
	}
	return all
}

func (x exchange) digest(t testing.TB) string {
	list := regexp.MustCompile(`"MD5OfMessageAttributes":"([0-9a-f]{32})"`).FindStringSubmatch(x.body)
	require.Len(t, list, 2, x.body)
	return list[1]
}

func TestRulesOfTheQueryProtocol(t *testing.T) {
	const (
		ns       = ` xmlns="http://queue.amazonaws.com/doc/2012-11-05/">`
		metadata = `<ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata>`
	)
	refused := func(t *testing.T, x exchange, status int, code string) {
		t.Helper()
		require.Equal(t, status, x.status, x.body)
		require.Equal(t, code, x.element(t, "Code"))
	}
	checkBytes(t, []bytesRule{
		{"9.2 [D] the document of a success", func(t *testing.T, s *sqshttp.Service) {
			x := query(t, s, "/", "Action", "CreateQueue", "QueueName", "new", "Version", "2012-11-05")
			require.Equal(t, "text/xml", x.header.Get("Content-Type"))
			require.Equal(t, `<?xml version="1.0"?><CreateQueueResponse`+ns+`<CreateQueueResult><QueueUrl>`+host+
				`/000000000000/new</QueueUrl></CreateQueueResult>`+metadata+`</CreateQueueResponse>`, x.normal())
			x = query(t, s, "/q", "Action", "TagQueue", "Tag.1.Key", "a", "Tag.1.Value", "b")
			require.Equal(t, `<?xml version="1.0"?><TagQueueResponse`+ns+metadata+`</TagQueueResponse>`, x.normal(), "without output")
			x = query(t, s, "/q", "Action", "ListQueueTags")
			require.Contains(t, x.body, "<ListQueueTagsResult><Tag><Key>a</Key><Value>b</Value></Tag></ListQueueTagsResult>")
		}},
		{"9.2 [A] the document of an error, with a text of its own for a queue that is not there", func(t *testing.T, s *sqshttp.Service) {
			x := query(t, s, "/nobody", "Action", "ListQueueTags")
			require.Equal(t, 400, x.status)
			require.Equal(t, `<?xml version="1.0"?><ErrorResponse`+ns+`<Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>`+
				`<Message>The specified queue does not exist for this wsdl version.</Message><Detail/></Error><RequestId>ID</RequestId></ErrorResponse>`, x.normal())
		}},
		{"9.2 [A] an empty receive", func(t *testing.T, s *sqshttp.Service) {
			require.Contains(t, query(t, s, "/q", "Action", "ReceiveMessage").body, "<ReceiveMessageResult/>")
		}},
		{"9.2 [D] a message, with nothing around its lists", func(t *testing.T, s *sqshttp.Service) {
			query(t, s, "/q", "Action", "SendMessage", "MessageBody", "a <b> & c\r\n", "MessageAttribute.1.Name", "k",
				"MessageAttribute.1.Value.DataType", "String", "MessageAttribute.1.Value.StringValue", "x")
			x := query(t, s, "/q", "Action", "ReceiveMessage", "AttributeName.1", "ApproximateReceiveCount", "MessageAttributeName.1", "All")
			require.Contains(t, x.normal(), `<ReceiveMessageResult><Message><MessageId>ID</MessageId><ReceiptHandle>HANDLE</ReceiptHandle>`+
				`<MD5OfBody>`+x.element(t, "MD5OfBody")+`</MD5OfBody><Body>a &lt;b&gt; &amp; c&#xD;&#xA;</Body>`+
				`<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>`+
				`<MD5OfMessageAttributes>a45daa70926828a2f0a1db3418e6feb4</MD5OfMessageAttributes>`+
				`<MessageAttribute><Name>k</Name><Value><DataType>String</DataType><StringValue>x</StringValue></Value></MessageAttribute></Message></ReceiveMessageResult>`)
		}},
		{"9.2 [A] the queue is that of the path, or of QueueUrl, which wins; a version need not be there", func(t *testing.T, s *sqshttp.Service) {
			for _, target := range []string{"/000000000000/q?Action=ListQueueTags", "/q?Action=ListQueueTags", "/?Action=ListQueueTags&QueueUrl=q",
				"/000000000000/nobody?Action=ListQueueTags&QueueUrl=" + url.QueryEscape(host+"/000000000000/q")} {
				require.Equal(t, 200, get(t, s, target).status, target)
			}
			require.Equal(t, 400, get(t, s, "/q?Action=ListQueueTags&QueueUrl=nobody").status)
		}},
		{"9.2 [A] without an action", func(t *testing.T, s *sqshttp.Service) {
			for _, x := range []exchange{query(t, s, "/"), query(t, s, "/q"), get(t, s, "/q", "Accept", "application/json")} {
				require.Equal(t, 404, x.status)
				require.Equal(t, "<UnknownOperationException/>\n", x.body)
				require.Equal(t, "text/xml", x.header.Get("Content-Type"))
			}
			require.Equal(t, 404, do(t, s, httptest.NewRequest("PUT", host+"/?Action=ListQueues", nil)).status)
		}},
		{"9.2 [A] unknown actions, and those that do not concern a queue on a queue's path", func(t *testing.T, s *sqshttp.Service) {
			refused(t, query(t, s, "/", "Action", "Dance"), 400, "InvalidAction")
			for _, action := range []string{"ListQueues", "CreateQueue"} {
				x := query(t, s, "/q", "Action", action, "QueueName", "x")
				refused(t, x, 400, "InvalidAction")
				require.Contains(t, x.body, "not valid for this endpoint")
			}
		}},
		{"9.2 [A] GetQueueUrl of any name and DeleteQueue by GET on a queue's path", func(t *testing.T, s *sqshttp.Service) {
			_, err := s.CreateQueue("other", nil)
			require.NoError(t, err)
			require.Equal(t, host+"/000000000000/other", get(t, s, "/q?Action=GetQueueUrl&QueueName=other").element(t, "QueueUrl"))
			require.Equal(t, 200, get(t, s, "/q?Action=DeleteQueue").status)
			refused(t, get(t, s, "/q?Action=DeleteQueue"), 400, "AWS.SimpleQueueService.NonExistentQueue")
		}},
		{"9.2 [A] a missing parameter", func(t *testing.T, s *sqshttp.Service) {
			x := get(t, s, "/q?Action=SendMessage")
			refused(t, x, 400, "MissingParameter")
			require.Contains(t, x.body, "The request must contain the parameter MessageBody.")
		}},
		{"9.2 [R] an action of a queue at the root, without QueueUrl", func(t *testing.T, s *sqshttp.Service) {
			refused(t, query(t, s, "/", "Action", "ReceiveMessage"), 404, "InvalidAddress")
		}},
		{"9.2 [E] numbers and blobs that are none", func(t *testing.T, s *sqshttp.Service) {
			refused(t, query(t, s, "/q", "Action", "ReceiveMessage", "MaxNumberOfMessages", "many"), 400, "InvalidParameterValue")
			refused(t, query(t, s, "/q", "Action", "SendMessage", "MessageBody", "x", "MessageAttribute.1.Name", "b",
				"MessageAttribute.1.Value.DataType", "Binary", "MessageAttribute.1.Value.BinaryValue", "?"), 400, "InvalidParameterValue")
			refused(t, query(t, s, "/q", "Action", "SendMessage", "MessageBody", "\xff"), 400, "InvalidMessageContents")
		}},
		{"9.2 [D] a list or map of one needs no number, as in AWS's examples", func(t *testing.T, s *sqshttp.Service) {
			query(t, s, "/q", "Action", "SetQueueAttributes", "Attribute.Name", "VisibilityTimeout", "Attribute.Value", "35")
			x := query(t, s, "/q", "Action", "GetQueueAttributes", "AttributeName", "VisibilityTimeout")
			require.Contains(t, x.body, "<Attribute><Name>VisibilityTimeout</Name><Value>35</Value></Attribute>")
			query(t, s, "/q", "Action", "SendMessage", "MessageBody", "x")
			x = query(t, s, "/q", "Action", "ReceiveMessage", "MaxNumberOfMessages", "5", "VisibilityTimeout", "15", "AttributeName", "All")
			require.Contains(t, x.body, "<Name>ApproximateReceiveCount</Name>")
			query(t, s, "/q", "Action", "TagQueue", "Tag.Key", "a", "Tag.Value", "b")
			require.Contains(t, query(t, s, "/q", "Action", "ListQueueTags").body, "<Tag><Key>a</Key><Value>b</Value></Tag>")
			query(t, s, "/q", "Action", "UntagQueue", "TagKey", "a")
			require.NotContains(t, query(t, s, "/q", "Action", "ListQueueTags").body, "<Tag>")
		}},
		{"9.2 [U] a list or map without a number and a value is empty, as some clients write it", func(t *testing.T, s *sqshttp.Service) {
			x := query(t, s, "/q", "Action", "GetQueueAttributes", "AttributeName", "")
			require.Contains(t, x.body, "<GetQueueAttributesResult/>")
			refused(t, query(t, s, "/q", "Action", "SetQueueAttributes", "Attribute", ""), 400, "MissingParameter")
			refused(t, query(t, s, "/q", "Action", "UntagQueue", "TagKey", ""), 400, "MissingParameter")
			refused(t, query(t, s, "/q", "Action", "SendMessageBatch", "SendMessageBatchRequestEntry", ""), 400, "AWS.SimpleQueueService.EmptyBatchRequest")
			require.Equal(t, 200, query(t, s, "/q", "Action", "SendMessage", "MessageBody", "x", "MessageAttribute", "").status)
		}},
		{"9.2 [U] entries count in the order of their numbers, which need not be without gaps", func(t *testing.T, s *sqshttp.Service) {
			entry := func(number, id string) []string {
				at := "SendMessageBatchRequestEntry." + number + "."
				return []string{at + "MessageBody", id, at + "Id", id}
			}
			form := append([]string{"Action", "SendMessageBatch"}, entry("10", "third")...)
			form = append(append(append(form, entry("9", "second")...), entry("4000000000", "last")...), entry("0", "first")...)
			x := query(t, s, "/q", form...)
			require.Equal(t, []string{"first", "second", "third", "last"}, x.elements("Id"))
			x = query(t, s, "/q", "Action", "ReceiveMessage", "MaxNumberOfMessages", "10")
			require.Equal(t, []string{"first", "second", "third", "last"}, x.elements("Body"))
		}},
		{"9.2 [U] an entry of a map that is there twice is refused", func(t *testing.T, s *sqshttp.Service) {
			x := query(t, s, "/q", "Action", "SetQueueAttributes", "Attribute.1.Name", "DelaySeconds", "Attribute.1.Value", "1",
				"Attribute.2.Name", "DelaySeconds", "Attribute.2.Value", "2")
			refused(t, x, 400, "InvalidParameterValue")
			refused(t, query(t, s, "/q", "Action", "SendMessage", "MessageBody", "x",
				"MessageAttribute.1.Name", "k", "MessageAttribute.1.Value.DataType", "String", "MessageAttribute.1.Value.StringValue", "x",
				"MessageAttribute.2.Name", "k", "MessageAttribute.2.Value.DataType", "String", "MessageAttribute.2.Value.StringValue", "y"),
				400, "InvalidParameterValue")
		}},
		{"9.2 [A] with Accept: application/json the answer is JSON", func(t *testing.T, s *sqshttp.Service) {
			ask := func(target string) string {
				x := get(t, s, target, "Accept", "application/json")
				require.Equal(t, "application/json", x.header.Get("Content-Type"))
				return x.normal()
			}
			const id = `"ResponseMetadata":{"RequestId":"ID"}`
			require.JSONEq(t, `{"ListQueuesResponse":{"ListQueuesResult":{"NextToken":null,"queueUrls":["`+host+`/000000000000/q"]},`+id+`}}`, ask("/?Action=ListQueues"))
			require.JSONEq(t, `{"SendMessageResponse":{"SendMessageResult":{"MessageId":"ID","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6",
				"MD5OfMessageAttributes":"a45daa70926828a2f0a1db3418e6feb4","MD5OfMessageSystemAttributes":null,"SequenceNumber":null},`+id+`}}`,
				ask("/q?Action=SendMessage&MessageBody=x&MessageAttribute.1.Name=k&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=x"))
			require.JSONEq(t, `{"ReceiveMessageResponse":{"ReceiveMessageResult":{"messages":[{"MessageId":"ID","ReceiptHandle":"HANDLE","Body":"x",
				"MD5OfBody":"9dd4e461268c8034f5c8564e155c67a6","MD5OfMessageAttributes":"a45daa70926828a2f0a1db3418e6feb4",
				"Attributes":[{"Name":"ApproximateReceiveCount","Value":"1"}],"MessageAttributes":[{"Name":"k","Value":
				{"DataType":"String","StringValue":"x","BinaryValue":null,"StringListValues":null,"BinaryListValues":null}}]}]},`+id+`}}`,
				ask("/q?Action=ReceiveMessage&AttributeName.1=ApproximateReceiveCount&MessageAttributeName.1=All"))
			require.JSONEq(t, `{"ReceiveMessageResponse":{"ReceiveMessageResult":{"messages":null},`+id+`}}`, ask("/q?Action=ReceiveMessage"))
			require.JSONEq(t, `{"TagQueueResponse":{`+id+`}}`, ask("/q?Action=TagQueue&Tag.1.Key=a&Tag.1.Value=b"))
			require.JSONEq(t, `{"ListQueueTagsResponse":{"ListQueueTagsResult":{"Tags":[{"Key":"a","Value":"b"}]},`+id+`}}`, ask("/q?Action=ListQueueTags"))
			x := get(t, s, "/nobody?Action=ListQueueTags", "Accept", "application/json")
			require.Equal(t, 400, x.status)
			require.JSONEq(t, `{"Error":{"Type":"Sender","Code":"AWS.SimpleQueueService.NonExistentQueue",
				"Message":"The specified queue does not exist for this wsdl version."},"RequestId":"ID"}`, x.normal())
			require.Equal(t, "text/xml", get(t, s, "/?Action=ListQueues", "Accept", "*/*").header.Get("Content-Type"))
		}},
	})
}

func TestRulesOfQueueURLs(t *testing.T) {
	const account = "123456789012"
	eu := sqshttp.Options{Account: account, Region: "eu-west-1"}
	checkRules(t, eu, []rule{
		{"9.3 [D] URLs echo the host of the request, and ARNs have region and account", func(w *wire) {
			require.Equal(w, "http://localhost:9324/123456789012/q", w.ok("CreateQueue", create("q"))["QueueUrl"])
			require.Equal(w, "arn:aws:sqs:eu-west-1:123456789012:q", w.attribute("q", "QueueArn"))
			r := httptest.NewRequest("POST", "https://sqs.eu-west-1.amazonaws.com/", strings.NewReader(`{"QueueName":"q"}`))
			r.Header.Set("X-Amz-Target", "AmazonSQS.GetQueueUrl")
			require.Equal(w, `{"QueueUrl":"https://sqs.eu-west-1.amazonaws.com/123456789012/q"}`, do(w, w.s, r).body)
		}},
		{"9.3 [A] URLs in every form: of another host, legacy ones, a name alone", func(w *wire) {
			w.queue("q")
			w.queue("q.fifo")
			for _, u := range []string{
				"%s", "/123456789012/%s", "http://localhost:9324/123456789012/%s", "https://sqs.eu-west-1.amazonaws.com/123456789012/%s",
				"https://eu-west-1.queue.amazonaws.com/123456789012/%s", "https://queue.amazonaws.com/123456789012/%s/", "http://localhost/%s",
				"http://localhost/queue/eu-west-1/123456789012/%s", "http://[::1]:9324/123456789012/%s", "https://elsewhere.example/123456789012/%s",
			} {
				w.ok("ListQueueTags", m{"QueueUrl": fmt.Sprintf(u, "q")})
				w.ok("ListQueueTags", m{"QueueUrl": fmt.Sprintf(u, "q.fifo")})
			}
			for _, u := range []string{"http://localhost:9324/123456789012/nobody", "http://localhost/999999999999/q", "nobody", "http://q"} {
				w.refused("AWS.SimpleQueueService.NonExistentQueue", "ListQueueTags", m{"QueueUrl": u})
			}
		}},
	})
	checkRules(t, sqshttp.Options{BaseURL: "https://sqs.example.org/"}, []rule{
		{"9.3 [D] URLs follow a base that is configured", func(w *wire) {
			require.Equal(w, "https://sqs.example.org/000000000000/q", w.ok("CreateQueue", create("q"))["QueueUrl"])
			require.Equal(w, "https://sqs.example.org/000000000000/q", w.ok("GetQueueUrl", m{"QueueName": "q"})["QueueUrl"])
			require.Equal(w, []any{"https://sqs.example.org/000000000000/q"}, w.ok("ListQueues", m{})["QueueUrls"])
		}},
	})
	t.Run("9.2 [A] the path of a base is that of no queue", func(t *testing.T) {
		s := newService(t, sqshttp.Options{BaseURL: "https://example.org/some/sqs"})
		require.Equal(t, 200, query(t, s, "/some/sqs/", "Action", "CreateQueue", "QueueName", "q").status)
		x := query(t, s, "/some/sqs", "Action", "ListQueues")
		require.Equal(t, "https://example.org/some/sqs/000000000000/q", x.element(t, "QueueUrl"))
		require.Equal(t, 200, query(t, s, "/some/sqs/000000000000/q", "Action", "ListQueueTags").status)
		require.Equal(t, 200, query(t, s, "/000000000000/q", "Action", "ListQueueTags").status, "where a proxy has cut the base off")
		require.Equal(t, "InvalidAction", query(t, s, "/some/sqs/q", "Action", "ListQueues").element(t, "Code"))
		require.Equal(t, "InvalidAddress", query(t, s, "/some/sqs/", "Action", "ListQueueTags").element(t, "Code"))
	})
	t.Run("1.1 [A] a missing QueueUrl", func(t *testing.T) {
		x := call(t, newService(t, eu), "ListQueueTags", `{}`)
		require.Equal(t, "MissingParameter;Sender", x.header.Get("x-amzn-query-error"))
	})
}
