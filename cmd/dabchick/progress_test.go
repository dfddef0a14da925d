package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgressFollowsATotalThatGrows(t *testing.T) {
	p := program{err: &bytes.Buffer{}, errIsTerminal: true}
	s := p.newProgress("moved", 1)
	s.set(1, 3000)
	s.set(10, 3000)
	require.EqualValues(t, 10, s.bar.Current())
	s.add(5)
	require.EqualValues(t, 15, s.bar.Current())
	require.False(t, s.bar.Completed())
	s.end()
	s.end()

	p.errIsTerminal = false
	s = p.newProgress("moved", 1)
	s.set(1, 1)
	s.add(1)
	s.end()
	require.Nil(t, s)
}

// What is shown on a terminal changes nothing of what is done.
func TestCommandsThatShowProgress(t *testing.T) {
	s := newService(t, "jobs,deadLetter=dead,maxReceives=1", "dead")
	for _, x := range []struct{ line, in, out string }{
		{"send jobs", "a\nb\n", "2 messages sent to jobs\n"},
		{"receive jobs -max 2 -visibility 0", "", "a\nb\n"},
		{"receive jobs", "", ""}, // moves them there
		{"redrive dead", "", "COMPLETED: 2 of 2 messages moved from dead\n"},
	} {
		var out, errs bytes.Buffer
		p := program{in: strings.NewReader(x.in), out: &out, err: &errs, http: s, errIsTerminal: true}
		p.run(t.Context(), strings.Fields(x.line))
		require.Equal(t, x.out, out.String(), "%s: %s", x.line, errs.String())
	}
}
