package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

const about = `dabchick is an Amazon SQS server for development and tests, and a command line
for any SQS endpoint: the server of "dabchick serve" unless -endpoint or the
environment (AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL) names another. It never
talks to AWS unless told so.

Flags may be written with one dash or two, before or after arguments; what
follows -- is not a flag.

Exit codes:
  0  done
  1  failed: the reason is on standard error, in one line
  2  the command was not understood, or a setting is out of range
  3  receive and peek: there was nothing`

// run carries out a command line, and returns the code with which to exit.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() } // a command without looks at no arguments
	}
	root.SetArgs(goFlags(root, args))
	ran := false
	root.PersistentPreRun = func(*cobra.Command, []string) { ran = true }
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err, ran)
	if err != nil {
		fmt.Fprintf(p.err, "%s: %s\n", strings.ReplaceAll(cmd.CommandPath(), " ", ": "), oneLine(err.Error()))
	}
	return code
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use: "dabchick", Short: "An SQS server, and a command line for SQS", Long: about,
		Version: version(), SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.PersistentFlags().BoolVar(&p.json, "json", false, "print JSON, one object a line")
	root.AddCommand(
		p.serveCommand(), p.queuesCommand(), p.createCommand(), p.sendCommand(), p.receiveCommand(),
		p.peekCommand(), p.purgeCommand(), p.redriveCommand(), p.benchCommand(),
	)
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "Tell what a command does and takes",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q: \"dabchick help\" lists those that there are", strings.Join(args, " "))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range root.Commands() {
				names = append(names, c.Name())
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	})
	return root
}

// goFlags lets flags be written with one dash, as those of Go's own commands are: there
// are none of a single letter but -h. The values of flags stay as they are.
func goFlags(root *cobra.Command, args []string) []string {
	out := slices.Clone(args)
	for i := 0; i < len(out) && out[i] != "--"; i++ {
		a := out[i]
		if len(a) > 2 && a[0] == '-' && a[1] >= 'a' && a[1] <= 'z' {
			out[i] = "-" + a
		}
		if name, ok := strings.CutPrefix(out[i], "--"); ok && takesValue(root, name) {
			i++
		}
	}
	return out
}

// takesValue says whether the flag of that name takes its value from the next argument.
// It does so in all commands that have it.
func takesValue(root *cobra.Command, name string) bool {
	return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool {
		f := c.Flags().Lookup(name)
		return f != nil && f.NoOptDefVal == ""
	})
}

// arguments refuses all but the arguments of these names; those in brackets may be left out.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return usagef("unexpected argument %q: see \"dabchick help %s\"", args[len(names)], cmd.Name())
		case len(args) < len(names) && names[len(args)][0] != '[':
			return usagef("%s is missing: %s", names[len(args)], cmd.UseLine())
		}
		return nil
	}
}

// emit prints an object as JSON.
func (p *program) emit(v any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
