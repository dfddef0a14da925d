package sqshttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"unicode/utf8"
)

const jsonType = "application/x-amz-json-1.0"

// decodeJSON reads the input of an action. Of a member that is there twice, the last
// one counts; members that are not known are passed over.
func decodeJSON(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if !utf8.Valid(body) || !wholeSurrogates(body) {
		return invalidMessageContents.because("The request is not valid UTF-8.")
	}
	if deep(body) {
		return serialization.because("The request is nested too deep.")
	}
	if err := json.Unmarshal(body, into); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return serialization.because("%s can not be converted to the type of %s.", e.Value, quoted(e.Field))
		}
		return serialization.because("The request is not valid JSON.")
	}
	return nil
}

const mostDepth = 32

// deep says whether JSON text has more levels than any request has.
func deep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > mostDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
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
	a.body, _ = json.Marshal(out) // texts and numbers
	return a
}
