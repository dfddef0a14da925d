// Package entry holds what is measured: bare structures that show what is
// possible, Dabchick, and other queues, each behind the same small interface.
package entry

import (
	"context"
	"errors"
	"time"
)

// A Queue is what a workload drives. R names a delivery, by which it is deleted. One
// that is a Sessioner may be used by one goroutine at a time, any other by many.
type Queue[R any] interface {
	Send(ctx context.Context, body []byte) error
	// Receive waits for a message.
	Receive(ctx context.Context) ([]byte, R, error)
	// Delete says that the message is done with.
	Delete(ctx context.Context, receipt R) error
	// Close ends all goroutines and servers of the queue.
	Close() error
}

// A Batcher carries many messages in one call. One goroutine at a time may use it.
type Batcher[R any] interface {
	SendBatch(ctx context.Context, bodies [][]byte) error
	// ReceiveBatch appends the receipts of up to n messages, of which n are there.
	ReceiveBatch(ctx context.Context, n int, receipts []R) ([]R, error)
	DeleteBatch(ctx context.Context, receipts []R) error
}

// A Grouper sends messages whose order is kept in their group.
type Grouper interface {
	SendGroup(ctx context.Context, group string, body []byte) error
}

// A Sessioner has a state for each goroutine, a connection say. Its sessions are
// closed with it.
type Sessioner[R any] interface {
	Session() (Queue[R], error)
}

// Session returns the queue for a goroutine of its own.
func Session[R any](q Queue[R]) (Queue[R], error) {
	if s, ok := q.(Sessioner[R]); ok {
		return s.Session()
	}
	return q, nil
}

// Setup is what a workload asks of a queue.
type Setup struct {
	// Capacity is how many messages the queue has to hold at most. An entry without
	// bounds does not look at it.
	Capacity int
	// Visibility is the time after which a message that is not deleted comes up
	// again; 0 leaves it to the entry.
	Visibility time.Duration
	FIFO       bool // messages have groups
	Consumers  int  // goroutines that receive; 0 is one
}

// A Kind says what an entry is there for.
type Kind string

const (
	Limit Kind = "limit" // a bare structure: what is possible
	Own   Kind = "own"   // Dabchick
	Peer  Kind = "peer"  // another queue
)

// Info describes an entry.
type Info struct {
	Name string
	Kind Kind
	What string // what it is and with which settings, for a table of all
	// Leases says that a message which is not deleted in time comes up again, and
	// Unit how coarse that time is.
	Leases bool
	Unit   time.Duration
	Groups bool // it can keep order within groups
	// Batches is the most messages in a call; 0 means that there are no batches,
	// or that they save nothing.
	Batches int
	// OffHeap says that the messages are not in the Go heap of this process.
	OffHeap bool
	// Only is the one workload that the entry is for, or "".
	Only string
	// Bound is how many messages it holds at most; 0 is no bound.
	Bound int
	// Single says that one message at a time can be in hand.
	Single bool
	// Command is a program that has to be installed, or "".
	Command, Package string
}

// An Entry opens queues of one kind.
type Entry[R any] struct {
	Info
	Open func(Setup) (Queue[R], error)
}

var errClosed = errors.New("closed")

const defaultVisibility = 30 * time.Second

func (s Setup) visibility() time.Duration {
	if s.Visibility == 0 {
		return defaultVisibility
	}
	return s.Visibility
}
