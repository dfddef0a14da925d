package sqshttp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Bodies that are as large as they may be, and made to cost as much as they can.
func costlyBodies() map[string]*http.Request {
	const n = mostBody - 200
	requests := map[string]*http.Request{}
	add := func(name, header, value, body string) {
		if len(body) > mostBody {
			panic(name)
		}
		for _, length := range []int64{int64(len(body)), -1} {
			r := httptest.NewRequest("POST", "http://localhost/000000000000/q", strings.NewReader(body))
			r.Header.Set(header, value)
			r.ContentLength = length
			requests[fmt.Sprintf("%s, length %d", name, length)] = r
		}
	}
	asJSON := func(name, action, body string) { add(action+" "+name, "X-Amz-Target", "AmazonSQS."+action, body) }
	form := func(name, action, body string) {
		add(action+" form "+name, "Content-Type", "application/x-www-form-urlencoded", "Action="+action+"&"+body)
	}
	fill := func(text string) string { return strings.Repeat(text, n/len(text)) }
	quote := func(text string) string { b, _ := json.Marshal(text); return string(b) }

	asJSON("body", "SendMessage", `{"QueueUrl":"q","MessageBody":"`+fill("x")+`"}`)
	asJSON("escaped body", "SendMessage", `{"QueueUrl":"q","MessageBody":"\n`+fill("x")+`"}`)
	asJSON("escapes", "SendMessage", `{"QueueUrl":"q","MessageBody":"`+fill(`\u0041`)+`"}`)
	asJSON("members", "SendMessage", `{`+fill(`"":0,`)+`"x":0}`)
	asJSON("names alone", "SendMessage", `{`+fill(`"":`)+`0}`)
	asJSON("entries", "SendMessageBatch", `{"QueueUrl":"q","Entries":[`+fill(`{},`)+`{}]}`)
	asJSON("ten entries", "SendMessageBatch", `{"QueueUrl":"q","Entries":[`+
		strings.Repeat(`{"Id":"a","MessageBody":"`+strings.Repeat("x", n/11)+`"},`, 9)+`{}]}`)
	asJSON("strings", "ReceiveMessage", `{"QueueUrl":"q","MessageAttributeNames":[`+fill(`"",`)+`""]}`)
	asJSON("lists", "SendMessage", `{"QueueUrl":"q","MessageAttributes":{"a":{"BinaryListValues":[`+fill(`"",`)+`""]}}}`)
	asJSON("levels", "ListQueues", fill(`[`))
	asJSON("objects", "ListQueues", fill(`{"":`))
	asJSON("number", "ListQueues", `{"MaxResults":`+fill("1")+`}`)
	asJSON("name of a member", "ListQueues", `{"`+fill("x")+`":1}`)
	asJSON("long name", "CreateQueue", `{"QueueName":"`+fill("<")+`"}`)
	asJSON("attribute", "SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"Policy":"`+fill(`[`)+`"}}`)
	asJSON("policy", "SetQueueAttributes", `{"QueueUrl":"q","Attributes":{"RedrivePolicy":`+quote(`{`+strings.Repeat(`"":0,`, n/8)+`"":0}`)+`}}`)
	asJSON("number attribute", "SendMessage", `{"QueueUrl":"q","MessageBody":"b","MessageAttributes":{"a":{"DataType":"Number","StringValue":"`+fill("1")+`"}}}`)
	asJSON("binary attribute", "SendMessage", `{"QueueUrl":"q","MessageBody":"b","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"`+strings.Repeat("AAAA", n/4-100)+`"}}}`)
	asJSON("type", "SendMessage", `{"QueueUrl":"q","MessageBody":"b","MessageAttributes":{"a":{"DataType":"`+fill("X")+`"}}}`)
	asJSON("handle", "DeleteMessage", `{"QueueUrl":"q","ReceiptHandle":"`+fill("AAAA")+`"}`)
	asJSON("task", "CancelMessageMoveTask", `{"TaskHandle":"`+fill("AAAA")+`"}`)
	asJSON("token", "ListQueues", `{"NextToken":"`+fill("AAAA")+`"}`)
	asJSON("tag", "TagQueue", `{"QueueUrl":"q","Tags":{"k":"`+fill("x")+`"}}`)
	asJSON("URL", "SendMessage", `{"QueueUrl":"`+fill("/")+`"}`)
	asJSON("not text", "SendMessage", `{"QueueUrl":"`+fill("\xff")+`"}`)
	form("body", "SendMessage", "MessageBody="+fill("x"))
	form("escaped body", "SendMessage", "MessageBody=+"+fill("x"))
	form("escapes", "SendMessage", "MessageBody="+fill("%41"))
	form("parameters", "SendMessage", fill("a&"))
	form("name", "SendMessage", fill("a")+"=x")
	form("dots", "SendMessage", fill("a.")+"=x")
	form("names with dots", "SendMessage", strings.Repeat(strings.Repeat("a.", 120)+"=x&", 1900))
	form("ten entries", "SendMessageBatch", func() string {
		v := url.Values{}
		for i := range 10 {
			v.Set(fmt.Sprintf("SendMessageBatchRequestEntry.%d.MessageBody", i+1), strings.Repeat("x", n/11))
			v.Set(fmt.Sprintf("SendMessageBatchRequestEntry.%d.Id", i+1), fmt.Sprint(i))
		}
		return v.Encode()
	}())
	form("binary", "SendMessage", "MessageBody=b&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType=Binary&MessageAttribute.1.Value.BinaryValue="+fill("A"))
	add("nothing known", "X-Other", "x", fill("x"))
	return requests
}

// A request takes at most four times as much memory as its body may have.
func TestMemoryOfRequestsIsBounded(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	s, err := New(Options{})
	require.NoError(t, err)
	_, err = s.CreateQueue("q", nil)
	require.NoError(t, err)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	most, costliest := uint64(0), ""
	for name, r := range costlyBodies() {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		require.LessOrEqual(t, took, uint64(4*mostBody), "%s: %d %.200s", name, w.Code, w.Body)
		require.Less(t, w.Code, 500, name)
		if took > most {
			most, costliest = took, name
		}
	}
	t.Logf("at most %.1f times the limit, for %s", float64(most)/mostBody, costliest)
}

// Of what JSON must escape, nothing is escaped to more than twice its length.
func TestAnswersAreEscapedNoMoreThanNeeded(t *testing.T) {
	for _, text := range []string{"<&>", "\"\\", "\t\r\n", "\u2028\u2029", "é\U0001f600"} {
		body := strings.Repeat(text, 1000)
		n := len(encodeJSON(receivedMessage{Body: body}, nil).body)
		require.LessOrEqual(t, n, 2*len(body)+200, "%q", text)
	}
}

// What is stored of a request holds nothing else of it.
func TestStoredMessageKeepsNothingElse(t *testing.T) {
	s, err := New(Options{})
	require.NoError(t, err)
	_, err = s.CreateQueue("q", nil)
	require.NoError(t, err)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	junk := "&Junk=" + strings.Repeat("x", mostBody-1000)
	before := heap()
	for range 4 {
		r := httptest.NewRequest("POST", "http://localhost/000000000000/q", strings.NewReader("Action=SendMessage&MessageBody=x&MessageGroupId=g"+junk))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code, w.Body)
	}
	require.Less(t, int64(heap())-int64(before), int64(mostBody))
	runtime.KeepAlive(s)
	runtime.KeepAlive(junk)
}

// Ten thousand clients begin to wait and go away, each over a connection of its own.
// Their polls end at that instant, and what is sent then is all there.
func TestVanishedClientsTakeNothing(t *testing.T) {
	const clients = 10_000
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		poll := request("ReceiveMessage", `{"QueueUrl":"q","WaitTimeSeconds":20}`)
		began := time.Now()
		for n := 0; n < clients; n += 1000 {
			for range 1000 {
				ours, theirs := net.Pipe()
				p.conns <- theirs
				go func() {
					io.WriteString(ours, poll)
					time.Sleep(time.Second)
					ours.Close()
				}()
			}
			synctest.Wait()
			require.EqualValues(t, 1000, s.limits.polls.Load())
			time.Sleep(time.Second)
			synctest.Wait()
			require.Zero(t, s.limits.polls.Load())
		}
		require.Equal(t, 10*time.Second, time.Since(began))
		q, _ := s.Queue("q")
		for range 100 {
			_, err := q.Send(t.Context(), "x")
			require.NoError(t, err)
		}
		stats, err := q.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, 100, stats.Visible)
	})
}

// Clients that go away at the very moment of a send either have a message or have left
// it where it was.
func TestClientsThatVanishDuringSendsLoseNothing(t *testing.T) {
	const polls, rounds = 100, 100
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{})
		require.NoError(t, err)
		defer s.Close()
		q, err := s.CreateQueue("q", map[string]string{"VisibilityTimeout": "43200"})
		require.NoError(t, err)
		had := make(chan int, polls)
		received, cancelled := 0, 0
		for round := range rounds {
			for range polls {
				ctx, cancel := context.WithCancel(t.Context())
				r := httptest.NewRequestWithContext(ctx, "POST", "http://localhost/", strings.NewReader(`{"QueueUrl":"q","WaitTimeSeconds":20}`))
				r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
				go func() {
					resp, err := s.Do(r)
					if err != nil {
						had <- 0
						return
					}
					b, _ := io.ReadAll(resp.Body)
					had <- strings.Count(string(b), "MessageId")
				}()
				if wait := rand.IntN(3); wait > 0 {
					time.AfterFunc(time.Duration(wait)*time.Second, cancel)
				} else {
					go cancel() // a timer for now may crash the race detector: go.dev/issue/78156
				}
			}
			time.Sleep(time.Second) // when a third of them goes
			for range polls / 2 {
				_, err := q.Send(t.Context(), "x")
				require.NoError(t, err)
			}
			for range polls {
				if n := <-had; n > 0 {
					received += n
				} else {
					cancelled++
				}
			}
			stats, err := q.Stats(t.Context())
			require.NoError(t, err)
			require.Equal(t, (round+1)*polls/2, stats.Visible+stats.InFlight, "no message is lost")
			require.Equal(t, received, stats.InFlight, "and none taken that nobody has")
		}
		require.Positive(t, cancelled)
	})
}
