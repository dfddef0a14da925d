package sqshttp_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

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
	return do(t, s, jsonRequest(action, body))
}

func jsonRequest(action, body string) *http.Request {
	r := httptest.NewRequest("POST", host+"/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	return r
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

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestOptionsOutOfRange(t *testing.T) {
	for field, o := range map[string]sqshttp.Options{
		"Account": {Account: "12"}, "Region": {Region: "Mars!"},
		"Keys": {Keys: map[string]string{"AKIDEXAMPLE": ""}}, "MaxPolls": {MaxPolls: -1},
	} {
		_, err := sqshttp.New(o)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	for _, base := range []string{"sqs.example.org", "ftp://sqs.example.org", "http://", "https://u:p.example.org", "https://sqs.example.org/?a=b", "http://a b"} {
		_, err := sqshttp.New(sqshttp.Options{BaseURL: base})
		require.ErrorContains(t, err, "BaseURL is ", base)
	}
	for _, host := range []string{"", "sqs.example.org:9324", "http://sqs.example.org", "[2001:db8::1]", "a b"} {
		_, err := sqshttp.New(sqshttp.Options{Hosts: []string{host}})
		require.ErrorContains(t, err, "Hosts is ", host)
	}
	_, err := sqshttp.New(sqshttp.Options{BaseURL: "https://example.org:1/sqs/", Hosts: []string{"sqs.example.org", "192.0.2.1", "2001:db8::1"}})
	require.NoError(t, err)
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

// Queues are made, changed, used and deleted by many at once; what comes back is an
// answer of SQS's, never an internal error.
func TestConcurrentChangesOfQueues(t *testing.T) {
	s := newService(t, sqshttp.Options{NoPauses: true})
	calls := []struct{ action, in string }{
		{"CreateQueue", `{"QueueName":"%s"}`}, {"CreateQueue", `{"QueueName":"%s","Attributes":{"DelaySeconds":"0"}}`},
		{"SetQueueAttributes", `{"QueueUrl":"%s","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\",\"maxReceiveCount\":1}"}}`},
		{"SendMessage", `{"QueueUrl":"%s","MessageBody":"x"}`}, {"ReceiveMessage", `{"QueueUrl":"%s","VisibilityTimeout":0}`},
		{"GetQueueAttributes", `{"QueueUrl":"%s","AttributeNames":["All"]}`}, {"PurgeQueue", `{"QueueUrl":"%s"}`}, {"DeleteQueue", `{"QueueUrl":"%s"}`},
		{"TagQueue", `{"QueueUrl":"%s","Tags":{"a":"b"}}`}, {"AddPermission", `{"QueueUrl":"%s","Label":"l","AWSAccountIds":["123456789012"],"Actions":["*"]}`},
		{"StartMessageMoveTask", `{"SourceArn":"arn:aws:sqs:us-east-1:000000000000:%s"}`}, {"ListMessageMoveTasks", `{"SourceArn":"arn:aws:sqs:us-east-1:000000000000:%s"}`},
		{"ListQueues", `{"QueueNamePrefix":"%s"}`}, {"ListDeadLetterSourceQueues", `{"QueueUrl":"%s"}`},
	}
	var all sync.WaitGroup
	for seed := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(seed)))
			for range 300 {
				c, name := calls[r.IntN(len(calls))], []string{"a", "b", "dead"}[r.IntN(3)]
				x := call(t, s, c.action, fmt.Sprintf(c.in, name))
				if x.status >= 500 {
					t.Errorf("%s: %s", c.action, x.body)
				}
			}
		})
	}
	all.Wait()
}
