package dabchick_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

func TestSteadyStateAllocatesNothing(t *testing.T) {
	if dabchick.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	for name, o := range map[string]dabchick.Options[[]byte]{
		"plain":   {},
		"bounded": {MaxMessages: 10_000, MaxBytes: 1 << 30, MaxInFlight: 10},
		"delayed": {Delay: dabchick.Immediately, Retention: dabchick.Forever},
		"hooked":  {OnEvent: func(dabchick.Event[[]byte]) {}},
	} {
		t.Run(name, func(t *testing.T) {
			q := mustNew(t, o)
			body := make([]byte, 256)
			for range 1000 { // a backlog
				send(t, q, body)
			}
			cycle := func() {
				q.Send(ctx, body)
				m, _ := q.Receive(ctx)
				m.Extend(ctx, time.Minute)
				m.Delete(ctx)
			}
			into := make([]dabchick.Message[[]byte], 10)
			ids := make([]dabchick.ID, len(into))
			out := make([]dabchick.Outgoing[[]byte], len(into))
			for i := range out {
				out[i].Body = body
			}
			batch := func() {
				if o.OnEvent == nil {
					q.SendInto(ctx, ids, out)
				} else {
					for range into {
						q.Send(ctx, body)
					}
				}
				n, _ := q.ReceiveInto(ctx, into, dabchick.ReceiveOptions{})
				for _, m := range into[:n] {
					m.Delete(ctx)
				}
			}
			for what, f := range map[string]func(){"one by one": cycle, "batches": batch} {
				f()
				require.Zero(t, testing.AllocsPerRun(10_000, f), what)
			}
		})
	}
	t.Run("a hundred bodies without a size", func(t *testing.T) {
		q := mustNew(t, dabchick.Options[int]{})
		ids, out := make([]dabchick.ID, 100), make([]dabchick.Outgoing[int], 100)
		into := make([]dabchick.Message[int], 100)
		receipts := make([]dabchick.Receipt, 100)
		batch := func() {
			q.SendInto(ctx, ids, out)
			n, _ := q.ReceiveInto(ctx, into, dabchick.ReceiveOptions{})
			for i := range into[:n] {
				receipts[i] = into[i].Receipt
			}
			q.Delete(ctx, receipts[:n]...)
		}
		for range 20 {
			batch()
		}
		require.Zero(t, testing.AllocsPerRun(1000, batch))
	})
	for name, o := range map[string]dabchick.Options[[]byte]{"FIFO": {FIFO: true}, "fair": {}} {
		t.Run(name, func(t *testing.T) {
			q := mustNew(t, o)
			body := make([]byte, 256)
			groups := []string{"a", "b", "c", "comes and goes"}
			cycle := func() {
				for i, g := range groups {
					q.SendWith(ctx, body, dabchick.SendOptions{Group: g})
					if i > 0 {
						m, _ := q.Receive(ctx)
						m.Extend(ctx, time.Minute)
						m.Delete(ctx)
					}
				}
				m, _ := q.Receive(ctx)
				m.Delete(ctx)
			}
			cycle()
			require.Zero(t, testing.AllocsPerRun(1000, cycle))
		})
	}
	t.Run("waiting", func(t *testing.T) {
		q := mustNew(t, dabchick.Options[[]byte]{})
		body := make([]byte, 256)
		var wg sync.WaitGroup
		defer wg.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan struct{})
		wg.Go(func() {
			for {
				m, err := q.Receive(ctx) // mostly waits
				if err != nil {
					return
				}
				m.Delete(ctx)
				done <- struct{}{}
			}
		})
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			q.Send(ctx, body)
			<-done
		}))
	})
}

// A queue that was full and is empty again holds no more memory than one that
// never was.
func TestNothingIsLeftBehind(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	ctx := context.Background()
	q := mustNew(t, dabchick.Options[*[256]byte]{})
	before := heap()
	for range 100_000 {
		send(t, q, new([256]byte))
	}
	full := heap() - before
	for range 100_000 {
		require.NoError(t, take(t, q).Delete(ctx))
	}
	left := heap() - before
	require.Greater(t, full, int64(100_000*256))
	require.Less(t, left, full/100)
	runtime.KeepAlive(q)
}

// Nor does it over a backlog of any size, once that has stood for a while. It would be in
// few large pieces, so bytes are counted.
func TestStandingBacklogAllocatesNothing(t *testing.T) {
	if dabchick.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	for _, standing := range []int{0, 1, 40, 100, 1000, 3000, 20_000} {
		q := mustNew(t, dabchick.Options[[]byte]{})
		body := make([]byte, 256)
		for range standing {
			send(t, q, body)
		}
		cycles := func(n int) {
			for range n {
				q.Send(ctx, body)
				m, _ := q.Receive(ctx)
				m.Delete(ctx)
			}
		}
		cycles(3*standing + 10_000)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			runtime.GC() // what it has given back is gone
			runtime.GC()
			cycles(10_000)
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100_000), "bytes, over %d messages", standing)
	}
}

// Nor does one whose messages, those in flight, or groups go up and down, as long as the
// garbage collector lets it have what it gave back.
func TestUpAndDownAllocatesNothing(t *testing.T) {
	if dabchick.RaceEnabled {
		t.Skip("the race detector allocates, and throws away what is given back")
	}
	const most = 20_000
	ctx := context.Background()
	names := make([]string, most)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	held := make([]dabchick.Message[[]byte], most)
	for name, c := range map[string]struct {
		fifo bool
		hold int // how many are in flight at once
	}{
		"messages":  {false, 1},
		"in flight": {false, most},
		"groups":    {true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			q := mustNew(t, dabchick.Options[[]byte]{FIFO: c.fifo})
			body := make([]byte, 256)
			upAndDown := func() {
				for i := range most {
					o := dabchick.SendOptions{}
					if c.fifo {
						o.Group = names[i]
					}
					_, err := q.SendWith(ctx, body, o)
					require.NoError(t, err)
				}
				for range most / c.hold {
					for i := range c.hold {
						held[i], _ = q.TryReceive()
					}
					for i := range c.hold {
						require.NoError(t, held[i].Delete(ctx))
					}
				}
			}
			// What is given back is found on the same processor for sure, so there is one.
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			for range 5 {
				upAndDown()
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 20 {
				upAndDown()
			}
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20*most*4), "bytes; a message takes 32 at least")
		})
	}
}
