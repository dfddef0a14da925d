package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

// A config is what a server is made from: a file, and flags that change it.
type config struct {
	Addr     string            `json:"addr"`
	Region   string            `json:"region"`
	Account  string            `json:"account"`
	BaseURL  string            `json:"baseURL"`
	Hosts    []string          `json:"hosts"`
	NoPauses bool              `json:"noPauses"`
	Keys     map[string]string `json:"keys"`
	Queues   []queueConfig     `json:"queues"`
}

// A queueConfig is a queue that a server begins with. Attributes are SQS's, as text,
// number, true or false, or an object where SQS wants JSON.
type queueConfig struct {
	Name        string                     `json:"name"`
	Attributes  map[string]json.RawMessage `json:"attributes"`
	DeadLetter  string                     `json:"deadLetter"`
	MaxReceives int                        `json:"maxReceives"`
}

// mostConfig is how large a file may be.
const mostConfig = 1 << 20

// readConfig reads a file. Errors name the file, and in it what is wrong.
func readConfig(name string) (config, error) {
	f, err := os.Open(name)
	if err != nil {
		return config{}, usagef("-config: %v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostConfig+1))
	if err != nil {
		return config{}, usagef("-config: %v", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return config{}, usagef("-config %s: %v", name, err)
	}
	return c, nil
}

func parseConfig(text []byte) (config, error) {
	var c config
	if len(text) > mostConfig {
		return c, fmt.Errorf("has more than %d bytes", mostConfig)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, inPlainWords(err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		return c, fmt.Errorf("line %d: something follows the end of the object", line(text, d.InputOffset()))
	}
	return c, nil
}

// inPlainWords says what package json found, for somebody who does not know the types
// of this program.
func inPlainWords(err error, text []byte) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("line %d: %s", line(text, e.Offset), e)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field
		if field == "" {
			field = "the file"
		}
		return fmt.Errorf("line %d: %s is %s, allowed: %s", line(text, e.Offset), field, e.Value, kindWords[e.Type.Kind()])
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("unknown field %s, allowed: %s; for a queue: %s", field, fields[config](), fields[queueConfig]())
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends before its JSON does")
	}
	return err
}

var kindWords = map[reflect.Kind]string{
	reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number",
	reflect.Slice: "a list", reflect.Map: "an object", reflect.Struct: "an object",
}

func line(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n"))
}

// fields lists the names that a struct has in JSON.
func fields[T any]() string {
	var names []string
	for f := range reflect.TypeFor[T]().Fields() {
		names = append(names, f.Tag.Get("json"))
	}
	return strings.Join(names, ", ")
}

// parseQueue reads a queue as the flag has it: NAME,Attribute=value,...
func parseQueue(text string) (queueConfig, error) {
	name, rest, more := strings.Cut(text, ",")
	q := queueConfig{Name: name, Attributes: map[string]json.RawMessage{}}
	for more {
		var pair string
		pair, rest, more = strings.Cut(rest, ",")
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return q, usagef("-queue %s: %q, allowed: Attribute=value", name, pair)
		}
		switch key {
		case "deadLetter":
			q.DeadLetter = value
		case "maxReceives":
			n, err := strconv.Atoi(value)
			if err != nil {
				return q, usagef("-queue %s: maxReceives is %q, allowed: 1 to 1000", name, value)
			}
			q.MaxReceives = n
		default:
			if _, twice := q.Attributes[key]; twice {
				return q, usagef("-queue %s: %s is given twice", name, key)
			}
			q.Attributes[key], _ = json.Marshal(value) // a text
		}
	}
	return q, nil
}

// service returns the service that c describes, with its queues.
func (c *config) service() (*sqshttp.Service, error) {
	c.Region, c.Account = cmp.Or(c.Region, "us-east-1"), cmp.Or(c.Account, "000000000000")
	s, err := sqshttp.New(sqshttp.Options{
		Account: c.Account, Region: c.Region, BaseURL: c.BaseURL, Hosts: c.Hosts, NoPauses: c.NoPauses, Keys: c.Keys,
	})
	if e, ok := errors.AsType[*dabchick.InvalidError](err); ok {
		return nil, usagef("%s is %q, allowed: %s", strings.ToLower(e.Field[:1])+e.Field[1:], e.Value, e.Allowed)
	}
	if err != nil {
		return nil, err
	}
	b := builder{service: s, config: c, queues: map[string]*queueConfig{}}
	if err := b.all(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// A builder makes the queues of a config, each after its dead-letter queue.
type builder struct {
	service *sqshttp.Service
	config  *config
	queues  map[string]*queueConfig // those that are not made yet
}

func (b *builder) all() error {
	for i := range b.config.Queues {
		q := &b.config.Queues[i]
		if b.queues[q.Name] != nil {
			return usagef("queue %q is given twice", q.Name)
		}
		b.queues[q.Name] = q
	}
	for i := range b.config.Queues {
		if err := b.make(&b.config.Queues[i], nil); err != nil {
			return err
		}
	}
	return nil
}

// make makes a queue, unless it is there. waiting are those that wait for it.
func (b *builder) make(q *queueConfig, waiting []string) error {
	if b.queues[q.Name] == nil {
		return nil
	}
	if slices.Contains(waiting, q.Name) {
		return usagef("queue %q: deadLetter leads back to it", q.Name)
	}
	attributes, err := q.texts()
	if err != nil {
		return err
	}
	if q.DeadLetter == "" && q.MaxReceives != 0 {
		return usagef("queue %q: maxReceives is %d, allowed: only with deadLetter", q.Name, q.MaxReceives)
	}
	if q.DeadLetter != "" {
		if _, twice := attributes["RedrivePolicy"]; twice {
			return usagef("queue %q: deadLetter says the same as RedrivePolicy; give one of them", q.Name)
		}
		if dead := b.queues[q.DeadLetter]; dead != nil {
			if err := b.make(dead, append(waiting, q.Name)); err != nil {
				return err
			}
		}
		if _, ok := b.service.Queue(q.DeadLetter); !ok {
			return usagef("queue %q: deadLetter is %q, allowed: one of the queues that are given", q.Name, q.DeadLetter)
		}
		if q.MaxReceives < 1 || q.MaxReceives > 1000 {
			return usagef("queue %q: maxReceives is %d, allowed with deadLetter: 1 to 1000", q.Name, q.MaxReceives)
		}
		policy, _ := json.Marshal(map[string]any{ // texts and a number
			"deadLetterTargetArn": fmt.Sprintf("arn:aws:sqs:%s:%s:%s", b.config.Region, b.config.Account, q.DeadLetter),
			"maxReceiveCount":     q.MaxReceives,
		})
		attributes["RedrivePolicy"] = string(policy)
	}
	if _, err := b.service.CreateQueue(q.Name, attributes); err != nil {
		if e, ok := errors.AsType[*sqshttp.Error](err); ok {
			return usagef("queue %q: %s", q.Name, e.Message)
		}
		return err
	}
	delete(b.queues, q.Name)
	return nil
}

// texts returns the attributes as SQS has them.
func (q *queueConfig) texts() (map[string]string, error) {
	texts := map[string]string{}
	for name, raw := range q.Attributes {
		switch raw[0] {
		case '"':
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, err
			}
			texts[name] = text
		case '[', 'n':
			return nil, usagef("queue %q: %s is %s, allowed: a text, a number, true, false or an object", q.Name, name, raw)
		default:
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				return nil, err
			}
			texts[name] = compact.String()
		}
	}
	if strings.HasSuffix(q.Name, ".fifo") && texts["FifoQueue"] == "" {
		texts["FifoQueue"] = "true"
	}
	return texts, nil
}
