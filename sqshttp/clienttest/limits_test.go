package clienttest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// A served client lets a handler answer without a network, so that it works in a bubble.
type served struct{ http.Handler }

func (c served) Do(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.Host = "localhost"
	w := httptest.NewRecorder()
	c.ServeHTTP(w, in)
	return w.Result(), nil
}

// The SDK tries again when too many receives wait, and succeeds when there is room.
func TestSDKTriesAgainWhenTheServiceIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := sqshttp.New(sqshttp.Options{MaxPolls: 1})
		require.NoError(t, err)
		defer s.Close()
		busy := 0
		// The pauses are drawn at random: ten may be over before there is room.
		c := sqs.New(sqs.Options{Region: "us-east-1", Credentials: credentials, RetryMaxAttempts: 50,
			HTTPClient: served{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				s.ServeHTTP(answer, r)
				if answer.Code == http.StatusServiceUnavailable {
					busy++
				}
				for name, values := range answer.Header() {
					w.Header()[name] = values
				}
				w.WriteHeader(answer.Code)
				answer.Body.WriteTo(w)
			})}})
		url := create(t, c, "q")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5})
			require.NoError(t, err)
		}()
		synctest.Wait()
		began := time.Now()
		_, err = c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 1})
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(began), 5*time.Second)
		require.Positive(t, busy)
		<-done
	})
}

// A client that opens streams of HTTP/2 and resets them at once leaves nothing behind.
func TestRapidResetOfStreams(t *testing.T) {
	s := newService(t)
	certificates := httptest.NewTLSServer(nil)
	defer certificates.Close()
	v, err := s.Listen(sqshttp.ListenOptions{TLS: &tls.Config{Certificates: certificates.TLS.Certificates}})
	require.NoError(t, err)
	finished := make(chan error)
	go func() { finished <- v.Serve() }()
	client := certificates.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	get := func(query string) int {
		resp, err := client.Get(v.URL() + query)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 2, resp.ProtoMajor)
		return resp.StatusCode
	}
	require.Equal(t, 200, get("/?Action=CreateQueue&QueueName=q"))
	before := runtime.NumGoroutine()

	conn, err := tls.Dial("tcp", v.URL()[len("https://"):], &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, conn)
		close(ended)
	}()
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	framer := http2.NewFramer(conn, nil)
	require.NoError(t, framer.WriteSettings())
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for id := uint32(1); id < 10_000; id += 2 {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"},
			{":path", "/000000000000/q?Action=ReceiveMessage&WaitTimeSeconds=20"}} {
			encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		if err == nil {
			err = framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if err != nil {
			break // the server has had enough
		}
	}
	require.Equal(t, 200, get("/?Action=ListQueues"), "an honest client")
	conn.CloseWrite() // the server reads to the end, ends all streams, and closes the connection
	<-ended
	conn.Close()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+5 }, time.Minute, time.Millisecond,
		"nothing is left behind")
	require.Equal(t, 200, get("/000000000000/q?Action=SendMessage&MessageBody=x"))
	q, _ := s.Queue("q")
	_, ok := q.TryReceive()
	require.True(t, ok, "nobody has taken it")
	client.CloseIdleConnections()
	require.NoError(t, v.Shutdown(t.Context()))
	require.NoError(t, <-finished)
}
