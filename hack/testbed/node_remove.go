package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Places in which the kubelet and the runtime leave something whatever they are told. What is a
// node's there is known by its name or by what it points to.
const (
	shimSockets    = "/run/containerd/s"
	cniResults     = "/var/lib/cni/results"
	containerLinks = "/var/log/containers"
)

// removeNodes takes away all nodes of a part, whatever state they are in. Slots are found by their
// owner's name, so that nodes of a part without a record are found too.
func removeNodes(ctx context.Context, part Part) error {
	nodes, err := slotsOf(part)
	if err != nil {
		return err
	}
	if len(nodes) > 0 && os.Getuid() != 0 {
		return fmt.Errorf("testbed %q has nodes, which only root can take away", part.Testbed.Name)
	}
	if err := haltNodes(part, nodes); err != nil {
		return err
	}
	for _, node := range nodes {
		if err := node.remove(ctx); err != nil {
			return err
		}
	}
	return nil
}

// removeAbandonedNodes takes away nodes of testbeds whose folder somebody has deleted.
func removeAbandonedNodes(ctx context.Context) error {
	owners, err := slotOwners()
	if err != nil {
		return err
	}
	for dir := range owners {
		if present(dir) {
			continue
		}
		testbed := filepath.Dir(dir)
		say("the folder of nodes %s is gone: clearing the nodes away", dir)
		part := Part{Testbed: Testbed{Name: filepath.Base(testbed), Dir: testbed}, Name: filepath.Base(dir)}
		if err := removeNodes(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// haltNodes ends all that runs on nodes at once and by force: servers, what keeps containers, and
// containers. Nobody is told; whoever would start something again is ended with the rest.
func haltNodes(part Part, nodes []Node) error {
	find := func() []Process {
		found := part.processes("")
		for _, node := range nodes {
			found = append(found, node.confined()...)
		}
		return found
	}
	if !killUntilGone(find) {
		return fmt.Errorf("processes of %s do not end, not even by SIGKILL", part.Dir())
	}
	return nil
}

// remove takes away all that is left of a node on which nothing runs any more.
func (n Node) remove(ctx context.Context) error {
	if err := n.removeStrays(); err != nil {
		return err
	}
	if err := n.unmount(); err != nil {
		return err
	}
	if err := errors.Join(n.disconnect(ctx), n.removeCgroups()); err != nil {
		return err
	}
	return releaseSlot(n, func() error { return unshareAddress(ctx) })
}

// unmount unmounts what lies in the node's folder: file systems of containers, volumes, network
// namespaces of pods.
func (n Node) unmount() error {
	for range 10 { // what is mounted twice on one place shows up again
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return err
		}
		points := mountsBelow(string(table), n.Dir())
		if len(points) == 0 {
			return nil
		}
		for _, point := range points {
			if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
				return fmt.Errorf("unmounting %s: %w", point, err)
			}
		}
	}
	return fmt.Errorf("there are mounts below %s that come back", n.Dir())
}

// mountsBelow are the mount points below a folder, the innermost first.
func mountsBelow(table, dir string) []string {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for line := range strings.Lines(table) {
		const mountPoint = 4 // of proc_pid_mountinfo(5)
		fields := strings.Fields(line)
		if len(fields) <= mountPoint {
			continue
		}
		point := unescape.Replace(fields[mountPoint])
		if strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	slices.Reverse(points)
	return points
}

// removeStrays removes what the node's servers kept outside its folder. Servers that end by
// themselves clear it away; ours were killed.
func (n Node) removeStrays() error {
	strays := unheardSockets(shimSockets)
	// Each container's folder names the socket of the process that keeps it.
	addresses, _ := filepath.Glob(n.Path("containerd", "state", "io.containerd.runtime.v2.task", "k8s.io", "*", "address"))
	for _, file := range addresses {
		address, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if path := strings.TrimPrefix(strings.TrimSpace(string(address)), "unix://"); filepath.Dir(path) == shimSockets {
			strays = append(strays, path)
		}
	}
	// What the network plugins remember of each pod, under its sandbox's name.
	sandboxes, _ := filepath.Glob(n.Path("containerd", "root", "io.containerd.grpc.v1.cri", "sandboxes", "*"))
	for _, sandbox := range sandboxes {
		results, _ := filepath.Glob(filepath.Join(cniResults, "*-"+filepath.Base(sandbox)+"-*"))
		strays = append(strays, results...)
	}
	links, _ := filepath.Glob(filepath.Join(containerLinks, "*.log"))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, n.Dir()+"/") {
			strays = append(strays, link)
		}
	}
	for _, path := range strays {
		if err := removeFile(path); err != nil {
			return err
		}
	}
	return nil
}

// unheardSockets are sockets in a folder on which nobody listens any more: containers that were
// killed and removed have left them, and nothing says whose they were. One that was just made is
// left alone, for its owner may be about to listen.
func unheardSockets(dir string) []string {
	var unheard []string
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || entry.Type() != os.ModeSocket || time.Since(info.ModTime()) < 5*time.Second {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		connection, err := net.Dial("unix", path)
		if err == nil {
			connection.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			unheard = append(unheard, path)
		}
	}
	return unheard
}
