package clienttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// randomRequest returns one of the Query protocol, and its body.
func randomRequest(r *rand.Rand) (*http.Request, []byte) {
	text := func() string {
		const letters = "azAZ09-_.~ /+%&=?:;,@!$'()*üß€"
		var b strings.Builder
		runes := []rune(letters)
		for range r.IntN(12) {
			b.WriteRune(runes[r.IntN(len(runes))])
		}
		return b.String()
	}
	v := url.Values{"Action": {"ListQueues"}}
	for i := range r.IntN(4) {
		v.Add(fmt.Sprint("x", i*i), text()) // the SDK sorts names before it escapes them, AWS after
	}
	req := httptest.NewRequest("GET", "http://localhost:9324/"+strings.TrimLeft(url.PathEscape(text()), "/")+"?"+v.Encode(), nil)
	var body []byte
	if r.IntN(2) == 0 {
		body = []byte(v.Encode())
		req = httptest.NewRequest("POST", "http://localhost:9324/", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	for range r.IntN(3) {
		req.Header.Add("X-Amz-Meta", "  a   b "+strings.Map(func(r rune) rune {
			if r > 126 {
				return 'x'
			}
			return r
		}, text()))
	}
	return req, body
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

// The Go SDK's signer agrees on whatever it signs, and no altered request passes.
func TestSignaturesOfRandomRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSigned(t)
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		for range 3000 {
			req, body := randomRequest(r)
			sign(t, req, body, time.Now())
			code, text := status(t, s, req)
			if code != 200 && !strings.Contains(text, "not valid for this endpoint") {
				t.Fatalf("%s %s %v: %s", req.Method, req.URL, req.Header, text)
			}
			altered := req.Clone(t.Context())
			if body != nil {
				altered.Body = io.NopCloser(bytes.NewReader(body))
			}
			what := r.IntN(6)
			switch what {
			case 0:
				altered.Method = map[string]string{"GET": "HEAD", "POST": "GET"}[req.Method]
			case 1:
				altered.URL.RawQuery += "&more=1"
			case 2:
				altered.Host = "localhost:9325"
			case 3:
				altered.Header.Set("X-Amz-Date", time.Now().Add(time.Second).UTC().Format("20060102T150405Z"))
			case 4:
				b := []byte(altered.Header.Get("Authorization"))
				last := &b[len(b)-1-r.IntN(64)]
				*last = "0123456789abcdef0"[strings.IndexByte("0123456789abcdef", *last)+1]
				altered.Header.Set("Authorization", string(b))
			case 5:
				altered.Body = io.NopCloser(bytes.NewReader(append(body, '&')))
			}
			code, text = status(t, s, altered)
			require.Equal(t, 403, code, "%d: %s %s %s", what, altered.Method, altered.URL, text)
			require.Contains(t, text, "SignatureDoesNotMatch")
		}
	})
}

func TestSignaturesHaveTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSigned(t)
		for late, want := range map[time.Duration]int{0: 200, 15 * time.Minute: 200, -15 * time.Minute: 200, 15*time.Minute + time.Second: 400, -15*time.Minute - time.Second: 400} {
			req := httptest.NewRequest("GET", "http://localhost/?Action=ListQueues", nil)
			sign(t, req, nil, time.Now().Add(-late))
			code, text := status(t, s, req)
			require.Equal(t, want, code, "%v: %s", late, text)
		}
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
	})
}

func TestBrokenSignatures(t *testing.T) {
	s := newSigned(t)
	for _, header := range []string{
		"", "Basic Zm9v", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/e",
		"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=",
		"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=x, Signature=00",
		"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Credential=a/b/c/d/e, SignedHeaders=host, Signature=00",
	} {
		req := httptest.NewRequest("GET", "http://localhost/?Action=ListQueues", nil)
		req.Header.Set("Authorization", header)
		req.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
		code, text := status(t, s, req)
		require.Contains(t, text, "IncompleteSignature", header)
		require.Equal(t, 400, code)
	}
	req := httptest.NewRequest("GET", "http://localhost/?Action=ListQueues", nil)
	sign(t, req, nil, time.Now())
	req.Header.Set("X-Amz-Target", "AmazonSQS.PurgeQueue")
	_, text := status(t, s, req)
	require.Contains(t, text, "IncompleteSignature", "a target that is not signed")
}
