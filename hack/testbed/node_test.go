package main

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

func TestAddressesOfNodesLieInTheirRanges(t *testing.T) {
	nodes, pods := netip.MustParsePrefix(nodeRange), netip.MustParsePrefix(podRange)
	seen := map[string]bool{sharedAddress: true}
	for slot := firstSlot; slot <= lastSlot; slot++ {
		n := Node{Slot: slot}
		for _, address := range []string{n.machineAddress(), n.address()} {
			if ip, err := netip.ParseAddr(address); err != nil || !nodes.Contains(ip) || seen[address] {
				t.Errorf("slot %d has address %q (%v)", slot, address, err)
			}
			seen[address] = true
		}
		if subnet, err := netip.ParsePrefix(n.podSubnet()); err != nil || !pods.Overlaps(subnet) || seen[n.podSubnet()] {
			t.Errorf("slot %d has pods in %q (%v)", slot, n.podSubnet(), err)
		}
		seen[n.podSubnet()] = true
		if len(n.kernelName()) > 15 {
			t.Errorf("%q is too long for a network card's name", n.kernelName())
		}
		if socket := n.containerdSocket() + ".ttrpc"; len(socket) > 107 {
			t.Errorf("%q is too long for a socket's path", socket)
		}
	}
}

func TestCNIConfigIsOfTheNodeAlone(t *testing.T) {
	data, err := Node{Name: "node-2", Slot: 17}.cniConfig()
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Name    string
		Plugins []struct {
			Type string
			IPAM struct {
				Type, DataDir string
				Ranges        [][]struct{ Subnet string }
			}
		}
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	ipam := config.Plugins[0].IPAM
	if config.Name != "orbit-node-17" || config.Plugins[0].Type != "ptp" || ipam.Ranges[0][0].Subnet != "10.244.17.0/24" {
		t.Errorf("%s", data)
	}
	if ipam.DataDir != "/var/lib/orbit-testbed/17/cni-addresses" {
		t.Errorf("addresses are remembered in %q", ipam.DataDir)
	}
}

func TestConfigFilesNameTheNodesOwnPlaces(t *testing.T) {
	n := Node{Name: "node-2", Slot: 17}
	for name, file := range map[string]struct {
		text string
		want []string
	}{
		"containerd": {n.containerdConfig(), []string{
			`root = "/var/lib/orbit-testbed/17/containerd/root"`,
			`state = "/var/lib/orbit-testbed/17/containerd/state"`,
			`address = "/var/lib/orbit-testbed/17/containerd.sock"`,
			`sandbox_image = "` + sandboxImage + `"`,
			`conf_dir = "/var/lib/orbit-testbed/17/cni"`,
			`config_path = "/var/lib/orbit-testbed/17/certs.d"`,
		}},
		"kubelet": {n.kubeletConfig(), []string{
			"address: 10.245.17.2\n",
			"cgroupRoot: /orbit-node-17\n",
			"containerRuntimeEndpoint: unix:///var/lib/orbit-testbed/17/containerd.sock\n",
			"podLogsDir: /var/lib/orbit-testbed/17/pod-logs\n",
		}},
		"kube-proxy": {n.kubeProxyConfig(), []string{
			"hostnameOverride: node-2\n",
			"clusterCIDR: 10.244.0.0/16\n",
			"healthzBindAddress: 10.245.17.2:10256\n",
		}},
	} {
		for _, want := range file.want {
			if !strings.Contains(file.text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, file.text)
			}
		}
		for _, place := range []string{"DIR", "SOCKET", "SANDBOX", "ADDRESS", "KERNEL", "PODS"} {
			if strings.Contains(file.text, place) {
				t.Errorf("%s: %s was not filled in", name, place)
			}
		}
	}
}

func TestHostsFile(t *testing.T) {
	const want = `server = "https://10.245.0.1:5000"
capabilities = ["pull", "resolve"]
ca = "/certs/ca.crt"
`
	if got := hostsFile("10.245.0.1:5000", "/certs/ca.crt"); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestRegistriesAreNamedWithTheirPort(t *testing.T) {
	for _, registry := range []string{"10.245.0.1:5000", "registry.example:443", "localhost:5000"} {
		if err := checkRegistry(registry); err != nil {
			t.Errorf("%q: %v", registry, err)
		}
	}
	for _, registry := range []string{"", "registry.example", ":5000", "https://registry.example:443", "../x:80", "a/b:80", "host:port", "host:99999"} {
		if checkRegistry(registry) == nil {
			t.Errorf("%q was accepted", registry)
		}
	}
}

func TestRulesOfANodeAreFoundAmongOthers(t *testing.T) {
	const listed = `-P FORWARD ACCEPT
-N DOCKER
-A FORWARD -i orbit-node-1 -o orbit-node-+ -m comment --comment orbit-node-1 -j ACCEPT
-A FORWARD -i orbit-node-12 -o orbit-node-+ -m comment --comment orbit-node-12 -j ACCEPT
-A FORWARD -i orbit-node-1 -j ACCEPT
-A INPUT -i orbit-node-1 -m comment --comment orbit-node-1 -j ACCEPT
`
	rules := rulesOf(Node{Slot: 1}, listed)
	if len(rules) != 2 {
		t.Fatalf("found %q", rules)
	}
	if got := strings.Join(rules[1], " "); got != "--delete INPUT -i orbit-node-1 -m comment --comment orbit-node-1 -j ACCEPT" {
		t.Errorf("it is deleted by %q", got)
	}
}

func TestMountsBelowAFolderTheInnermostFirst(t *testing.T) {
	const table = `22 1 254:0 / / rw - ext4 /dev/vda rw
90 22 0:50 / /var/lib/orbit-testbed/1/a rw - tmpfs tmpfs rw
91 90 0:51 / /var/lib/orbit-testbed/1/a/with\040blank rw - tmpfs tmpfs rw
92 22 0:52 / /var/lib/orbit-testbed/12/a rw - tmpfs tmpfs rw
`
	got := mountsBelow(table, "/var/lib/orbit-testbed/1")
	if strings.Join(got, ",") != "/var/lib/orbit-testbed/1/a/with blank,/var/lib/orbit-testbed/1/a" {
		t.Errorf("got %q", got)
	}
}

func TestReadyCondition(t *testing.T) {
	for node, want := range map[string]string{
		`{"status":{"conditions":[{"type":"DiskPressure","status":"False"},{"type":"Ready","status":"True"}]}}`:                       "",
		`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady","message":"cni is not initialized"}]}}`: "the node is not ready: KubeletNotReady: cni is not initialized",
		`{"spec":{"taints":[{"key":"node.kubernetes.io/not-ready"}]},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`:     "the node is ready, but still keeps pods off by the taint node.kubernetes.io/not-ready",
		`{"spec":{"taints":[{"key":"mine"}]},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`:                             "",
		`{"status":{}}`: "the node does not say whether it is ready",
	} {
		err := readyCondition([]byte(node))
		if got := errorText(err); got != want {
			t.Errorf("%s: %q", node, got)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
