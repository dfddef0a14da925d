package dabchick

import "unique"

// Nth returns which delivery of its message a receipt names, returned ones too.
func (r Receipt) Nth() int { return int(r.nth) }

// SetHandle gives a delivery the receipt handle of a backend.
func (m *Message[T]) SetHandle(handle string) { m.Receipt.handle = unique.Make(handle) }

// Noticed returns how many messages are moved before others get a turn.
func Noticed() int { return noticed }

// SetNoticed changes that for all queues.
func SetNoticed(n int) { noticed = n }
