package dabchick

import "maps"

// details holds what most messages do not have. It is not changed once its
// message is in a queue.
type details[T any] struct {
	attributes map[string]Attribute
	trace      string
	dedup      string // deduplication id
	sequence   string // number given by a backend

	// For a dead letter only.
	id        ID
	origin    *Origin
	from      *Queue[T] // where Redrive takes it back to; nil if unknown
	earlier   int64     // receives in the queues that it came through
	arrivedAt int64
	// If its dead-letter queue is FIFO, where it counts as sent when it came:
	number  uint64
	firstAt int64
}

// newDetails returns what options say of a message, or nil if they say nothing.
func newDetails[T any](o *SendOptions, dedup string) *details[T] {
	if o.TraceHeader == "" && len(o.Attributes) == 0 && dedup == "" {
		return nil
	}
	return &details[T]{trace: o.TraceHeader, attributes: maps.Clone(o.Attributes), dedup: dedup}
}

// isDeadLetter says whether a message has come as a dead letter. d may be nil.
func (d *details[T]) isDeadLetter() bool { return d != nil && d.origin != nil }

// fresh returns the details that a message keeps when it is sent anew.
func (d *details[T]) fresh() *details[T] {
	if d == nil || d.attributes == nil && d.trace == "" && d.dedup == "" {
		return nil
	}
	return &details[T]{attributes: d.attributes, trace: d.trace, dedup: d.dedup}
}
