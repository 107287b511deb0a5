package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// up brings a control plane up and prints the path of its kubeconfig.
func up(ctx context.Context, args []string) error {
	a := newArguments()
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	binaries, err := ensure(ctx, planeArtifacts())
	if err != nil {
		return err
	}
	began := time.Now()
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if ready(ctx, t) {
		say("control plane %q is up already", t.Name)
		fmt.Println(t.Kubeconfig())
		return nil
	}
	say("bringing up control plane %q: etcd, API server, controller manager (usually 5 s)", t.Name)
	if err := startPlane(ctx, t, binaries); err != nil {
		t.removeIfEmpty()
		return err
	}
	say("control plane %q is ready after %.1f s; end it with: testbed down --name %s", t.Name, time.Since(began).Seconds(), t.Name)
	fmt.Println(t.Kubeconfig())
	return nil
}

// ready says whether the control plane is up and works. One whose processes all live gets a moment
// to answer, for the machine may be busy; one with a dead or frozen process does not.
func ready(ctx context.Context, t Testbed) bool {
	plane, err := loadPlane(t)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for plane.alive() {
		works := true
		for _, s := range plane.part.statuses(ctx, plane.components()) {
			works = works && s.Problem == ""
		}
		if works {
			return true
		}
		if !pause(ctx, 100*time.Millisecond) {
			return false
		}
	}
	return false
}

// alive says whether all processes of the control plane run.
func (c ControlPlane) alive() bool {
	for _, component := range c.components() {
		if _, state := c.part.state(component.Name); state != Running {
			return false
		}
	}
	return true
}

// startPlane starts a control plane from nothing, after clearing away whatever is left of an
// earlier one. If it fails, nothing stays behind.
func startPlane(ctx context.Context, t Testbed, binaries map[string]string) error {
	if t.Plane().Exists() {
		say("an earlier control plane %q is not whole any more: clearing it away first", t.Name)
	}
	if err := removePlane(t); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := startPlaneOnce(ctx, t, binaries)
		if err == nil {
			return nil
		}
		if cleaning := removePlane(t); cleaning != nil {
			say("clearing away: %v", cleaning)
		}
		if attempt == 3 || !strings.Contains(err.Error(), "address already in use") {
			return err
		}
		say("another program took one of the ports in between: trying others")
	}
}

func startPlaneOnce(ctx context.Context, t Testbed, binaries map[string]string) error {
	part := t.Plane()
	record, err := part.create(nil, etcdPort, etcdPeerPort, apiserverPort, controllerPort)
	if err != nil {
		return err
	}
	plane := ControlPlane{part: part, record: record, binaries: binaries}
	if err := plane.prepare(); err != nil {
		return err
	}
	return part.bringUp(ctx, plane.components())
}

// loadPlane finds a control plane that was started before.
func loadPlane(t Testbed) (ControlPlane, error) {
	record, err := t.Plane().Record()
	return ControlPlane{part: t.Plane(), record: record}, err
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
