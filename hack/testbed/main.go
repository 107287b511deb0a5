// Testbed runs real Kubernetes clusters and real stores on this machine, for tests and for trying
// things out: no Docker, no registry, and root for clusters with nodes only.
//
// It starts the very servers that a cluster consists of, built from their Go modules, as ordinary
// processes: the control plane's on loopback addresses, those of each node in a network namespace of
// its own. See help.txt for what it can do, layout.go for where things lie,
// and part.go and process.go for how it keeps track of what it started.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

//go:embed help.txt
var help string

// commands by name. Each says what it does on standard error, and prints its result on standard output.
var commands = map[string]func(ctx context.Context, args []string) error{
	"up":          up,
	"down":        down,
	"status":      status,
	"kill":        kill,
	"stop":        stop,
	"start":       startAgain,
	"pause":       freeze,
	"resume":      resume,
	"load":        load,
	"trust":       trust,
	"certificate": certificate,
	"build":       build,
	"tools":       tools,
	"stores":      stores,
	"kubeconfig":  userKubeconfig,
	"env":         env,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// Somebody who became root by `su` does not find an administrator's programs.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	os.Exit(run(ctx, os.Args[1:]))
}

// run runs one command and returns the exit code: 0 done, 1 failed or not ready, 2 misunderstood.
func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, help)
		return 2
	}
	if args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Print(help)
		return 0
	}
	command, ok := commands[args[0]]
	if !ok {
		say("there is no command %q: %v", args[0], errUsage)
		return 2
	}
	err := command(ctx, args[1:])
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(help)
		return 0
	case errors.Is(err, errNotReady): // has been shown as a table
		return 1
	case errors.Is(err, errUsage):
		say("%v", err)
		return 2
	}
	say("%v", err)
	return 1
}

// say tells the user what happens.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "testbed: "+format+"\n", args...)
}
