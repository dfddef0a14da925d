// Package scale simulates a pool of workers whose number follows the backlog: a
// quiet queue, a surge, and its end. It is a test in fake time: ten minutes take
// less than a second.
//
//	go test ./examples/scale -v
//	go test ./examples/scale -v -args -plot ../../docs/scale.png
//
// The second draws the plot of docs/guarantees.md.
package scale
