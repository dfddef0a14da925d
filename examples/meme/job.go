package main

import (
	"hash/fnv"
	"image/color"
	"math/rand/v2"
)

// A Job is what a worker is asked to do: put words on a picture.
type Job struct {
	Picture  string // path in the bucket
	Owner    string // who uploaded it
	Top      string
	Bottom   string
	Colour   color.RGBA
	Position Position
}

// A Position says where the words go.
type Position int

const (
	AtTheEdges  Position = iota // one text above, the other below
	AtTheTop                    // both above
	AtTheBottom                 // both below
	positions
)

var owners = []string{"ada", "grace", "edsger", "barbara", "ken", "radia", "tony", "frances"}

var colours = []color.RGBA{
	{255, 255, 255, 255}, {255, 255, 255, 255}, // the classic, twice as often
	{255, 226, 66, 255}, {126, 229, 255, 255}, {255, 158, 205, 255}, {170, 255, 150, 255},
}

var texts = [][2]string{
	{"one does not simply", "lose a message"},
	{"the worker died", "the job did not"},
	{"I don't always crash", "but when I do, the job comes up again"},
	{"visibility timeout", "now you see me"},
	{"deleted before it was done", "and that is how we lost the invoice"},
	{"shut up and", "take my receipt handle"},
	{"not sure if retry", "or déjà vu"},
	{"brace yourselves", "the backlog is coming"},
	{"poison message", "third time's the charm"},
	{"at least once", "is a promise, not a threat"},
	{"exactly once", "that's not how any of this works"},
	{"sleeps for 30 seconds", "comes up for air"},
	{"works on my machine", "then we'll ship your machine"},
	{"dead-letter queue", "where jobs go to be read on Monday"},
	{"deployed on a Friday", "every worker restarted at once, nothing was lost"},
	{"keep calm", "and extend the visibility timeout"},
	{"y u no", "delete message?"},
	{"first in", "first served, unless you dived"},
	{"what if I told you", "a channel forgets what it hands out"},
	{"such queue", "much order, very lease, wow"},
}

// newJob makes up what to do with a picture. The same seed and picture give the
// same job.
func newJob(seed uint64, picture, name string) Job {
	r := rand.New(rand.NewPCG(seed, hash(name)))
	text := texts[r.IntN(len(texts))]
	return Job{
		Picture:  picture,
		Owner:    owners[r.IntN(len(owners))],
		Top:      text[0],
		Bottom:   text[1],
		Colour:   colours[r.IntN(len(colours))],
		Position: max(0, Position(r.IntN(int(positions)+3))-3), // mostly at the edges
	}
}

// A fate is what happens to a worker in the middle of a job.
type fate int

const (
	lives fate = iota
	dies
	hangs
)

// crashes says how a worker fares in this attempt at a job. It depends on nothing
// but the seed, the picture and the attempt, so a run can be repeated.
func crashes(seed uint64, name string, attempt int, chance float64) fate {
	r := rand.New(rand.NewPCG(seed+uint64(attempt), hash(name)^0x9e3779b97f4a7c15))
	switch x := r.Float64(); {
	case x < chance*2/3:
		return dies
	case x < chance:
		return hangs
	}
	return lives
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
