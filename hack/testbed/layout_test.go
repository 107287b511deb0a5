package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTestbedNames(t *testing.T) {
	t.Setenv("ORBIT_STATE", t.TempDir())
	for _, name := range []string{"orbit", "a", "e2e-2", strings.Repeat("x", 32)} {
		if _, err := NewTestbed(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", "A", "-a", "a-", "a b", strings.Repeat("x", 33)} {
		if _, err := NewTestbed(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

// Taking one part down leaves the other's files alone.
func TestPartsOwnTheirFiles(t *testing.T) {
	for name, stores := range map[string]bool{
		"stores": true, "stores.env": true, ".stores.env.123": true,
		"plane": false, "nodes": false, "kubeconfig": false, ".kubeconfig.123": false, "audit.log": false, "users": false,
	} {
		if ownedByStores(name) != stores {
			t.Errorf("%s belongs to the stores: %v", name, !stores)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	state := filepath.Join(t.TempDir(), "orbit-plane")
	t.Setenv("ORBIT_STATE", state)
	testbed, err := NewTestbed("unit-test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Plane().create(Record{}, "port"); err != nil {
		t.Fatal(err)
	}
	if err := removeCluster(t.Context(), testbed); err != nil {
		t.Fatal(err)
	}
	testbed.removeIfEmpty()
	if present(state) {
		t.Error("the state folder is still there")
	}
}

func TestLockIsExclusiveAndSurvivesRemoval(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	waiting, second := make(chan struct{}), make(chan func())
	go func() {
		unlock, err := lockDir(dir, func() { close(waiting) })
		if err != nil {
			t.Error(err)
		}
		second <- unlock
	}()
	<-waiting
	if err := os.Remove(dir); err != nil { // as `down` does while it holds the lock
		t.Fatal(err)
	}
	unlock()
	unlockSecond := <-second
	defer unlockSecond()
	if !present(dir) {
		t.Error("the second holder locked a folder that has no name")
	}
}

func TestShellQuote(t *testing.T) {
	for _, value := range []string{"plain", "with space", "it's", `a"b$c\d` + "`e`", "mysql://u:p@h/d?ssl-mode=REQUIRED&x=y"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(value)).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q became %q (%v)", value, out, err)
		}
	}
}

func TestArgumentsInAnyOrder(t *testing.T) {
	for _, line := range []string{"stop s3 --name x", "--name x stop s3", "stop --name=x s3"} {
		a := newArguments()
		rest, err := a.parse(strings.Fields(line), 1, 2)
		if err != nil || *a.name != "x" || strings.Join(rest, " ") != "stop s3" {
			t.Errorf("%q: name %q, rest %q, %v", line, *a.name, rest, err)
		}
	}
	for _, line := range []string{"", "a b c", "a --unknown"} {
		if _, err := newArguments().parse(strings.Fields(line), 1, 2); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
