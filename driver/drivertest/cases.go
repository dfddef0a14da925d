package drivertest

import "slices"

// cases are all cases, in the order in which a reader of SQS's documentation
// would meet their subjects.
var cases = slices.Concat(messageCases, visibilityCases, settlingCases, waitingCases, queueCases, forFIFO(fifoCases))

func forFIFO(cases []testCase) []testCase {
	for i := range cases {
		cases[i].fifo = true
	}
	return cases
}
