package sqshttp

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
)

// acceptsJSON says whether a request of the Query protocol asks for its answer as JSON,
// in a form of the Query protocol's own.
func acceptsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// encodeQueryJSON writes the answer to a call as encodeQuery would, but as JSON. What the
// XML leaves out is null.
func encodeQueryJSON(action, requestID string, out any, e *Error) *answer {
	a := &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}
	response := map[string]any{"ResponseMetadata": map[string]any{"RequestId": requestID}}
	if out != nil {
		response[action+"Result"] = plain(reflect.ValueOf(out))
	}
	document := map[string]any{action + "Response": response}
	if e != nil {
		a.status = e.Status
		document = map[string]any{
			"Error":     map[string]any{"Type": e.fault(), "Code": e.Code, "Message": e.Message},
			"RequestId": requestID,
		}
	}
	a.body, _ = json.Marshal(document) // texts and numbers
	return a
}

// plain returns a value as encoding/json writes it in that form: maps are lists of names
// and values there, or of keys and values if they are tags.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		members := map[string]any{}
		addMembers(members, v)
		return members
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Interface() // base64
		}
		list := []any{}
		for i := range v.Len() {
			list = append(list, plain(v.Index(i)))
		}
		return list
	default:
		return v.Interface()
	}
}

func addMembers(members map[string]any, v reflect.Value) {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		name := f.Name
		if old, ok := f.Tag.Lookup("old"); ok {
			name = old
		}
		switch {
		case f.Anonymous:
			addMembers(members, value)
		case strings.Contains(f.Tag.Get("json"), "omitempty") && value.IsZero():
			members[name] = nil
		case value.Kind() == reflect.Map:
			list := []any{}
			for _, k := range sortedStrings(value) {
				list = append(list, map[string]any{keyName(queryName(f)): k, "Value": plain(value.MapIndex(reflect.ValueOf(k)))})
			}
			members[name] = list
		default:
			members[name] = plain(value)
		}
	}
}
