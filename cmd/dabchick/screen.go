package main

import (
	"io"
	"strconv"
	"strings"
)

// A screen is a terminal that shows control characters, but lines and tabs, rather than
// obeying them: what is printed comes from whoever sends messages, and from the endpoint.
type screen struct{ w io.Writer }

// Write takes whole characters.
func (s screen) Write(b []byte) (int, error) {
	if _, err := io.WriteString(s.w, escape(string(b), "\n\t")); err != nil {
		return 0, err
	}
	return len(b), nil
}

// printable returns a text without line breaks and other control characters.
func printable(text string) string { return escape(text, "") }

// escape writes all that cannot be printed as Go does, but the characters of leave.
func escape(text, leave string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) || strings.ContainsRune(leave, r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRune(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}
