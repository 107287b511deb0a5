package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSelectionByName(t *testing.T) {
	t.Setenv("ORBIT_STATE", t.TempDir())
	testbed, err := NewTestbed("unit-test")
	if err != nil {
		t.Fatal(err)
	}
	cluster := newCluster(testbed, Record{Nodes: []Node{{"node-1", 1}, {"node-2", 2}}}, nil)
	const plane = "etcd kube-apiserver kube-controller-manager kube-scheduler"
	for names, want := range map[string]string{
		"":                           plane + " containerd.node-1 kubelet.node-1 kube-proxy.node-1 containerd.node-2 kubelet.node-2 kube-proxy.node-2 | node-1 node-2",
		"kube-apiserver":             "kube-apiserver | ",
		"node-2":                     "containerd.node-2 kubelet.node-2 kube-proxy.node-2 | node-2",
		"kubelet.node-1 etcd":        "etcd kubelet.node-1 | ",
		"node-1 containerd.node-1":   "containerd.node-1 kubelet.node-1 kube-proxy.node-1 | node-1",
		"kube-scheduler node-1 etcd": "etcd kube-scheduler containerd.node-1 kubelet.node-1 kube-proxy.node-1 | node-1",
	} {
		selection, err := cluster.selectTargets(strings.Fields(names))
		if err != nil {
			t.Errorf("%q: %v", names, err)
			continue
		}
		var targets, nodes []string
		for _, target := range selection.targets {
			targets = append(targets, target.component.Name)
		}
		for _, node := range selection.nodes {
			nodes = append(nodes, node.Name)
		}
		if got := strings.Join(targets, " ") + " | " + strings.Join(nodes, " "); got != want {
			t.Errorf("%q selects %q, want %q", names, got, want)
		}
	}
	if _, err := cluster.selectTargets([]string{"node-3"}); err == nil || !strings.Contains(err.Error(), "node-2") {
		t.Errorf("a node that is not there: %v", err)
	}
}

func TestSocketsOnWhichNobodyListens(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Minute)
	for _, name := range []string{"heard", "unheard", "new"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		if name == "heard" {
			defer l.Close()
		} else {
			l.Close()
		}
		if name != "new" {
			if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := unheardSockets(dir); len(got) != 1 || filepath.Base(got[0]) != "unheard" {
		t.Errorf("got %q", got)
	}
}

func TestACertificateMadeAgainIsTrustedByTheSameClients(t *testing.T) {
	dir := t.TempDir()
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if err := makeCertificate(dir, []string{sharedAddress, "registry.example"}); err != nil {
		t.Fatal(err)
	}
	authority, first := read("ca.crt"), read("tls.crt")
	if err := makeCertificate(dir, []string{sharedAddress}); err != nil {
		t.Fatal(err)
	}
	if read("ca.crt") != authority || read("tls.crt") == first {
		t.Error("the authority is another one, or the certificate is not")
	}
}
