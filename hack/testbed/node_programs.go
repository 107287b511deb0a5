package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// nodePrograms are what a node needs of the machine, each with the Debian package that has it.
var nodePrograms = []struct{ program, pkg string }{
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{filepath.Join(cniPlugins, "ptp"), "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
}

// nodePackages are the packages of all that a node needs.
func nodePackages() []string {
	var packages []string
	for _, needed := range nodePrograms {
		packages = append(packages, needed.pkg)
	}
	return slices.Compact(packages)
}

// ensureNodes sees to it that this machine can have nodes.
func ensureNodes(ctx context.Context) error {
	if os.Getuid() != 0 {
		return errors.New("nodes need root: they have network namespaces, mounts and control groups of their own")
	}
	programs, packages := missingForNodes()
	if len(programs) == 0 {
		return nil
	}
	// Not all of them: elsewhere installed programs do, and Debian's would take their place.
	if err := ensurePackages(ctx, packages); err != nil {
		return err
	}
	if programs, _ := missingForNodes(); len(programs) > 0 {
		return fmt.Errorf("nodes need %s, which this machine lacks", strings.Join(programs, ", "))
	}
	return nil
}

func missingForNodes() (programs, packages []string) {
	for _, needed := range nodePrograms {
		if _, err := exec.LookPath(needed.program); err != nil {
			programs, packages = append(programs, needed.program), append(packages, needed.pkg)
		}
	}
	return programs, slices.Compact(packages)
}
