package dabchick

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick/driver"
	"github.com/dabchickmq/dabchick/driver/drivertest"
)

// numbered is a driver whose handles are numbers.
type numbered struct {
	driver.Queue
	features map[driver.Feature]string
	mu       sync.Mutex
	handles  []string
}

func (n *numbered) Features() map[driver.Feature]string { return n.features }

func (n *numbered) Receive(ctx context.Context, r driver.Receive) ([]driver.Message, error) {
	ms, err := n.Queue.Receive(ctx, r)
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range ms {
		n.handles = append(n.handles, ms[i].Handle)
		ms[i].Handle = strconv.Itoa(len(n.handles))
	}
	return ms, err
}

func (n *numbered) handle(number string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i, err := strconv.Atoi(number); err == nil && i >= 1 && i <= len(n.handles) {
		return n.handles[i-1]
	}
	return ""
}

func (n *numbered) Delete(ctx context.Context, handles []string) ([]error, error) {
	their := make([]string, len(handles))
	for i, h := range handles {
		their[i] = n.handle(h)
	}
	return n.Queue.Delete(ctx, their)
}

func (n *numbered) ChangeVisibility(ctx context.Context, changes []driver.Change) ([]error, error) {
	their := make([]driver.Change, len(changes))
	for i, c := range changes {
		their[i] = driver.Change{Handle: n.handle(c.Handle), Timeout: c.Timeout}
	}
	return n.Queue.ChangeVisibility(ctx, their)
}

// A handle may be as short as it likes.
func TestSuiteTakesShortHandles(t *testing.T) {
	open := func(features map[driver.Feature]string) func(tb testing.TB) driver.Queue {
		return func(tb testing.TB) driver.Queue {
			return &numbered{Queue: newEngineDriver(tb), features: features}
		}
	}
	guessed := map[driver.Feature]string{driver.ForgedReceipts: "numbers are easily guessed"}
	require.Empty(t, drivertest.Try(t, drivertest.Harness{Open: open(guessed)}))
	failures := drivertest.Try(t, drivertest.Harness{Open: open(nil)})
	require.Len(t, failures, 1)
	require.Equal(t, "handles of another queue", failures[0].Case)
}
