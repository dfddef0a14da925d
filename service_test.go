package dabchick_test

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// A service is a program on several queues. One goroutine does everything, in the
// order of an agenda, so that a seed decides what happens; only calls that wait
// have goroutines of their own. After each act all of them have come to rest before
// their results are looked at, in the order of their consumers.
type service struct {
	t      *testing.T
	r      *rand.Rand
	began  time.Time
	until  time.Duration
	agenda agenda
	number int // of entries of the agenda
	calls  int64

	queues    []*serviceQueue
	consumers []*consumer
	senders   []*waitingSend
	rest      chan struct{} // a call that waited has returned
	messages  map[int]*ledgerEntry
	body      int
	gone      struct{ deleted, purged, expired, refused int }

	line  []byte
	lines [64]string // the last
	said  int
	trace *bytes.Buffer // may be nil
}

type serviceQueue struct {
	*dabchick.Queue[int]
	index    int
	fifo     bool
	groups   int
	blocking bool // senders wait for room
	deleted  uint64
	hooked   sync.Mutex
	events   []byte            // guarded by hooked
	ordered  map[string]string // the last sequence number delivered for the first time, by group
	accepted map[string]acceptance
}

type acceptance struct {
	id dabchick.ID
	at time.Duration
}

// An agenda is what is to do, by time.
type agenda []appointment

type appointment struct {
	at     time.Duration
	number int
	do     func()
}

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].number < a[j].number
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = appointment{}
	*a = (*a)[:last]
	return x
}

func newService(t *testing.T, r *rand.Rand, trace *bytes.Buffer) *service {
	s := &service{t: t, r: r, began: time.Now(), trace: trace, rest: make(chan struct{}, 1), messages: map[int]*ledgerEntry{}}
	deadJobs := s.add("dead jobs", dabchick.Options[int]{Retention: 14 * 24 * time.Hour}, 0)
	jobs := s.add("jobs", dabchick.Options[int]{DeadLetter: deadJobs.Queue, MaxReceives: 3}, 0)
	back := deadJobs.Options() // each is the other's
	back.DeadLetter, back.MaxReceives = jobs.Queue, 5
	require.NoError(t, deadJobs.SetOptions(back))
	deadOrders := s.add("dead orders", dabchick.Options[int]{FIFO: true}, 0)
	s.add("orders", dabchick.Options[int]{FIFO: true, DeadLetter: deadOrders.Queue, MaxReceives: 4, DedupScope: dabchick.DedupScope(r.IntN(2))}, 5)
	s.add("tenants", dabchick.Options[int]{DeadLetter: deadJobs.Queue, MaxReceives: 2, MaxInFlightPerGroup: 3,
		Fairness: dabchick.Fairness{MinInFlight: 2}}, 4)
	s.add("small", dabchick.Options[int]{MaxMessages: 10, MaxInFlight: 4, Delay: 3 * time.Second, Retention: 6 * time.Hour}, 0).blocking = true
	s.add("tight", dabchick.Options[int]{MaxMessages: 10, MaxInFlight: 4}, 0).blocking = true
	for i, q := range s.queues {
		for range 3 {
			c := &consumer{service: s, q: q, index: len(s.consumers)}
			s.consumers = append(s.consumers, c)
			s.in(s.upTo(time.Minute), c.receive)
		}
		if i != 0 && i != 2 { // these get dead letters only
			s.in(s.upTo(time.Minute), func() { s.produce(q) })
		}
		s.in(s.upTo(time.Hour), func() { s.operate(q) })
	}
	s.in(time.Hour, s.auditHourly)
	return s
}

func (s *service) add(name string, o dabchick.Options[int], groups int) *serviceQueue {
	q := &serviceQueue{index: len(s.queues), fifo: o.FIFO, groups: groups, ordered: map[string]string{}, accepted: map[string]acceptance{}}
	if s.r.IntN(2) == 0 {
		o.OnEvent = func(e dabchick.Event[int]) {
			q.hooked.Lock()
			defer q.hooked.Unlock()
			q.events = fmt.Appendf(q.events, "%s %v %d; ", name, e.Kind, e.Message.Body)
		}
	}
	created, err := dabchick.New(name, o)
	require.NoError(s.t, err)
	q.Queue = created
	s.queues = append(s.queues, q)
	return q
}

func (s *service) now() time.Duration { return time.Since(s.began) }

func (s *service) upTo(d time.Duration) time.Duration { return 1 + time.Duration(s.r.Int64N(int64(d))) }

// in puts something on the agenda.
func (s *service) in(d time.Duration, do func()) {
	s.number++
	heap.Push(&s.agenda, appointment{s.now() + d, s.number, do})
}

// run works the agenda off.
func (s *service) run(until time.Duration) {
	s.until = until
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for len(s.agenda) > 0 && s.now() < until {
		if wait := s.agenda[0].at - s.now(); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-s.rest:
			}
			s.settle()
			continue
		}
		s.calls++
		heap.Pop(&s.agenda).(appointment).do()
		s.settle()
	}
}

// settle lets everybody come to rest, and then takes what calls that waited have
// brought.
func (s *service) settle() {
	synctest.Wait()
	for _, q := range s.queues {
		q.hooked.Lock()
		if len(q.events) > 0 {
			s.say("%s", q.events)
			q.events = q.events[:0]
		}
		q.hooked.Unlock()
	}
	left := s.senders[:0]
	for _, w := range s.senders {
		if !w.collect() {
			left = append(left, w)
		}
	}
	s.senders = left
	for _, c := range s.consumers {
		c.collect()
	}
}

func (s *service) say(format string, args ...any) {
	s.line = fmt.Appendf(s.line[:0], "%d ", s.now())
	s.line = fmt.Appendf(s.line, format, args...)
	s.lines[s.said%len(s.lines)] = string(s.line)
	s.said++
	if s.trace != nil {
		s.trace.Write(append(s.line, '\n'))
	}
}

func (s *service) tail() string {
	var b strings.Builder
	for i := max(0, s.said-len(s.lines)); i < s.said; i++ {
		fmt.Fprintln(&b, s.lines[i%len(s.lines)])
	}
	return b.String()
}

// stop ends all calls that wait.
func (s *service) stop() {
	for _, c := range s.consumers {
		if c.cancel != nil {
			c.cancel()
		}
	}
	for _, w := range s.senders {
		w.cancel()
	}
	synctest.Wait()
}

// finish accounts for every message.
func (s *service) finish() {
	s.stop()
	s.settle()
	require.Empty(s.t, s.senders)
	s.audit()
	left := 0
	for _, q := range s.queues {
		n, err := q.Purge(context.Background())
		require.NoError(s.t, err)
		left += n
		require.NoError(s.t, q.Close())
	}
	require.Equal(s.t, left, len(s.messages), "messages that are left")
	require.Equal(s.t, s.body, s.gone.deleted+s.gone.purged+s.gone.expired+s.gone.refused+left, "messages in all")
	s.say("%d sent, %+v, %d left", s.body, s.gone, left)
}
