package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// I1, I2, I3, I4, I7, I11, over histories too long for a search, in real time:
// every message is deleted or there; the times that it is held do not overlap;
// its deliveries are counted without a gap; nothing comes after a delete; a receive
// that gets nothing has had a moment when nothing was visible; and no queue holds more
// than it may.
func TestLongHistoriesAddUp(t *testing.T) {
	total, each := linearTotal()/2, 50_000
	if dabchick.RaceEnabled {
		each = 20_000
	}
	runSeeds(t, "operations", total, func(t *testing.T, seed uint64) int64 {
		book := keepBook(t, rand.New(rand.NewPCG(seed, 0)), each)
		if fault := book.audit(); fault != "" {
			t.Fatalf("seed %d: %s", seed, fault)
		}
		return int64(book.calls)
	})
}

func TestAuditFindsWhatIsWrong(t *testing.T) {
	held := func(nth int, called, returned, until int64) taken {
		return taken{body: 1, nth: nth, receives: nth, called: called, returned: returned, until: until, last: until}
	}
	sent := map[int]span{1: {0, 10}}
	for name, c := range map[string]struct {
		right bool
		book  book
	}{
		"once":             {true, book{sent: sent, taken: []taken{held(1, 20, 30, 100)}, left: []int{1}}},
		"twice":            {true, book{sent: sent, taken: []taken{held(1, 20, 30, 100), held(2, 90, 110, 200)}, left: []int{1}}},
		"held by two":      {false, book{sent: sent, taken: []taken{held(1, 20, 30, 100), held(2, 80, 90, 200)}, left: []int{1}}},
		"counted wrong":    {false, book{sent: sent, taken: []taken{held(2, 20, 30, 100)}, left: []int{1}}},
		"lost":             {false, book{sent: sent, taken: []taken{held(1, 20, 30, 100)}}},
		"there twice":      {false, book{sent: sent, left: []int{1, 1}}},
		"deleted":          {true, book{sent: sent, taken: []taken{held(1, 20, 30, 100)}, deleted: map[int]taken{1: {nth: 1, called: 40}}}},
		"deleted but left": {false, book{sent: sent, taken: []taken{held(1, 20, 30, 100)}, deleted: map[int]taken{1: {nth: 1, called: 40}}, left: []int{1}}},
		"after its delete": {false, book{sent: sent, taken: []taken{held(1, 20, 30, 100), held(2, 110, 120, 200)}, deleted: map[int]taken{1: {nth: 1, called: 40}}}},
		"invented":         {false, book{sent: sent, taken: []taken{{body: 2, nth: 1, receives: 1}}, left: []int{1}}},
		"before its send":  {false, book{sent: map[int]span{1: {50, 60}}, taken: []taken{held(1, 20, 30, 100)}, left: []int{1}}},
		"nothing to get":   {true, book{sent: sent, taken: []taken{held(1, 20, 30, 100)}, left: []int{1}, empty: []span{{25, 40}}}},
		"missed":           {false, book{sent: sent, taken: []taken{held(1, 20, 30, 100)}, left: []int{1}, empty: []span{{101, 140}}}},
		"missed at first":  {false, book{sent: sent, left: []int{1}, empty: []span{{11, 12}}}},
	} {
		require.Equal(t, c.right, c.book.audit() == "", "%s: %s", name, c.book.audit())
	}
}

// A book is what callers noted of a history. Times are nanoseconds since it began.
type book struct {
	calls   int
	sent    map[int]span
	taken   []taken
	deleted map[int]taken // by body: the latest receipt with which it was
	empty   []span        // receives that got nothing
	left    []int         // bodies that are there at the end
}

// A span is from the call to the return.
type span struct{ called, returned int64 }

// taken is a message in the hands of a receiver.
type taken struct {
	body, nth, receives int
	called, returned    int64
	until, last         int64 // the earliest and latest instant at which it may have come up
	superseded          int64 // when a call learnt that it was received again, or 0
}

const end = 1 << 62

// audit returns what is wrong.
func (b *book) audit() string {
	byBody := map[int][]taken{}
	for _, x := range b.taken {
		if _, ok := b.sent[x.body]; !ok {
			return fmt.Sprintf("message %d was never sent", x.body)
		}
		byBody[x.body] = append(byBody[x.body], x)
	}
	left := map[int]bool{}
	for _, body := range b.left {
		if _, ok := b.sent[body]; !ok || left[body] {
			return fmt.Sprintf("message %d is left over, and was sent: %v", body, ok)
		}
		left[body] = true
	}
	var visible []span // when a message was so for certain
	for body, sent := range b.sent {
		deleted, gone := b.deleted[body]
		if gone == left[body] {
			return fmt.Sprintf("message %d is deleted: %v, and is there: %v", body, gone, left[body])
		}
		deliveries := byBody[body]
		slices.SortFunc(deliveries, func(a, b taken) int { return a.nth - b.nth })
		from := sent.returned
		for i, x := range deliveries {
			switch {
			case x.nth != i+1 || x.receives != x.nth:
				return fmt.Sprintf("delivery %d of message %d is number %d, and counts %d", i+1, body, x.nth, x.receives)
			case x.returned < sent.called:
				return fmt.Sprintf("message %d was delivered before it was sent", body)
			case i > 0 && x.returned < deliveries[i-1].until:
				return fmt.Sprintf("message %d was delivered at %d while it was held until %d", body, x.returned, deliveries[i-1].until)
			case i > 0 && deliveries[i-1].superseded > 0 && deliveries[i-1].superseded < x.called:
				return fmt.Sprintf("a receipt of message %d was said to be superseded before it was", body)
			case gone && x.nth > deleted.nth:
				return fmt.Sprintf("message %d was delivered after it was deleted", body)
			}
			visible = append(visible, span{from, x.called})
			from = x.last
		}
		until := int64(end)
		if gone {
			until = deleted.called
		}
		visible = append(visible, span{from, until})
	}
	visible = union(visible)
	for _, e := range b.empty {
		i := sort.Search(len(visible), func(i int) bool { return visible[i].called > e.called })
		if i > 0 && visible[i-1].returned >= e.returned {
			return fmt.Sprintf("a receive from %d to %d got nothing, and there was something from %d to %d",
				e.called, e.returned, visible[i-1].called, visible[i-1].returned)
		}
	}
	return ""
}

// union returns the spans that some cover, in order.
func union(spans []span) (u []span) {
	slices.SortFunc(spans, func(a, b span) int { return int(a.called - b.called) })
	for _, s := range spans {
		switch {
		case s.returned <= s.called:
		case len(u) > 0 && s.called <= u[len(u)-1].returned:
			u[len(u)-1].returned = max(u[len(u)-1].returned, s.returned)
		default:
			u = append(u, s)
		}
	}
	return u
}

// keepBook lets callers use a queue, with timeouts of microseconds.
func keepBook(t *testing.T, r *rand.Rand, calls int) *book {
	const callers = 6
	var o dabchick.Options[int]
	if r.IntN(2) == 0 {
		o.MaxMessages, o.FailFast = 1+r.IntN(50), r.IntN(2) == 0
	}
	q := mustNew(t, o)
	began := time.Now()
	books := make([]book, callers)
	var calling sync.WaitGroup
	for id := range callers {
		r := rand.New(rand.NewPCG(r.Uint64(), 0))
		calling.Go(func() { books[id].fill(t, q, r, began, id*calls, calls/callers) })
	}
	calling.Wait()
	all := &book{sent: map[int]span{}, deleted: map[int]taken{}}
	for _, b := range books {
		all.calls += b.calls
		for body, s := range b.sent {
			all.sent[body] = s
		}
		for body, d := range b.deleted {
			all.delete(body, d)
		}
		all.taken = append(all.taken, b.taken...)
		all.empty = append(all.empty, b.empty...)
	}
	require.NoError(t, q.Check())
	s := stats(t, q)
	require.EqualValues(t, len(all.sent), s.Sent)
	require.EqualValues(t, len(all.taken), s.Received)
	require.EqualValues(t, len(all.deleted), s.Deleted)
	left, err := q.Peek(t.Context(), 1<<30)
	require.NoError(t, err)
	require.Len(t, left, s.Visible+s.InFlight)
	for _, m := range left {
		all.left = append(all.left, m.Body)
	}
	return all
}

// fill makes calls, and notes what they did.
func (b *book) fill(t *testing.T, q *dabchick.Queue[int], r *rand.Rand, began time.Time, body, calls int) {
	ctx := context.Background()
	b.sent, b.deleted = map[int]span{}, map[int]taken{}
	now := func() int64 { return int64(time.Since(began)) }
	most := q.Options().MaxMessages
	type holding struct {
		m dabchick.Message[int]
		i int // in taken
	}
	var held []holding
	for b.calls < calls {
		b.calls++
		called := now()
		switch p := r.IntN(100); {
		case p < 20:
			short, cancel := ctx, func() {}
			if most > 0 { // else nobody waits for room
				short, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(50_000)))
			}
			_, err := q.Send(short, body)
			cancel()
			switch {
			case err == nil:
				b.sent[body] = span{called, now()}
			case most == 0 || !errors.Is(err, dabchick.ErrFull) && !errors.Is(err, context.DeadlineExceeded):
				t.Error(err)
			}
			if s := stats(t, q); most > 0 && s.Visible+s.InFlight > most {
				t.Errorf("%d messages in a queue of at most %d", s.Visible+s.InFlight, most)
			}
			body++
		case p < 65:
			o := dabchick.ReceiveOptions{
				Max:        1 + r.IntN(3),
				Wait:       time.Duration(r.IntN(3)) * 20 * time.Microsecond,
				Visibility: time.Duration(1 + r.IntN(100_000)),
			}
			ms, err := q.ReceiveBatch(ctx, o)
			if err != nil {
				t.Error(err)
			}
			returned := now()
			if len(ms) == 0 {
				b.empty = append(b.empty, span{called, returned})
			}
			for _, m := range ms {
				until := int64(m.VisibleAt().Sub(began))
				held = append(held, holding{m, len(b.taken)})
				b.taken = append(b.taken, taken{body: m.Body, nth: m.Receipt.Nth(), receives: m.Receives,
					called: called, returned: returned, until: until, last: until})
			}
		case len(held) > 0:
			i := len(held) - 1 - min(r.IntN(len(held)), r.IntN(len(held)))
			h := held[i]
			held[i] = held[len(held)-1]
			held = held[:len(held)-1]
			b.settle(t, r, h.m, h.i, now)
		}
	}
}

// settle deletes or changes a delivery, fresh or stale.
func (b *book) settle(t *testing.T, r *rand.Rand, m dabchick.Message[int], i int, now func() int64) {
	ctx := context.Background()
	x := &b.taken[i]
	called := now()
	var err error
	switch r.IntN(8) {
	case 0:
		if err = m.Release(ctx); err == nil {
			x.until, x.last = called, now()
		}
	case 1:
		d := 1 + r.Int64N(50_000)
		if err = m.Extend(ctx, time.Duration(d)); err == nil {
			x.until, x.last = called+d, now()+d
		}
	default:
		if err = m.Delete(ctx); err == nil {
			b.delete(m.Body, taken{nth: x.nth, called: called})
		}
	}
	switch {
	case errors.Is(err, dabchick.ErrReceiptSuperseded):
		x.superseded = now()
	case err != nil && !errors.Is(err, dabchick.ErrReceiptExpired) && !errors.Is(err, dabchick.ErrMessageGone):
		t.Error(err)
	}
}

// delete notes a delete. Those with earlier receipts have only found that the
// message was gone.
func (b *book) delete(body int, d taken) {
	if d.nth > b.deleted[body].nth {
		b.deleted[body] = d
	}
}
