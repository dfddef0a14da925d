package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// What concurrent callers saw could have been seen by callers one at a time, in
// an order that agrees with real time. Receives wait, and are cancelled while
// messages are handed to them; timeouts do not end here, that is for fake time.
func TestConcurrentHistoriesAreLinearizable(t *testing.T) {
	rounds := 400
	if dabchick.RaceEnabled {
		rounds = 100
	}
	seed := rand.Uint64()
	for round := range rounds {
		history := recordHistory(t, rand.New(rand.NewPCG(seed, uint64(round))))
		result, info := porcupine.CheckOperationsVerbose(queueModel, history, 10*time.Second)
		if result == porcupine.Illegal {
			f, err := os.CreateTemp("", "dabchick-history-*.html")
			require.NoError(t, err)
			require.NoError(t, porcupine.Visualize(queueModel, info, f))
			require.NoError(t, f.Close())
			t.Fatalf("seed %d, round %d: not linearizable, see %s", seed, round, f.Name())
		}
		require.Equal(t, porcupine.Ok, result, "checking took too long")
	}
}

// The checker would notice.
func TestCheckerRejectsWrongHistories(t *testing.T) {
	op := func(call, ret int64, in request, out any) porcupine.Operation {
		return porcupine.Operation{Input: in, Call: call, Output: out, Return: ret}
	}
	send := func(at int64, v int) porcupine.Operation { return op(at, at+1, request{"send", v}, nil) }
	got := func(at int64, v int) porcupine.Operation { return op(at, at+1, request{"try", 0}, v) }
	for name, h := range map[string][]porcupine.Operation{
		"delivered twice":      {send(0, 1), got(2, 1), got(4, 1)},
		"lost":                 {send(0, 1), got(2, none)},
		"out of order":         {send(0, 1), send(2, 2), got(4, 2)},
		"invented":             {got(0, 7)},
		"deleted but there":    {send(0, 1), got(2, 1), op(4, 5, request{"delete", 1}, nil), got(6, 1)},
		"released but away":    {send(0, 1), got(2, 1), op(4, 5, request{"release", 1}, true), got(6, none)},
		"wrong counts":         {send(0, 1), op(2, 3, request{"stats", 0}, [2]int{0, 0})},
		"purged but there":     {send(0, 1), op(2, 3, request{"purge", 0}, 1), got(4, 1)},
		"lost by a cancelling": {send(0, 1), op(2, 3, request{"lend", 9}, nil), op(2, 3, request{"return", 9}, nil), got(4, none)},
	} {
		require.False(t, porcupine.CheckOperations(queueModel, h), name)
	}
}

// A request is what a caller asked for; v is the body of the message concerned.
type request struct {
	verb string
	v    int
}

const none = -1 // a try found nothing

// queueState is a queue as a value. Each set is bodies behind their places,
// "place:body,": those visible in order, the others sorted. lent is what was
// handed to receives that turn out to be cancelled, "number=place:body,".
type queueState struct {
	visible, inFlight, lent string
	places                  int
}

// queueModel says what one call does. A cancelled receive is two steps, since a
// message may be lent to it and come back: in between the message is hidden
// from others, as the documentation says.
var queueModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{queueState{}} },
	Step: func(state, input, output any) []any {
		s, c := state.(queueState), input.(request)
		only := func(ok bool, s queueState) []any {
			if !ok {
				return nil
			}
			return []any{s}
		}
		switch c.verb {
		case "send":
			return only(true, s.show(c.v))
		case "try", "receive":
			head, rest, ok := strings.Cut(s.visible, ",")
			if output == none {
				return only(!ok, s)
			}
			s.visible, s.inFlight = rest, with(s.inFlight, head)
			return only(ok && bodyOf(head) == output, s)
		case "lend": // to the receive with number v, or not
			idle := s
			idle.lent = with(s.lent, fmt.Sprint(c.v, "=-"))
			head, rest, ok := strings.Cut(s.visible, ",")
			if !ok {
				return []any{idle}
			}
			s.visible, s.lent = rest, with(s.lent, fmt.Sprint(c.v, "=", head))
			return []any{idle, s}
		case "return":
			i := strings.Index(","+s.lent, fmt.Sprint(",", c.v, "="))
			if i < 0 {
				return nil // not lent yet
			}
			item, _, _ := strings.Cut(s.lent[i:], ",")
			s.lent = strings.Replace(s.lent, item+",", "", 1)
			if _, m, _ := strings.Cut(item, "="); m != "-" {
				s.visible = with(s.visible, m)
			}
			return only(true, s)
		case "delete": // of what is gone is no error
			s.inFlight, _ = without(s.inFlight, c.v)
			return only(true, s)
		case "release":
			rest, ok := without(s.inFlight, c.v)
			if ok {
				s.inFlight = rest
				s = s.show(c.v)
			}
			return only(ok == output.(bool), s)
		case "stats":
			away := strings.Count(s.inFlight+s.lent, ",") - strings.Count(s.lent, "=-")
			return only(output == [2]int{strings.Count(s.visible, ","), away}, s)
		case "purge":
			n := strings.Count(s.visible+s.inFlight+s.lent, ",") - strings.Count(s.lent, "=-")
			lent := ""
			for _, item := range strings.SplitAfter(s.lent, ",") {
				if number, _, ok := strings.Cut(item, "="); ok {
					lent += number + "=-,"
				}
			}
			return only(output == n, queueState{lent: lent, places: s.places})
		}
		panic(c.verb)
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " -> ", output) },
}).ToModel()

// show puts a body behind all that are visible.
func (s queueState) show(v int) queueState {
	s.places++
	s.visible += fmt.Sprintf("%05d:%d,", s.places, v)
	return s
}

func bodyOf(item string) int {
	_, v, _ := strings.Cut(item, ":")
	n, err := strconv.Atoi(v)
	if err != nil {
		panic(err)
	}
	return n
}

// with adds an item to a set.
func with(set, item string) string {
	all := append(strings.SplitAfter(set, ","), item+",")
	slices.Sort(all)
	return strings.Join(all, "")
}

// without takes a body out of a set.
func without(set string, v int) (string, bool) {
	all := strings.SplitAfter(set, ",")
	i := slices.IndexFunc(all, func(item string) bool { return strings.HasSuffix(item, fmt.Sprintf(":%d,", v)) })
	if i < 0 {
		return set, false
	}
	return strings.Join(slices.Delete(all, i, i+1), ""), true
}

// recordHistory lets some callers loose on a queue.
func recordHistory(t *testing.T, r *rand.Rand) []porcupine.Operation {
	const callers, each = 5, 14
	q := mustNew(t, dabchick.Options[int]{VisibilityTimeout: time.Hour})
	began := time.Now()
	histories := make([][]porcupine.Operation, callers)
	var wg sync.WaitGroup
	for id := range callers {
		c := caller{t: t, q: q, r: rand.New(rand.NewPCG(r.Uint64(), 0)), id: id, began: began}
		wg.Go(func() {
			for n := range each {
				c.act(id*each + n)
			}
			histories[id] = c.history
		})
	}
	wg.Wait()
	return slices.Concat(histories...)
}

type caller struct {
	t       *testing.T
	q       *dabchick.Queue[int]
	r       *rand.Rand
	id      int
	began   time.Time
	held    []dabchick.Message[int]
	history []porcupine.Operation
}

// act makes one call and records it.
func (c *caller) act(number int) {
	ctx := context.Background()
	call := time.Since(c.began)
	record := func(in request, out any) {
		c.history = append(c.history, porcupine.Operation{
			ClientId: c.id, Input: in, Call: int64(call), Output: out, Return: int64(time.Since(c.began)),
		})
	}
	fail := func(err error) {
		if err != nil {
			c.t.Error(err)
		}
	}
	switch p := c.r.IntN(100); {
	case p < 35:
		_, err := c.q.Send(ctx, number)
		fail(err)
		record(request{"send", number}, nil)
	case p < 55:
		m, ok := c.q.TryReceive()
		if !ok {
			record(request{"try", 0}, none)
			return
		}
		record(request{"try", 0}, m.Body)
		c.held = append(c.held, m)
	case p < 70:
		ctx, cancel := context.WithCancel(ctx)
		delay := c.r.IntN(2000)
		go func() {
			for range delay { // some time, long or short
				runtime.Gosched()
			}
			cancel()
		}()
		m, err := c.q.Receive(ctx)
		if err != nil {
			record(request{"lend", number}, nil)
			record(request{"return", number}, nil)
			// Two steps of one call overlap, so they are told by two clients.
			c.history[len(c.history)-1].ClientId += 100
			return
		}
		record(request{"receive", 0}, m.Body)
		c.held = append(c.held, m)
	case p < 90:
		if len(c.held) == 0 {
			return
		}
		i := c.r.IntN(len(c.held))
		m := c.held[i]
		c.held = slices.Delete(c.held, i, i+1)
		if c.r.IntN(3) > 0 {
			fail(m.Delete(ctx))
			record(request{"delete", m.Body}, nil)
			return
		}
		err := m.Release(ctx)
		if !errors.Is(err, dabchick.ErrMessageGone) {
			fail(err)
		}
		record(request{"release", m.Body}, err == nil)
	case p < 98:
		s, err := c.q.Stats(ctx)
		fail(err)
		record(request{"stats", 0}, [2]int{s.Visible, s.InFlight})
	default:
		n, err := c.q.Purge(ctx)
		fail(err)
		record(request{"purge", 0}, n)
	}
}
