package dabchick

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// DefaultDedupWindow is SQS's.
const DefaultDedupWindow = 5 * time.Minute

// A DedupScope says among which messages a deduplication id is looked for.
type DedupScope uint8

const (
	DedupQueue DedupScope = iota // among those of the queue
	DedupGroup                   // among those of the message's group
)

// ContentKey is an Options.DedupKey for bytes and texts: the SHA-256 of the body
// in lower-case hexadecimal digits, as SQS computes it for content-based
// deduplication. Attributes do not enter into it.
func ContentKey[T ~[]byte | ~string](body T) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

type dedupKey struct{ group, id string }

// dedupKey returns the key of an entry, and whether it has one.
func (q *Queue[T]) dedupKey(e *entry[T]) (dedupKey, bool) {
	if e.more == nil || e.more.dedup == "" || e.moved != nil {
		return dedupKey{}, false
	}
	k := dedupKey{id: e.more.dedup}
	if q.opts.DedupScope == DedupGroup {
		k.group = e.group
	}
	return k, true
}

// duplicate says whether an entry repeats a message, and sets id to that of the
// message then. It needs the lock.
func (q *Queue[T]) duplicate(now int64, e *entry[T], id *ID) bool {
	k, ok := q.dedupKey(e)
	if !ok {
		return false
	}
	of, ok := q.accepted.get(now, q.opts.DedupWindow, k)
	if ok {
		*id = of
		q.totals.Duplicates++
		if q.listening() {
			event := q.note(now, Deduplicated, 0, nil)
			event.Message = Message[T]{ID: of, Body: e.body, queue: q, more: e.more, group: e.group, firstAt: never}
		}
	}
	return ok
}

// accept remembers an entry that was stored, and is no duplicate. It needs the lock.
func (q *Queue[T]) accept(now int64, e *entry[T], id *ID) {
	if k, ok := q.dedupKey(e); ok {
		q.accepted.put(now, k, *id)
	}
}
