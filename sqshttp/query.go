package sqshttp

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const (
	xmlType   = "text/xml"
	namespace = "http://queue.amazonaws.com/doc/2012-11-05/"

	mostParameters = 2000
	mostDots       = 16
)

// params are the parameters of a request in the Query protocol, where lists and maps
// are spread out: Entry.1.Id, Entry.2.Id.
type params struct {
	values  url.Values
	there   map[string]bool     // parameters, and what they begin with: Entry, Entry.1
	numbers map[string][]uint64 // of the entries that a list has: Entry
}

// newParams reads a form. It is bounded in number and names before anything is kept of
// it, and no value keeps the rest of the form in memory.
func newParams(text string) (*params, error) {
	p := &params{url.Values{}, map[string]bool{}, map[string][]uint64{}}
	n := 0
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		if n++; n > mostParameters {
			return nil, invalidParameterValue.because("There are more than %d parameters.", mostParameters)
		}
		left, right, _ := strings.Cut(pair, "=")
		name, err := unescape(left)
		value, err2 := unescape(right)
		switch {
		case err != nil || err2 != nil || strings.Contains(pair, ";"):
			return nil, invalidParameterValue.because("The parameters are not well formed.")
		case strings.Count(name, ".") > mostDots:
			return nil, invalidParameterValue.because("The name %s of a parameter has too many parts.", quoted(name))
		}
		p.values.Add(name, value)
		for i, c := range name {
			if c == '.' {
				p.note(name[:i])
			}
		}
		p.note(name)
	}
	return p, nil
}

func (p *params) note(name string) {
	if p.there[name] {
		return
	}
	p.there[name] = true
	dot := strings.LastIndexByte(name, '.')
	number := name[dot+1:]
	if dot < 0 || len(number) > mostNumber { // an error would hold a copy
		return
	}
	if n, err := strconv.ParseUint(number, 10, 64); err == nil && strconv.FormatUint(n, 10) == number {
		p.numbers[name[:dot]] = append(p.numbers[name[:dot]], n)
	}
}

// entries returns the names of the entries of a list. One that stands alone need not have a
// number, as AttributeName=All or Attribute.Name=Policy: what is at list+within says that it
// is there. An empty list may be AttributeName=.
func (p *params) entries(list, within string) []string {
	numbers := p.numbers[list]
	if len(numbers) == 0 && p.values.Get(list+within) != "" {
		return []string{list}
	}
	slices.Sort(numbers)
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = list + "." + strconv.FormatUint(n, 10)
	}
	return names
}

func unescape(text string) (string, error) {
	u, err := url.QueryUnescape(text)
	if u == text {
		u = strings.Clone(text)
	}
	return u, err
}

// decode reads a value by its name. What is not there stays as it is.
func (p *params) decode(name string, v reflect.Value) error {
	if v.Kind() != reflect.Struct && !p.there[name] {
		return nil
	}
	text := p.values.Get(name)
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return p.decode(name, v.Elem())
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return badValue(name, quoted(text), "Must be an integer.")
		}
		v.SetInt(n)
	case reflect.Struct:
		return p.decodeFields(name, v)
	case reflect.Map:
		return p.decodeMap(name, v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return badValue(name, quoted(text), "It is not base64.")
			}
			v.SetBytes(b)
			return nil
		}
		for _, entry := range p.entries(name, "") {
			e := reflect.New(v.Type().Elem()).Elem()
			if err := p.decode(entry, e); err != nil {
				return err
			}
			v.Set(reflect.Append(v, e))
		}
	}
	return nil
}

func (p *params) decodeFields(name string, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		within := queryName(f)
		switch {
		case f.Anonymous:
			within = name
		case name != "":
			within = name + "." + within
		}
		if err := p.decode(within, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// decodeMap reads Attribute.1.Name and Attribute.1.Value, and so on. In a map of tags
// the name is called Key.
func (p *params) decodeMap(name string, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	within := "." + keyName(name)
	for _, entry := range p.entries(name, within) {
		key := reflect.ValueOf(p.values.Get(entry + within))
		if v.MapIndex(key).IsValid() {
			return badValue(entry+within, quoted(key.String()), "It is there twice.")
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := p.decode(entry+".Value", e); err != nil {
			return err
		}
		v.SetMapIndex(key, e)
	}
	return nil
}

func queryName(f reflect.StructField) string {
	if name, ok := f.Tag.Lookup("query"); ok {
		return name
	}
	return f.Name
}

func keyName(list string) string {
	if list == "Tag" {
		return "Key"
	}
	return "Name"
}

// A document is XML while it is written.
type document struct{ bytes.Buffer }

func (d *document) open(name string)  { d.WriteString("<" + name + ">") }
func (d *document) close(name string) { d.WriteString("</" + name + ">") }

func (d *document) text(name, text string) {
	d.open(name)
	xml.EscapeText(d, []byte(text)) // a Buffer does not fail
	d.close(name)
}

// value writes an element for a value, or one for each of its entries. Zero values
// that the JSON form leaves out are left out here too.
func (d *document) value(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.value(name, v.Elem())
		}
	case reflect.String:
		d.text(name, v.String())
	case reflect.Bool:
		d.text(name, strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int64:
		d.text(name, strconv.FormatInt(v.Int(), 10))
	case reflect.Struct:
		d.open(name)
		d.fields(v)
		d.close(name)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			d.text(name, base64.StdEncoding.EncodeToString(v.Bytes()))
			return
		}
		for i := range v.Len() {
			d.value(name, v.Index(i))
		}
	case reflect.Map:
		for _, k := range sortedStrings(v) {
			d.open(name)
			d.text(keyName(name), k)
			d.value("Value", v.MapIndex(reflect.ValueOf(k)))
			d.close(name)
		}
	}
}

// sortedStrings returns the keys of a map of texts to anything.
func sortedStrings(m reflect.Value) []string {
	keys := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}

func (d *document) fields(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Anonymous:
			d.fields(v.Field(i))
		case strings.Contains(f.Tag.Get("json"), "omitempty") && v.Field(i).IsZero():
		default:
			d.value(queryName(f), v.Field(i))
		}
	}
}

// encodeQuery writes the answer to a call.
func encodeQuery(action, requestID string, out any, e *Error) *answer {
	var d document
	d.WriteString(`<?xml version="1.0"?>`)
	if e != nil {
		d.WriteString(`<ErrorResponse xmlns="` + namespace + `"><Error>`)
		d.text("Type", e.fault())
		d.text("Code", e.Code)
		d.text("Message", e.Message)
		d.WriteString("<Detail/></Error>")
		d.text("RequestId", requestID)
		d.close("ErrorResponse")
		return &answer{e.Status, http.Header{"Content-Type": {xmlType}}, d.Bytes()}
	}
	d.WriteString("<" + action + `Response xmlns="` + namespace + `">`)
	if out != nil {
		before := d.Len()
		d.open(action + "Result")
		opened := d.Len()
		d.fields(reflect.ValueOf(out))
		if d.Len() == opened {
			d.Truncate(before)
			d.WriteString("<" + action + "Result/>")
		} else {
			d.close(action + "Result")
		}
	}
	d.open("ResponseMetadata")
	d.text("RequestId", requestID)
	d.close("ResponseMetadata")
	d.close(action + "Response")
	return &answer{http.StatusOK, http.Header{"Content-Type": {xmlType}}, d.Bytes()}
}
