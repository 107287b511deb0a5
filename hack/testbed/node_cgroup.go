package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupRoot is where the kernel shows control groups: one tree (version 2), or one for each
// controller (version 1).
const cgroupRoot = "/sys/fs/cgroup"

// cgroupTrees are the roots of all trees of control groups below root.
func cgroupTrees(root string) []string {
	if present(filepath.Join(root, "cgroup.controllers")) {
		return []string{root}
	}
	files, _ := filepath.Glob(filepath.Join(root, "*", "cgroup.procs"))
	var trees []string
	seen := map[string]bool{}
	for _, file := range files {
		// A tree of two controllers has a link under each one's name.
		tree, err := filepath.EvalSymlinks(filepath.Dir(file))
		if err == nil && !seen[tree] {
			seen[tree] = true
			trees = append(trees, tree)
		}
	}
	return trees
}

// makeCgroups makes the group in which the kubelet makes those of its pods, in every tree: it
// wants to find its root ready.
func (n Node) makeCgroups() error {
	for _, tree := range cgroupTrees(cgroupRoot) {
		group := filepath.Join(tree, n.kernelName())
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// Version 1: a group of processors takes nobody in before it is told which ones.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(tree, name))
			if err != nil {
				continue // another tree
			}
			if err := os.WriteFile(filepath.Join(group, name), value, 0); err != nil {
				return err
			}
		}
		// Version 2: a group has the controllers that the one above hands down.
		controllers, err := os.ReadFile(filepath.Join(tree, "cgroup.controllers"))
		if err != nil {
			continue
		}
		for _, dir := range []string{tree, group} {
			for _, controller := range strings.Fields(string(controllers)) {
				// Some cannot be handed down everywhere; the kubelet says which one it lacks.
				_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
			}
		}
	}
	return nil
}

// confined finds the processes in the node's control groups: all that run in its pods.
func (n Node) confined() []Process {
	var found []Process
	seen := map[int]bool{}
	for _, tree := range cgroupTrees(cgroupRoot) {
		for _, group := range groupsBelow(filepath.Join(tree, n.kernelName())) {
			data, _ := os.ReadFile(filepath.Join(group, "cgroup.procs")) // gone is empty
			for _, line := range strings.Fields(string(data)) {
				pid, err := strconv.Atoi(line)
				if err != nil || seen[pid] {
					continue
				}
				seen[pid] = true
				if process, err := identify(pid); err == nil && process.State() != Gone {
					found = append(found, process)
				}
			}
		}
	}
	return found
}

// removeCgroups removes the node's groups, in which no process is left.
func (n Node) removeCgroups() error {
	for _, tree := range cgroupTrees(cgroupRoot) {
		groups := groupsBelow(filepath.Join(tree, n.kernelName()))
		for i := range groups {
			if err := removeGroup(groups[len(groups)-1-i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeGroup removes a control group. It is busy for a moment after its last process has ended.
func removeGroup(group string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := os.Remove(group)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline):
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// groupsBelow are a control group and all below it, each after the one that holds it.
func groupsBelow(group string) []string {
	var groups []string
	_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return nil // what is gone in between is what we want
	})
	return groups
}
