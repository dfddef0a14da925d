//go:build !race

package dabchick

// RaceEnabled tells tests that the race detector runs: it slows them down, and
// allocates.
const RaceEnabled = false
