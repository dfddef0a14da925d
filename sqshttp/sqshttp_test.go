package sqshttp_test

import (
	"bytes"
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
