package dabchick_test

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// The checker would notice.
func TestCheckerRejectsWrongHistories(t *testing.T) {
	receive := func(at int64, most int, got ...delivered) *call {
		return &call{verb: "receive", began: at, at: at, n: most, d: 5, got: got}
	}
	late := func(c *call, began int64) *call { c.began = began; return c }
	send := func(at int64, body, n int) *call { return &call{verb: "send", at: at, body: body, n: n, group: 'a'} }
	settle := func(verb string, at int64, body, nth int, err outcome) *call {
		return &call{verb: verb, at: at, body: body, nth: nth, err: err}
	}
	stats := func(at int64, visible, inFlight, delayed int) *call {
		return &call{verb: "stats", at: at, counts: [3]int{visible, inFlight, delayed}}
	}
	one := func(body, nth int) delivered { return delivered{body, nth, nth} }
	delayed := &call{verb: "send", at: 0, body: 1, n: 1, d: 3, group: 'a'}
	other := &call{verb: "send", at: 0, body: 9, n: 1, group: 'b'}
	closing := &call{verb: "close", at: 1}
	for name, c := range map[string]struct {
		fifo, right bool
		calls       []*call
	}{
		"sent and got":               {false, true, []*call{send(0, 1, 1), receive(0, 1, one(1, 1))}},
		"delivered twice":            {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), receive(1, 1, one(1, 2))}},
		"up at its deadline":         {false, true, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), receive(5, 1, one(1, 2))}},
		"up before its deadline":     {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), receive(4, 1, one(1, 2))}},
		"not up at its deadline":     {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), receive(5, 1)}},
		"lost":                       {false, false, []*call{send(0, 1, 1), receive(0, 1)}},
		"invented":                   {false, false, []*call{receive(0, 1, one(7, 1))}},
		"out of order":               {false, false, []*call{send(0, 1, 2), receive(0, 1, one(2, 1))}},
		"half a batch":               {false, false, []*call{send(0, 1, 2), receive(0, 2, one(1, 1))}},
		"wrong count of receives":    {false, false, []*call{send(0, 1, 1), receive(0, 1, delivered{1, 2, 1})}},
		"delay cut short":            {false, false, []*call{delayed, receive(2, 1, one(1, 1))}},
		"woken at the instant":       {false, true, []*call{delayed, late(receive(3, 1, one(1, 1)), 0)}},
		"woken too late":             {false, false, []*call{send(0, 1, 1), late(receive(4, 1, one(1, 1)), 1)}},
		"deleted but there":          {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), settle("delete", 0, 1, 1, fine), receive(5, 1, one(1, 2))}},
		"deleted by a stale receipt": {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), receive(5, 1, one(1, 2)), settle("delete", 5, 1, 1, fine)}},
		"extended after its end":     {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), settle("change", 5, 1, 1, fine)}},
		"released but away":          {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), settle("change", 1, 1, 1, fine), receive(1, 1)}},
		"returned but counted":       {false, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), settle("return", 1, 1, 1, fine), receive(1, 1, delivered{1, 2, 2})}},
		"returned":                   {false, true, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), settle("return", 1, 1, 1, fine), receive(1, 1, delivered{1, 1, 2})}},
		"wrong counts":               {false, false, []*call{send(0, 1, 1), stats(0, 0, 1, 0)}},
		"purged but there":           {false, false, []*call{send(0, 1, 1), {verb: "purge", n: 1}, receive(0, 1, one(1, 1))}},
		"purged too few":             {false, false, []*call{send(0, 1, 2), {verb: "purge", n: 1}}},
		"sent when closed":           {false, false, []*call{closing, send(1, 1, 1)}},
		"not closed yet":             {false, false, []*call{{verb: "send", at: 0, body: 1, n: 1, err: closed}, closing}},

		"in order":                  {true, true, []*call{send(0, 1, 3), receive(0, 2, one(1, 1), one(2, 1)), receive(1, 1), settle("delete", 1, 1, 1, fine), settle("delete", 1, 2, 1, fine), receive(2, 1, one(3, 1))}},
		"later first":               {true, false, []*call{send(0, 1, 2), receive(0, 1, one(2, 1))}},
		"two at a time":             {true, false, []*call{send(0, 1, 2), receive(0, 1, one(1, 1)), receive(0, 1, one(2, 1))}},
		"unlocked by one of two":    {true, false, []*call{send(0, 1, 3), receive(0, 2, one(1, 1), one(2, 1)), settle("delete", 1, 1, 1, fine), receive(2, 1, one(3, 1))}},
		"unlocked by a send":        {true, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), send(0, 2, 1), receive(0, 1, one(2, 1))}},
		"locked for ever":           {true, false, []*call{send(0, 1, 2), receive(0, 1, one(1, 1)), settle("delete", 1, 1, 1, fine), receive(1, 1)}},
		"held up by another group":  {true, false, []*call{send(0, 1, 1), other, receive(0, 1, one(1, 1)), receive(0, 1)}},
		"deleted after its timeout": {true, false, []*call{send(0, 1, 1), receive(0, 1, one(1, 1)), settle("delete", 5, 1, 1, fine)}},
	} {
		var ops []porcupine.Operation
		for i, c := range c.calls {
			c.began = min(c.began, c.at)
			if c.verb != "receive" {
				c.began = c.at
			}
			ops = append(ops, porcupine.Operation{Input: c, Call: int64(2 * i), Return: int64(2*i + 1)})
		}
		require.Equal(t, c.right, porcupine.CheckOperations(lineModel(c.fifo, math.MaxInt), ops), name)
		require.Equal(t, c.right, porcupine.CheckOperations(lendingModel(c.fifo, math.MaxInt), ops), name)
	}
}

// A message that a cancelled receive was handed for a moment may be missed in that
// moment, and is there again after it.
func TestCheckerKnowsCancelledReceives(t *testing.T) {
	history := func(after ...*call) []porcupine.Operation {
		ops := []porcupine.Operation{
			{Input: &call{verb: "send", body: 1, n: 1}, Call: 0, Return: 1},
			{Input: &call{verb: "lend", n: 1}, Call: 2, Return: 10},
			{ClientId: 1, Input: &call{verb: "give back"}, Call: 2, Return: 10},
		}
		for i, c := range after {
			ops = append(ops, porcupine.Operation{ClientId: 2, Input: c, Call: int64(4 + 4*i), Return: int64(5 + 4*i)})
		}
		return ops
	}
	none := &call{verb: "try", n: 1}
	some := &call{verb: "try", n: 1, d: 5, got: []delivered{{1, 1, 1}}}
	require.True(t, porcupine.CheckOperations(lendingModel(false, math.MaxInt), history(none)))
	require.True(t, porcupine.CheckOperations(lendingModel(false, math.MaxInt), history(some)))
	require.True(t, porcupine.CheckOperations(lendingModel(false, math.MaxInt), history(none, some)))
	require.False(t, porcupine.CheckOperations(lendingModel(false, math.MaxInt), history(some, &call{verb: "stats", counts: [3]int{1, 0, 0}})), "it is away")
	require.False(t, porcupine.CheckOperations(lendingModel(false, math.MaxInt), history(none, none, none)), "it is lost")
}

// There is room for what a queue may hold, and not for more.
func TestCheckerKnowsBounds(t *testing.T) {
	send := func(n, less int, err outcome) *call { return &call{verb: "send", body: 1, n: n, less: less, err: err} }
	some := &call{verb: "try", n: 1, d: 5, got: []delivered{{1, 1, 1}}}
	for name, c := range map[string]struct {
		right bool
		calls []*call
	}{
		"as many as it may hold": {true, []*call{send(2, 0, fine)}},
		"one more":               {true, []*call{send(3, 1, full)}},
		"one more, stored":       {false, []*call{send(3, 0, fine)}},
		"in flight counts":       {false, []*call{send(2, 0, fine), some, send(1, 0, fine)}},
		"deleted does not":       {true, []*call{send(2, 0, fine), some, {verb: "delete", body: 1, nth: 1}, send(1, 0, fine)}},
		"full too early":         {false, []*call{send(1, 0, fine), send(1, 1, full)}},
		"too few of a batch":     {false, []*call{send(2, 1, full)}},
		"no error":               {false, []*call{send(3, 1, fine)}},
	} {
		var ops []porcupine.Operation
		for i, c := range c.calls {
			ops = append(ops, porcupine.Operation{Input: c, Call: int64(2 * i), Return: int64(2*i + 1)})
		}
		require.Equal(t, c.right, porcupine.CheckOperations(lineModel(false, 2), ops), name)
	}
}
