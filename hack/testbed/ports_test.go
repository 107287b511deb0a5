package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPickPortsSkipsWhatIsTakenOrInUse(t *testing.T) {
	taken := map[int]bool{firstPort + 1: true}
	inUse := func(port int) bool { return port == firstPort+2 }
	got, err := pickPorts(3, 0, taken, func(port int) bool { return !inUse(port) })
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{firstPort, firstPort + 3, firstPort + 4}; !slices.Equal(got, want) {
		t.Errorf("picked %v, want %v", got, want)
	}
}

func TestPickPortsGoesRoundAtTheEnd(t *testing.T) {
	got, err := pickPorts(2, lastPort-firstPort, nil, func(int) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{lastPort, firstPort}; !slices.Equal(got, want) {
		t.Errorf("picked %v, want %v", got, want)
	}
}

func TestPickPortsGivesUp(t *testing.T) {
	if _, err := pickPorts(1, 0, nil, func(int) bool { return false }); err == nil {
		t.Error("no port is free, yet there was no error")
	}
}

func TestPortRangeIsNobodyElses(t *testing.T) {
	if firstPort < 1024 || lastPort >= 30000 {
		t.Errorf("%d-%d reaches into privileged ports, NodePorts or ephemeral ports", firstPort, lastPort)
	}
	for _, name := range []string{"orbit", "a", "another-testbed"} {
		if seed := portSeed(name, "plane"); seed < 0 || seed > lastPort-firstPort {
			t.Errorf("the seed of %q is %d", name, seed)
		}
	}
}

func TestPortIsFree(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if portIsFree(port) {
		t.Error("a port that is listened on counts as free")
	}
	l.Close()
	if !portIsFree(port) {
		t.Error("a port that was given back counts as in use")
	}
}

func TestReservedPortsOfOtherTestbeds(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "other", "stores")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "record.json"), []byte(`{"ports":{"s3":20123}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := reservedPorts(root)
	if err != nil {
		t.Fatal(err)
	}
	if !taken[20123] || len(taken) != 1 {
		t.Errorf("reserved: %v", taken)
	}
}

// Two parts that are made at the same moment never share a port.
func TestCreateReservesDifferentPorts(t *testing.T) {
	t.Setenv("ORBIT_STATE", t.TempDir())
	const parts = 8
	records := make(chan Record, parts)
	for i := range parts {
		go func() {
			testbed, err := NewTestbed("same-seed")
			if err != nil {
				t.Error(err)
			}
			testbed.Dir += string(rune('a' + i)) // the same name, so the same first choice
			record, err := testbed.Plane().create(Record{}, "one", "two")
			if err != nil {
				t.Error(err)
			}
			records <- record
		}()
	}
	seen := map[int]bool{}
	for range parts {
		for _, port := range (<-records).Ports {
			if seen[port] {
				t.Errorf("port %d was given twice", port)
			}
			seen[port] = true
		}
	}
}
