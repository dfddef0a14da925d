package worker

import (
	"bytes"
	"runtime"
	"slices"
)

// watch reports a handler that has run for Options.StuckAfter, with the stack of
// its goroutine. It runs when the timer for that goes off.
func (l *lease[T]) watch() {
	l.mu.Lock()
	took := l.took()
	if !l.held || took < l.pool.o.StuckAfter {
		l.mu.Unlock()
		return // it was too late to stop the timer
	}
	ms := slices.Clone(l.messages)
	goroutine := l.goroutine
	l.mu.Unlock()

	stack := stackOf(goroutine)
	l.pool.log.Warn("handler stuck", "message", ms[0].ID, "messages", len(ms), "after", took, "stack", string(stack))
	for i := range ms {
		l.pool.report(&ms[i], Event{Kind: Stuck, Took: took, Stack: stack})
	}
}

// self returns how the calling goroutine is called in stacks: "goroutine 7 [".
func self() []byte {
	var buf [64]byte
	head := buf[:runtime.Stack(buf[:], false)]
	return bytes.Clone(head[:bytes.IndexByte(head, '[')+1])
}

// stackOf returns the stack of a goroutine, or nothing if it is not there. There
// is no way to ask for one alone, so that the program stands still while those of
// all are written.
func stackOf(goroutine []byte) []byte {
	const most = 64 << 20
	for size := 64 << 10; ; size *= 2 {
		buf := make([]byte, size)
		n := runtime.Stack(buf, true)
		if n == size && size < most {
			continue // there is more
		}
		for stack := range bytes.SplitSeq(buf[:n], []byte("\n\n")) {
			if bytes.HasPrefix(stack, goroutine) {
				return bytes.Clone(stack)
			}
		}
		return nil
	}
}
