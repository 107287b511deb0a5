package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// newPart is a part in a folder of its own whose processes do not outlive the test.
func newPart(t *testing.T) Part {
	t.Helper()
	t.Setenv("ORBIT_STATE", t.TempDir())
	testbed, err := NewTestbed("unit-test")
	if err != nil {
		t.Fatal(err)
	}
	part := testbed.Plane()
	if _, err := part.create(Record{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := part.endAll(nil); err != nil {
			t.Error(err)
		}
	})
	return part
}

// within waits for a condition.
func within(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func shell(script string) Component {
	return Component{Name: "shell", Command: []string{"sh", "-c", script}}
}

func TestStartAndEnd(t *testing.T) {
	part := newPart(t)
	process, ended, err := part.start(shell("exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	if recorded, state := part.state("shell"); recorded != process || state != Running {
		t.Errorf("recorded %+v is %s, started %+v", recorded, state, process)
	}
	if group, err := syscall.Getpgid(process.PID); err != nil || group != process.PID {
		t.Errorf("its process group is %d (%v), want its own", group, err)
	}
	if err := part.end("shell", time.Minute); err != nil {
		t.Fatal(err)
	}
	<-ended
	if process.State() != Gone || present(part.pidFile("shell")) {
		t.Errorf("it is %s, its pid file there: %v", process.State(), present(part.pidFile("shell")))
	}
}

func TestAnotherProcessWithTheSameNumberIsNotOurs(t *testing.T) {
	stranger := exec.Command("sleep", "1000")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stranger.Process.Kill()
		stranger.Wait()
	}()
	real, err := identify(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	earlier, otherBoot := real, real
	earlier.Started--
	otherBoot.Boot = "another"
	for what, process := range map[string]Process{"an earlier process": earlier, "one of another boot": otherBoot} {
		if state := process.State(); state != Gone {
			t.Errorf("%s is %s", what, state)
		}
		if err := process.Signal(syscall.SIGKILL); err == nil {
			t.Errorf("a signal for %s was sent to a stranger", what)
		}
	}
	if real.State() != Running {
		t.Error("the stranger was hit")
	}
}

func TestEndFindsWhatWasNeverRecorded(t *testing.T) {
	part := newPart(t)
	process, _, err := part.start(shell("exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(part.pidFile("shell")); err != nil { // as if we had died before writing it
		t.Fatal(err)
	}
	if err := part.endAll(nil); err != nil {
		t.Fatal(err)
	}
	if process.State() != Gone {
		t.Error("it still runs")
	}
}

// In the midst of an exec a process has no environment to be found by.
func TestProcessesAreFoundWhileTheyExec(t *testing.T) {
	part := newPart(t)
	if _, _, err := part.start(shell(`export again='exec sh -c "$again"'; eval "$again"`)); err != nil {
		t.Fatal(err)
	}
	for look := range 500 {
		if found := part.processes(""); len(found) != 1 {
			t.Fatalf("look %d found %v", look, found)
		}
	}
}

func TestEndFindsDescendantsInSessionsOfTheirOwn(t *testing.T) {
	part := newPart(t)
	if _, _, err := part.start(shell("setsid sleep 1000 & exec sleep 1000")); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "both run", func() bool { return len(part.processes("shell")) == 2 })
	if err := part.end("shell", time.Minute); err != nil {
		t.Fatal(err)
	}
	if left := part.processes("shell"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestEndKillsWhatIgnoresBeingAsked(t *testing.T) {
	part := newPart(t)
	process, _, err := part.start(shell("trap '' TERM; echo ready; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "it ignores SIGTERM", func() bool {
		log, err := os.ReadFile(part.Log("shell"))
		return err == nil && string(log) == "ready\n"
	})
	if err := part.end("shell", 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if process.State() != Gone {
		t.Error("it still runs")
	}
}

func TestPausedProcessesAreSeenAndEnded(t *testing.T) {
	part := newPart(t)
	process, _, err := part.start(shell("exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "it is paused", func() bool { return process.State() == Paused })
	began := time.Now()
	if err := part.end("shell", time.Minute); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("ending a paused process took %s: it was killed rather than woken", took)
	}
}

func TestComponentsGetNoSecretsOfTheCaller(t *testing.T) {
	part := newPart(t)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("HTTPS_PROXY", "http://proxy.example")
	process, ended, err := part.start(shell("env"))
	if err != nil {
		t.Fatal(process, err)
	}
	<-ended
	log, err := os.ReadFile(part.Log("shell"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"} {
		if contains(log, name) {
			t.Errorf("%s was passed on", name)
		}
	}
	if !contains(log, markerVariable+"="+part.marker("shell")) {
		t.Error("the mark is missing")
	}
}
