package main

import (
	"sync"
	"time"
)

// A ledger accounts for every job, and keeps what the plot shows.
type ledger struct {
	view view

	mu      sync.Mutex
	began   time.Time
	sent    int
	results []result // one for each job that was done, in order
	crashes []time.Duration
	repeats int
	samples []sample
}

// A result is a job that was done.
type result struct {
	name    string
	worker  int
	attempt int
}

// A sample is the state of the queue at one instant.
type sample struct {
	at                              time.Duration
	visible, inFlight, done, buried int
	workers                         int
}

func newLedger(v view) *ledger { return &ledger{view: v, began: time.Now()} }

func (l *ledger) arrived(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent += n
	l.view.progress(l.sent, len(l.results))
}

func (l *ledger) done(name string, worker, attempt int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results = append(l.results, result{name, worker, attempt})
	l.view.progress(l.sent, len(l.results))
}

func (l *ledger) again(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.repeats++
	l.view.say("%s came up again", name)
}

func (l *ledger) crashed(name string, worker int, how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashes = append(l.crashes, time.Since(l.began))
	l.view.say("worker %d %s in the middle of %s", worker, how, name)
}

func (l *ledger) sample(visible, inFlight, buried, workers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, sample{time.Since(l.began), visible, inFlight, len(l.results), buried, workers})
}
