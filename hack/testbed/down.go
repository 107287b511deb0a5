package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// down ends a control plane and its nodes, and deletes what it kept. It leaves the stores alone.
func down(ctx context.Context, args []string) error {
	a := newArguments()
	all := a.flags.Bool("all", false, "")
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	had := t.Plane().Exists() || len(t.Plane().processes("")) > 0
	if err := removeCluster(ctx, t); err != nil {
		return err
	}
	if had {
		say("cluster %q is down, its data deleted", t.Name)
	} else {
		say("cluster %q is not up", t.Name)
	}
	if *all {
		err = downStores(t)
	} else if t.Stores().Exists() {
		say("its stores are still there; end them with: testbed stores down --name %s", t.Name)
	}
	t.removeIfEmpty()
	return err
}

// removeCluster takes the nodes away, ends the control plane's processes, and deletes everything in
// the testbed's folder that is not the stores'.
func removeCluster(ctx context.Context, t Testbed) error {
	if err := removeNodes(ctx, t.Nodes()); err != nil {
		return err
	}
	if err := t.Plane().endAll(controlPlaneOrder()); err != nil {
		return err
	}
	return t.removeEntries(func(name string) bool { return !ownedByStores(name) })
}

// ownedByStores tells the stores' files in a testbed's folder from the control plane's.
func ownedByStores(name string) bool {
	return name == "stores" || strings.HasPrefix(strings.TrimPrefix(name, "."), "stores.env")
}

// removeEntries deletes what is of one kind in the testbed's folder, half-written files included.
func (t Testbed) removeEntries(which func(name string) bool) error {
	entries, err := os.ReadDir(t.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if which(entry.Name()) {
			if err := os.RemoveAll(filepath.Join(t.Dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
