package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// connect gives the node a network namespace of its own and a link to this machine, over which the
// node's pods are reached too.
func (n Node) connect(ctx context.Context, apiserverPort int) error {
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
	for _, rule := range n.firewall(apiserverPort) {
		if err := execute(ctx, append([]string{"iptables", "--wait", "--insert"}, rule...)...); err != nil {
			return err
		}
	}
	// The node in turn passes on what its pods send.
	return execute(ctx, append(n.enter(), "sh", "-c", "echo 1 > "+forwarding)...)
}

// firewall are the rules by which this machine passes on what nodes and pods send each other, and
// hears them itself, also where another program has it refuse what it does not know; and by which
// nothing passes between them and what lies beyond the machine, so that what cannot be had is refused
// at once. The API server is there for this machine and for nodes alone.
func (n Node) firewall(apiserverPort int) [][]string {
	name, all := n.kernelName(), kernelPrefix+"+"
	rules := [][]string{
		{"FORWARD", "-i", name, "!", "-o", all, "-j", "REJECT"},
		{"FORWARD", "!", "-i", all, "-o", name, "-j", "REJECT"},
		{"FORWARD", "-i", name, "-o", all, "-j", "ACCEPT"},
		{"INPUT", "!", "-i", all, "!", "-d", "127.0.0.0/8", "-p", "tcp", "--dport", strconv.Itoa(apiserverPort), "-j", "REJECT"},
		{"INPUT", "-i", name, "-j", "ACCEPT"},
	}
	for i := range rules {
		rules[i] = append(rules[i], "-m", "comment", "--comment", name)
	}
	return rules
}

// rulesOf are the rules of a node in what iptables lists, each as what deletes it.
func rulesOf(n Node, listed string) [][]string {
	var rules [][]string
	for line := range strings.Lines(listed) {
		words := strings.Fields(line)
		if len(words) > 2 && words[0] == "-A" && slices.Contains(words, n.kernelName()) && slices.Contains(words, "--comment") {
			rules = append(rules, append([]string{"--delete"}, words[1:]...))
		}
	}
	return rules
}

// disconnect takes away what connect made, or what of it there is.
func (n Node) disconnect(ctx context.Context) error {
	name := n.kernelName()
	listed, err := output(ctx, "iptables", "--wait", "--list-rules")
	if err != nil {
		return err
	}
	for _, rule := range rulesOf(n, listed) {
		if err := execute(ctx, append([]string{"iptables", "--wait"}, rule...)...); err != nil {
			return err
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
	shown, err := output(ctx, "ip", "-oneline", "address", "show", "dev", "lo", "to", sharedAddress)
	if err != nil || shown == "" {
		return err
	}
	return execute(ctx, "ip", "address", "delete", sharedAddress+"/32", "dev", "lo")
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
	_, err := output(ctx, args...)
	return err
}

// output runs a command of the machine's, which dies with us, and returns what it prints.
func output(ctx context.Context, args ...string) (string, error) {
	runtime.LockOSThread() // the signal comes when the thread ends that started the command
	defer runtime.UnlockOSThread()
	var printed, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &printed, &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return printed.String(), nil
}
