package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// Component is one server that a testbed runs.
type Component struct {
	// Name is unique in its part: it names the pid file and the log.
	Name string
	// Version is shown to the user.
	Version string
	// Command is the program and its arguments.
	Command []string
	// Environment is set on top of the little that every component gets.
	Environment []string
	// Port is where it listens on this machine's loopback address.
	Port int
	// Address is where it listens instead, if it does so elsewhere.
	Address string
	// Ready says with an error what is missing until the component does its work. It must be quick.
	Ready func(ctx context.Context) error
	// LeavesChildren says that what the component starts goes on without it.
	LeavesChildren bool
	// Grace is how long the component may take to end by itself before it is killed.
	Grace time.Duration
}

// address is where the component listens.
func (c Component) address() string {
	if c.Address != "" {
		return c.Address
	}
	return loopback(c.Port)
}

// readyLimit is how long a component may take to get ready. Usually it takes a second or three:
// this is for a machine under heavy load.
const readyLimit = 90 * time.Second

// bringUp starts the components one after the other, each when the one before is ready.
func (p Part) bringUp(ctx context.Context, components []Component) error {
	for _, c := range components {
		if err := p.bringUpOne(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// bringUpOne starts one component and waits until it is ready.
func (p Part) bringUpOne(ctx context.Context, c Component) error {
	began := time.Now()
	_, ended, err := p.start(c)
	if err != nil {
		return err
	}
	if err := p.waitReady(ctx, c, ended); err != nil {
		return err
	}
	say("%-24s %-10s ready in %.1f s on %s", c.Name, c.Version, time.Since(began).Seconds(), c.address())
	return nil
}

// waitReady waits until the component is ready, and gives up at once when it has ended.
func (p Part) waitReady(ctx context.Context, c Component, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		probe, done := context.WithTimeout(ctx, 5*time.Second)
		err := c.Ready(probe)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended instead of getting ready. The end of its log:\n%s", c.Name, tail(p.Log(c.Name), 15))
		case <-ctx.Done():
			if cause := context.Cause(ctx); cause != context.DeadlineExceeded {
				return cause
			}
			return fmt.Errorf("%s was not ready within %s: %w. The end of its log:\n%s", c.Name, readyLimit, err, tail(p.Log(c.Name), 15))
		case <-tick.C:
		}
	}
}

// tail is the last lines of a file, indented.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "    (" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "    " + strings.Join(all, "\n    ")
}
