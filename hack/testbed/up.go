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
	simulated := a.flags.Int("simulated-nodes", 0, "")
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	if *nodes < 0 || *nodes > lastSlot || *simulated < 0 || *simulated > maxSimulated {
		return fmt.Errorf("--nodes takes 0 to %d, --simulated-nodes 0 to %d: %w", lastSlot, maxSimulated, errUsage)
	}
	if *nodes > 0 && *simulated > 0 {
		return fmt.Errorf("a cluster has --nodes or --simulated-nodes: nobody could tell which pods run: %w", errUsage)
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	what := "etcd, API server, controller manager (usually 5 s)"
	switch {
	case *nodes > 0:
		if err := ensureNodes(ctx); err != nil {
			return err
		}
		what = fmt.Sprintf("a control plane, and nodes with containerd, kubelet, kube-proxy: %d (usually 12 s)", *nodes)
	case *simulated > 0:
		what = fmt.Sprintf("a control plane, and simulated nodes: %d (usually 7 s)", *simulated)
	}
	binaries, err := ensure(ctx, clusterArtifacts(*nodes, *simulated))
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
		if has := len(cluster.nodes()); a.given("nodes") && has != *nodes {
			return otherNodes(t, has, *nodes, "nodes")
		}
		if has := cluster.record.Simulated; a.given("simulated-nodes") && has != *simulated {
			return otherNodes(t, has, *simulated, "simulated nodes")
		}
		say("cluster %q is up already", t.Name)
		fmt.Println(t.Kubeconfig())
		return nil
	}
	say("bringing up cluster %q: %s", t.Name, what)
	if err := startCluster(ctx, t, binaries, *nodes, *simulated); err != nil {
		t.removeIfEmpty()
		return err
	}
	say("cluster %q is ready after %.1f s; end it with: testbed down --name %s", t.Name, time.Since(began).Seconds(), t.Name)
	fmt.Println(t.Kubeconfig())
	return nil
}

// otherNodes says that a cluster is not the one that is asked for.
func otherNodes(t Testbed, has, wanted int, what string) error {
	return fmt.Errorf("cluster %q is up with %d %s, not with %d; take it down first: testbed down --name %s", t.Name, has, what, wanted, t.Name)
}

// ready finds a cluster that is up, and says whether all of it works. One whose processes all live
// gets a moment to answer, for the machine may be busy; one with a dead or frozen process does not.
func ready(ctx context.Context, t Testbed) (Cluster, bool) {
	cluster, err := loadCluster(t)
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
func startCluster(ctx context.Context, t Testbed, binaries map[string]string, nodes, simulated int) error {
	if t.Plane().Exists() {
		say("an earlier cluster %q is not whole any more: clearing it away first", t.Name)
	}
	if err := removeCluster(ctx, t); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := startClusterOnce(ctx, t, binaries, nodes, simulated)
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

func startClusterOnce(ctx context.Context, t Testbed, binaries map[string]string, nodes, simulated int) error {
	record, err := reserveNodes(ctx, t.Nodes(), nodes)
	if err != nil {
		return err
	}
	record.Simulated = simulated
	record, err = t.Plane().create(record, controlPlanePorts...)
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
