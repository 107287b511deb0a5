package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// errUsage is a mistake in the command line; it has been explained to the user by its message.
var errUsage = errors.New("see testbed --help")

// arguments takes flags and other arguments in any order.
type arguments struct {
	flags *flag.FlagSet
	name  *string
}

// newArguments starts with the flag that every command on a testbed has.
func newArguments() *arguments {
	flags := flag.NewFlagSet("testbed", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors come back as such
	return &arguments{flags: flags, name: flags.String("name", DefaultName, "")}
}

// parse returns the arguments that are no flags. There must be at least min and at most max of them.
func (a *arguments) parse(args []string, min, max int) (rest []string, err error) {
	for {
		if err := a.flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, fmt.Errorf("%w: %w", err, errUsage)
		}
		args = a.flags.Args()
		if len(args) == 0 {
			break
		}
		rest = append(rest, args[0])
		args = args[1:]
	}
	switch {
	case len(rest) < min:
		return nil, fmt.Errorf("an argument is missing: %w", errUsage)
	case len(rest) > max:
		return nil, fmt.Errorf("%q is too much: %w", strings.Join(rest[max:], " "), errUsage)
	}
	return rest, nil
}

// testbed is the testbed that --name names.
func (a *arguments) testbed() (Testbed, error) { return NewTestbed(*a.name) }

// given says whether a flag was on the command line.
func (a *arguments) given(name string) bool {
	found := false
	a.flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}
