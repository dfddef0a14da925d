package workload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// A slow queue takes its time to send, and another time for its first messages.
type slow struct {
	first, later time.Duration
	sent         int
	filled       *int // gets how many had been sent before the cycles began
}

func (s *slow) Send(context.Context, []byte) error {
	if s.sent++; s.sent <= 64 {
		time.Sleep(s.first)
	} else {
		time.Sleep(s.later)
	}
	return nil
}

func (s *slow) SendGroup(ctx context.Context, _ string, body []byte) error { return s.Send(ctx, body) }

func (s *slow) Receive(context.Context) ([]byte, struct{}, error) {
	if *s.filled == 0 {
		*s.filled = s.sent - 1 // a cycle begins with a send
	}
	return nil, struct{}{}, nil
}

func (s *slow) Delete(context.Context, struct{}) error { return nil }

func (s *slow) Close() error { return nil }

// Each of the two queues gets as many messages as there is time for, though the first ones,
// for which there is no memory yet, take longer than all later ones; and if one got fewer than
// were asked for, that is noted.
func TestFIFOHasAllMessagesThatThereIsTimeFor(t *testing.T) {
	const n, few = 20_000, 200
	quick := slow{first: 100, later: 100}
	late := slow{first: 20 * time.Microsecond, later: 200}
	lame := slow{first: 50 * time.Microsecond, later: 50 * time.Microsecond} // 200 in half of 20 ms
	for name, c := range map[string]struct {
		standard, fifo                slow
		wantStandard, wantFIFO, fewer int
	}{
		"both begin slowly": {late, late, n, n, 0},
		"FIFO is slow":      {quick, lame, n, few, few},
		"standard is slow":  {lame, quick, few, n, few},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var standard, fifo int
				c.standard.filled, c.fifo.filled = &standard, &fifo
				open := func(s entry.Setup) (entry.Queue[struct{}], error) {
					if s.FIFO {
						return &c.fifo, nil
					}
					return &c.standard, nil
				}
				r := &run[struct{}]{ctx: t.Context(), entry: entry.Entry[struct{}]{Open: open}, result: &Result{Values: map[string]float64{}},
					cell: Cell{Param: 10, N: n, Time: time.Millisecond, Budget: 20 * time.Millisecond}}
				require.NoError(t, r.fifo())
				require.Equal(t, c.wantStandard, standard)
				require.Equal(t, c.wantFIFO, fifo)
				require.Equal(t, c.fewer, r.result.Messages)
			})
		})
	}
}
