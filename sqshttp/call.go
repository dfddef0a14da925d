package sqshttp

import (
	"context"
	"net/http"
	"strings"
)

// A call is a request while it is carried out.
type call struct {
	s      *Service
	ctx    context.Context
	host   string // that the request is for
	base   string // what queue URLs begin with
	path   string // of the request: in the Query protocol it may name the queue
	query  bool   // it came in the Query protocol
	asJSON bool   // and wants JSON all the same
	port   *port  // nil in process
}

func newCall(s *Service, r *http.Request, scheme, host string) *call {
	return &call{
		s: s, ctx: r.Context(), host: host, base: scheme + "://" + host, path: r.URL.Path,
		query: !isJSON(r), asJSON: acceptsJSON(r),
	}
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

// url returns the URL of a queue.
func (c *call) url(name string) string { return c.base + "/" + c.s.o.Account + "/" + name }

func (c *call) urls(names []string) []string {
	for i, name := range names {
		names[i] = c.url(name)
	}
	return names
}

// queue returns the queue that a call is about, and its settings at this moment. The
// URL may be that of any host, or no more than a name.
func (c *call) queue(url string) (*queue, *settings, error) {
	if url == "" && c.query {
		if url = strings.Trim(c.path, "/"); url == "" {
			return nil, nil, invalidAddress.because("The address %s is not valid for this endpoint.", quoted(c.base+"/"))
		}
	}
	if url == "" {
		return nil, nil, missing("QueueUrl")
	}
	account, name := splitURL(url)
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	q, ok := c.s.queues[name]
	if !ok || account != "" && account != c.s.o.Account {
		return nil, nil, c.noQueue()
	}
	set := q.set
	return q, &set, nil
}

func (c *call) noQueue() error {
	if c.query {
		return queueDoesNotExist.because("The specified queue does not exist for this wsdl version.")
	}
	return queueDoesNotExist.because("The specified queue does not exist.")
}

// splitURL returns the account, if there is one, and the name in a queue URL.
func splitURL(url string) (account, name string) {
	url, _, _ = strings.Cut(url, "?")
	_, rest, whole := strings.Cut(url, "://")
	if whole {
		_, url, _ = strings.Cut(rest, "/")
	}
	parts := strings.Split(strings.Trim(url, "/"), "/")
	name = parts[len(parts)-1]
	if len(parts) > 1 && accounts.MatchString(parts[len(parts)-2]) {
		account = parts[len(parts)-2]
	}
	return account, name
}
