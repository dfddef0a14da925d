package dabchick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// What concurrent callers saw of each group of a FIFO queue could have been seen
// by callers one at a time: a receive gets the oldest messages of a group, and
// only while the first is not in flight; one that gets nothing found no group
// with anything to deliver.
func TestConcurrentFIFOHistoriesAreLinearizable(t *testing.T) {
	rounds := 400
	if dabchick.RaceEnabled {
		rounds = 100
	}
	seed := rand.Uint64()
	received := 0
	for round := range rounds {
		history := recordGroups(t, rand.New(rand.NewPCG(seed, uint64(round))))
		for _, ops := range history {
			for _, op := range ops {
				if in := op.Input.(groupRequest); in.verb == "receive" && in.messages != "" {
					received++
				}
			}
			result := porcupine.CheckOperationsTimeout(groupModel, ops, 10*time.Second)
			if result != porcupine.Ok {
				slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
				for _, op := range ops {
					t.Logf("%d to %d, client %d: %v", op.Call, op.Return, op.ClientId, op.Input)
				}
				t.Fatalf("seed %d, round %d: %v", seed, round, result)
			}
		}
	}
	require.Greater(t, received, 5*rounds, "messages were received")
}

func TestGroupCheckerRejectsWrongHistories(t *testing.T) {
	do := func(at int64, verb, messages string) porcupine.Operation {
		return porcupine.Operation{Input: groupRequest{verb, messages}, Call: at, Return: at + 1}
	}
	sends := func(more ...porcupine.Operation) []porcupine.Operation {
		return append([]porcupine.Operation{do(0, "send", "1"), do(2, "send", "2"), do(4, "send", "3")}, more...)
	}
	for name, h := range map[string][]porcupine.Operation{
		"later first":            sends(do(6, "receive", "2")),
		"out of order":           sends(do(6, "receive", "2,1")),
		"two at a time":          sends(do(6, "receive", "1"), do(8, "receive", "2")),
		"unlocked by one of two": sends(do(6, "receive", "1,2"), do(8, "delete", "1"), do(10, "receive", "3")),
		"unlocked by a send":     sends(do(6, "receive", "1,2,3"), do(8, "send", "4"), do(10, "receive", "4")),
		"locked for ever":        sends(do(6, "receive", "1"), do(8, "delete", "1"), do(10, "receive", "")),
		"skipped":                sends(do(6, "receive", "1,3")),
		"delivered twice":        sends(do(6, "receive", "1"), do(8, "receive", "1")),
	} {
		require.False(t, porcupine.CheckOperations(groupModel, h), name)
	}
	require.True(t, porcupine.CheckOperations(groupModel, sends(
		do(6, "receive", "1,2"), do(8, "receive", ""), do(10, "release", "1"), do(12, "receive", "1"),
		do(14, "delete", "2"), do(16, "delete", "1"), do(18, "receive", "3"),
	)))
}

// groupRequest is an operation on one group, with the messages concerned: for a
// receive, those that it got.
type groupRequest struct{ verb, messages string }

// groupModel is a group as a text: its messages in order, those in flight with a
// star.
var groupModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		in := input.(groupRequest)
		var group []string
		if state != "" {
			group = strings.Split(state.(string), ",")
		}
		switch in.verb {
		case "send":
			group = append(group, in.messages)
		case "receive":
			got := strings.Split(in.messages, ",")
			if in.messages == "" {
				return len(group) == 0 || strings.HasSuffix(group[0], "*"), state
			}
			if len(got) > len(group) || !slices.Equal(got, group[:len(got)]) {
				return false, state
			}
			for i := range got {
				group[i] += "*"
			}
		case "delete", "release":
			i := slices.Index(group, in.messages+"*")
			if i < 0 {
				return false, state
			}
			if in.verb == "delete" {
				group = slices.Delete(group, i, i+1)
			} else {
				group[i] = in.messages
			}
		}
		return true, strings.Join(group, ",")
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprint(input) },
}

// recordGroups lets some callers loose on a FIFO queue, and returns what happened
// to each group. A receive that got nothing concerns them all.
func recordGroups(t *testing.T, r *rand.Rand) map[string][]porcupine.Operation {
	const callers, each = 4, 14
	names := []string{"a", "b", "c"}
	q := mustNew(t, dabchick.Options[int]{FIFO: true, VisibilityTimeout: time.Hour})
	began := time.Now()
	var mu sync.Mutex
	history := map[string][]porcupine.Operation{}
	var calling sync.WaitGroup
	for id := range callers {
		r := rand.New(rand.NewPCG(r.Uint64(), 0))
		calling.Go(func() {
			ctx := context.Background()
			var held []dabchick.Message[int]
			for n := range each {
				call := int64(time.Since(began))
				record := func(group, verb, messages string) {
					mu.Lock()
					defer mu.Unlock()
					history[group] = append(history[group], porcupine.Operation{
						ClientId: id, Input: groupRequest{verb, messages}, Call: call, Return: int64(time.Since(began)),
					})
				}
				switch p := r.IntN(100); {
				case p < 35:
					body, group := id*each+n, names[r.IntN(len(names))]
					if _, err := q.SendWith(ctx, body, dabchick.SendOptions{Group: group}); err != nil {
						t.Error(err)
					}
					record(group, "send", strconv.Itoa(body))
				case p < 70 || len(held) == 0:
					ms, err := q.ReceiveBatch(ctx, dabchick.ReceiveOptions{Max: 1 + r.IntN(3), Wait: time.Duration(r.IntN(2)) * time.Microsecond})
					if err != nil {
						t.Error(err)
					}
					got := map[string][]string{}
					for _, m := range ms {
						got[m.Group()] = append(got[m.Group()], strconv.Itoa(m.Body))
					}
					for group, bodies := range got {
						record(group, "receive", strings.Join(bodies, ","))
					}
					if len(ms) == 0 {
						for _, group := range names {
							record(group, "receive", "")
						}
					}
					held = append(held, ms...)
				default:
					i := r.IntN(len(held))
					m := held[i]
					held = slices.Delete(held, i, i+1)
					verb, settle := "delete", m.Delete
					if p > 90 {
						verb, settle = "release", m.Release
					}
					if err := settle(ctx); err != nil && !errors.Is(err, dabchick.ErrReceiptExpired) {
						t.Error(err)
					}
					record(m.Group(), verb, strconv.Itoa(m.Body))
				}
			}
		})
	}
	calling.Wait()
	require.NoError(t, q.Check())
	return history
}
