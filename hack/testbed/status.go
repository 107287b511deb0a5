package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// errNotReady makes the exit code 1; the table has said why.
var errNotReady = errors.New("not ready")

// Status is what one component is up to.
type Status struct {
	Component Component
	Process   Process
	State     State
	// Problem is why it is not ready; empty when it is.
	Problem string
}

// statuses looks at each component: does its process live, and does it do its work?
func (p Part) statuses(ctx context.Context, components []Component) []Status {
	all := make([]Status, len(components))
	var wait sync.WaitGroup
	for i, c := range components {
		wait.Go(func() { all[i] = p.status(ctx, c) })
	}
	wait.Wait()
	return all
}

func (p Part) status(ctx context.Context, c Component) Status {
	s := Status{Component: c}
	if s.Process, s.State = p.state(c.Name); s.State != Running {
		s.Problem = "its process is " + string(s.State)
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		s.Problem = err.Error()
	}
	return s
}

// status shows a control plane and its nodes. Its exit code is 0 only when everything works.
func status(ctx context.Context, args []string) error {
	a := newArguments()
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	cluster, err := loadCluster(t)
	if err != nil {
		fmt.Printf("cluster %q is not up\n", t.Name)
		return errNotReady
	}
	fmt.Printf("cluster %q, started %s\n", t.Name, cluster.record.Started.Local().Format(time.DateTime))
	result := show(cluster.statuses(ctx))
	fmt.Printf("kubeconfig  %s\naudit log   %s\nlogs        %s\n", t.Kubeconfig(), t.AuditLog(), strings.Join(cluster.logs(), " "))
	for _, node := range cluster.nodes() {
		fmt.Printf("%-11s namespace %s, address %s, pods %s, folder %s\n", node.Name, node.kernelName(), node.address(), node.podSubnet(), node.Dir())
	}
	if t.Stores().Exists() {
		fmt.Printf("stores      see: testbed stores status --name %s\n", t.Name)
	}
	return result
}

// show prints a table, and returns an error if something in it is not ready.
func show(all []Status) (result error) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tVERSION\tPID\tADDRESS\tREADY")
	for _, s := range all {
		pid, ready := "-", "yes"
		if s.State != Gone {
			pid = fmt.Sprint(s.Process.PID)
		}
		if s.Problem != "" {
			ready, result = "no: "+strings.ReplaceAll(s.Problem, "\n", "; "), errNotReady
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Component.Name, s.Component.Version, pid, s.Component.address(), ready)
	}
	table.Flush()
	return result
}
