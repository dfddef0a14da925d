package queuetest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dabchickmq/dabchick"
)

// Faults are the chances, from 0 to 1, that something happens to a delivery between
// a queue and its consumer. All of it may happen on Amazon SQS, or to a program that
// is slow. The zero Faults do nothing.
type Faults struct {
	// Seed makes the choices. 0 takes the one in the environment variable
	// QUEUETEST_SEED, or else one by chance. When the test fails, it is logged.
	// Choices go by the message, as its body prints with %+v, and the delivery, not by
	// the clock or the order in which goroutines run: the same seed does the same
	// things to the same messages.
	Seed uint64

	Duplicate      float64 // the delivery comes twice: a copy, with the same receipt, is the next one
	Reorder        float64 // another message is delivered before this one; of a FIFO batch, before the last
	LateDelete     float64 // the delete comes after the end of the visibility timeout, when another may have it
	ExpiredReceipt float64 // the delivery comes when its visibility timeout has ended: the receipt is stale
	LostDelete     float64 // the delete is carried out, but answered with ErrLostAnswer
	SlowReceive    float64 // the delivery comes late, by a part of its visibility timeout
}

// A holding is a delivery that the consumer has, and when its timeout ends.
type holding[T any] struct {
	message dabchick.Message[T]
	until   time.Time
}

// ErrLostAnswer is what a delete returns that was carried out, and whose answer was
// lost.
var ErrLostAnswer = errors.New("queuetest: the answer was lost")

// A Chaos is a queue as its consumer sees it when things go wrong. Use it where the
// program takes a worker.Queue: a pool, for instance. Settle by its methods, as a pool
// does, not by those of a Message, which go past it.
//
// It keeps the promises of the queue: nothing is lost, and messages of a group of a
// FIFO queue stay in order; so a failure shows what the consumer does wrong. Faults
// that wait do so in the consumer's goroutine, until its context ends; use it in a
// synctest bubble.
type Chaos[T any] struct {
	*dabchick.Queue[T]
	t      testing.TB
	faults Faults

	mu      sync.Mutex
	next    []dabchick.Message[T] // to be delivered before others
	held    map[dabchick.Receipt]*holding[T]
	done    []string // what was done to whom
	dropped int      // of done
}

// NewChaos puts faults between a queue and its consumer. Chances out of range fail
// the test.
func NewChaos[T any](t testing.TB, q *dabchick.Queue[T], f Faults) *Chaos[T] {
	t.Helper()
	for _, chance := range []float64{f.Duplicate, f.Reorder, f.LateDelete, f.ExpiredReceipt, f.LostDelete, f.SlowReceive} {
		if !(chance >= 0 && chance <= 1) {
			t.Fatalf("queuetest: a chance is %v, allowed: from 0 to 1", chance)
		}
	}
	if f.Seed == 0 {
		f.Seed = seed(t)
	}
	c := &Chaos[T]{Queue: q, t: t, faults: f, held: map[dabchick.Receipt]*holding[T]{}}
	t.Cleanup(func() {
		if t.Failed() {
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Logf("queuetest: replay with QUEUETEST_SEED=%d; faults:", f.Seed)
			for _, d := range c.done {
				t.Log("  " + d)
			}
			if c.dropped > 0 {
				t.Logf("  ... and %d more", c.dropped)
			}
		}
	})
	return c
}

func seed(t testing.TB) uint64 {
	const name = "QUEUETEST_SEED"
	text := os.Getenv(name)
	if text == "" {
		return rand.Uint64() | 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		t.Fatalf("queuetest: %s is %q, allowed: a number from 1 to 2^64-1", name, text)
	}
	return n
}

// Receive is that of the queue, with faults.
func (c *Chaos[T]) Receive(ctx context.Context) (dabchick.Message[T], error) {
	ms, err := c.ReceiveBatch(ctx, dabchick.ReceiveOptions{Wait: dabchick.Forever})
	if err != nil {
		return dabchick.Message[T]{}, err
	}
	return ms[0], nil
}

// ReceiveBatch is that of the queue, with faults.
func (c *Chaos[T]) ReceiveBatch(ctx context.Context, o dabchick.ReceiveOptions) ([]dabchick.Message[T], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m, ok := c.pop(ctx); ok {
		return []dabchick.Message[T]{m}, nil
	}
	ms, err := c.Queue.ReceiveBatch(ctx, o)
	inOrder := c.Queue.Options().FIFO
	for i := range ms {
		m := &ms[i]
		c.hold(m)
		// What comes behind it in the batch may be of its group.
		if stays := inOrder && i+1 < len(ms); !stays && c.happens("reordered", c.faults.Reorder, m) {
			one := dabchick.ReceiveOptions{Wait: dabchick.Immediately, Visibility: o.Visibility}
			if other, _ := c.Queue.ReceiveBatch(ctx, one); len(other) > 0 {
				c.hold(&other[0])
				c.push(*m)
				*m = other[0]
			}
		}
		if c.happens("duplicated", c.faults.Duplicate, m) {
			c.push(*m)
		}
		wait := time.Until(m.VisibleAt())
		switch {
		case c.happens("came with a stale receipt", c.faults.ExpiredReceipt, m):
			wait++
		case c.happens("came late", c.faults.SlowReceive, m):
			wait = time.Duration(c.draw("how late", m) * float64(wait))
		default:
			wait = 0
		}
		sleep(ctx, wait)
	}
	return ms, err
}

// sleep is time.Sleep until a context ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Delete is that of the queue, with faults.
func (c *Chaos[T]) Delete(ctx context.Context, receipts ...dabchick.Receipt) error {
	lost := false
	for _, r := range receipts {
		h, ok := c.release(r)
		if !ok {
			continue // of a duplicate
		}
		if c.happens("deleted too late", c.faults.LateDelete, &h.message) {
			sleep(ctx, time.Until(h.until)+1)
		}
		lost = c.happens("deleted without an answer", c.faults.LostDelete, &h.message) || lost
	}
	err := c.Queue.Delete(ctx, receipts...)
	if err == nil && lost {
		return ErrLostAnswer
	}
	return err
}

// ChangeVisibility is that of the queue.
func (c *Chaos[T]) ChangeVisibility(ctx context.Context, d time.Duration, receipts ...dabchick.Receipt) error {
	c.mu.Lock()
	for _, r := range receipts {
		if h := c.held[r]; h != nil {
			h.until = time.Now().Add(d)
		}
	}
	c.mu.Unlock()
	return c.Queue.ChangeVisibility(ctx, d, receipts...)
}

func (c *Chaos[T]) push(m dabchick.Message[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = append(c.next, m)
}

// pop returns what is to be delivered before others, while the queue delivers.
func (c *Chaos[T]) pop(ctx context.Context) (m dabchick.Message[T], ok bool) {
	s, err := c.Queue.Stats(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.next) == 0 || err != nil || s.Paused || s.Closed {
		return m, false
	}
	m = c.next[0]
	c.next = c.next[1:]
	return m, true
}

func (c *Chaos[T]) hold(m *dabchick.Message[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[m.Receipt] = &holding[T]{*m, m.VisibleAt()}
}

func (c *Chaos[T]) release(r dabchick.Receipt) (h holding[T], ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held, ok := c.held[r]
	if ok {
		h = *held
		delete(c.held, r)
	}
	return h, ok
}

// mostFaults is how many faults a failure tells of.
const mostFaults = 100

// happens makes a choice about a delivery, and keeps it for the report.
func (c *Chaos[T]) happens(what string, chance float64, m *dabchick.Message[T]) bool {
	if chance == 0 || c.draw(what, m) >= chance {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.done) < mostFaults {
		c.done = append(c.done, fmt.Sprintf("%v, delivery %d, %s: %s", m.ID, m.Receives, what, brief(m.Body)))
	} else {
		c.dropped++
	}
	return true
}

// draw returns a number from 0 to 1 for a question about a delivery.
func (c *Chaos[T]) draw(what string, m *dabchick.Message[T]) float64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%+v", what, m.Group(), m.Body)
	return rand.New(rand.NewPCG(c.faults.Seed^h.Sum64(), uint64(m.Receives))).Float64()
}
