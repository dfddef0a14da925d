package dabchick

import "sync"

// spares has memory that a queue is done with, until it has use for it again or the garbage
// collector takes it. What a queue holds goes up and down, and new memory takes longer than
// all else that is done to a message.
//
// It is apart from the queue: whatever holds a pool is garbage some collections later only.
type spares struct {
	waiters  sync.Pool // of *waiter[T]
	cells    sync.Pool // of *[chunkSize]cell[T], empty
	pages    sync.Pool // of *page[T], large ones
	groups   sync.Pool // of *registry, without any groups
	reserves sync.Pool // of *reserveChunk[T], empty
}

// spareChunks are empty, and of all queues.
var spareChunks sync.Pool // of *chunk
