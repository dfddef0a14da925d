package clienttest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/sqshttp"
)

func newSigned(t *testing.T) *sqshttp.Service {
	t.Helper()
	s, err := sqshttp.New(sqshttp.Options{Keys: map[string]string{"AKIDEXAMPLE": "secret"}})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestSignedClient(t *testing.T) {
	s := newSigned(t)
	server := httptest.NewServer(s)
	defer server.Close()
	for name, c := range map[string]*sqs.Client{
		"in process": inProcess(s),
		"loopback":   sqs.New(sqs.Options{BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: credentials, RetryMaxAttempts: 1}),
	} {
		url := create(t, c, strings.ReplaceAll(name, " ", "-"))
		send(t, c, url, "grüße")
		require.Len(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), 1, name)
	}
	with := func(change func(*sqs.Options)) error {
		o := sqs.Options{HTTPClient: s, Region: "us-east-1", Credentials: credentials, RetryMaxAttempts: 1}
		change(&o)
		_, err := sqs.New(o).ListQueues(t.Context(), nil)
		return err
	}
	key := func(id, secret, token string) func(*sqs.Options) {
		return func(o *sqs.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
			})
		}
	}
	require.NoError(t, with(func(*sqs.Options) {}))
	refused(t, with(key("AKIDEXAMPLE", "wrong", "")), "SignatureDoesNotMatch")
	refused(t, with(key("NOBODY", "secret", "")), "SignatureDoesNotMatch")
	refused(t, with(key("AKIDEXAMPLE", "secret", "token")), "InvalidClientTokenId")
	refused(t, with(func(o *sqs.Options) { o.Region = "eu-west-1" }), "SignatureDoesNotMatch")
	refused(t, with(func(o *sqs.Options) { o.Credentials = aws.AnonymousCredentials{} }), "MissingAuthenticationToken")
}

// Without keys nobody looks at credentials, be they temporary ones with a session token,
// as those of single sign-on are.
func TestAnyCredentialsDoWithoutKeys(t *testing.T) {
	s := newService(t)
	server := httptest.NewServer(s)
	defer server.Close()
	temporary := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "token", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
	})
	for name, o := range map[string]sqs.Options{"in process": {HTTPClient: s}, "loopback": {BaseEndpoint: &server.URL}} {
		o.Region, o.Credentials = "us-east-1", temporary
		c := sqs.New(o)
		url := create(t, c, strings.ReplaceAll(name, " ", "-"))
		send(t, c, url, "x")
		require.Len(t, receive(t, c, &sqs.ReceiveMessageInput{QueueUrl: url}), 1, name)
	}
}

var requests = flag.Int("signatures", 2000, "how many random requests are signed, and ten times as many altered")

// A signable is a request before it is sent.
type signable struct {
	method, host, path, query string
	header                    http.Header
	body                      []byte
}

func (q signable) clone() signable {
	q.header, q.body = q.header.Clone(), slices.Clone(q.body)
	return q
}

// request returns what a server would read, or false where it would not.
func (q signable) request() (*http.Request, bool) {
	target := q.path
	if q.query != "" {
		target += "?" + q.query
	}
	u, err := url.ParseRequestURI("http://" + q.host + target)
	if err != nil || u.Host != q.host || u.Path == "" || strings.ContainsAny(target, " #") {
		return nil, false
	}
	return &http.Request{Method: q.method, URL: u, Host: q.host, Header: q.header, ContentLength: int64(len(q.body)),
		Body: io.NopCloser(bytes.NewReader(q.body))}, true
}

// random returns a request that any signer may be given, in one of the protocols.
func random(r *rand.Rand) signable {
	text := func() string {
		runes := []rune("azAZ09-_~ /+%&=?:;,@!$'()*üß€")
		b := []rune("x") // no dots: the SDK would leave a path with /../ as it is
		for range r.IntN(12) {
			b = append(b, runes[r.IntN(len(runes))])
		}
		return string(b)
	}
	v := url.Values{"Action": {"ListQueues"}}
	for i := range r.IntN(4) {
		v.Add(fmt.Sprint("x", i*i), text()) // the SDK sorts names before it escapes them, AWS after
	}
	q := signable{method: "GET", host: "localhost:9324", path: "/", query: v.Encode(), header: http.Header{}}
	switch r.IntN(3) {
	case 0:
		q.method, q.query, q.body = "POST", "", []byte(v.Encode())
		q.header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	case 1:
		q.method, q.query = "POST", ""
		q.body, _ = json.Marshal(v)
		q.header.Set("Content-Type", "application/x-amz-json-1.0")
		q.header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
	default:
		q.path += url.PathEscape(text())
	}
	for range r.IntN(3) {
		q.header.Add("X-Amz-Meta", "  a   b "+strings.Map(func(r rune) rune { return min(r, '~') }, text()))
	}
	return q
}

// altered returns a signed request with one bit or one signed header changed, and what was
// done to it.
func altered(r *rand.Rand, q signable) (signable, string) {
	q = q.clone()
	flip := func(text string) string {
		b := []byte(text)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return string(b)
	}
	names := slices.Sorted(maps.Keys(q.header))
	name := ""
	what := r.IntN(5)
	if len(names) > 0 { // as there are, unless it is presigned
		name, what = names[r.IntN(len(names))], r.IntN(9)
	}
	switch {
	case what == 0:
		q.method = flip(q.method)
		return q, "method"
	case what == 1:
		q.host = flip(q.host)
		return q, "host"
	case what == 2:
		q.path = flip(q.path)
		return q, "path"
	case what == 3 && q.query != "":
		q.query = flip(q.query)
		return q, "query"
	case what == 4 && len(q.body) > 0:
		q.body = []byte(flip(string(q.body)))
		return q, "body"
	case what < 5: // and there is no such part
		return q, ""
	case what == 5:
		q.header.Del(name)
		return q, "no " + name
	case what == 6:
		q.header.Add(name, q.header.Get(name))
		return q, "two of " + name
	default:
		values := q.header[name]
		i := r.IntN(len(values))
		values[i] = flip(values[i])
		return q, "header " + name
	}
}

// same says whether two requests say the same: %4a and %4A, two spaces and one, or a path
// with // in it.
func same(a, b signable) bool {
	ra, _ := a.request()
	rb, _ := b.request()
	va, erra := url.ParseQuery(a.query)
	vb, errb := url.ParseQuery(b.query)
	words := func(h http.Header) http.Header {
		h = h.Clone()
		for _, values := range h {
			for i := range values {
				values[i] = strings.Join(strings.Fields(values[i]), " ")
			}
		}
		return h
	}
	return erra == nil && errb == nil && a.method == b.method && a.host == b.host && clean(ra) == clean(rb) &&
		reflect.DeepEqual(va, vb) && bytes.Equal(a.body, b.body) && reflect.DeepEqual(words(a.header), words(b.header))
}

// clean returns the path of a request as it is signed.
func clean(r *http.Request) string {
	came := cmp.Or(r.URL.RawPath, r.URL.EscapedPath())
	cleaned := path.Clean(came)
	if strings.HasSuffix(came, "/") {
		cleaned = strings.TrimSuffix(cleaned, "/") + "/"
	}
	return cleaned
}

func sign(t *testing.T, r *http.Request, body []byte, at time.Time) {
	t.Helper()
	sum := sha256.Sum256(body)
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"},
		r, hex.EncodeToString(sum[:]), "sqs", "us-east-1", at)
	require.NoError(t, err)
}

func status(t *testing.T, s *sqshttp.Service, r *http.Request) (int, string) {
	t.Helper()
	resp, err := s.Do(r)
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// A judge holds signed requests, and ten alterations of each, against a service.
type judge struct {
	s     *sqshttp.Service
	r     *rand.Rand
	n     int
	kinds map[string]int
}

func newJudge(t *testing.T) *judge {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return &judge{newSigned(t), rand.New(rand.NewPCG(seed, 0)), 0, map[string]int{}}
}

func (j *judge) check(t *testing.T, q signable) {
	t.Helper()
	req, ok := q.request()
	require.True(t, ok, "%+v", q)
	code, text := status(t, j.s, req)
	if code != 200 && !strings.Contains(text, "not valid for this endpoint") { // ListQueues on a path
		t.Fatalf("%+v: %s", q, text)
	}
	j.n++
	for refused := 0; refused < 10; {
		bad, what := altered(j.r, q)
		req, ok := bad.request()
		if !ok || same(q, bad) {
			continue
		}
		code, text := status(t, j.s, req)
		kind := ""
		for _, k := range []string{"SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "RequestExpired"} {
			if strings.Contains(text, k) {
				kind = k
			}
		}
		if code != 403 && code != 400 || kind == "" {
			t.Fatalf("%s: %d %s\n%+v\n%+v", what, code, text, q, bad)
		}
		j.kinds[kind]++
		refused++
	}
}

// What the Go SDK's signer signs is accepted, and with a bit or a signed header changed it
// is refused. The long form, of this and of the other signers, is
//
//	go test ./sqshttp/clienttest -run TestSignaturesOf -v -timeout 1h -args -signatures 100000
func TestSignaturesOfRandomRequests(t *testing.T) {
	j := newJudge(t)
	for range *requests {
		q := random(j.r)
		req, ok := q.request()
		require.True(t, ok, "%+v", q)
		sign(t, req, q.body, time.Now())
		j.check(t, q)
	}
	t.Logf("%d accepted, altered and refused: %v", j.n, j.kinds)
}

// What botocore signs is accepted, and altered it is refused: it signs paths with dots and
// slashes as AWS does, and presigns.
func TestSignaturesOfBotocore(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import botocore").Run() != nil {
		t.Skip("no botocore here: on Debian, apt-get install python3-botocore")
	}
	checkSigner(t, python, "signatures.py")
}

// So is what the JavaScript SDK's signer signs.
func TestSignaturesOfJavaScript(t *testing.T) {
	if _, err := os.Stat("js/node_modules/@smithy/signature-v4"); err != nil {
		t.Skip("its packages are not installed: npm install --prefix sqshttp/clienttest/js")
	}
	checkSigner(t, "node", "js/signatures.mjs")
}

// checkSigner judges what a program has signed, which prints it as lines of JSON.
func checkSigner(t *testing.T, program, script string) {
	t.Helper()
	j := newJudge(t)
	cmd := exec.CommandContext(t.Context(), program, script, fmt.Sprint(*requests), fmt.Sprint(rand.Uint32()))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Log(cmd.Args)
	for lines := json.NewDecoder(out); ; {
		var p struct {
			Method, URL, Body string
			Header            map[string]string
		}
		if err := lines.Decode(&p); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
		rest := strings.TrimPrefix(p.URL, "http://")
		q := signable{method: p.Method, header: http.Header{}, body: []byte(p.Body)}
		rest, q.query, _ = strings.Cut(rest, "?")
		i := strings.Index(rest, "/")
		q.host, q.path = rest[:i], rest[i:]
		for name, value := range p.Header {
			q.header.Set(name, value)
		}
		j.check(t, q)
	}
	require.NoError(t, cmd.Wait())
	require.Equal(t, *requests, j.n)
	t.Logf("%d accepted, altered and refused: %v", j.n, j.kinds)
}

func TestPresignedRequestsHaveTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSigned(t)
		presigned := func(seconds int) *http.Request {
			req := httptest.NewRequest("GET", fmt.Sprintf("http://localhost/?Action=ListQueues&X-Amz-Expires=%d", seconds), nil)
			sum := sha256.Sum256(nil)
			signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"},
				req, hex.EncodeToString(sum[:]), "sqs", "us-east-1", time.Now())
			require.NoError(t, err)
			return httptest.NewRequest("GET", signed, nil)
		}
		week := presigned(604_800)
		code, text := status(t, s, week)
		require.Equal(t, 200, code, text)
		code, _ = status(t, s, presigned(604_801))
		require.Equal(t, 400, code)
		time.Sleep(604_800 * time.Second)
		code, _ = status(t, s, week)
		require.Equal(t, 200, code)
		time.Sleep(time.Second)
		code, text = status(t, s, week)
		require.Equal(t, 400, code)
		require.Contains(t, text, "RequestExpired")

		early := presigned(60)
		early.URL.RawQuery = strings.Replace(early.URL.RawQuery, "X-Amz-Date=2000", "X-Amz-Date=2001", 1)
		code, text = status(t, s, early)
		require.Equal(t, 400, code)
		require.Contains(t, text, "RequestExpired", "it is not time yet")
		for _, change := range [][2]string{
			{"X-Amz-Expires=60", "X-Amz-Expires=61"}, {"ListQueues", "PurgeQueue"}, {"X-Amz-Signature=", "X-Amz-Signature=0"},
		} {
			r := presigned(60)
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, change[0], change[1], 1)
			code, text = status(t, s, r)
			require.Equal(t, 403, code, text)
			require.Contains(t, text, "SignatureDoesNotMatch", change[1])
		}
		for _, change := range [][2]string{
			{"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"}, {"X-Amz-Expires=60", "X-Amz-Expires=0"}, {"X-Amz-Expires=60", "X-Amz-Expires=-1"},
			{"X-Amz-Expires=60", ""}, {"X-Amz-Date=", "X-Amz-Date=1&X-Amz-Date="}, {"SignedHeaders=host", "SignedHeaders=x"},
		} {
			r := presigned(60)
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, change[0], change[1], 1)
			code, text = status(t, s, r)
			require.Equal(t, 400, code, text)
			require.Contains(t, text, "IncompleteSignature", change[1])
		}
	})
}

// What is wrong with a request's signature is told by AWS's codes, in both protocols.
func TestBrokenSignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSigned(t)
		signed := func(change func(r *http.Request)) func(*http.Request) {
			return func(r *http.Request) {
				sign(t, r, nil, time.Now())
				change(r)
			}
		}
		authorization := func(text string) func(*http.Request) {
			return signed(func(r *http.Request) { r.Header.Set("Authorization", text) })
		}
		at := func(d time.Duration) func(*http.Request) {
			return func(r *http.Request) { sign(t, r, nil, time.Now().Add(d)) }
		}
		as := func(id, secret, token, service, region string) func(*http.Request) {
			return func(r *http.Request) {
				sum := sha256.Sum256(nil)
				err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token},
					r, hex.EncodeToString(sum[:]), service, region, time.Now())
				require.NoError(t, err)
			}
		}
		messages := map[string]string{}
		for _, c := range []struct {
			name   string
			status int
			code   string
			sign   func(*http.Request)
		}{
			{"nothing", 403, "MissingAuthenticationToken", func(*http.Request) {}},
			{"anonymous, with a date", 403, "MissingAuthenticationToken", signed(func(r *http.Request) { r.Header.Del("Authorization") })},
			{"wrong secret", 403, "SignatureDoesNotMatch", as("AKIDEXAMPLE", "wrong", "", "sqs", "us-east-1")},
			{"unknown key", 403, "SignatureDoesNotMatch", as("NOBODY", "secret", "", "sqs", "us-east-1")},
			{"unknown key without a secret", 403, "SignatureDoesNotMatch", as("NOBODY", "", "", "sqs", "us-east-1")},
			{"other service", 403, "SignatureDoesNotMatch", as("AKIDEXAMPLE", "secret", "", "sns", "us-east-1")},
			{"other region", 403, "SignatureDoesNotMatch", as("AKIDEXAMPLE", "secret", "", "sqs", "eu-west-1")},
			{"other date in the scope", 403, "SignatureDoesNotMatch", signed(func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/20000101/", "/20000102/", 1))
			})},
			{"session token", 403, "InvalidClientTokenId", as("AKIDEXAMPLE", "secret", "token", "sqs", "us-east-1")},
			{"session token of an unknown key", 403, "InvalidClientTokenId", as("NOBODY", "wrong", "token", "sqs", "us-east-1")},
			{"session token that is not signed", 400, "IncompleteSignature", signed(func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") })},
			{"15 minutes late", 200, "", at(-15 * time.Minute)},
			{"15 minutes early", 200, "", at(15 * time.Minute)},
			{"later", 400, "RequestExpired", at(-15*time.Minute - time.Second)},
			{"earlier", 400, "RequestExpired", at(15*time.Minute + time.Second)},
			{"basic", 400, "IncompleteSignature", authorization("Basic Zm9v")},
			{"empty", 400, "IncompleteSignature", authorization("")},
			{"other algorithm", 400, "IncompleteSignature", authorization("AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00")},
			{"version 3", 400, "IncompleteSignature", authorization("AWS3-HTTPS AWSAccessKeyId=AKIDEXAMPLE,Algorithm=HmacSHA256,Signature=00")},
			{"no parts", 400, "IncompleteSignature", authorization("AWS4-HMAC-SHA256")},
			{"no scope", 400, "IncompleteSignature", authorization("AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=00")},
			{"no signature", 400, "IncompleteSignature", authorization("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;x-amz-date, Signature=")},
			{"no host", 400, "IncompleteSignature", authorization("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=x-amz-date, Signature=00")},
			{"date not signed", 400, "IncompleteSignature", authorization("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00")},
			{"a part twice", 400, "IncompleteSignature", authorization("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Credential=a/b/c/d/e, SignedHeaders=host, Signature=00")},
			{"two of them", 400, "IncompleteSignature", signed(func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) })},
			{"no date", 400, "IncompleteSignature", signed(func(r *http.Request) { r.Header.Del("X-Amz-Date") })},
			{"parameters that can not be read", 400, "IncompleteSignature", signed(func(r *http.Request) { r.URL.RawQuery += "&%zz" })},
		} {
			for _, protocol := range []string{"Query", "JSON"} {
				r := httptest.NewRequest("GET", "http://localhost/?Action=ListQueues", nil)
				if protocol == "JSON" {
					r = httptest.NewRequest("POST", "http://localhost/", nil)
					r.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
				}
				c.sign(r)
				resp, err := s.Do(r)
				require.NoError(t, err)
				b, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, c.status, resp.StatusCode, "%s, %s: %s", c.name, protocol, b)
				switch {
				case c.code == "":
				case protocol == "JSON":
					require.Contains(t, string(b), `"__type":"com.amazonaws.sqs#`+c.code+`"`, c.name)
					require.Equal(t, c.code+";Sender", resp.Header.Get("X-Amzn-Query-Error"))
					messages[c.name] = string(b)
				default:
					require.Contains(t, string(b), "<Code>"+c.code+"</Code>", c.name)
				}
			}
		}
		require.Equal(t, messages["wrong secret"], messages["unknown key"])
		require.Equal(t, messages["wrong secret"], messages["other region"])
		r := httptest.NewRequest("GET", "http://localhost/?Action=ListQueues", nil)
		sign(t, r, nil, time.Now())
		r.Header.Set("X-Amz-Target", "AmazonSQS.PurgeQueue")
		_, text := status(t, s, r)
		require.Contains(t, text, "IncompleteSignature", "a target that is not signed")
	})
}
