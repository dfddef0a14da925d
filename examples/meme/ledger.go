package main

import (
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A ledger accounts for every job, and keeps what the plot shows.
type ledger struct {
	view view

	mu      sync.Mutex
	began   time.Time
	sent    int
	made    map[delivery]result // memes whose jobs are in flight still
	results []result            // one for each job that was done, in order
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

// A delivery is a job in the hands of a worker.
type delivery struct {
	job      dabchick.ID
	receives int
}

// A sample is the state of the queue at one instant.
type sample struct {
	at                              time.Duration
	visible, inFlight, done, buried int
	workers                         int
}

func newLedger(v view) *ledger {
	return &ledger{view: v, began: time.Now(), made: map[delivery]result{}}
}

func (l *ledger) arrived(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent += n
	l.view.progress(l.sent, len(l.results))
}

// stored notes that a worker has made a meme.
func (l *ledger) stored(m dabchick.Message[Job], name string, worker int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made[delivery{m.ID, m.Receives}] = result{name, worker, m.Receives}
}

// observe is told what happens in the queue. A job is done when it is deleted: who
// comes too late may have made a meme, too.
func (l *ledger) observe(e dabchick.Event[Job]) {
	if e.Kind != dabchick.Deleted {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results = append(l.results, l.made[delivery{e.Message.ID, e.Message.Receives}])
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
