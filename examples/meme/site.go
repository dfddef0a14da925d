package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/dabchickmq/dabchick"
)

// A site makes jobs of what arrives in its bucket, and keeps an eye on the
// queue.
type site struct {
	jobs, dead *dabchick.Queue[Job]
	log        *ledger
	bucket     *bucket
	seed       uint64
	watch      bool
	workers    func() int // how many there are
}

// takeUploads sends a job for each picture that arrives, until uploaded has told
// that no more will come and all jobs are accounted for, or ctx ends.
func (s *site) takeUploads(ctx context.Context, uploaded <-chan error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	more := true
	for {
		names, err := s.bucket.arrivals(time.Now())
		if err != nil {
			return err
		}
		if err := s.send(names); err != nil {
			return err
		}
		if !more && !s.watch && !s.bucket.fresh() && s.settled() {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-uploaded:
			if err != nil {
				return err
			}
			more, uploaded = false, nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *site) send(names []string) error {
	var batch []dabchick.Outgoing[Job]
	for _, name := range names {
		job := newJob(s.seed, filepath.Join(s.bucket.dir, name), name)
		batch = append(batch, dabchick.Outgoing[Job]{Body: job, SendOptions: dabchick.SendOptions{Group: job.Owner}})
	}
	if len(batch) == 0 {
		return nil
	}
	s.log.arrived(len(batch))                               // before a worker can be done with one
	_, err := s.jobs.SendBatch(context.Background(), batch) // what is counted is sent, though the program ends
	return err
}

// settled says whether every job is done or given up.
func (s *site) settled() bool {
	here, err := s.jobs.Stats(context.Background())
	return err == nil && here.Visible+here.InFlight+here.Delayed == 0
}

// watchQueue takes samples for the plot until ctx ends.
func (s *site) watchQueue(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		s.sample()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *site) sample() {
	here, err := s.jobs.Stats(context.Background())
	there, err2 := s.dead.Stats(context.Background())
	if err == nil && err2 == nil {
		s.log.sample(here.Visible, here.InFlight, there.Visible, s.workers())
	}
}
