package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

// A Search is what somebody wants.
type Search struct {
	ID     string `json:"id"`
	Beach  string `json:"beach"`
	From   string `json:"from"`
	Depart string `json:"depart"` // as 2026-06-30
	Return string `json:"return"`
}

// An Offer is one airline's answer.
type Offer struct {
	Airline string `json:"airline"`
	Flight  string `json:"flight"`
	Leaves  string `json:"leaves"` // time of day
	Euros   int    `json:"euros"`
	Server  int    `json:"server"` // which one asked
}

var (
	beaches = []string{"Copacabana", "Bondi Beach", "Waikiki", "Praia da Rocha", "Navagio", "Anse Lazio"}
	cities  = []string{"Berlin", "Lisbon", "Oslo", "Vienna", "Warsaw", "Zurich"}
)

// checked returns the search if it makes sense.
func (s Search) checked() (Search, error) {
	depart, err := time.Parse(time.DateOnly, s.Depart)
	back, err2 := time.Parse(time.DateOnly, s.Return)
	switch {
	case !slices.Contains(beaches, s.Beach):
		return s, fmt.Errorf("beach is %.40q, which we do not know", s.Beach)
	case !slices.Contains(cities, s.From):
		return s, fmt.Errorf("from is %.40q, where nobody flies", s.From)
	case err != nil:
		return s, fmt.Errorf("depart is %.40q, which is not a date", s.Depart)
	case err2 != nil:
		return s, fmt.Errorf("return is %.40q, which is not a date", s.Return)
	case back.Before(depart):
		return s, fmt.Errorf("return is %s, before departure on %s", s.Return, s.Depart)
	}
	return s, nil
}

// An airline is a service of somebody else's: slow at times, and failing at times.
type airline struct {
	name  string
	code  string
	slow  time.Duration // how long an answer takes on average
	fails float64       // chance
	price int           // on average
}

var airlines = []airline{
	{"Skylark", "SL", 500 * time.Millisecond, 0.05, 420},
	{"Ondine Air", "ON", 900 * time.Millisecond, 0.1, 310},
	{"Grebe Wings", "GW", 1500 * time.Millisecond, 0.1, 280},
	{"Meridian", "ME", 2100 * time.Millisecond, 0.3, 260},
	{"Tortuga", "TO", 2800 * time.Millisecond, 0.2, 190},
	{"Wirrwarr", "WW", 1200 * time.Millisecond, 0.9, 99},
}

var errUnavailable = errors.New("service unavailable")

// ask returns the airline's offer for a search. The same seed, search and attempt
// have the same answer; what the person typed counts, not the id.
func (a airline) ask(ctx context.Context, s Search, seed uint64, attempt int) (Offer, error) {
	h := fnv.New64a()
	fmt.Fprint(h, a.name, s.Beach, s.From, s.Depart, s.Return)
	r := rand.New(rand.NewPCG(seed+uint64(attempt), h.Sum64()))
	delay := a.slow/2 + time.Duration(r.Float64()*float64(a.slow))
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return Offer{}, context.Cause(ctx)
	}
	if r.Float64() < a.fails {
		return Offer{}, errUnavailable
	}
	return Offer{
		Airline: a.name,
		Flight:  fmt.Sprintf("%s %d", a.code, 100+r.IntN(900)),
		Leaves:  fmt.Sprintf("%02d:%02d", 6+r.IntN(16), 5*r.IntN(12)),
		Euros:   a.price*3/4 + r.IntN(a.price/2),
	}, nil
}
