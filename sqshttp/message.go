package sqshttp

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dabchickmq/dabchick"
)

// ids is what a group, a deduplication id or an attempt id may be made of.
var ids = regexp.MustCompile("^[A-Za-z0-9!-/:-@\\[-`{-~]{1,128}$")

// legal says whether a text has only characters that a message may have: those of
// XML 1.0.
func legal(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return false
		}
	}
	return true
}

// quoted makes a value from a client fit for a message: short, and without control
// characters.
func quoted(text string) string {
	if len(text) > 100 {
		text = text[:100] + "..."
	}
	q := strconv.QuoteToGraphic(strings.ToValidUTF8(text, "?"))
	return q[1 : len(q)-1]
}

// outgoing checks a message against the rules, and returns it as the queue takes it. The
// trace header is that of its request, unless it has its own.
func (m *sending) outgoing(set *settings, trace string) (body string, o dabchick.SendOptions, err error) {
	if m.MessageBody == nil || *m.MessageBody == "" {
		return "", o, missing("MessageBody")
	}
	body = *m.MessageBody
	if !legal(body) {
		return "", o, invalidMessageContents.because("Invalid characters found. Valid unicode characters are " +
			"#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	}
	if o.Attributes, err = m.MessageAttributes.native(); err != nil {
		return "", o, err
	}
	if m.size() > set.maxSize {
		return "", o, tooLong{set.maxSize}
	}
	if o.TraceHeader, err = m.traceHeader(); err != nil {
		return "", o, err
	}
	o.TraceHeader = cmp.Or(o.TraceHeader, trace)
	if o.Delay, err = m.delay(set); err != nil {
		return "", o, err
	}
	if o.Group, o.DedupID, err = m.ids(set); err != nil {
		return "", o, err
	}
	if set.fifo && o.DedupID == "" && !set.ownKey {
		o.DedupID = dabchick.ContentKey(body)
	}
	return body, o, nil
}

func (m *sending) traceHeader() (text string, err error) {
	for _, name := range sortedKeys(m.MessageSystemAttributes) {
		v := m.MessageSystemAttributes[name]
		switch {
		case name != "AWSTraceHeader":
			return "", invalidParameterValue.because("Message system attribute name '%s' is invalid.", quoted(name))
		case v.DataType != "String" || v.StringValue == nil || *v.StringValue == "" || !legal(*v.StringValue):
			return "", invalidParameterValue.because("The message system attribute 'AWSTraceHeader' must be a String that is not empty.")
		}
		text = *v.StringValue
	}
	return text, nil
}

// delay returns the message's own, or 0 for the queue's.
func (m *sending) delay(set *settings) (time.Duration, error) {
	switch d := m.DelaySeconds; {
	case d == nil:
		return 0, nil
	case *d < 0 || *d > 900:
		return 0, badValue("DelaySeconds", *d, "DelaySeconds must be >= 0 and <= 900.")
	case set.fifo && *d > 0:
		return 0, badValue("DelaySeconds", *d, "The request include parameter that is not valid for this queue type.")
	case set.fifo:
		return 0, nil
	default:
		return orImmediately(time.Duration(*d) * time.Second), nil
	}
}

// ids returns the message group and the deduplication id, which is "" where it is that
// of the content.
func (m *sending) ids(set *settings) (group, dedup string, err error) {
	if group, err = optionalID("MessageGroupId", m.MessageGroupId); err != nil {
		return "", "", err
	}
	if dedup, err = optionalID("MessageDeduplicationId", m.MessageDeduplicationId); err != nil {
		return "", "", err
	}
	switch {
	case set.fifo && group == "":
		return "", "", missing("MessageGroupId")
	case !set.fifo && dedup != "":
		return "", "", badValue("MessageDeduplicationId", dedup, "The request includes a parameter that is not valid for this queue type.")
	case set.fifo && dedup == "" && !set.contentKey:
		return "", "", noDedupID()
	}
	return group, dedup, nil
}

// tooLong is said of a message larger than its queue takes: in a batch in other words.
type tooLong struct{ most int }

func (t tooLong) Error() string { return t.Unwrap().Error() }
func (t tooLong) Unwrap() error { return t.said("are invalid") }

func (t tooLong) said(what string) error {
	return invalidParameterValue.because("One or more parameters %s. Reason: Message must be shorter than %d bytes.", what, t.most)
}

func noDedupID() error {
	return invalidParameterValue.because("The queue should either have ContentBasedDeduplication enabled or " +
		"MessageDeduplicationId provided explicitly")
}

func optionalID(parameter string, id *string) (string, error) {
	if id == nil {
		return "", nil
	}
	if !ids.MatchString(*id) {
		return "", badValue(parameter, *id, parameter+" can only include alphanumeric and punctuation characters. "+
			"1 to 128 in length.")
	}
	return *id, nil
}

// size is what counts for the limits: the body and the attributes.
func (m *sending) size() int {
	n := 0
	if m.MessageBody != nil {
		n = len(*m.MessageBody)
	}
	for name, v := range m.MessageAttributes {
		n += len(name) + len(v.DataType) + len(v.BinaryValue)
		if v.StringValue != nil {
			n += len(*v.StringValue)
		}
	}
	return n
}

var attributeName = regexp.MustCompile(`^[\p{L}\p{N}_.-]{1,256}$`)

// native checks message attributes, and returns them as the queue takes them.
func (a attributeValues) native() (map[string]dabchick.Attribute, error) {
	if len(a) > 10 {
		return nil, invalidParameterValue.because("Number of message attributes [%d] exceeds the allowed maximum [10].", len(a))
	}
	if len(a) == 0 {
		return nil, nil
	}
	native := map[string]dabchick.Attribute{}
	for _, name := range sortedKeys(a) {
		v := a[name]
		if why := badAttributeName(name); why != "" {
			return nil, invalidParameterValue.because("Message attribute name '%s' is invalid. %s", quoted(name), why)
		}
		bad := func(why string) error {
			return invalidParameterValue.because("The message attribute '%s' %s", quoted(name), why)
		}
		base, _, _ := strings.Cut(v.DataType, ".")
		empty := func() error {
			return invalidParameterValue.because("Message (user) attribute '%s' must contain a non-empty value of type '%s'.",
				name, base)
		}
		switch {
		case v.DataType == "":
			return nil, bad("must contain a non-empty message attribute type.")
		case len(v.DataType) > 256 || !legal(v.DataType):
			return nil, bad("has a type that is too long, or has characters that are not allowed.")
		case len(v.StringListValues)+len(v.BinaryListValues) > 0:
			return nil, bad("has list values, which are not supported.")
		case base == "Binary":
			if len(v.BinaryValue) == 0 || v.StringValue != nil {
				return nil, empty()
			}
			native[name] = dabchick.Attribute{Type: v.DataType, Data: v.BinaryValue}
			continue
		case base != "String" && base != "Number":
			return nil, bad("has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.")
		case v.StringValue == nil || *v.StringValue == "" || len(v.BinaryValue) > 0:
			return nil, empty()
		case !legal(*v.StringValue):
			return nil, bad("has characters that are not allowed.")
		case base == "Number" && !isNumber(*v.StringValue):
			return nil, bad("has a value that is not a number of at most 38 digits from 10^-128 to 10^126.")
		}
		native[name] = dabchick.Attribute{Type: v.DataType, Text: *v.StringValue}
	}
	return native, nil
}

func badAttributeName(name string) string {
	lower := strings.ToLower(name[:min(len(name), len("amazon."))])
	switch {
	case !attributeName.MatchString(name):
		return "It can have 1 to 256 letters, digits, underscores, hyphens and periods."
	case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return "It must not begin or end with a period, nor have two together."
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return "It must not begin with a reserved prefix."
	}
	return ""
}

var number = regexp.MustCompile(`^[+-]?([0-9]{0,200})(?:\.([0-9]{0,200}))?(?:[eE]([+-]?[0-9]{1,4}))?$`)

// isNumber says whether a text is a number in SQS's range. It takes bounded time.
func isNumber(text string) bool {
	parts := number.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	whole, digits := parts[1], parts[1]+parts[2]
	fromFirst := strings.TrimLeft(digits, "0")
	exponent, _ := strconv.Atoi(parts[3]) // of at most four digits, or none
	exponent += len(whole) - 1 - (len(digits) - len(fromFirst))
	switch {
	case digits == "":
		return false
	case fromFirst == "": // zero
		return true
	}
	return len(strings.TrimRight(fromFirst, "0")) <= 38 && exponent >= -128 && exponent <= 126
}

// digest returns the MD5 of attributes, as clients compute it, or "" of none.
func (a attributeValues) digest() string {
	if len(a) == 0 {
		return ""
	}
	h := md5.New()
	field := func(b []byte) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, name := range sortedKeys(a) {
		v := a[name]
		field([]byte(name))
		field([]byte(v.DataType))
		if strings.HasPrefix(v.DataType, "Binary") {
			h.Write([]byte{2})
			field(v.BinaryValue)
		} else {
			h.Write([]byte{1})
			if v.StringValue != nil {
				field([]byte(*v.StringValue))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digest(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// sent returns the answer to a send.
func (m *sending) sent(id dabchick.ID, fifo bool) sendOutput {
	out := sendOutput{
		MessageId: id.String(), MD5OfMessageBody: digest(*m.MessageBody),
		MD5OfMessageAttributes:       m.MessageAttributes.digest(),
		MD5OfMessageSystemAttributes: m.MessageSystemAttributes.digest(),
	}
	if fifo {
		out.SequenceNumber = fmt.Sprintf("%020d", binary.BigEndian.Uint64(id[8:])&^(1<<63))
	}
	return out
}

// received returns a message as the receive shows it that began then.
func received[T []byte | string](s *Service, m *dabchick.Message[T], in *receiveInput, began time.Time) receivedMessage {
	if in.ReceiveRequestAttemptId != nil { // it can be repeated, and returns the same handles then
		began = time.Time{}
	}
	body := readable(string(m.Body))
	out := receivedMessage{
		MessageId: m.ID.String(), MD5OfBody: digest(body), Body: body, ReceiptHandle: wireHandle(m.Receipt, began),
	}
	if wanted := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames); len(wanted) > 0 {
		all := slices.Contains(wanted, "All")
		out.Attributes = systemAttributes(s, m)
		maps.DeleteFunc(out.Attributes, func(name, text string) bool { return text == "" || !all && !slices.Contains(wanted, name) })
	}
	for name, a := range m.Attributes() {
		name = readable(name)
		if !selected(name, in.MessageAttributeNames) {
			continue
		}
		if out.MessageAttributes == nil {
			out.MessageAttributes = attributeValues{}
		}
		v := attributeValue{DataType: readable(a.Type)}
		if strings.HasPrefix(a.Type, "Binary") {
			v.BinaryValue = a.Data
		} else {
			text := readable(a.Text)
			v.StringValue = &text
		}
		out.MessageAttributes[name] = v
	}
	out.MD5OfMessageAttributes = out.MessageAttributes.digest()
	return out
}

// readable returns a text that was sent natively as SQS can carry it.
func readable(text string) string {
	if legal(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if !legal(string(r)) {
			return utf8.RuneError
		}
		return r
	}, text)
}

func systemAttributes[T []byte | string](s *Service, m *dabchick.Message[T]) map[string]string {
	a := map[string]string{
		"SenderId":                         s.o.Account,
		"SentTimestamp":                    strconv.FormatInt(m.SentAt().UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.Receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.FirstReceivedAt().UnixMilli(), 10),
		"AWSTraceHeader":                   readable(m.TraceHeader()),
		"MessageGroupId":                   readable(m.Group()),
		"MessageDeduplicationId":           readable(m.DedupID()),
		"SequenceNumber":                   m.SequenceNumber(),
	}
	if origin, ok := m.Origin(); ok {
		a["DeadLetterQueueSourceArn"] = readable(s.arn(origin.Queue))
	}
	return a
}

// selected says whether a receive asks for a message attribute.
func selected(name string, wanted []string) bool {
	for _, w := range wanted {
		stem, any := strings.CutSuffix(w, ".*")
		if w == "All" || w == "*" || w == ".*" || w == name || any && strings.HasPrefix(name, stem) {
			return true
		}
	}
	return false
}

// A handle on the wire is base64 of three marks, so that it begins as SQS's do, of
// when the receive began, and of the receipt. The time is not secret, nor does it
// matter who changes it: it only shortens what the holder may do. It is 0 in a receive
// that can be repeated.
const handleMark = "\x01\x01\x01"

func wireHandle(r dabchick.Receipt, began time.Time) string {
	var at [8]byte
	if !began.IsZero() {
		binary.BigEndian.PutUint64(at[:], uint64(began.UnixNano()))
	}
	return base64.StdEncoding.EncodeToString([]byte(handleMark + string(at[:]) + r.String()))
}

// readHandle returns the receipt of a handle, and when its receive began, or the zero
// Time if that is not known.
func readHandle(q backing, handle string) (r dabchick.Receipt, at time.Time, err error) {
	if handle == "" {
		return r, at, missing("ReceiptHandle")
	}
	r, at, ok := parseHandle(q, handle)
	if !ok {
		return r, at, receiptHandleIsInvalid.because("The input receipt handle \"%s\" is not a valid receipt handle.", handle)
	}
	return r, at, nil
}

func parseHandle(q backing, handle string) (r dabchick.Receipt, at time.Time, ok bool) {
	if len(handle) > mostHandle || strings.ContainsAny(handle, "\r\n") { // line breaks would be skipped
		return r, at, false
	}
	raw, err := base64.StdEncoding.DecodeString(handle)
	raw, ok = bytes.CutPrefix(raw, []byte(handleMark))
	if err != nil || !ok || len(raw) < 8 {
		return r, at, false
	}
	if n := binary.BigEndian.Uint64(raw); n > 0 {
		at = time.Unix(0, int64(n))
	}
	r, err = q.ParseReceipt(string(raw[8:]))
	return r, at, err == nil
}
