package sqshttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mostBody is how large the body of a request may be: of a message of 1 MiB, escaped
// as JSON or a form may do.
const mostBody = 8 << 20

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
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, mostBody+1)); err != nil {
			return nil, err
		}
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	a, err := s.answer(r, r.URL.Scheme, host, body)
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
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.guarded.ServeHTTP(w, r) }

// Limits on the time of a request: on reading it, and on answering beyond the longest
// wait.
const (
	readTime  = 30 * time.Second
	writeTime = 50 * time.Second
)

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	limits := http.NewResponseController(w)
	limits.SetReadDeadline(time.Now().Add(readTime)) // where that is possible
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody+1))
	if err != nil {
		return // nobody is there
	}
	limits.SetReadDeadline(time.Time{})
	limits.SetWriteDeadline(time.Now().Add(writeTime))
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	a, err := s.answer(r, scheme, r.Host, body)
	if err != nil {
		return
	}
	a.write(w)
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
func (s *Service) guard(h http.Handler) http.Handler {
	var sites http.CrossOriginProtection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		post := *r
		post.Method = http.MethodPost // a GET does as much here, and would be let through
		if sites.Check(&post) == nil && s.answersTo(r.Host) {
			h.ServeHTTP(w, r)
			return
		}
		e := invalidSecurity.because("Requests by pages of other sites, and for other hosts, are refused.")
		if isJSON(r) {
			encodeJSON(nil, e).write(w)
		} else {
			encodeQuery("", newID(), nil, e).write(w)
		}
	})
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

// answer carries out a request. An error is that of its context, and means that nobody
// waits for an answer.
func (s *Service) answer(r *http.Request, scheme, host string, body []byte) (*answer, error) {
	c := &call{s: s, ctx: r.Context(), base: scheme + "://" + host, path: r.URL.Path, query: !isJSON(r)}
	if s.o.BaseURL != "" {
		c.base = s.o.BaseURL
	}
	id := newID()
	var name string
	var out any
	err := checkBody(r, body)
	if err == nil {
		err = s.authenticate(r, host, body)
	}
	if err == nil && c.query {
		name, out, err = c.doQuery(r, body)
	} else if err == nil {
		name, out, err = c.doJSON(r, body)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	var e *Error
	if err != nil {
		e = asError(err)
	}
	var a *answer
	switch {
	case e == noAction:
		a = &answer{http.StatusNotFound, http.Header{"Content-Type": {xmlType}}, []byte("<UnknownOperationException/>\n")}
	case c.query && acceptsJSON(r):
		a = encodeQueryJSON(name, id, out, e)
	case c.query:
		a = encodeQuery(name, id, out, e)
	default:
		a = encodeJSON(out, e)
	}
	a.header.Set("X-Amzn-Requestid", id)
	return a, nil
}

func checkBody(r *http.Request, body []byte) error {
	switch encoding := r.Header.Get("Content-Encoding"); {
	case len(body) > mostBody:
		return requestTooLarge.because("The request has more than %d bytes.", mostBody)
	case encoding != "" && encoding != "identity":
		return serialization.because("The content encoding %s is not supported.", quoted(encoding))
	}
	return nil
}

func (c *call) doJSON(r *http.Request, body []byte) (name string, out any, err error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	a, known := actions[name]
	if !ok || !known || r.Method != http.MethodPost {
		return name, nil, unknownOperation.because("The operation %s is not known.", quoted(r.Header.Get("X-Amz-Target")))
	}
	in := a.input()
	if err := decodeJSON(body, in); err != nil {
		return name, nil, err
	}
	out, err = a.run(c, in)
	return name, out, err
}

// noAction is what a request without an action is told, in words of its own.
var noAction = unknownOperation.because("The request has no Action.")

func (c *call) doQuery(r *http.Request, body []byte) (name string, out any, err error) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t == "application/x-www-form-urlencoded" {
			text = string(body)
		}
	} else if r.Method != http.MethodGet {
		return "", nil, noAction
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return "", nil, invalidParameterValue.because("The parameters are not well formed.")
	}
	name = values.Get("Action")
	a, ok := actions[name]
	switch {
	case name == "":
		return "", nil, noAction
	case !ok:
		return "", nil, invalidAction.because("The action %s is not valid for this endpoint.", quoted(name))
	}
	p, err := newParams(values)
	if err != nil {
		return name, nil, err
	}
	in := a.input()
	if err := p.decode("", reflect.ValueOf(in).Elem()); err != nil {
		return name, nil, err
	}
	out, err = a.run(c, in)
	return name, out, err
}
