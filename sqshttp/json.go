package sqshttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const jsonType = "application/x-amz-json-1.0"

// decodeJSON reads the input of an action. Members that are not known are passed over.
func decodeJSON(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if !utf8.Valid(body) || !wholeSurrogates(body) {
		return invalidMessageContents.because("The request is not valid UTF-8.")
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return serialization.because("%s can not be converted to the type of %s.", quoted(e.Value), quoted(e.Field))
		}
		return serialization.because("The request is not valid JSON.")
	}
	return nil
}

const (
	mostDepth  = 32
	mostValues = 4000 // a full batch has not a thousand
	mostKey    = 4096 // bytes in the name of a member
	mostNumber = 100  // digits
)

// checkJSON holds JSON text against bounds, as each value costs many times its text when
// it is read, and refuses members that are there twice, of which others may take
// another than encoding/json does. What is not JSON is found later.
func checkJSON(text []byte) error {
	var open []int     // of each object that is open its first name in names, -1 for a list
	var names [][]byte // of the members of objects that are open
	values, bare := 0, 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if bare++; strings.IndexByte("{}[],:\" \t\r\n", c) >= 0 {
			bare = 0
		}
		switch c {
		case '{':
			open = append(open, len(names))
			values++
		case '[':
			open = append(open, -1)
			values++
		case '}', ']':
			last := len(open) - 1
			if last < 0 {
				continue // what comes after is not JSON
			}
			if first := open[last]; first >= 0 {
				if name := twice(names[first:]); name != nil {
					return serialization.because("The member %s is there twice.", quoted(string(name)))
				}
				names = names[:first]
			}
			open = open[:last]
		case ',':
			values++
		case '"':
			end := stringEnd(text, i)
			if n := len(open); n > 0 && open[n-1] >= 0 && isKey(text[end:]) {
				if end-i > mostKey {
					return serialization.because("The name of a member is too long.")
				}
				names = append(names, nameOf(text[i:end]))
			}
			i = end - 1
		}
		switch {
		case len(open) > mostDepth || values > mostValues || len(names) > mostValues:
			return serialization.because("The request has more than %d levels or %d values.", mostDepth, mostValues)
		case bare > mostNumber:
			return serialization.because("The request has a number that is too long.")
		}
	}
	return nil
}

// nameOf returns the name of a member. What else is wrong with it is found later.
func nameOf(quoted []byte) []byte {
	inner := quoted[1:max(len(quoted)-1, 1)]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var name string
	if json.Unmarshal(quoted, &name) != nil {
		return inner
	}
	return []byte(name)
}

// twice returns one of the names that is there twice, or nil. It sorts them.
func twice(names [][]byte) []byte {
	slices.SortFunc(names, bytes.Compare)
	for i := 1; i < len(names); i++ {
		if bytes.Equal(names[i-1], names[i]) {
			return names[i]
		}
	}
	return nil
}

// stringEnd returns where the string ends that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// isKey says whether what comes after a string makes it the name of a member.
func isKey(after []byte) bool {
	after = bytes.TrimLeft(after, " \t\r\n")
	return len(after) > 0 && after[0] == ':'
}

// wholeSurrogates says whether the escapes in JSON text name characters: encoding/json
// replaces half ones without a word, and the sender would not know.
func wholeSurrogates(text []byte) bool {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' {
			continue
		}
		switch unit := escape(text[i-1:]); {
		case unit >= 0xdc00 && unit < 0xe000:
			return false
		case unit >= 0xd800 && unit < 0xdc00:
			i += 5
			if next := escape(text[min(i, len(text)):]); next < 0xdc00 || next >= 0xe000 {
				return false
			}
		}
	}
	return true
}

// escape returns the number in \uXXXX, or -1.
func escape(text []byte) int {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 32)
	if err != nil {
		return -1
	}
	return int(n)
}

// encodeJSON writes the answer to a call.
func encodeJSON(out any, e *Error) *answer {
	a := &answer{status: http.StatusOK, header: http.Header{"Content-Type": {jsonType}}}
	switch {
	case e != nil:
		a.status = e.Status
		a.header.Set("X-Amzn-Query-Error", e.Code+";"+e.fault())
		out = map[string]string{"__type": "com.amazonaws.sqs#" + e.Shape, "message": e.Message}
	case out == nil:
		return a
	}
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false) // it is not HTML, and six times as long
	w.Encode(out)          // texts and numbers
	a.body = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return a
}
