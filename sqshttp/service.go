// Package sqshttp speaks the wire protocol of Amazon SQS in front of queues: both
// of its forms, AWS JSON 1.0 and the older Query protocol, so that unmodified AWS
// clients work against queues in this process.
//
// In a test there is no port and no server: a [Service] is an HTTP client that
// answers by itself.
//
//	s, _ := sqshttp.New(sqshttp.Options{})
//	client := sqs.New(sqs.Options{HTTPClient: s, Region: "us-east-1", Credentials: aws.AnonymousCredentials{}})
//
// For other programs, [Service.Listen] opens a port; a Service is also an
// http.Handler, for a server of your own.
package sqshttp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

// Options are the settings of a Service. The zero Options are ready to use.
type Options struct {
	// Account is the 12 digits of the account in queue URLs and ARNs. "" means
	// 000000000000.
	Account string
	// Region is the one in ARNs. "" means us-east-1.
	Region string
	// BaseURL is what queue URLs begin with, as https://sqs.example.org. "" means
	// the scheme and host of the request that asks.
	BaseURL string
	// NoPauses lets a queue be purged again, and a name be used again after its
	// queue was deleted, at once rather than after 60 s.
	NoPauses bool
	// Hosts are the names, beyond localhost and loopback addresses, under which
	// ServeHTTP may be reached. A request for another is refused, lest a web page
	// reach it by a name that it controls. Do does not look.
	Hosts []string
	// Keys are secrets by the ids of their access keys. If there are any, each request
	// must be signed with one of them, by Signature Version 4, for Region, and within
	// 15 minutes of now or for as long as it was presigned. A request that is seen on its
	// way can be repeated for that long. nil takes every request.
	Keys map[string]string
	// MaxPolls is how many receives that came to ServeHTTP may wait for messages at the
	// same time. One more is told 503 and to try again, which SDKs do. 0 means 12,288.
	MaxPolls int
}

// A Service is an SQS endpoint: named queues of one account in one region. It has
// no global state; a program may have many. All methods may be called concurrently.
type Service struct {
	o      Options
	limits *limits
	path   string // of BaseURL
	ending context.Context
	end    context.CancelFunc
	tasks  sync.WaitGroup // move tasks that run

	// changes is held over whole changes of queues, calls of the queues underneath
	// included: those run hooks, which may be clients. mu is not held over such calls.
	// Who changes the fields below holds both, who reads them has one of the two.
	changes sync.Mutex
	mu      sync.RWMutex
	closed  bool
	queues  map[string]*queue
	deleted map[string]time.Time // names of queues that were deleted lately
}

// A queue is what a Service knows of one of its queues. The Service's locks guard it;
// for the tags and the tasks mu alone does.
type queue struct {
	name     string
	q        backing
	set      *settings // replaced, never changed
	tags     map[string]string
	created  time.Time
	modified time.Time
	purged   time.Time
	moves    []*moveTask // newest first
}

// pause is how long a purge keeps others away, and a deleted queue its name.
const pause = 60 * time.Second

// mostInFlight is how many messages of a queue may be in flight.
const mostInFlight = 120_000

var (
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	regions   = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
)

// New returns a service without queues. Options out of range give a
// *dabchick.InvalidError.
func New(o Options) (*Service, error) {
	o.Account, o.Region = cmp.Or(o.Account, "000000000000"), cmp.Or(o.Region, "us-east-1")
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	o.MaxPolls = cmp.Or(o.MaxPolls, defaultPolls)
	switch {
	case o.MaxPolls < 0:
		return nil, &dabchick.InvalidError{Field: "MaxPolls", Value: o.MaxPolls, Allowed: "0 or more"}
	case !accountID.MatchString(o.Account):
		return nil, &dabchick.InvalidError{Field: "Account", Value: o.Account, Allowed: "12 digits"}
	case !regions.MatchString(o.Region):
		return nil, &dabchick.InvalidError{Field: "Region", Value: o.Region, Allowed: "lower-case letters, digits and -"}
	}
	if !isBaseURL(o.BaseURL) {
		return nil, &dabchick.InvalidError{Field: "BaseURL", Value: o.BaseURL, Allowed: "a URL as https://sqs.example.org, with no more than a path behind it"}
	}
	for _, host := range o.Hosts {
		if !isHost(host) { // no request would ever be for it
			return nil, &dabchick.InvalidError{Field: "Hosts", Value: host, Allowed: "names or addresses of hosts, without a port"}
		}
	}
	for id, secret := range o.Keys {
		if id == "" || secret == "" { // such as a variable of the environment that is not set
			return nil, &dabchick.InvalidError{Field: "Keys", Value: id, Allowed: "ids and secrets that are not empty"}
		}
	}
	s := &Service{o: o, limits: newLimits(o.MaxPolls), queues: map[string]*queue{}, deleted: map[string]time.Time{}}
	if base, err := url.Parse(o.BaseURL); err == nil {
		s.path = base.Path
	}
	s.ending, s.end = context.WithCancel(context.Background())
	return s, nil
}

func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	return text == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func isHost(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil || text != "" && !strings.ContainsAny(text, ":/ ")
}

// Close closes the queues and ends move tasks. Receives that wait are answered. A
// service that has no tasks need not be closed.
func (s *Service) Close() {
	s.end()
	defer s.tasks.Wait() // also if a hook panics
	s.closeQueues()
}

func (s *Service) closeQueues() {
	s.changes.Lock()
	defer s.changes.Unlock()
	s.mu.Lock()
	s.closed = true
	queues := s.queues
	s.queues = map[string]*queue{}
	s.mu.Unlock()
	for _, q := range queues {
		defer q.q.Close() // whatever the hooks of the others do
	}
}

// CreateQueue makes a queue, or returns the one of that name, as the action
// CreateQueue does; attributes are SQS's. The queue can be used natively, beside
// clients; ContentBasedDeduplication is for these, so natively a message goes by its
// DedupID only, which dabchick.ContentKey computes. After Close the queue is closed.
// Errors are of type *Error.
func (s *Service) CreateQueue(name string, attributes map[string]string) (*dabchick.Queue[string], error) {
	q, err := s.create(name, attributes, nil)
	if err != nil {
		return nil, err
	}
	texts, ok := q.q.(bodies[string])
	if !ok {
		return nil, queueNameExists.because("A queue of bytes already exists with the same name")
	}
	return texts.Queue, nil
}

// Queue returns the queue of texts of that name, for native use, and whether there is
// one. A queue of bytes is known to who has registered it. Change its options by
// attributes, not by SetOptions: the service would not know.
func (s *Service) Queue(name string) (*dabchick.Queue[string], bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	q, ok := s.queues[name]
	if !ok {
		return nil, false
	}
	texts, ok := q.q.(bodies[string])
	return texts.Queue, ok
}

func (s *Service) arn(name string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", s.o.Region, s.o.Account, name)
}

// byARN returns the queue of an ARN. It needs a lock.
func (s *Service) byARN(arn string) (*queue, bool) {
	name, ok := strings.CutPrefix(arn, s.arn(""))
	if !ok {
		return nil, false
	}
	q, ok := s.queues[name]
	return q, ok
}

// checkQueueName holds a name against SQS's rules.
func checkQueueName(name string, fifo bool) error {
	stem, suffixed := strings.CutSuffix(name, ".fifo")
	switch {
	case name == "":
		return badValue("QueueName", name, "Queue name cannot be empty")
	case len(name) > 80 || !plainName.MatchString(stem):
		return badValue("QueueName", name, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	case suffixed && !fifo:
		return badValue("QueueName", name, "The name of a standard queue must not end in .fifo; set FifoQueue")
	case !suffixed && fifo:
		return badValue("QueueName", name, "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "+
			"underscores, must end with .fifo suffix and be 1 to 80 in length.")
	}
	return nil
}

func (s *Service) create(name string, attributes, tags map[string]string) (*queue, error) {
	s.changes.Lock()
	defer s.changes.Unlock()
	living, taken := s.queues[name]
	kind, given := attributes["FifoQueue"]
	fifo := strings.EqualFold(kind, "true")
	if given && !fifo && !taken && !strings.HasSuffix(name, ".fifo") {
		return nil, invalidAttributeName.because("Unknown Attribute FifoQueue.")
	}
	if err := checkQueueName(name, fifo || !given && taken && living.set.fifo); err != nil {
		return nil, err
	}
	if taken {
		return living, s.compare(living, attributes)
	}
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	if at, ok := s.deleted[name]; ok && !s.o.NoPauses && time.Since(at) < pause {
		return nil, queueDeletedRecently.because("You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	set, err := defaults(fifo).with(attributes, s.arn(name), s.byARN)
	if err != nil {
		return nil, err
	}
	q, err := dabchick.New(name, dabchick.Options[string]{MaxInFlight: mostInFlight, FIFO: fifo})
	if err != nil {
		return nil, err
	}
	return s.add(name, bodies[string]{q}, set, tags)
}

// add adds a queue, in a change.
func (s *Service) add(name string, q backing, set *settings, tags map[string]string) (*queue, error) {
	if err := q.apply(set, s.deadLetters(name, set)); err != nil {
		return nil, err
	}
	if s.closed {
		q.Close()
	}
	now := time.Now()
	added := &queue{name: name, q: q, set: set, tags: map[string]string{}, created: now, modified: now}
	maps.Copy(added.tags, tags)
	s.mu.Lock()
	s.queues[name] = added
	maps.DeleteFunc(s.deleted, func(_ string, at time.Time) bool { return now.Sub(at) >= pause })
	s.mu.Unlock()
	return added, s.adopt(added)
}

// adopt makes a new queue the dead-letter queue of those whose policies name it: they
// had one of that name, which was deleted. It is part of a change.
func (s *Service) adopt(dead *queue) error {
	for _, q := range s.queues {
		if q.set.target != dead.name || !q.set.kin(dead.set) {
			continue
		}
		if err := q.q.apply(q.set, dead.q); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) has(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.queues[name]
	return ok
}

// deadLetters returns the queue that the redrive policy of one names, or nil if that is not
// there, or itself: then its messages stay. It needs a lock.
func (s *Service) deadLetters(name string, set *settings) backing {
	if q, ok := s.queues[set.target]; ok && q.name != name && set.kin(q.set) {
		return q.q
	}
	return nil
}

// compare says by its error which attribute of a living queue differs from those of a
// call that would create it. It needs a lock.
func (s *Service) compare(q *queue, attributes map[string]string) error {
	have := q.set.texts()
	for _, name := range sortedKeys(attributes) {
		value := attributes[name]
		if now, ok := have[name]; ok && now == value || slices.Contains(readOnlyNames, name) {
			continue
		}
		other := *q.set
		if err := other.set(name, value, s.arn(q.name), s.byARN); err != nil {
			return err // it could not have that value
		}
		if q.set.agrees(name, &other) {
			continue // it is written in another way
		}
		return queueNameExists.because("A queue already exists with the same name and a different value for attribute %s", name)
	}
	return nil
}

// remove deletes a queue.
func (s *Service) remove(q *queue) {
	s.changes.Lock()
	defer s.changes.Unlock()
	if s.queues[q.name] != q {
		return // somebody else has
	}
	s.mu.Lock()
	delete(s.queues, q.name)
	s.deleted[q.name] = time.Now()
	for _, t := range q.moves {
		t.cancel() // it may wait for room, and there is nothing to move any more
	}
	s.mu.Unlock()
	q.q.Close()
}

// change sets attributes of a queue.
func (s *Service) change(q *queue, attributes map[string]string) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	set, err := q.set.with(attributes, s.arn(q.name), s.byARN)
	if err != nil {
		return err
	}
	if err := q.q.apply(set, s.deadLetters(q.name, set)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q.set, q.modified = set, time.Now()
	return nil
}

// names returns those of all queues for which keep says true, sorted.
func (s *Service) names(keep func(*queue) bool) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for name, q := range s.queues {
		if keep(q) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
