package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Cluster is a control plane with its nodes.
type Cluster struct {
	record Record
	plane  ControlPlane
	// nodesPart is where the processes and logs of nodes are kept.
	nodesPart Part
	// binaries are the paths of artifacts by name.
	binaries map[string]string
}

func newCluster(t Testbed, record Record, binaries map[string]string) Cluster {
	return Cluster{
		record:    record,
		plane:     ControlPlane{part: t.Plane(), record: record, binaries: binaries},
		nodesPart: t.Nodes(),
		binaries:  binaries,
	}
}

// loadCluster finds a cluster that was started before, to look at it and end it: to start anything
// of it takes the paths of the programs.
func loadCluster(t Testbed) (Cluster, error) {
	record, err := t.Plane().Record()
	return newCluster(t, record, nil), err
}

// clusterArtifacts are the programs of a cluster with so many nodes of either kind.
func clusterArtifacts(nodes, simulated int) []Artifact {
	switch {
	case nodes > 0:
		return append(planeArtifacts(), nodeArtifacts()...)
	case simulated > 0:
		return append(planeArtifacts(), schedulerArtifact(), kwokArtifact())
	}
	return planeArtifacts()
}

// nodes are the cluster's nodes.
func (c Cluster) nodes() []Node { return c.record.Nodes }

// bringUp starts the control plane and the nodes. What a node needs before there is an API server
// is made meanwhile.
func (c Cluster) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	prepared := make(chan error, 1)
	go func() {
		err := c.eachNode(func(n Node) error { return c.prepare(ctx, n) })
		if err != nil {
			cancel(err)
		}
		prepared <- err
	}()
	err := c.plane.part.bringUp(ctx, c.plane.components())
	if err != nil {
		cancel(err)
	}
	if err := errors.Join(<-prepared, err); err != nil {
		return err
	}
	if err := c.plane.addSimulatedNodes(ctx); err != nil {
		return err
	}
	return c.eachNode(func(n Node) error {
		return errors.Join(parallel(
			func() error { return c.nodesPart.bringUpOne(ctx, c.kubelet(n)) },
			func() error { return c.nodesPart.bringUpOne(ctx, c.kubeProxy(n)) },
		)...)
	})
}

// eachNode does something for all nodes side by side.
func (c Cluster) eachNode(do func(n Node) error) error {
	var all []func() error
	for _, node := range c.nodes() {
		all = append(all, func() error {
			if err := do(node); err != nil {
				return fmt.Errorf("%s: %w", node.Name, err)
			}
			return nil
		})
	}
	return errors.Join(parallel(all...)...)
}

// parallel does several things side by side.
func parallel(all ...func() error) []error {
	failures := make([]error, len(all))
	var wait sync.WaitGroup
	for i, do := range all {
		wait.Go(func() { failures[i] = do() })
	}
	wait.Wait()
	return failures
}

// alive says whether all processes of the cluster run.
func (c Cluster) alive() bool {
	for _, component := range c.plane.components() {
		if _, state := c.plane.part.state(component.Name); state != Running {
			return false
		}
	}
	for _, component := range c.nodeComponents() {
		if _, state := c.nodesPart.state(component.Name); state != Running {
			return false
		}
	}
	return true
}

// nodeComponents are the servers of all nodes.
func (c Cluster) nodeComponents() []Component {
	var all []Component
	for _, node := range c.nodes() {
		all = append(all, c.components(node)...)
	}
	return all
}

// statuses looks at each of the cluster's components.
func (c Cluster) statuses(ctx context.Context) []Status {
	return append(c.plane.part.statuses(ctx, c.plane.components()), c.nodesPart.statuses(ctx, c.nodeComponents())...)
}

// logs are the folders of what the cluster's components print.
func (c Cluster) logs() []string {
	folders := []string{c.plane.part.Path("logs")}
	if len(c.nodes()) > 0 {
		folders = append(folders, c.nodesPart.Path("logs"))
	}
	return folders
}
