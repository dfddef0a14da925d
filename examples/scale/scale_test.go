package scale

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/examples/internal/chart"
	"github.com/dabchickmq/dabchick/worker"
)

var plotFile = flag.String("plot", "", "file to draw the plot into")

const (
	duration  = 10 * time.Minute
	calm      = 2 // messages a second
	surge     = 40
	surgeFrom = 2 * time.Minute
	surgeTill = 4 * time.Minute
	work      = time.Second // on average
	target    = 10 * time.Second
	coolDown  = time.Minute
	most      = 60
)

// A surge of twenty times the usual brings workers at once, which keep the wait
// near its target, and which go when it is over.
func TestWorkersFollowASurge(t *testing.T) {
	backlog := chart.Panel{Title: "Backlog", Unit: "messages",
		Lines: []chart.Line{{Name: "visible", Steps: true}}}
	workers := chart.Panel{Title: "Workers", Unit: "workers",
		Lines: []chart.Line{{Name: "running handlers", Steps: true}, {Name: "workers", Steps: true}}}
	waits := chart.Panel{Title: "Wait of the messages that were begun in each second, the longest", Unit: "seconds",
		Lines: []chart.Line{{Name: "wait"}}}
	longest := map[time.Duration]time.Duration{} // by second
	var atEnd, inSurge worker.Stats
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		q, err := dabchick.New("jobs", dabchick.Options[time.Duration]{})
		require.NoError(t, err)
		var mu sync.Mutex
		p, err := worker.New(q, func(ctx context.Context, m dabchick.Message[time.Duration]) error {
			mu.Lock()
			second := time.Since(began).Truncate(time.Second)
			longest[second] = max(longest[second], time.Since(m.SentAt()))
			mu.Unlock()
			time.Sleep(m.Body)
			return nil
		}, worker.Options{Workers: most, Scale: &worker.Scale{Min: 1, Wait: target, CoolDown: coolDown}})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		go send(ctx, q)
		for at := time.Duration(0); at < duration; at += time.Second {
			s, err := q.Stats(ctx)
			require.NoError(t, err)
			stats := p.Stats()
			backlog.Lines[0].Points = append(backlog.Lines[0].Points, chart.Point{At: at, Value: float64(s.Visible)})
			workers.Lines[0].Points = append(workers.Lines[0].Points, chart.Point{At: at, Value: float64(stats.Running)})
			workers.Lines[1].Points = append(workers.Lines[1].Points, chart.Point{At: at, Value: float64(stats.Workers)})
			if at == surgeTill-time.Second {
				inSurge = stats
			}
			time.Sleep(time.Second)
		}
		atEnd = p.Stats()
		stop()
		require.NoError(t, <-ended)
	})
	var wait time.Duration
	for at := time.Duration(0); at < duration; at += time.Second {
		wait = max(wait, longest[at])
		waits.Lines[0].Points = append(waits.Lines[0].Points, chart.Point{At: at, Value: longest[at].Seconds()})
	}
	t.Logf("workers at the end of the surge %d, of the run %d; longest wait %v", inSurge.Workers, atEnd.Workers, wait)
	require.Greater(t, inSurge.Workers, surge-5)
	require.Less(t, atEnd.Workers, 3*calm)
	require.Less(t, wait, target+target/2)
	if *plotFile != "" {
		require.NoError(t, chart.Draw(*plotFile, duration, backlog, workers, waits))
	}
}

// send sends messages at random instants, so many a second on average.
func send(ctx context.Context, q *dabchick.Queue[time.Duration]) {
	r := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	for ctx.Err() == nil {
		rate := float64(calm)
		if at := time.Since(began); at >= surgeFrom && at < surgeTill {
			rate = surge
		}
		time.Sleep(time.Duration(r.ExpFloat64() / rate * float64(time.Second)))
		q.Send(ctx, work/2+time.Duration(r.Int64N(int64(work))))
	}
}
