package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// up brings a cluster up, with as many nodes as are asked for, and prints the path of its kubeconfig.
func up(ctx context.Context, args []string) error {
	a := newArguments()
	nodes := a.flags.Int("nodes", 0, "")
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	if *nodes < 0 || *nodes > lastSlot {
		return fmt.Errorf("--nodes takes 0 to %d: %w", lastSlot, errUsage)
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	artifacts, what := planeArtifacts(), "etcd, API server, controller manager (usually 5 s)"
	if *nodes > 0 {
		if err := ensureNodes(ctx); err != nil {
			return err
		}
		artifacts = append(artifacts, nodeArtifacts()...)
		what = fmt.Sprintf("etcd, API server, controller manager, scheduler; %d with containerd, kubelet, kube-proxy (usually 12 s)", *nodes)
	}
	binaries, err := ensure(ctx, artifacts)
	if err != nil {
		return err
	}
	began := time.Now()
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if cluster, ok := ready(ctx, t); ok {
		if has := len(cluster.nodes()); has != *nodes && a.given("nodes") {
			return fmt.Errorf("cluster %q is up with %d nodes, not with %d; take it down first: testbed down --name %s", t.Name, has, *nodes, t.Name)
		}
		say("cluster %q is up already", t.Name)
		fmt.Println(t.Kubeconfig())
		return nil
	}
	say("bringing up cluster %q: %s", t.Name, what)
	if err := startCluster(ctx, t, binaries, *nodes); err != nil {
		t.removeIfEmpty()
		return err
	}
	say("cluster %q is ready after %.1f s; end it with: testbed down --name %s", t.Name, time.Since(began).Seconds(), t.Name)
	fmt.Println(t.Kubeconfig())
	return nil
}

// ready finds a cluster that is up, and says whether all of it works. One whose processes all live
// gets a moment to answer, for the machine may be busy; one with a dead or frozen process does not.
func ready(ctx context.Context, t Testbed) (Cluster, bool) {
	cluster, err := loadCluster(t, nil)
	if err != nil {
		return cluster, false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for cluster.alive() {
		works := true
		for _, s := range cluster.statuses(ctx) {
			works = works && s.Problem == ""
		}
		if works {
			return cluster, true
		}
		if !pause(ctx, 100*time.Millisecond) {
			break
		}
	}
	return cluster, false
}

// startCluster starts a cluster from nothing, after clearing away whatever is left of an earlier
// one. If it fails, nothing stays behind.
func startCluster(ctx context.Context, t Testbed, binaries map[string]string, nodes int) error {
	if t.Plane().Exists() {
		say("an earlier cluster %q is not whole any more: clearing it away first", t.Name)
	}
	if err := removeCluster(ctx, t); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := startClusterOnce(ctx, t, binaries, nodes)
		if err == nil {
			return nil
		}
		// Also when we are told to end: nothing stays behind.
		if cleaning := removeCluster(context.WithoutCancel(ctx), t); cleaning != nil {
			say("clearing away: %v", cleaning)
		}
		if attempt == 3 || !strings.Contains(err.Error(), "address already in use") {
			return err
		}
		say("another program took one of the ports in between: trying others")
	}
}

func startClusterOnce(ctx context.Context, t Testbed, binaries map[string]string, nodes int) error {
	record, err := reserveNodes(t.Nodes(), nodes)
	if err != nil {
		return err
	}
	record, err = t.Plane().create(record, controlPlanePorts(nodes > 0)...)
	if err != nil {
		return err
	}
	cluster := newCluster(t, record, binaries)
	if err := cluster.plane.prepare(); err != nil {
		return err
	}
	return cluster.bringUp(ctx)
}

// lock makes commands on one testbed wait for each other.
func (t Testbed) lock() (unlock func(), err error) {
	return lockDir(t.Dir, func() {
		say("another testbed command is at work on %q: waiting for it", t.Name)
	})
}

// pause waits a moment, and says whether there is still time after it.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
