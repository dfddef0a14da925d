package dabchick_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// A call is what a caller did and what came of it. Time in a history is fake, and
// stands still while anybody runs: so it is known to the nanosecond when a call
// took effect, and only the order of calls at one instant has to be found.
type call struct {
	verb   string
	began  int64 // when it was called
	at     int64 // when it took effect: the instant at which it returned
	number int   // of a cancelled receive

	body  int   // the message, or the first of a batch
	n     int   // messages of a batch, or the most that a receive takes
	less  int   // messages of a batch that there was no room for
	nth   int   // which delivery of the message is settled
	group uint8 // 0 on a standard queue
	d     int64 // delay or timeout

	got    []delivered
	counts [3]int // visible, in flight, delayed
	err    outcome
}

type delivered struct{ body, receives, nth int }

type outcome uint8

const (
	fine outcome = iota
	closed
	superseded
	lapsed // the receipt has expired
	gone
	full
	unexpected
)

func (c *call) String() string {
	return fmt.Sprintf("%s %+v", c.verb, struct {
		Began, At, Body, N, Less, Nth, Group int
		D                                    int64
		Got                                  []delivered
		Counts                               [3]int
		Err                                  outcome
	}{int(c.began), int(c.at), c.body, c.n, c.less, c.nth, int(c.group), c.d, c.got, c.counts, c.err})
}

// lineState is a queue as a value: what is in it, in the order in which it comes
// up.
type lineState struct {
	now    int64
	drawn  uint32
	fifo   bool
	most   int // messages; there is no room for more
	closed bool
	items  []lineItem
	lent   []lentItem // handed to receives that turn out to be cancelled
	open   []int      // cancelled receives that have been lent what they get
}

type lineItem struct {
	at       int64
	place    uint32 // among those of one instant
	seq      uint32 // of the send
	body     int32
	nth      uint16 // deliveries
	returned uint8  // those that do not count
	group    uint8
	delayed  bool // what it is until it is visible; else in flight
}

type lentItem struct {
	lineItem
	to int
}

// step carries a call out, if it can have been so at this point of the history.
func (s lineState) step(c *call) (lineState, bool) {
	if c.at < s.now {
		return s, false
	}
	s.now = c.at
	switch c.verb {
	case "send":
		if s.closed {
			return s, c.err == closed
		}
		room := min(c.n, max(s.most-len(s.items)-len(s.lent), 0))
		s.items = slices.Clone(s.items)
		for i := range room {
			s.drawn++
			s.place(lineItem{body: int32(c.body + i), group: c.group, seq: s.drawn, delayed: true}, c.d)
		}
		return s, c.less == c.n-room && (c.err == full) == (c.less > 0) && (c.err == fine) == (c.less == 0)
	case "try", "receive":
		return s.receive(c)
	case "delete", "change", "return":
		return s.settle(c)
	case "stats":
		return s, s.counts() == c.counts
	case "purge":
		if s.closed {
			return s, c.err == closed
		}
		n := len(s.items) + len(s.lent)
		s.items, s.lent = nil, nil
		return s, c.err == fine && c.n == n
	case "close":
		s.closed = true
		return s, true
	}
	panic(c.verb)
}

// place puts a message where it comes up d from now. The items are the state's
// own.
func (s *lineState) place(x lineItem, d int64) {
	s.drawn++
	x.at, x.place = s.now+d, s.drawn
	s.insert(x)
}

func (s *lineState) insert(x lineItem) {
	i := len(s.items)
	for i > 0 && (s.items[i-1].at > x.at || s.items[i-1].at == x.at && s.items[i-1].place > x.place) {
		i--
	}
	s.items = slices.Insert(s.items, i, x)
}

// next returns the index of the message to deliver, or -1. On a FIFO queue it
// goes on with the group of prev.
func (s *lineState) next(prev *lineItem) int {
	if s.fifo && prev != nil {
		follower := -1
		for i := range s.items {
			x := &s.items[i]
			if x.group == prev.group && x.seq > prev.seq && (follower < 0 || x.seq < s.items[follower].seq) {
				follower = i
			}
		}
		if follower >= 0 && s.items[follower].at <= s.now {
			return follower
		}
	}
	for i := range s.items {
		if s.items[i].at > s.now {
			break
		}
		if !s.fifo || s.first(&s.items[i]) {
			return i
		}
	}
	return -1
}

// first says whether no earlier message of the group is here.
func (s *lineState) first(x *lineItem) bool {
	for i := range s.items {
		if y := &s.items[i]; y.group == x.group && y.seq < x.seq {
			return false
		}
	}
	for i := range s.lent {
		if y := &s.lent[i]; y.group == x.group && y.seq < x.seq {
			return false
		}
	}
	return true
}

func (s lineState) receive(c *call) (lineState, bool) {
	switch {
	case c.err == closed || s.closed && c.verb == "try":
		return s, s.closed && len(c.got) == 0
	case s.closed || c.err != fine:
		return s, false
	case len(c.got) == 0:
		return s, s.next(nil) < 0
	}
	s.items = slices.Clone(s.items)
	var prev *lineItem
	for _, g := range c.got {
		i := s.next(prev)
		if i < 0 {
			return s, false
		}
		x := s.items[i]
		if int(x.body) != g.body || int(x.nth)+1 != g.nth || int(x.nth)+1-int(x.returned) != g.receives {
			return s, false
		}
		if c.began < c.at && x.at != c.at && (prev == nil || !s.fifo) {
			return s, false // it was woken too late
		}
		s.items = slices.Delete(s.items, i, i+1)
		x.nth++
		x.delayed = false
		s.place(x, c.d)
		prev = &x
	}
	return s, len(c.got) == c.n || s.next(prev) < 0
}

func (s lineState) settle(c *call) (lineState, bool) {
	for i := range s.lent {
		if int(s.lent[i].body) == c.body {
			return s, c.err == superseded // by the receive that it is lent to
		}
	}
	i := slices.IndexFunc(s.items, func(x lineItem) bool { return int(x.body) == c.body })
	if i < 0 {
		return s, c.err == gone || c.err == fine && c.verb == "delete"
	}
	x := s.items[i]
	held := x.at > s.now && !x.delayed
	switch {
	case int(x.nth) > c.nth:
		return s, c.err == superseded
	case !held && (c.verb != "delete" || s.fifo):
		return s, c.err == lapsed
	case c.err != fine:
		return s, false
	}
	first := s.fifo && s.first(&x)
	s.items = slices.Delete(slices.Clone(s.items), i, i+1)
	switch c.verb {
	case "return":
		x.returned++
		s.place(x, 0)
	case "change":
		s.place(x, c.d)
	case "delete":
		if first {
			s.goOn(x.group)
		}
	}
	return s, true
}

// goOn is told that the first of a group has gone. The next one goes behind those
// of other groups.
func (s *lineState) goOn(group uint8) {
	next := -1
	for i, x := range s.items {
		if x.group == group && (next < 0 || x.seq < s.items[next].seq) {
			next = i
		}
	}
	if next >= 0 && s.items[next].at <= s.now {
		x := s.items[next]
		s.items = slices.Delete(s.items, next, next+1)
		s.place(x, 0)
	}
}

func (s *lineState) counts() (n [3]int) {
	n[1] = len(s.lent)
	for _, x := range s.items {
		switch {
		case x.at <= s.now:
			n[0]++
		case x.delayed:
			n[2]++
		default:
			n[1]++
		}
	}
	return n
}

// lend hands messages to a receive that turns out to be cancelled: none, or all
// that it takes. giveBack puts back what was lent. In between they are hidden
// from others, as the documentation says.
func (s lineState) lend(c *call) []lineState {
	if c.at < s.now {
		return nil
	}
	s.now = c.at
	s.open = append(slices.Clone(s.open), c.number)
	if s.closed || s.next(nil) < 0 {
		return []lineState{s}
	}
	with := s
	with.items, with.lent = slices.Clone(s.items), slices.Clone(s.lent)
	var prev *lineItem
	for range c.n {
		i := with.next(prev)
		if i < 0 {
			break
		}
		x := with.items[i]
		with.items = slices.Delete(with.items, i, i+1)
		with.lent = append(with.lent, lentItem{x, c.number})
		prev = &x
	}
	return []lineState{s, with}
}

func (s lineState) giveBack(c *call) []lineState {
	i := slices.Index(s.open, c.number)
	if i < 0 || c.at < s.now {
		return nil
	}
	s.now = c.at
	s.open = slices.Delete(slices.Clone(s.open), i, i+1)
	s.items = slices.Clone(s.items)
	var rest []lentItem
	for _, x := range s.lent {
		if x.to == c.number {
			s.insert(x.lineItem)
		} else {
			rest = append(rest, x)
		}
	}
	s.lent = rest
	return []lineState{s}
}

func (s lineState) equal(o lineState) bool {
	return s.now == o.now && s.drawn == o.drawn && s.closed == o.closed &&
		slices.Equal(s.items, o.items) && slices.Equal(s.lent, o.lent) && slices.Equal(s.open, o.open)
}

// lineModel takes no notice of cancelled receives, as if none had ever been handed
// anything.
func lineModel(fifo bool, most int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return &lineState{fifo: fifo, most: most, now: math.MinInt64} },
		Step: func(state, input, _ any) (bool, any) {
			s, ok := state.(*lineState).step(input.(*call))
			return ok, &s
		},
		Equal:             func(a, b any) bool { return a.(*lineState).equal(*b.(*lineState)) },
		DescribeOperation: func(input, _ any) string { return input.(*call).String() },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", *state.(*lineState)) },
	}
}

// lendingModel takes cancelled receives for two steps each, in between which they
// may have been handed something. It is much slower.
func lendingModel(fifo bool, most int) porcupine.Model {
	return (&porcupine.NondeterministicModel{
		Init: func() []any { return []any{lineState{fifo: fifo, most: most, now: math.MinInt64}} },
		Step: func(state, input, _ any) (next []any) {
			s, c := state.(lineState), input.(*call)
			var states []lineState
			switch c.verb {
			case "lend":
				states = s.lend(c)
			case "give back":
				states = s.giveBack(c)
			default:
				if s, ok := s.step(c); ok {
					states = []lineState{s}
				}
			}
			for _, s := range states {
				next = append(next, s)
			}
			return next
		},
		Equal:             func(a, b any) bool { return a.(lineState).equal(b.(lineState)) },
		DescribeOperation: func(input, _ any) string { return input.(*call).String() },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}).ToModel()
}
