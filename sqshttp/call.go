package sqshttp

import (
	"cmp"
	"context"
	"net/http"
	"strings"
)

// A call is a request while it is carried out.
type call struct {
	s      *Service
	ctx    context.Context
	scheme string
	host   string // that the request is for
	path   string // of the request: in the Query protocol it may name the queue
	trace  string // header of messages that have none of their own
	query  bool   // it came in the Query protocol
	asJSON bool   // and wants JSON all the same
	port   *port  // nil in process
}

func newCall(s *Service, r *http.Request, scheme, host string) *call {
	c := &call{
		s: s, ctx: r.Context(), scheme: scheme, host: host, path: r.URL.Path,
		query: !isJSON(r), asJSON: acceptsJSON(r),
	}
	if trace := r.Header.Get("X-Amzn-Trace-Id"); legal(trace) {
		c.trace = trace
	}
	return c
}

// An action is what a request may ask for.
type action struct {
	input func() any
	run   func(c *call, in any) (out any, err error) // out is nil for actions without output
}

func does[I any](run func(c *call, in *I) (any, error)) action {
	return action{
		input: func() any { return new(I) },
		run:   func(c *call, in any) (any, error) { return run(c, in.(*I)) },
	}
}

// actions is filled in by init: the functions that it names look into it.
var actions map[string]action

func init() {
	actions = map[string]action{
		"CreateQueue":                  does(createQueue),
		"DeleteQueue":                  does(deleteQueue),
		"GetQueueUrl":                  does(getQueueURL),
		"ListQueues":                   does(listQueues),
		"GetQueueAttributes":           does(getQueueAttributes),
		"SetQueueAttributes":           does(setQueueAttributes),
		"PurgeQueue":                   does(purgeQueue),
		"ListDeadLetterSourceQueues":   does(listDeadLetterSourceQueues),
		"TagQueue":                     does(tagQueue),
		"UntagQueue":                   does(untagQueue),
		"ListQueueTags":                does(listQueueTags),
		"AddPermission":                does(addPermission),
		"RemovePermission":             does(removePermission),
		"SendMessage":                  does(sendMessage),
		"SendMessageBatch":             does(sendMessageBatch),
		"ReceiveMessage":               does(receiveMessage),
		"DeleteMessage":                does(deleteMessage),
		"DeleteMessageBatch":           does(deleteMessageBatch),
		"ChangeMessageVisibility":      does(changeMessageVisibility),
		"ChangeMessageVisibilityBatch": does(changeMessageVisibilityBatch),
		"StartMessageMoveTask":         does(startMessageMoveTask),
		"ListMessageMoveTasks":         does(listMessageMoveTasks),
		"CancelMessageMoveTask":        does(cancelMessageMoveTask),
	}
}

// base returns what queue URLs begin with.
func (c *call) base() string {
	return cmp.Or(c.s.o.BaseURL, c.scheme+"://"+c.host)
}

// url returns the URL of a queue.
func (c *call) url(name string) string { return c.base() + "/" + c.s.o.Account + "/" + name }

func (c *call) urls(names []string) []string {
	for i, name := range names {
		names[i] = c.url(name)
	}
	return names
}

// queuePath returns the path of the request without that of the base, which a proxy may
// have cut off already.
func (c *call) queuePath() string {
	path := c.path
	if rest, ok := strings.CutPrefix(path, c.s.path); ok && (rest == "" || rest[0] == '/') {
		path = rest
	}
	return strings.Trim(path, "/")
}

// queue returns the queue that a call is about, and its settings at this moment. The
// URL may be that of any host, or no more than a name.
func (c *call) queue(url string) (*queue, *settings, error) {
	if url == "" && c.query {
		if url = c.queuePath(); url == "" {
			return nil, nil, invalidAddress.because("The address %s is not valid for this endpoint.", quoted(c.base()+"/"))
		}
	}
	if url == "" {
		return nil, nil, missing("QueueUrl")
	}
	owner, name := splitURL(url)
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	q, ok := c.s.queues[name]
	if !ok || owner != c.s.o.Account && accountID.MatchString(owner) {
		return nil, nil, c.noQueue()
	}
	return q, q.set, nil
}

func (c *call) noQueue() error {
	if c.query {
		return queueDoesNotExist.because("The specified queue does not exist for this wsdl version.")
	}
	return queueDoesNotExist.because("The specified queue does not exist.")
}

// splitURL returns the name in a queue URL, and what is before it: the account, in most.
func splitURL(url string) (owner, name string) {
	url, _, _ = strings.Cut(url, "?")
	if _, rest, whole := strings.Cut(url, "://"); whole {
		_, url, _ = strings.Cut(rest, "/")
	}
	url = strings.Trim(url, "/")
	i := strings.LastIndexByte(url, '/') + 1
	owner = strings.TrimSuffix(url[:i], "/")
	return owner[strings.LastIndexByte(owner, '/')+1:], url[i:]
}
