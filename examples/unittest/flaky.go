package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// flaky is a mail server for the demo and the tests: its first calls fail, and it
// does not know anybody called nobody.
type flaky struct {
	mu    sync.Mutex
	fails int
	sent  []string
}

func (f *flaky) Send(_ context.Context, address, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails > 0 {
		f.fails--
		fmt.Println("mail server is down for", address)
		return errors.New("mail server is down")
	}
	if strings.HasPrefix(address, "nobody@") {
		return ErrNoSuchAddress
	}
	f.sent = append(f.sent, address)
	fmt.Printf("to %s: %s\n", address, text)
	return nil
}
