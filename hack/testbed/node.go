package main

import (
	"fmt"
	"path/filepath"
	"strconv"
)

// Node is a real node of a testbed's cluster: containerd, kubelet and kube-proxy in a network
// namespace of their own, joined to this machine by a pair of virtual network cards.
type Node struct {
	// Name is the node's name in its cluster.
	Name string `json:"name"`
	// Slot is its place among all nodes of all testbeds on this machine. Its addresses and the
	// names of all that the kernel keeps for it are made of the slot, so that none is used twice.
	Slot int `json:"slot"`
}

// The addresses of nodes and pods. A slot is the third byte of either.
const (
	// nodeRange holds the link to each node: this machine has .1, the node .2.
	nodeRange = "10.245.0.0/16"
	// podRange holds the pods of each node.
	podRange = "10.244.0.0/16"
	// sharedAddress is one of this machine's own that every node and every pod of every testbed
	// reaches: a registry listens there. It lies in the place of slot 0, which no node has.
	sharedAddress = "10.245.0.1"

	firstSlot = 1
	lastSlot  = 254
)

// nodeName is the name of a cluster's nth node, counted from 1.
func nodeName(n int) string { return fmt.Sprintf("node-%d", n) }

// machineAddress is this machine's end of the link to the node.
func (n Node) machineAddress() string { return fmt.Sprintf("10.245.%d.1", n.Slot) }

// address is the node's own end of the link.
func (n Node) address() string { return fmt.Sprintf("10.245.%d.2", n.Slot) }

// podSubnet is what the node's pods get their addresses from.
func (n Node) podSubnet() string { return fmt.Sprintf("10.244.%d.0/24", n.Slot) }

// kernelName is what network namespace, network card and control groups of the node are called.
func (n Node) kernelName() string { return kernelPrefix + strconv.Itoa(n.Slot) }

const kernelPrefix = "orbit-node-"

// namespace is the file that keeps the node's network namespace.
func (n Node) namespace() string { return filepath.Join("/run/netns", n.kernelName()) }

// Dir is the node's folder. It does not lie in the testbed's, because paths of sockets must be
// short and nodes of all testbeds share one machine.
func (n Node) Dir() string { return filepath.Join(slotsRoot, strconv.Itoa(n.Slot)) }

// Path is a file or folder below the node's folder.
func (n Node) Path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir()}, elem...)...)
}

// containerdSocket is where containerd listens.
func (n Node) containerdSocket() string { return n.Path("containerd.sock") }

// The node's servers, as components of the testbed's part "nodes".
func (n Node) containerdName() string { return "containerd." + n.Name }
func (n Node) kubeletName() string    { return "kubelet." + n.Name }
func (n Node) kubeProxyName() string  { return "kube-proxy." + n.Name }
