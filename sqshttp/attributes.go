package sqshttp

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// settings are the attributes of a queue that can be set.
type settings struct {
	seconds     [4]int // of durations, in this order
	maxSize     int
	fifo        bool
	bytes       bool // rather than texts: not an attribute
	contentKey  bool
	ownKey      bool   // for contentKey the queue has a function of the program's: not an attribute
	scope       string // DeduplicationScope
	throughput  string // FifoThroughputLimit
	policy      string
	redrive     string // RedrivePolicy as it was given
	target      string // its queue
	maxReceives int
	allow       string // RedriveAllowPolicy as it was given
	permission  string // what it says
	sources     []string
	sse         bool
	kmsKey      string
	kmsReuse    string
}

// The durations among the attributes.
var durations = [4]struct {
	name          string
	least, most   int
	unlessItIsSet int
}{
	{"VisibilityTimeout", 0, 43_200, 30},
	{"DelaySeconds", 0, 900, 0},
	{"MessageRetentionPeriod", 60, 1_209_600, 345_600},
	{"ReceiveMessageWaitTimeSeconds", 0, 20, 0},
}

const (
	visibilitySeconds = iota
	delaySeconds
	retentionSeconds
	waitSeconds
)

const (
	mostBytes    = 1 << 20
	mostReceives = 1000
)

func defaults(fifo bool) *settings {
	s := &settings{maxSize: mostBytes, fifo: fifo, sse: true}
	for i, d := range durations {
		s.seconds[i] = d.unlessItIsSet
	}
	if fifo {
		s.scope, s.throughput = "queue", "perQueue"
	}
	return s
}

var (
	fifoNames     = []string{"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}
	readOnlyNames = []string{
		"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", "ApproximateNumberOfMessages",
		"ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
	}
	otherNames = []string{
		"MaximumMessageSize", "Policy", "RedrivePolicy", "RedriveAllowPolicy", "SqsManagedSseEnabled",
		"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds",
	}
)

// known says whether there is an attribute of that name.
func known(name string) bool {
	for _, d := range durations {
		if d.name == name {
			return true
		}
	}
	return slices.Contains(fifoNames, name) || slices.Contains(readOnlyNames, name) || slices.Contains(otherNames, name)
}

// with returns the settings with attributes changed. lookup resolves the ARN of a
// dead-letter queue for the queue of that ARN.
func (s settings) with(attributes map[string]string, arn string, lookup func(arn string) (*queue, bool)) (*settings, error) {
	for _, name := range sortedKeys(attributes) { // the same error for the same call
		if err := s.set(name, attributes[name], arn, lookup); err != nil {
			return nil, err
		}
	}
	if s.kmsKey != "" && s.sse { // setting the key has switched the other off
		return nil, invalidAttributeName.because("You can use one type of server-side encryption (SSE) at one time. " +
			"You can either enable KMS SSE or SQS SSE.")
	}
	if s.throughput == "perMessageGroupId" && s.scope != "messageGroup" {
		return nil, badAttribute("FifoThroughputLimit", s.throughput)
	}
	return &s, nil
}

func badAttribute(name, value string) *Error {
	return invalidAttributeValue.because("Invalid value for the parameter %s. Reason: %q is not allowed.", name, value)
}

// mostAttribute is how long the text of an attribute may be: the longest is a policy.
const mostAttribute = 8192

func (s *settings) set(name, value, arn string, lookup func(string) (*queue, bool)) error {
	if len(value) > mostAttribute || !legal(value) {
		return badAttribute(name, value)
	}
	for i, d := range durations {
		if d.name == name {
			return setNumber(&s.seconds[i], name, value, d.least, d.most)
		}
	}
	if slices.Contains(fifoNames, name) && !s.fifo {
		if name == "FifoQueue" || name == "ContentBasedDeduplication" {
			return invalidAttributeName.because("Unknown Attribute %s.", name)
		}
		return invalidAttributeName.because("You can specify the %s only when FifoQueue is set to true.", name)
	}
	switch name {
	case "MaximumMessageSize":
		return setNumber(&s.maxSize, name, value, 1024, mostBytes)
	case "FifoQueue":
		if !strings.EqualFold(value, "true") {
			return invalidAttributeValue.because("Invalid value for the parameter FifoQueue. " +
				"Reason: Modifying queue type is not supported.")
		}
	case "ContentBasedDeduplication":
		return setBool(&s.contentKey, name, value)
	case "SqsManagedSseEnabled":
		return setBool(&s.sse, name, value)
	case "DeduplicationScope":
		return setOneOf(&s.scope, name, value, "queue", "messageGroup")
	case "FifoThroughputLimit":
		return setOneOf(&s.throughput, name, value, "perQueue", "perMessageGroupId")
	case "Policy":
		var object map[string]json.RawMessage
		if value != "" && (json.Unmarshal([]byte(value), &object) != nil || object == nil) {
			return badAttribute(name, value)
		}
		s.policy = value
	case "RedrivePolicy":
		return s.setRedrive(value, arn, lookup)
	case "RedriveAllowPolicy":
		return s.setAllow(value)
	case "KmsMasterKeyId":
		if s.kmsKey = value; value != "" {
			s.sse = false
		}
	case "KmsDataKeyReusePeriodSeconds":
		var n int
		if err := setNumber(&n, name, value, 60, 86_400); err != nil {
			return err
		}
		if s.kmsReuse = strconv.Itoa(n); n == 300 {
			s.kmsReuse = ""
		}
	default:
		return invalidAttributeName.because("Unknown Attribute %s.", name)
	}
	return nil
}

func setNumber(to *int, name, text string, least, most int) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || int(n) < least || int(n) > most {
		return invalidAttributeValue.because("Invalid value for the parameter %s. Reason: %q is not a number from %d to %d.",
			name, text, least, most)
	}
	*to = int(n)
	return nil
}

func setBool(to *bool, name, text string) error {
	switch strings.ToLower(text) {
	case "true":
		*to = true
	case "false":
		*to = false
	default:
		return badAttribute(name, text)
	}
	return nil
}

func setOneOf(to *string, name, text string, allowed ...string) error {
	if !slices.Contains(allowed, text) {
		return badAttribute(name, text)
	}
	*to = text
	return nil
}

// setRedrive sets the policy that names the dead-letter queue.
func (s *settings) setRedrive(text, arn string, lookup func(string) (*queue, bool)) error {
	if text == "" {
		s.redrive, s.target, s.maxReceives = "", "", 0
		return nil
	}
	bad := func(why string) error { return badValue("RedrivePolicy", text, why) }
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return bad("Redrive policy is not a valid JSON map.")
	}
	var target string
	for _, name := range []string{"deadLetterTargetArn", "maxReceiveCount"} {
		if _, ok := members[name]; !ok {
			return bad("Redrive policy does not contain mandatory attribute: " + name + ".")
		}
	}
	if len(members) > 2 {
		return bad("Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].")
	}
	if json.Unmarshal(members["deadLetterTargetArn"], &target) != nil {
		return bad("deadLetterTargetArn is not a text.")
	}
	count, err := strconv.ParseUint(strings.Trim(string(members["maxReceiveCount"]), `"`), 10, 31)
	if err != nil || count < 1 || count > mostReceives {
		return bad("Invalid value for maxReceiveCount: it must be from 1 to 1000.")
	}
	dead, ok := lookup(target)
	switch {
	case !ok:
		return bad("Dead letter target does not exist.")
	case !s.kin(dead.set):
		return bad("Dead-letter queue must be same type of queue as the source.")
	case !dead.set.admits(arn):
		return bad("Dead letter target does not allow this queue as a source.")
	}
	s.redrive, s.target, s.maxReceives = text, dead.name, int(count)
	return nil
}

// setAllow sets the policy that says which queues may have this one as their
// dead-letter queue.
func (s *settings) setAllow(text string) error {
	if text == "" {
		s.allow, s.permission, s.sources = "", "", nil
		return nil
	}
	var p struct {
		RedrivePermission string   `json:"redrivePermission"`
		SourceQueueArns   []string `json:"sourceQueueArns"`
	}
	var members map[string]json.RawMessage // of which p would take names in any case
	if json.Unmarshal([]byte(text), &p) != nil || json.Unmarshal([]byte(text), &members) != nil {
		return badAttribute("RedriveAllowPolicy", text)
	}
	_, limited := members["sourceQueueArns"]
	delete(members, "redrivePermission")
	delete(members, "sourceQueueArns")
	if len(members) > 0 {
		return badAttribute("RedriveAllowPolicy", text)
	}
	n := len(p.SourceQueueArns)
	switch p.RedrivePermission {
	case "allowAll", "denyAll":
		if limited {
			return badValue("RedriveAllowPolicy", text, "sourceQueueArns is for the permission byQueue.")
		}
	case "byQueue":
		if n < 1 || n > 10 {
			return badValue("RedriveAllowPolicy", text, "sourceQueueArns must have from 1 to 10 entries.")
		}
	default:
		return badAttribute("RedriveAllowPolicy", text)
	}
	s.allow, s.permission, s.sources = text, p.RedrivePermission, p.SourceQueueArns
	return nil
}

// kin says whether messages can move from one queue to the other.
func (s *settings) kin(other *settings) bool { return s.fifo == other.fifo && s.bytes == other.bytes }

// admits says whether this queue may be the dead-letter queue of another.
func (s *settings) admits(source string) bool {
	switch s.permission {
	case "denyAll":
		return false
	case "byQueue":
		return slices.Contains(s.sources, source)
	}
	return true
}

// agrees says whether an attribute has the same value here and there.
func (s *settings) agrees(name string, other *settings) bool {
	switch name {
	case "RedrivePolicy":
		return s.target == other.target && s.maxReceives == other.maxReceives
	case "RedriveAllowPolicy":
		return s.permission == other.permission && slices.Equal(s.sources, other.sources)
	case "Policy":
		return sameJSON(s.policy, other.policy)
	case "KmsDataKeyReusePeriodSeconds":
		return s.kmsReuse == other.kmsReuse
	}
	return s.texts()[name] == other.texts()[name]
}

func sameJSON(a, b string) bool {
	var x, y any
	return a == b || json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// texts returns the settings as attributes.
func (s *settings) texts() map[string]string {
	t := map[string]string{
		"MaximumMessageSize":   strconv.Itoa(s.maxSize),
		"SqsManagedSseEnabled": strconv.FormatBool(s.sse),
	}
	for i, d := range durations {
		t[d.name] = strconv.Itoa(s.seconds[i])
	}
	if s.fifo {
		t["FifoQueue"] = "true"
		t["ContentBasedDeduplication"] = strconv.FormatBool(s.contentKey)
	}
	if s.kmsKey != "" && s.kmsReuse != "" {
		t["KmsDataKeyReusePeriodSeconds"] = s.kmsReuse
	}
	for name, text := range map[string]string{
		"DeduplicationScope": s.scope, "FifoThroughputLimit": s.throughput, "Policy": s.policy,
		"RedrivePolicy": s.redrive, "RedriveAllowPolicy": s.allow, "KmsMasterKeyId": s.kmsKey,
	} {
		if text != "" {
			t[name] = text
		}
	}
	return t
}
