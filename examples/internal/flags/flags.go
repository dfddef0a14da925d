// Package flags reads the command lines of the examples.
package flags

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// Parse reads arguments, all of which have to be flags. It returns an error without
// printing it, which package flag would do as well: the program tells of it, once. For
// -help it prints what flags there are, and returns flag.ErrHelp.
func Parse(f *flag.FlagSet, args []string, w io.Writer) error {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(w)
		f.Usage()
		return err
	case err != nil:
		return fmt.Errorf("%w: see -help", err)
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: see -help", f.Arg(0))
	}
	return nil
}
