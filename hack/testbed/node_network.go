package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// connect gives the node a network namespace of its own and a link to this machine, over which the
// node's pods are reached too.
func (n Node) connect(ctx context.Context) error {
	name := n.kernelName()
	machine, node := n.machineAddress(), n.address()
	inside := func(args ...string) []string { return append([]string{"ip", "-netns", name}, args...) }
	if err := errors.Join(allowForwarding(), shareAddress(ctx)); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"ip", "netns", "add", name},
		{"ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name},
		{"ip", "address", "add", machine + "/24", "dev", name},
		{"ip", "link", "set", name, "up"},
		inside("link", "set", "lo", "up"),
		inside("address", "add", node+"/24", "dev", "eth0"),
		inside("link", "set", "eth0", "up"),
		inside("route", "add", "default", "via", machine),
		{"ip", "route", "add", n.podSubnet(), "via", node},
	} {
		if err := execute(ctx, args...); err != nil {
			return err
		}
	}
	for _, rule := range n.firewall() {
		if err := execute(ctx, append([]string{"iptables", "--wait", "--insert"}, rule...)...); err != nil {
			return err
		}
	}
	// The node in turn passes on what its pods send.
	return execute(ctx, append(n.enter(), "sh", "-c", "echo 1 > "+forwarding)...)
}

// firewall are the rules by which this machine forwards what nodes and pods send each other, also
// where Docker has it forward nothing; and nothing beyond the machine, so that what cannot be had
// is refused at once.
func (n Node) firewall() [][]string {
	name := n.kernelName()
	mark := []string{"-m", "comment", "--comment", name}
	all := kernelPrefix + "+"
	// The later one is inserted before the earlier one.
	return [][]string{
		append([]string{"FORWARD", "-i", name, "!", "-o", all, "-j", "REJECT"}, mark...),
		append([]string{"FORWARD", "-i", name, "-o", all, "-j", "ACCEPT"}, mark...),
	}
}

// disconnect takes away what connect made, or what of it there is.
func (n Node) disconnect(ctx context.Context) error {
	name := n.kernelName()
	for _, rule := range n.firewall() {
		for execute(ctx, append([]string{"iptables", "--wait", "--check"}, rule...)...) == nil {
			if err := execute(ctx, append([]string{"iptables", "--wait", "--delete"}, rule...)...); err != nil {
				return err
			}
		}
	}
	// Its other end goes with it, and so do the routes.
	if present(filepath.Join("/sys/class/net", name)) {
		if err := execute(ctx, "ip", "link", "delete", name); err != nil {
			return err
		}
	}
	if present(n.namespace()) {
		return execute(ctx, "ip", "netns", "delete", name)
	}
	return nil
}

// enter is how a program gets into the node's network namespace. `ip netns exec` would mount /sys
// anew there, and hide the control groups.
func (n Node) enter() []string { return []string{"nsenter", "--net=" + n.namespace(), "--"} }

// shareAddress gives this machine the address that all nodes reach.
func shareAddress(ctx context.Context) error {
	return execute(ctx, "ip", "address", "replace", sharedAddress+"/32", "dev", "lo")
}

// unshareAddress takes the shared address back, when there is no node any more.
func unshareAddress(ctx context.Context) error {
	err := execute(ctx, "ip", "address", "delete", sharedAddress+"/32", "dev", "lo")
	if err != nil && strings.Contains(err.Error(), "Cannot assign requested address") {
		return nil // after the machine was started anew
	}
	return err
}

// forwarding is where a network namespace is told to pass packets on.
const forwarding = "/proc/sys/net/ipv4/ip_forward"

// allowForwarding makes the kernel pass on packets between nodes.
func allowForwarding() error {
	if now, err := os.ReadFile(forwarding); err == nil && strings.TrimSpace(string(now)) == "1" {
		return nil
	}
	return os.WriteFile(forwarding, []byte("1"), 0)
}

// execute runs a command of the machine's and returns what it complains of.
func execute(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
