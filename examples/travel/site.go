package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/worker"
)

// A site is the web server's side: it sends searches, and keeps what comes back.
type site struct {
	searches *dabchick.Queue[Search]
	replies  *dabchick.Queue[Reply]
	seed     uint64
	ending   context.Context
	end      context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	servers []*server // nil where one is dead
	trips   map[string]*trip
	order   []string      // ids of trips, oldest first
	made    int           // trips ever
	changed chan struct{} // closed when something has
}

// A trip is a search and what has become of it. It is what the page shows.
type trip struct {
	Search   Search   `json:"search"`
	Offers   []Offer  `json:"offers"` // cheapest first, one of each airline
	Failed   []string `json:"failed"` // airlines
	Done     bool     `json:"done"`
	Picked   string   `json:"picked"` // airline
	Timeline []moment `json:"timeline"`

	began  time.Time
	worker int // the server that has it, or 0
}

// A moment is a line of the timeline.
type moment struct {
	At   int64  `json:"at"` // milliseconds since the search
	Text string `json:"text"`
}

// mostTrips is how many searches the site remembers.
const mostTrips = 1000

func newSite(c config) (*site, error) {
	s := &site{trips: map[string]*trip{}, changed: make(chan struct{}), seed: c.seed}
	var err error
	s.searches, err = dabchick.New("searches", dabchick.Options[Search]{VisibilityTimeout: c.timeout, OnEvent: s.observe})
	if err != nil {
		return nil, err
	}
	if s.replies, err = dabchick.New("replies", dabchick.Options[Reply]{}); err != nil {
		return nil, err
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.running.Go(func() { worker.Run(s.ending, s.replies, s.take, worker.Options{}) }) // one worker: replies in order
	for n := range c.servers {
		s.servers = append(s.servers, startServer(n+1, s.searches, s.replies, s.seed))
	}
	// Somebody has to look at the queue for it to notice that a timeout has ended;
	// a waiting server does, but all may be busy or dead.
	s.running.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.searches.Stats(s.ending)
			case <-s.ending.Done():
				return
			}
		}
	})
	return s, nil
}

// close ends servers and streams. A second close does nothing.
func (s *site) close() {
	s.end()
	s.mu.Lock()
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	for _, x := range servers {
		if x != nil {
			x.close()
		}
	}
	s.running.Wait()
}

// change carries out a change and lets the pages know.
func (s *site) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (t *trip) say(format string, args ...any) {
	t.Timeline = append(t.Timeline, moment{time.Since(t.began).Milliseconds(), fmt.Sprintf(format, args...)})
}

// search starts a search and returns its id.
func (s *site) search(ctx context.Context, w Search) (string, error) {
	w, err := w.checked()
	if err != nil {
		return "", err
	}
	s.change(func() {
		s.made++
		w.ID = fmt.Sprintf("trip-%d", s.made)
		t := &trip{Search: w, began: time.Now(), Offers: []Offer{}, Failed: []string{}}
		t.say("the search is on the queue")
		s.trips[w.ID] = t
		if s.order = append(s.order, w.ID); len(s.order) > mostTrips {
			delete(s.trips, s.order[0])
			s.order = s.order[1:]
		}
	})
	_, err = s.searches.Send(ctx, w)
	return w.ID, err
}

// take is the handler of replies. A search that was done twice has offers twice:
// of an airline the latest counts.
func (s *site) take(_ context.Context, m dabchick.Message[Reply]) error {
	r := m.Body
	s.change(func() {
		t := s.trips[r.Search]
		if t == nil {
			return // forgotten
		}
		switch r.Kind {
		case taken:
			t.worker = r.Server
			t.Failed = []string{}
			t.say("server %d takes it, attempt %d, and asks %d airlines", r.Server, r.Attempt, len(airlines))
		case offered:
			t.Offers = slices.DeleteFunc(t.Offers, func(o Offer) bool { return o.Airline == r.Offer.Airline })
			t.Offers = append(t.Offers, r.Offer)
			slices.SortFunc(t.Offers, func(a, b Offer) int { return cmp.Compare(a.Euros, b.Euros) })
			t.say("%s offers %s for %d €", r.Offer.Airline, r.Offer.Flight, r.Offer.Euros)
		case declined:
			t.Failed = append(t.Failed, r.Airline)
			t.say("%s: %s", r.Airline, r.Reason)
		case finished:
			t.Done, t.worker = true, 0
			t.say("server %d is done", r.Server)
		}
	})
	return nil
}

// observe shows what the queue does by itself.
func (s *site) observe(e dabchick.Event[Search]) {
	if e.Kind != dabchick.Reappeared {
		return
	}
	s.change(func() {
		if t := s.trips[e.Message.Body.ID]; t != nil {
			t.worker = 0
			t.say("nobody has said that it is done: the search comes up again")
		}
	})
}

// pick chooses an offer.
func (s *site) pick(id, airline string) error {
	err := fmt.Errorf("there is no offer of %.40q in %.40q", airline, id)
	s.change(func() {
		t := s.trips[id]
		if t == nil || !slices.ContainsFunc(t.Offers, func(o Offer) bool { return o.Airline == airline }) {
			return
		}
		t.Picked, err = airline, nil
		t.say("%s is picked: have a good trip", airline)
	})
	return err
}

// kill ends a server, and says so in the timelines of the searches that it had.
func (s *site) kill(n int) error {
	var dead *server
	s.change(func() {
		if n < 1 || n > len(s.servers) || s.servers[n-1] == nil {
			return
		}
		dead, s.servers[n-1] = s.servers[n-1], nil
		for _, t := range s.trips {
			if t.worker == n {
				t.worker = 0
				t.say("server %d is killed in the middle of it", n)
			}
		}
	})
	if dead == nil {
		return fmt.Errorf("there is no server %d that lives", n)
	}
	dead.kill()
	return nil
}

// start puts a new server in the place of a dead one.
func (s *site) start(n int) error {
	err := fmt.Errorf("there is no server %d that is dead", n)
	s.change(func() {
		if n >= 1 && n <= len(s.servers) && s.servers[n-1] == nil {
			s.servers[n-1], err = startServer(n, s.searches, s.replies, s.seed), nil
		}
	})
	return err
}

// A state is what a page shows at one instant.
type state struct {
	Servers []serverState `json:"servers"`
	Trip    *trip         `json:"trip"` // nil before the first search
}

type serverState struct {
	N     int    `json:"n"`
	Alive bool   `json:"alive"`
	Doing string `json:"doing"` // a search, or ""
}

// look returns what a page shows for a search, and what is closed when that
// changes.
func (s *site) look(id string) (state, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st state
	for i, x := range s.servers {
		v := serverState{N: i + 1, Alive: x != nil}
		for _, t := range s.trips {
			if t.worker == i+1 {
				v.Doing = fmt.Sprintf("%s from %s", t.Search.Beach, t.Search.From)
			}
		}
		st.Servers = append(st.Servers, v)
	}
	if t := s.trips[id]; t != nil {
		c := *t
		c.Offers, c.Failed, c.Timeline = slices.Clone(t.Offers), slices.Clone(t.Failed), slices.Clone(t.Timeline)
		st.Trip = &c
	}
	return st, s.changed
}
