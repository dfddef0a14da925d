package sqshttp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// An answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// Do answers a request in the calling goroutine, as an HTTP client would that sends it
// to SQS: give the Service to an AWS client as its HTTPClient. There is no network, no
// goroutine, and no time but that of long polls, which end with the request's context;
// so it works in a testing/synctest bubble. Whatever host the request is for, it ends
// here. An error is the context's.
func (s *Service) Do(r *http.Request) (*http.Response, error) {
	c := newCall(s, r, r.URL.Scheme, cmp.Or(r.Host, r.URL.Host))
	var body []byte
	var err error
	if r.Body != nil {
		defer r.Body.Close()
		body, err = readBody(r, func(int) (io.Reader, error) { return r.Body, nil })
		if _, told := errors.AsType[*Error](err); err != nil && !told {
			return nil, err
		}
	}
	a, err := c.answer(r, body, err)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r,
	}, nil
}

// ServeHTTP answers a request that came to a port. Requests by web pages of other sites
// are refused, and those for host names that are neither loopback nor in
// Options.Hosts. Without Options.Keys, whoever reaches the port may do everything.
//
// The body is read within 30 s, and the answer written within 30 s of when it is there.
// Limits on connections and on headers are the server's: those of [Service.Listen], or
// your own.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, context.Background())
}

// serve answers a request. When stopping ends, a receive that waits is told that nothing
// came.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, stopping context.Context) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	p := &port{limits: s.limits, conn: http.NewResponseController(w), stopping: stopping}
	c := newCall(s, r, scheme, r.Host)
	c.port = p
	p.begin()
	var body []byte
	err := s.guard(r)
	if err == nil {
		body, err = p.read(r)
	}
	a, err := func() (*answer, error) {
		defer p.release() // also if a hook panics
		return c.answer(r, body, err)
	}()
	if err != nil {
		a = c.encode("", newID(), nil, busy) // to be heard by who is still there
	}
	p.write(w, a)
}

func (a *answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	w.Write(a.body)
}

// guard keeps web pages of other sites out: by their Origin, and by the name that they
// use for this host.
func (s *Service) guard(r *http.Request) error {
	var sites http.CrossOriginProtection
	asked := r
	if r.Method != http.MethodPost { // a GET does as much here, and would be let through
		asked = new(*r)
		asked.Method = http.MethodPost
	}
	if sites.Check(asked) != nil || !s.answersTo(r.Host) {
		return invalidSecurity.because("Requests by pages of other sites, and for other hosts, are refused.")
	}
	return nil
}

func (s *Service) answersTo(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return true
	}
	return strings.EqualFold(host, "localhost") ||
		slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func isJSON(r *http.Request) bool { return r.Header.Get("X-Amz-Target") != "" }

// answer carries out a request, or says why it was refused before. An error is that of
// its context, and means that nobody waits for an answer.
func (c *call) answer(r *http.Request, body []byte, err error) (*answer, error) {
	var name string
	var out any
	if err == nil {
		var a action
		var in any
		err = c.port.decode(c.ctx, func() (err error) {
			name, a, in, err = c.decode(r, body)
			return err
		})
		if err == nil {
			out, err = a.run(c, in)
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	var e *Error
	if err != nil {
		e = asError(err)
	}
	return c.encode(name, newID(), out, e), nil
}

// encode writes an answer in the protocol of the call.
func (c *call) encode(action, id string, out any, e *Error) *answer {
	var a *answer
	switch {
	case e == noAction:
		a = &answer{http.StatusNotFound, http.Header{"Content-Type": {xmlType}}, []byte("<UnknownOperationException/>\n")}
	case c.query && c.asJSON:
		a = encodeQueryJSON(action, id, out, e)
	case c.query:
		a = encodeQuery(action, id, out, e)
	default:
		a = encodeJSON(out, e)
	}
	a.header.Set("X-Amzn-Requestid", id)
	if a.status == http.StatusServiceUnavailable {
		a.header.Set("Retry-After", "1")
	}
	return a
}

// checkForm refuses bodies that would have to be unpacked.
func checkForm(r *http.Request) error {
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return serialization.because("The content encoding %s is not supported.", quoted(encoding))
		}
	}
	const multipart = "multipart/"
	if t := strings.TrimSpace(r.Header.Get("Content-Type")); len(t) >= len(multipart) && strings.EqualFold(t[:len(multipart)], multipart) {
		return serialization.because("The content type %s is not supported.", quoted(t))
	}
	return nil
}

// decode returns what a request asks for: an action by its name, and its input.
func (c *call) decode(r *http.Request, body []byte) (name string, a action, in any, err error) {
	if err := checkForm(r); err != nil {
		return "", a, nil, err
	}
	if err := c.s.authenticate(r, c.host, body); err != nil {
		return "", a, nil, err
	}
	if c.query {
		return c.readQuery(r, body)
	}
	return c.readJSON(r, body)
}

func (c *call) readJSON(r *http.Request, body []byte) (name string, a action, in any, err error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	a, known := actions[name]
	if !ok || !known || r.Method != http.MethodPost {
		return name, a, nil, unknownOperation.because("The operation %s is not known.", quoted(r.Header.Get("X-Amz-Target")))
	}
	in = a.input()
	return name, a, in, decodeJSON(body, in)
}

// noAction is what a request without an action is told, in words of its own.
var noAction = unknownOperation.because("The request has no Action.")

func (c *call) readQuery(r *http.Request, body []byte) (name string, a action, in any, err error) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t == "application/x-www-form-urlencoded" {
			text = string(body)
		}
	} else if r.Method != http.MethodGet {
		return "", a, nil, noAction
	}
	p, err := newParams(text)
	if err != nil {
		return "", a, nil, err
	}
	name = p.values.Get("Action")
	a, ok := actions[name]
	switch {
	case name == "":
		return "", a, nil, noAction
	case !ok:
		return "", a, nil, invalidAction.because("The action %s is not valid for this endpoint.", quoted(name))
	}
	in = a.input()
	return name, a, in, p.decode("", reflect.ValueOf(in).Elem())
}
