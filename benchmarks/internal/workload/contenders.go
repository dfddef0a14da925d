package workload

import (
	"context"

	"github.com/dabchickmq/dabchick/benchmarks/internal/entry"
)

// A Contender is an entry of whatever type its receipts are.
type Contender struct {
	entry.Info
	measure func(context.Context, Cell, *Result) error
}

// Contenders is every entry, in the order in which they are shown.
var Contenders = []Contender{
	contender(entry.Floor),
	contender(entry.Channel),
	contender(entry.ShortChannel),
	contender(entry.Tree),
	contender(entry.RingTree),
	contender(entry.Wheel),
	contender(entry.Dabchick),
	contender(entry.Workqueue),
	contender(entry.GoChannel),
	contender(entry.Mempubsub),
	contender(entry.JetStream),
	contender(entry.Goqite),
	contender(entry.Asynq),
	contender(entry.Beanstalkd),
	contender(entry.Sqshttp),
	contender(entry.SqshttpLoopback),
	contender(entry.Goaws),
}

func contender[R any](e entry.Entry[R]) Contender {
	return Contender{e.Info, func(ctx context.Context, c Cell, result *Result) error {
		r := &run[R]{ctx: ctx, entry: e, cell: c, result: result, body: make([]byte, bodySize)}
		for i := range r.body {
			r.body[i] = 'a' + byte(i%26) // texts, since SQS takes nothing else
		}
		return r.measure()
	}}
}

// FindContender returns the entry of a name, or nil.
func FindContender(name string) *Contender {
	for i := range Contenders {
		if Contenders[i].Name == name {
			return &Contenders[i]
		}
	}
	return nil
}

// Measure carries out a cell. What it has measured before an error is in the result.
func Measure(ctx context.Context, c Cell) Result {
	result := Result{Cell: c, Values: map[string]float64{}}
	e := FindContender(c.Entry)
	switch {
	case e == nil || Find(c.Workload) == nil:
		result.Failed = "there is no such entry or workload"
	default:
		if err := e.measure(ctx, c, &result); err != nil {
			result.Failed = err.Error()
		}
	}
	return result
}
