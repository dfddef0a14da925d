package sqshttp_test

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// A web page in the developer's browser must not be able to send or purge: whatever it
// can make the browser say, nothing happens and it learns nothing.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	s := newService(t, sqshttp.Options{Hosts: []string{"sqs.example.org"}})
	q, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	hosts := map[string]bool{
		"localhost:9324": true, "LOCALHOST": true, "127.0.0.1:9324": true, "127.8.9.1": true, "[::1]:9324": true, "SQS.example.org": true,
		"evil.example": false, "evil.example:9324": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "localhost.": false,
		"169.254.169.254": false, "0.0.0.0:9324": false, "[::]:9324": false, "": false, "sqs.example.org.evil.example": false,
	}
	origins := func(host string) map[string]bool {
		return map[string]bool{
			"": true, "http://" + host: true,
			"http://localhost:3000": false, "https://evil.example": false, "null": false, "http://" + host + ".evil.example": false,
		}
	}
	// What the browser says of where the request comes from counts more than the origin.
	fetches := map[string]bool{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false, "other": false}
	forms := []string{"GET", "POST a form", "POST text", "POST JSON"}
	n := 0
	for host, goodHost := range hosts {
		for origin, goodOrigin := range origins(host) {
			for fetch, goodFetch := range fetches {
				for _, form := range forms {
					r := httptest.NewRequest("GET", "http://localhost/", nil)
					switch form {
					case "GET":
						r = httptest.NewRequest("GET", "http://localhost/000000000000/q?Action=SendMessage&MessageBody=x", nil)
					case "POST a form":
						r = httptest.NewRequest("POST", "http://localhost/000000000000/q", strings.NewReader("Action=SendMessage&MessageBody=x"))
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					case "POST text":
						r = httptest.NewRequest("POST", "http://localhost/000000000000/q?Action=SendMessage&MessageBody=x", strings.NewReader("x"))
						r.Header.Set("Content-Type", "text/plain")
					case "POST JSON":
						r = httptest.NewRequest("POST", "http://localhost/", strings.NewReader(`{"QueueUrl":"q","MessageBody":"x"}`))
						r.Header.Set("Content-Type", "application/x-amz-json-1.0")
						r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
					}
					r.Host = host
					if origin != "" {
						r.Header.Set("Origin", origin)
					}
					if fetch != "" {
						r.Header.Set("Sec-Fetch-Site", fetch)
					}
					w := httptest.NewRecorder()
					s.ServeHTTP(w, r)
					allowed := goodHost && goodFetch && (goodOrigin || fetch != "")
					_, sent := q.TryReceive()
					require.Equal(t, allowed, sent, "host %q, origin %q, Sec-Fetch-Site %q, %s", host, origin, fetch, form)
					if !allowed {
						require.Equal(t, 403, w.Code)
						require.Contains(t, w.Body.String(), "InvalidSecurity")
						require.Equal(t, form == "POST JSON", strings.HasPrefix(w.Body.String(), "{"))
					}
					for name := range w.Header() {
						require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
					}
					n++
				}
			}
		}
	}
	preflight := httptest.NewRequest("OPTIONS", "http://localhost/", nil)
	preflight.Header.Set("Origin", "https://evil.example")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, preflight)
	require.GreaterOrEqual(t, w.Code, 400)
	require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
	t.Logf("%d combinations", n)
}

func TestLargeAndPackedBodiesAreRefused(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	post := func(body io.Reader, header ...string) *http.Request {
		r := httptest.NewRequest("POST", host+"/", body)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r
	}
	spaces := func(n int) string { return "{" + strings.Repeat(" ", n-2) + "}" }
	list := func(levels int) string {
		return `{"x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + "}"
	}
	dotted := func(n int) string { return "a" + strings.Repeat(".1", n) }
	const target, listQueues, contentType, form = "X-Amz-Target", "AmazonSQS.ListQueues", "Content-Type", "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name string
		r    *http.Request
		want int
	}{
		{"8 MiB", post(strings.NewReader(spaces(8<<20)), target, listQueues), 200},
		{"8 MiB and 1", post(strings.NewReader(spaces(8<<20+1)), target, listQueues), 413},
		{"of unknown length", post(io.LimitReader(zeros{}, 9<<20), target, listQueues), 413},
		{"a form", post(io.LimitReader(zeros{}, 9<<20), contentType, form), 413},
		{"gzip", post(strings.NewReader("{}"), target, listQueues, "Content-Encoding", "gzip"), 400},
		{"identity", post(strings.NewReader("{}"), target, listQueues, "Content-Encoding", "identity"), 200},
		{"multipart", post(strings.NewReader("--x\r\nContent-Disposition: form-data; name=Action\r\n\r\nListQueues\r\n--x--"), contentType, "multipart/form-data; boundary=x"), 400},
		{"2,000 parameters", post(strings.NewReader(strings.Repeat("a=1&", 1999)+"Action=ListQueues"), contentType, form), 200},
		{"2,001 parameters", post(strings.NewReader(strings.Repeat("a=1&", 2000)+"Action=ListQueues"), contentType, form), 400},
		{"16 dots in a name", post(strings.NewReader(dotted(16)+"=1&Action=ListQueues"), contentType, form), 200},
		{"17 dots in a name", post(strings.NewReader(dotted(17)+"=1&Action=ListQueues"), contentType, form), 400},
		{"32 levels", post(strings.NewReader(list(32)), target, listQueues), 200},
		{"33 levels", post(strings.NewReader(list(33)), target, listQueues), 400},
		{"4,000 values", post(strings.NewReader(`{"x":[`+strings.Repeat(`1,`, 3998)+`1]}`), target, listQueues), 200},
		{"4,001 values", post(strings.NewReader(`{"x":[`+strings.Repeat(`1,`, 3999)+`1]}`), target, listQueues), 400},
		{"a member twice", post(strings.NewReader(`{"QueueNamePrefix":"a","QueueNamePrefix":"a"}`), target, listQueues), 400},
		{"a member twice, escaped", post(strings.NewReader(`{"x" : 1, "\u0078" : 2}`), target, listQueues), 400},
		{"a member twice, deep", post(strings.NewReader(`{"x":[{"a":{"b":1}},{"a":{"b":1,"b":2}}]}`), target, listQueues), 400},
		{"a member in each of two", post(strings.NewReader(`{"x":[{"a":"a"},{"a":"a"}],"a":"x"}`), target, listQueues), 200},
	} {
		served := httptest.NewRecorder()
		body, err := io.ReadAll(io.LimitReader(c.r.Body, 9<<20))
		require.NoError(t, err)
		c.r.Body = io.NopCloser(bytes.NewReader(body))
		s.ServeHTTP(served, c.r)
		require.Equal(t, c.want, served.Code, "%s: %s", c.name, served.Body)
		c.r.Body = io.NopCloser(bytes.NewReader(body))
		require.Equal(t, c.want, do(t, s, c.r).status, "%s, in process", c.name)
	}
}

// A body that ends too early is carried out by nobody, though what came of it would do: of a
// form any part does, and one in chunks does not say how long it is.
func TestBodyThatIsCutOffIsNotCarriedOut(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	q, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	for name, n := range map[string]int{"small": 1, "large": 100_000} {
		for _, whole := range []int64{-1, 1 << 20} {
			request := func() *http.Request {
				came := strings.NewReader("Action=SendMessage&QueueUrl=q&MessageBody=" + strings.Repeat("x", n))
				r := httptest.NewRequest("POST", host+"/", io.MultiReader(came, iotest.ErrReader(io.ErrUnexpectedEOF)))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.ContentLength = whole
				return r
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, request())
			require.Equal(t, 408, w.Code, "%s, of %d: %s", name, whole, w.Body)
			_, err = s.Do(request())
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			_, sent := q.TryReceive()
			require.False(t, sent)
		}
	}
}

func TestCountsAreLimited(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	_, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	list := func(n int, item string) string {
		var items []string
		for i := range n {
			items = append(items, strings.ReplaceAll(item, "#", fmt.Sprint(i)))
		}
		return strings.Join(items, ",")
	}
	for n, want := range map[int]int{10: 200, 11: 400} {
		x := call(t, s, "SendMessageBatch", `{"QueueUrl":"q","Entries":[`+list(n, `{"Id":"#","MessageBody":"x"}`)+`]}`)
		require.Equal(t, want, x.status, "%d entries: %s", n, x.body)
		x = call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageAttributes":{`+list(n, `"a#":{"DataType":"String","StringValue":"x"}`)+`}}`)
		require.Equal(t, want, x.status, "%d attributes: %s", n, x.body)
		name := strings.Repeat("x", 246+n)
		x = call(t, s, "SendMessage", `{"QueueUrl":"q","MessageBody":"x","MessageAttributes":{"`+name+`":{"DataType":"String","StringValue":"x"}}}`)
		require.Equal(t, want, x.status, "a name of %d: %s", len(name), x.body)
	}
}

// A handler around this one may end a request: it is not answered as if it were done.
func TestRequestThatWasEndedIsNotAnsweredAsDone(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	_, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, action := range []string{"SendMessage", "ReceiveMessage"} {
		r := httptest.NewRequestWithContext(ctx, "POST", host+"/", strings.NewReader(`{"QueueUrl":"q","MessageBody":"x"}`))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(t, 503, w.Code)
		require.Equal(t, "1", w.Header().Get("Retry-After"))
	}
}

// Whatever a client sends, nothing is logged, by the service or by the server that it
// listens with.
func TestNothingIsLogged(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	s := newService(t, sqshttp.Options{Keys: map[string]string{"AKIDEXAMPLE": "secret"}})
	v, err := s.Listen(sqshttp.ListenOptions{})
	require.NoError(t, err)
	served := make(chan error)
	go func() { served <- v.Serve() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, body := range []string{"Action=SendMessage&MessageBody=hush", "%zz", "\x00\xff", strings.Repeat("hush", 3<<20)} {
		r, err := http.NewRequest("POST", v.URL(), strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/hush, SignedHeaders=host, Signature=hush")
		if resp, err := client.Do(r); err == nil { // the largest may be cut off
			require.GreaterOrEqual(t, resp.StatusCode, 400)
			resp.Body.Close()
		}
	}
	require.NoError(t, v.Shutdown(t.Context()))
	require.NoError(t, <-served)
	require.Empty(t, logged.String())
}

// No code of the package decodes XML: it has none of encoding/xml but the escaper. Nor
// does it log, or reach out to anybody.
func TestPackageParsesNoXML(t *testing.T) {
	allowed := map[string][]string{"xml": {"EscapeText"}, "net": {"Listen", "Listener", "Conn", "TCPAddr", "ErrClosed", "JoinHostPort", "SplitHostPort", "ParseIP"}}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, i := range file.Imports {
			require.NotContains(t, []string{`"log"`, `"log/slog"`, `"os"`, `"os/exec"`, `"html/template"`, `"compress/gzip"`, `"mime/multipart"`}, i.Path.Value, name)
			require.Nil(t, i.Name, "%s: %s under another name", name, i.Path.Value)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if n, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := n.X.(*ast.Ident); ok && allowed[x.Name] != nil {
					require.True(t, slices.Contains(allowed[x.Name], n.Sel.Name), "%s: %s.%s", name, x.Name, n.Sel.Name)
					seen++
				}
				require.NotContains(t, []string{"DefaultClient", "DefaultTransport", "Dial", "DialContext"}, n.Sel.Name, name)
			}
			return true
		})
	}
	require.Positive(t, seen)
}

// Values that a client sent are told back short and without control characters.
func TestErrorsEscapeWhatTheyQuote(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	_, err := s.CreateQueue("q", nil)
	require.NoError(t, err)
	nasty := "\x1b[31m\r\n\u202e<script>\x00" + strings.Repeat("x", 5000)
	for _, params := range [][]string{
		{"Action", nasty}, {"Action", "CreateQueue", "QueueName", nasty}, {"Action", "DeleteMessage", "ReceiptHandle", nasty},
		{"Action", "GetQueueAttributes", "AttributeName.1", nasty}, {"Action", "CancelMessageMoveTask", "TaskHandle", nasty},
		{"Action", "SetQueueAttributes", "Attribute.1.Name", nasty, "Attribute.1.Value", "x"},
		{"Action", "SetQueueAttributes", "Attribute.1.Name", "Policy", "Attribute.1.Value", nasty},
		{"Action", "SetQueueAttributes", "Attribute.1.Name", "RedrivePolicy", "Attribute.1.Value", nasty},
		{"Action", "SendMessage", "MessageBody", "b", "MessageGroupId", nasty},
		{"Action", "TagQueue", "Tag.1.Key", nasty, "Tag.1.Value", "x"}, {"Action", "StartMessageMoveTask", "SourceArn", nasty},
		{"Action", "ReceiveMessage", "MaxNumberOfMessages", nasty}, {"Action", "ListQueues", "NextToken", nasty},
	} {
		path := "/000000000000/q"
		if params[1] == "CreateQueue" || params[1] == "ListQueues" {
			path = "/"
		}
		x := query(t, s, path, params...)
		require.GreaterOrEqual(t, x.status, 400, "%v", params)
		require.Less(t, len(x.body), 8000)
		require.NotContains(t, x.body, "<script>")
		message := x.element(t, "Message")
		require.False(t, strings.ContainsFunc(message, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }), "%s: %q", params[1], message)
	}
}
