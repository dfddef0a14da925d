//go:build !race

package sqshttp

// raceEnabled tells tests that the race detector runs: it allocates too.
const raceEnabled = false
