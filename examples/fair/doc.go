// Package fair simulates what a fair queue does for quiet tenants while another
// one floods the queue. It is a test in fake time: a minute of a queue with 300
// workers takes about a second.
//
//	go test ./examples/fair -v
//	go test ./examples/fair -v -args -plot ../../docs/fair.png
//
// The second draws the plot of docs/guarantees.md.
//
// Every two seconds each of 99 quiet tenants sends a batch of jobs. Between the
// tenth and the twentieth second another tenant sends 60,000. This is played
// three times: without that tenant, with it on a fair queue, and with it on a
// queue in which fairness is switched off.
package fair
