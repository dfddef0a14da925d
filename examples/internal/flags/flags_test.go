package flags

import (
	"bytes"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	parse := func(args ...string) (n int, printed string, err error) {
		f := flag.NewFlagSet("example", flag.ContinueOnError)
		f.IntVar(&n, "n", 1, "a number")
		var out bytes.Buffer
		err = Parse(f, args, &out)
		return n, out.String(), err
	}
	n, printed, err := parse("-n", "2")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, printed)

	_, printed, err = parse("-help")
	require.Equal(t, flag.ErrHelp, err)
	require.Contains(t, printed, "a number")

	for _, c := range []struct{ arg, want string }{
		{"-m", "flag provided but not defined: -m: see -help"},
		{"-n=x", `invalid value "x" for flag -n: parse error: see -help`},
		{"n=2", `unexpected argument "n=2": see -help`},
	} {
		_, printed, err = parse(c.arg)
		require.EqualError(t, err, c.want)
		require.Empty(t, printed, "the program tells it")
	}
}
