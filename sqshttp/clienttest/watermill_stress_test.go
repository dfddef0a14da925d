//go:build stress

package clienttest

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
)

// The suite's stress variant: its long form, ten times at once or as often as
// STRESS_TEST_COUNT says. The tag is the suite's own, which gives its tests more time by it.
func TestWatermillStress(t *testing.T) {
	tests.TestPubSubStressTest(t, watermillFeatures, watermillPubSub(t), nil)
}
