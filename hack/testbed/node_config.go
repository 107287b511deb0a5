package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// What the files of a node say. Everything that a server would keep in a place common to the whole
// machine has one in the node's folder instead, so that nodes never meet and all of it goes with them.

// cniPlugins is where Debian puts them.
const cniPlugins = "/usr/lib/cni"

// containerdConfig is containerd's configuration.
func (n Node) containerdConfig() string {
	return n.fill(`version = 2
root = "DIR/containerd/root"
state = "DIR/containerd/state"
# Snapshotters that need a file system or a device of their own.
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
address = "SOCKET"

[debug]
level = "warn"

[plugins."io.containerd.internal.v1.opt"]
path = "DIR/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "SANDBOX"
# Without CAP_SYS_RESOURCE, as in containers, lowering a score is refused and no pod would start.
restrict_oom_score_adj = true
# The namespaces of pods are found, and unmounted, by the node's folder.
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "DIR/runc"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "CNI"
conf_dir = "DIR/cni"

# Read anew at every pull: see trust.go.
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "DIR/certs.d"
`)
}

// cniConfig is how pods get their network. Each has a link of its own to the node rather than a port
// on a common bridge, so that all traffic is routed and Services work whether or not the kernel
// shows bridged packets to iptables.
func (n Node) cniConfig() ([]byte, error) {
	type object = map[string]any
	return json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       n.kernelName(),
		"plugins": []object{
			{
				"type": "ptp",
				"ipam": object{
					"type":    "host-local",
					"ranges":  [][]object{{{"subnet": n.podSubnet()}}},
					"routes":  []object{{"dst": "0.0.0.0/0"}},
					"dataDir": n.Path("cni-addresses"),
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
}

// kubeletConfig is the kubelet's configuration.
func (n Node) kubeletConfig() string {
	return n.fill(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: ADDRESS
port: 10250
tlsCertFile: DIR/pki/kubelet.crt
tlsPrivateKeyFile: DIR/pki/kubelet.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: DIR/pki/ca.crt}
authorization: {mode: Webhook}
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://SOCKET
# Machines with the older control groups are fine for tests, and so are those that swap.
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: /KERNEL
enforceNodeAllocatable: []
podLogsDir: DIR/pod-logs
volumePluginDir: DIR/volume-plugins
# The disk belongs to the machine's user, who may keep it as full as he likes: no pod is evicted for
# that, and no image, the sandbox's included, is cleared away.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi}
# Tests start many pods at once and wait for what the node says of them.
registryPullQPS: 0
eventRecordQPS: 0
serializeImagePulls: false
kubeAPIQPS: 100
kubeAPIBurst: 200
`)
}

// kubeProxyConfig is kube-proxy's configuration.
func (n Node) kubeProxyConfig() string {
	return n.fill(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: NAME
bindAddress: ADDRESS
healthzBindAddress: ADDRESS:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: DIR/kube-proxy.kubeconfig}
clusterCIDR: PODS
detectLocalMode: ClusterCIDR
iptables: {minSyncPeriod: 0s, syncPeriod: 30s}
# The limits of the kernel's connection table are the machine's, and may not be set from a namespace.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`)
}

// fill puts the node's names, addresses and folders into a file's text.
func (n Node) fill(text string) string {
	return strings.NewReplacer(
		"DIR", n.Dir(),
		"SOCKET", n.containerdSocket(),
		"SANDBOX", sandboxImage,
		"CNI", cniPlugins,
		"ADDRESS", n.address(),
		"KERNEL", n.kernelName(),
		"NAME", n.Name,
		"PODS", podRange,
	).Replace(text)
}

// writeConfig writes the node's files, all but its identity.
func (n Node) writeConfig() error {
	cni, err := n.cniConfig()
	if err != nil {
		return err
	}
	for path, data := range map[string]string{
		"containerd.toml":       n.containerdConfig(),
		"kubelet.yaml":          n.kubeletConfig(),
		"kube-proxy.yaml":       n.kubeProxyConfig(),
		"cni/10-orbit.conflist": string(cni),
	} {
		if err := os.MkdirAll(filepath.Dir(n.Path(path)), 0o700); err != nil {
			return err
		}
		if err := writeFile(n.Path(path), []byte(data)); err != nil {
			return err
		}
	}
	return os.MkdirAll(n.Path("certs.d"), 0o700)
}
