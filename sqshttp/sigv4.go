package sqshttp

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	stamp     = "20060102T150405Z"
	skew      = 15 * time.Minute
	longest   = 7 * 24 * time.Hour // of a presigned request
)

var (
	missingToken      = kind{"MissingAuthenticationToken", "MissingAuthenticationToken", 403}
	invalidToken      = kind{"InvalidClientTokenId", "InvalidClientTokenId", 403}
	incomplete        = kind{"IncompleteSignature", "IncompleteSignature", 400}
	requestExpired    = kind{"RequestExpired", "RequestExpired", 400}
	signatureMismatch = kind{"SignatureDoesNotMatch", "SignatureDoesNotMatch", 403}
)

// What names of headers are made of, in lower case.
const headerName = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"

// A signature is what a request says of itself, by Signature Version 4.
type signature struct {
	key       string   // id of the secret
	scope     []string // date, region, service, aws4_request
	headers   []string // that are signed, sorted
	value     string   // hexadecimal
	date      time.Time
	expires   time.Duration // after date
	presigned bool
}

// authenticate holds a request against the keys, if there are any. What is wrong with a
// signature is not told beyond its form, and a key that is not known takes as long as
// one that is.
func (s *Service) authenticate(r *http.Request, host string, body []byte) error {
	if len(s.o.Keys) == 0 {
		return nil
	}
	g, err := readSignature(r)
	if err != nil {
		return err
	}
	now := time.Now()
	if now.Before(g.date.Add(-skew)) || now.After(g.date.Add(g.expires)) {
		return requestExpired.because("The request was signed for another time, or has expired.")
	}
	if r.Header.Get("X-Amz-Security-Token") != "" || r.URL.Query().Get("X-Amz-Security-Token") != "" {
		return invalidToken.because("The security token included in the request is invalid. This service has keys without one.")
	}
	secret, known := s.o.Keys[g.key]
	want := g.sign(secret, g.canonical(r, host, body))
	same := hmac.Equal([]byte(want), []byte(g.value))
	inScope := slices.Equal(g.scope, []string{g.date.Format("20060102"), s.o.Region, "sqs", "aws4_request"})
	if !known || !same || !inScope {
		return signatureMismatch.because("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method.")
	}
	return nil
}

// readSignature reads the Authorization header, or the parameters of a presigned
// request.
func readSignature(r *http.Request) (*signature, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // what can not be read can not be held against a signature
		return nil, badSignature("The parameters are not well formed.")
	}
	var g signature
	switch authorizations := r.Header.Values("Authorization"); {
	case len(authorizations) == 1:
		err = g.readHeader(authorizations[0], r.Header.Get("X-Amz-Date"))
	case len(authorizations) > 1:
		err = badSignature("There is more than one Authorization.")
	case query.Has("X-Amz-Algorithm"):
		err = g.readQuery(query)
	default:
		err = missingToken.because("Request is missing Authentication Token")
	}
	if err != nil {
		return nil, err
	}
	for _, must := range []string{"X-Amz-Date", "X-Amz-Target", "X-Amz-Security-Token"} {
		if r.Header.Get(must) != "" && !slices.Contains(g.headers, strings.ToLower(must)) {
			return nil, badSignature("SignedHeaders must have " + must + ".")
		}
	}
	return &g, nil
}

func badSignature(why string) error { return incomplete.because("%s", why) }

func (g *signature) readHeader(authorization, date string) error {
	rest, ok := strings.CutPrefix(authorization, algorithm+" ")
	if !ok {
		return badSignature("Authorization must be by " + algorithm + ".")
	}
	var credential, headers string
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case name == "Credential" && credential == "":
			credential = value
		case name == "SignedHeaders" && headers == "":
			headers = value
		case name == "Signature" && g.value == "":
			g.value = value
		default:
			return badSignature("Authorization has a part that is not known, or is there twice.")
		}
	}
	g.expires = skew
	return g.readParts(credential, headers, date)
}

func (g *signature) readQuery(query url.Values) error {
	for name, values := range query {
		if strings.HasPrefix(name, "X-Amz-") && len(values) > 1 {
			return badSignature("A parameter of the signature is there twice.")
		}
	}
	if query.Get("X-Amz-Algorithm") != algorithm {
		return badSignature("X-Amz-Algorithm must be " + algorithm + ".")
	}
	n, err := strconv.ParseUint(query.Get("X-Amz-Expires"), 10, 31)
	if g.expires = time.Duration(n) * time.Second; err != nil || n < 1 || g.expires > longest {
		return badSignature("X-Amz-Expires must be from 1 to 604800.")
	}
	g.presigned = true
	g.value = query.Get("X-Amz-Signature")
	return g.readParts(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Date"))
}

// readParts reads what a header and parameters have in the same form.
func (g *signature) readParts(credential, headers, date string) (err error) {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || g.value == "" {
		return badSignature("The signature must have a Credential with its scope, SignedHeaders and a Signature.")
	}
	g.key, g.scope = scope[0], scope[1:]
	if g.date, err = time.Parse(stamp, date); err != nil {
		return badSignature("X-Amz-Date must be as " + stamp + ".")
	}
	g.headers = strings.Split(headers, ";")
	if !slices.IsSorted(g.headers) || !slices.Contains(g.headers, "host") {
		return badSignature("SignedHeaders must be sorted, and have host.")
	}
	for _, name := range g.headers { // of another one the form could have a line more
		if name == "" || strings.Trim(name, headerName) != "" {
			return badSignature("SignedHeaders must be names of headers in lower case.")
		}
	}
	return nil
}

// canonical returns the request in the form that is signed. The body is what was read,
// whatever a header says of its hash.
func (g *signature) canonical(r *http.Request, host string, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + g.canonicalQuery(r.URL) + "\n")
	for _, name := range g.headers {
		var values []string
		switch all := r.Header.Values(name); {
		case name == "host":
			values = []string{host}
		case name == "content-length" && len(all) == 0:
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		default:
			for _, v := range all {
				values = append(values, strings.Join(strings.Fields(v), " "))
			}
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	sum := sha256.Sum256(body)
	b.WriteString("\n" + strings.Join(g.headers, ";") + "\n" + hex.EncodeToString(sum[:]))
	return b.String()
}

// canonicalPath returns the path as it came, without . and .. and empty parts, and escaped
// once more.
func canonicalPath(u *url.URL) string {
	came := cmp.Or(u.RawPath, u.EscapedPath())
	clean := path.Clean("/" + came)
	if clean != "/" && strings.HasSuffix(came, "/") {
		clean += "/"
	}
	return strings.ReplaceAll(encoded(clean), "%2F", "/")
}

func (g *signature) canonicalQuery(u *url.URL) string {
	byName := map[string][]string{}
	for name, values := range u.Query() {
		if g.presigned && name == "X-Amz-Signature" {
			continue
		}
		for _, v := range values {
			byName[encoded(name)] = append(byName[encoded(name)], encoded(v))
		}
	}
	var pairs []string
	for _, name := range sortedKeys(byName) {
		slices.Sort(byName[name])
		for _, v := range byName[name] {
			pairs = append(pairs, name+"="+v)
		}
	}
	return strings.Join(pairs, "&")
}

// encoded escapes all but letters, digits and -_.~
func encoded(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

func (g *signature) sign(secret, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	text := algorithm + "\n" + g.date.Format(stamp) + "\n" + strings.Join(g.scope, "/") + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + secret)
	for _, part := range append(slices.Clone(g.scope), text) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}
