package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a component that is stopped may take to say goodbye.
const stopGrace = 10 * time.Second

// Target is something of a cluster that can be ended and started by itself.
type Target struct {
	part      Part
	component Component
	// node is the node it belongs to, if it does.
	node *Node
}

// processes are what is signalled when the target is: all of it, but what containerd has started
// goes on without it.
func (t Target) processes() []Process {
	if t.component.LeavesChildren {
		process, state := t.part.state(t.component.Name)
		if state == Gone {
			return nil
		}
		return []Process{process}
	}
	return t.part.processes(t.component.Name)
}

// Selection is what a command is about: some components, and the nodes that are meant as a whole,
// with all that runs in their pods.
type Selection struct {
	targets []Target
	nodes   []Node
	// part is what the nodes belong to.
	part Part
}

// selectTargets finds what the names mean: a component, a node with all on it, or, without a name,
// the whole cluster. The order is that in which things start.
func (c Cluster) selectTargets(names []string) (Selection, error) {
	var all []Target
	for _, component := range c.plane.components() {
		all = append(all, Target{part: c.plane.part, component: component})
	}
	for _, node := range c.nodes() {
		for _, component := range c.components(node) {
			all = append(all, Target{part: c.nodesPart, component: component, node: &node})
		}
	}
	if len(names) == 0 {
		return Selection{all, c.nodes(), c.nodesPart}, nil
	}
	chosen := Selection{part: c.nodesPart}
	for _, node := range c.nodes() {
		if slices.Contains(names, node.Name) {
			chosen.nodes = append(chosen.nodes, node)
		}
	}
	known := map[string]bool{}
	for _, target := range all {
		known[target.component.Name] = true
		whole := false
		if target.node != nil {
			known[target.node.Name] = true
			whole = slices.Contains(names, target.node.Name)
		}
		if whole || slices.Contains(names, target.component.Name) {
			chosen.targets = append(chosen.targets, target)
		}
	}
	for _, name := range names {
		if !known[name] {
			return chosen, fmt.Errorf("cluster %q has no %q, but %s: %w", c.plane.part.Testbed.Name, name, strings.Join(slices.Sorted(maps.Keys(known)), ", "), errUsage)
		}
	}
	return chosen, nil
}

// processes are all that the selection runs.
func (s Selection) processes() []Process {
	var found []Process
	for _, target := range s.targets {
		found = append(found, target.processes()...)
	}
	for _, node := range s.nodes {
		found = append(found, s.part.processes(node.containerdName())...) // and what keeps the containers
		found = append(found, node.confined()...)
	}
	return found
}

// withCluster does something with a cluster that is there, while no other command is at work on it.
func withCluster(a *arguments, do func(cluster Cluster) error) error {
	t, err := a.testbed()
	if err != nil {
		return err
	}
	if !t.Plane().Exists() {
		return fmt.Errorf("cluster %q is not up; bring it up with: testbed up --name %s", t.Name, t.Name)
	}
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	cluster, err := loadCluster(t)
	if err != nil {
		return err
	}
	return do(cluster)
}

// withSelection does something with what the command line names.
func withSelection(args []string, do func(s Selection, what string) error) error {
	a := newArguments()
	names, err := a.parse(args, 0, 100)
	if err != nil {
		return err
	}
	return withCluster(a, func(cluster Cluster) error {
		selection, err := cluster.selectTargets(names)
		if err != nil {
			return err
		}
		return do(selection, describe(names, *a.name))
	})
}

// describe says what the names mean.
func describe(names []string, testbed string) string {
	if len(names) == 0 {
		return fmt.Sprintf("cluster %q", testbed)
	}
	return fmt.Sprintf("%s of %q", strings.Join(names, ", "), testbed)
}

// kill ends a cluster, or what of it is named, at once and by force: nothing is told, closed or
// written any more. Its data stays.
func kill(_ context.Context, args []string) error {
	return withSelection(args, func(s Selection, what string) error {
		if !killUntilGone(s.processes) {
			return fmt.Errorf("%s does not end, not even by SIGKILL", what)
		}
		if err := s.forget(); err != nil {
			return err
		}
		say("%s is killed; it goes on with: testbed start", what)
		return nil
	})
}

// stop ends a cluster, or what of it is named, politely. Its data stays.
func stop(_ context.Context, args []string) error {
	return withSelection(args, func(s Selection, what string) error {
		for _, target := range slices.Backward(s.targets) { // who asks before who answers
			signalAll(target.processes(), syscall.SIGTERM)
			signalAll(target.processes(), syscall.SIGCONT) // one that is paused hears nothing before
			waitGone(target.processes, stopGrace)
		}
		if !killUntilGone(s.processes) { // what takes too long, and what runs in pods
			return fmt.Errorf("%s does not end, not even by SIGKILL", what)
		}
		if err := s.forget(); err != nil {
			return err
		}
		say("%s is stopped; it goes on with: testbed start", what)
		return nil
	})
}

// forget removes the pid files of what has ended.
func (s Selection) forget() error {
	var failures []error
	for _, target := range s.targets {
		failures = append(failures, removeFile(target.part.pidFile(target.component.Name)))
	}
	return errors.Join(failures...)
}

// startAgain starts what does not run of a cluster, or of what is named, with its data and its ports.
func startAgain(ctx context.Context, args []string) error {
	a := newArguments()
	names, err := a.parse(args, 0, 100)
	if err != nil {
		return err
	}
	return withCluster(a, func(cluster Cluster) error {
		binaries, err := ensure(ctx, clusterArtifacts(len(cluster.nodes()), cluster.record.Simulated))
		if err != nil {
			return err
		}
		cluster = newCluster(cluster.plane.part.Testbed, cluster.record, binaries)
		selection, err := cluster.selectTargets(names)
		if err != nil {
			return err
		}
		for _, target := range selection.targets {
			if err := target.startAgain(ctx); err != nil {
				return err
			}
		}
		say("%s is up", describe(names, *a.name))
		return nil
	})
}

func (t Target) startAgain(ctx context.Context) error {
	name := t.component.Name
	switch _, state := t.part.state(name); state {
	case Running:
		return nil
	case Paused:
		signalAll(t.processes(), syscall.SIGCONT)
		return nil
	}
	// What its last process may have left could hold the port.
	if !killUntilGone(t.processes) {
		return fmt.Errorf("what is left of %s does not end, not even by SIGKILL", name)
	}
	return t.part.bringUpOne(ctx, t.component)
}

// freeze stops the processes of a cluster, or of what is named, where they are: connections stay
// open, and nothing answers.
func freeze(_ context.Context, args []string) error {
	return withSelection(args, func(s Selection, what string) error {
		return s.signal(syscall.SIGSTOP, Paused, what)
	})
}

// resume lets them go on.
func resume(_ context.Context, args []string) error {
	return withSelection(args, func(s Selection, what string) error {
		return s.signal(syscall.SIGCONT, Running, what)
	})
}

// signal sends a signal to all that is selected and waits for its effect.
func (s Selection) signal(signal syscall.Signal, want State, what string) error {
	processes := s.processes()
	if len(processes) == 0 {
		return fmt.Errorf("%s does not run; start it with: testbed start", what)
	}
	if err := signalAndWait(processes, signal, want); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	say("%s is %s", what, want)
	return nil
}
