package fair

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

var plotFile = flag.String("plot", "", "file to draw the plot into")

const (
	workers    = 300
	work       = 100 * time.Millisecond // on average
	quiet      = 99                     // tenants
	batch      = 20                     // jobs that a quiet tenant sends at once
	every      = 2 * time.Second
	noisy      = "noisy"
	floodFrom  = 10 * time.Second
	floodTill  = 20 * time.Second
	floodJobs  = 60_000
	duration   = time.Minute
	unfair     = 1 // a share that is never exceeded
	sampleTime = 500 * time.Millisecond
)

// A run is what was seen in one simulation.
type run struct {
	name    string
	mu      sync.Mutex
	dwell   []dwell // of quiet tenants' jobs
	backlog []int   // of the noisy tenant, one for each sampleTime
	done    uint64  // jobs of all, by the time that the flood ends
	drained time.Duration
}

// dwell is how long a job waited to be received.
type dwell struct{ sent, waited time.Duration }

func (r *run) add(d dwell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dwell = append(r.dwell, d)
}

// p99 returns the 99th percentile of the waiting of jobs sent in a time.
func (r *run) p99(from, till time.Duration) time.Duration {
	var waited []time.Duration
	for _, d := range r.dwell {
		if from <= d.sent && d.sent < till {
			waited = append(waited, d.waited)
		}
	}
	slices.Sort(waited)
	return waited[len(waited)*99/100]
}

// Quiet tenants hardly notice the flood on a fair queue, and the workers do as
// much work meanwhile as on any other: the flood is over when it could be.
func TestFairQueueKeepsQuietTenantsQuick(t *testing.T) {
	calm := simulate(t, "no flood", dabchick.Fairness{}, false)
	fair := simulate(t, "flood, fair queue", dabchick.Fairness{}, true)
	plain := simulate(t, "flood, fairness off", dabchick.Fairness{InFlightShare: unfair, ProcessingShare: unfair}, true)
	t.Logf("%-20s  %10s  %20s  %s", "", "p99 dwell", "done by all in 20 s", "flood drained after")
	for _, r := range []*run{calm, fair, plain} {
		t.Logf("%-20s  %10v  %20d  %v", r.name, r.p99(0, duration).Round(time.Millisecond), r.done, r.drained)
	}
	require.LessOrEqual(t, fair.p99(0, duration), 2*calm.p99(0, duration))
	require.Greater(t, plain.p99(0, duration), 5*calm.p99(0, duration), "the flood is one")
	require.InEpsilon(t, plain.done, fair.done, 0.01)
	if *plotFile != "" {
		require.NoError(t, drawRuns(*plotFile, calm, fair, plain))
	}
}

// simulate plays one minute, and then waits until all jobs are done.
func simulate(t *testing.T, name string, f dabchick.Fairness, withFlood bool) *run {
	r := &run{name: name}
	synctest.Test(t, func(t *testing.T) {
		q, err := dabchick.New("jobs", dabchick.Options[time.Duration]{Fairness: f})
		require.NoError(t, err)
		random := rand.New(rand.NewPCG(1, 2)) // the same jobs in each run
		began := time.Now()
		for range workers {
			go serve(t, q, r, began)
		}
		done := make(chan struct{})
		go func() {
			sample(t, q, r, withFlood, began)
			close(done)
		}()
		if withFlood {
			go flood(t, q)
		}
		for time.Since(began) < duration {
			for tenant := range quiet {
				send(t, q, fmt.Sprint("tenant-", tenant), batch, random)
			}
			time.Sleep(every)
		}
		<-done
		require.NoError(t, q.Close())
		synctest.Wait()
	})
	return r
}

// serve works on jobs until the queue is closed.
func serve(t *testing.T, q *dabchick.Queue[time.Duration], r *run, began time.Time) {
	for m, err := range q.Messages(context.Background()) {
		if err != nil {
			return
		}
		if m.Group() != noisy {
			r.add(dwell{m.SentAt().Sub(began), time.Since(m.SentAt())})
		}
		time.Sleep(m.Body)
		if err := m.Delete(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func flood(t *testing.T, q *dabchick.Queue[time.Duration]) {
	const steps = 100
	random := rand.New(rand.NewPCG(3, 4))
	time.Sleep(floodFrom)
	for range steps {
		send(t, q, noisy, floodJobs/steps, random)
		time.Sleep((floodTill - floodFrom) / steps)
	}
}

func send(t *testing.T, q *dabchick.Queue[time.Duration], tenant string, n int, random *rand.Rand) {
	for range n {
		job := work/2 + time.Duration(random.Int64N(int64(work)))
		if _, err := q.SendWith(context.Background(), job, dabchick.SendOptions{Group: tenant}); err != nil {
			t.Error(err)
		}
	}
}

// sample notes the noisy tenant's backlog until the minute is over and it has
// none any more.
func sample(t *testing.T, q *dabchick.Queue[time.Duration], r *run, withFlood bool, began time.Time) {
	for {
		g, err := q.Group(context.Background(), noisy)
		if err != nil {
			t.Error(err)
		}
		r.backlog = append(r.backlog, g.Visible)
		s, err := q.Stats(context.Background())
		if err != nil {
			t.Error(err)
		}
		now := time.Since(began)
		if now <= floodTill {
			r.done = s.Deleted
		}
		if left := g.Visible + g.InFlight; left > 0 {
			r.drained = now + sampleTime - floodFrom
		} else if now >= duration+every {
			return
		}
		time.Sleep(sampleTime)
	}
}
