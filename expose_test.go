package dabchick

// Nth returns which delivery of its message a receipt names, returned ones too.
func (r Receipt) Nth() int { return int(r.nth) }
