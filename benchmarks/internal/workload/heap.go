package workload

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// heap measures the memory that messages take beyond their bodies, and what they cost
// the garbage collector. Each body is a slice of its own that nobody else keeps: an
// entry that copies it has its copy, others have the sender's.
func (r *run[R]) heap() error {
	n := r.cell.Param
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	before := live() // of the queue too: the places of a channel are there before any message
	q, err := r.open(entry.Setup{Capacity: n})
	if err != nil {
		return err
	}
	defer q.Close()
	if err := r.sendOwn(q, n); err != nil {
		return err
	}
	r.set("heap", float64(live()-before)/float64(n)-bodySize)
	best, cpu := time.Hour, 0.0
	for range 3 {
		used := collectorCPU()
		began := time.Now()
		runtime.GC()
		if passed := time.Since(began); passed < best {
			best, cpu = passed, collectorCPU()-used
		}
	}
	r.set("gc", best.Seconds()*1e3)
	r.set("gccpu", cpu*1e3)
	runtime.KeepAlive(q)
	return nil
}

// trace looks at the live heap at even steps of filling and then draining a queue.
func (r *run[R]) trace() error {
	n := r.cell.Param
	q, err := r.open(entry.Setup{Capacity: n})
	if err != nil {
		return err
	}
	defer q.Close()
	const steps = 20
	trace := []float64{float64(live())}
	for range steps {
		if err := r.sendOwn(q, n/steps); err != nil {
			return err
		}
		trace = append(trace, float64(live()))
	}
	for range steps {
		if err := r.drain(q, n/steps); err != nil {
			return err
		}
		trace = append(trace, float64(live()))
	}
	r.result.Trace = trace
	r.set("peak", trace[steps]/1e6)
	r.set("left", trace[2*steps]/1e6)
	return nil
}

// sendOwn sends n messages with bodies of their own.
func (r *run[R]) sendOwn(q entry.Queue[R], n int) error {
	patience := patience{limit: r.preparation(), began: time.Now(), n: n}
	for i := range n {
		if err := q.Send(r.ctx, bytes.Clone(r.body)); err != nil {
			return err
		}
		if err := patience.check("filling", i+1); err != nil {
			return err
		}
	}
	return nil
}

// live returns the bytes of the heap that are in use.
func live() uint64 {
	runtime.GC()
	runtime.GC() // what the first has only found to be garbage
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// collectorCPU returns the seconds of CPU that collections have taken.
func collectorCPU() float64 {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64()
}
