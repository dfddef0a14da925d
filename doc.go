// Package dabchick is a queue that lives inside the program that uses it and
// behaves as Amazon SQS does: a received message is hidden for its visibility
// timeout, and comes up again unless it is deleted in that time. So a worker
// that panics, hangs or is stopped does not lose its job.
//
// There is one type to know, [Queue], and what it deals in: a [Message] is a
// delivery with the right to settle it, a [Receipt] is that right by itself,
// and [Options] are the settings, whose zero value is SQS's defaults.
//
//	q, err := dabchick.New("thumbnails", dabchick.Options[Job]{VisibilityTimeout: time.Minute})
//	id, err := q.Send(ctx, job)
//	m, err := q.Receive(ctx)   // hidden from others for a minute
//	err = m.Extend(ctx, d)     // for longer
//	err = m.Release(ctx)       // visible again now
//	err = m.Delete(ctx)        // done
//
// # What is promised
//
// A message is delivered until it is deleted, dead-lettered, purged or past its
// retention, whatever its receivers do. At any time one delivery at most holds
// it, and a receiver that comes too late is told so and does no harm. It comes
// up at its deadline, not a moment earlier or later, and wakes whoever waits.
// Messages are delivered in the order in which they became visible. Counts are
// exact. A queue has no goroutine, and no timer unless somebody waits.
//
// # Message groups
//
// With Options.FIFO, messages of one group are delivered in the order in which
// they were sent, one receive after the other, and a repeated send is recognised
// by its deduplication id. On a standard queue a group is a tenant: one that takes
// more than its share of the consumers waits for the others; see [Fairness].
//
// # Where it differs from SQS
//
// SQS is a network service; limits that come from that do not apply: any number
// in a batch, any duration to the nanosecond, any body. Where SQS leaves things
// open, such as duplicates, order and approximate counts, the strongest useful
// promise is kept. And where SQS answers a stale receipt with success, there is
// an error that says what the receipt is worth.
//
// # Tests
//
// All of it works inside a testing/synctest bubble, where hours of timeouts
// pass in no time and to the nanosecond.
package dabchick
