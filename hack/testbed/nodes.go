package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// nodeArtifacts are the programs of nodes, and what schedules pods onto them.
func nodeArtifacts() []Artifact {
	return []Artifact{
		schedulerArtifact(),
		kubernetes("kubelet", 40*time.Second),
		kubernetes("kube-proxy", 20*time.Second),
		sandboxArtifact(),
	}
}

// schedulerArtifact schedules pods onto nodes of either kind.
func schedulerArtifact() Artifact { return kubernetes("kube-scheduler", 10*time.Second) }

// components are the node's servers in the order in which they start.
func (c Cluster) components(n Node) []Component {
	return []Component{c.containerd(n), c.kubelet(n), c.kubeProxy(n)}
}

func (c Cluster) containerd(n Node) Component {
	return Component{
		Name:    n.containerdName(),
		Version: "Debian's",
		Address: n.containerdSocket(),
		Command: append(n.enter(), "containerd", "--config", n.Path("containerd.toml")),
		// Each container has a process of its own that keeps it.
		LeavesChildren: true,
		Ready: func(ctx context.Context) error {
			connection, err := (&net.Dialer{}).DialContext(ctx, "unix", n.containerdSocket())
			if err == nil {
				connection.Close()
			}
			return err
		},
	}
}

func (c Cluster) kubelet(n Node) Component {
	address := n.address() + ":10250"
	return Component{
		Name:    n.kubeletName(),
		Version: kubernetesVersion,
		Address: address,
		Command: append(n.enter(), c.binaries["kubelet"],
			"--config="+n.Path("kubelet.yaml"),
			"--kubeconfig="+n.Path("kubelet.kubeconfig"),
			"--root-dir="+n.Path("kubelet"),
			"--cert-dir="+n.Path("pki"),
			"--hostname-override="+n.Name,
			"--node-ip="+n.address()),
		// Its own word first: the API server keeps what an earlier one said of itself for a while.
		Ready: func(ctx context.Context) error {
			if err := c.plane.get(ctx, "ca", "admin", "https://"+address+"/healthz", http.StatusOK); err != nil {
				return err
			}
			return c.plane.nodeReady(ctx, n.Name)
		},
	}
}

func (c Cluster) kubeProxy(n Node) Component {
	address := n.address() + ":10256"
	return Component{
		Name:    n.kubeProxyName(),
		Version: kubernetesVersion,
		Address: address,
		Command: append(n.enter(), c.binaries["kube-proxy"], "--config="+n.Path("kube-proxy.yaml")),
		Ready: func(ctx context.Context) error {
			_, err := ask(ctx, nil, "http://"+address+"/livez", http.StatusOK)
			return err
		},
	}
}

// nodeReady says with an error what is missing until the API server calls the node ready.
func (c ControlPlane) nodeReady(ctx context.Context, name string) error {
	trust, err := c.trust("ca", "admin")
	if err != nil {
		return err
	}
	answer, err := ask(ctx, trust, c.server()+"/api/v1/nodes/"+name, http.StatusOK)
	if err != nil {
		return err
	}
	return readyCondition(answer)
}

// readyCondition looks whether a node is ready, and whether the controllers have noticed: until then a
// taint keeps pods off it.
func readyCondition(node []byte) error {
	var object struct {
		Spec struct {
			Taints []struct{ Key string }
		}
		Status struct {
			Conditions []struct{ Type, Status, Reason, Message string }
		}
	}
	if err := json.Unmarshal(node, &object); err != nil {
		return err
	}
	for _, condition := range object.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			for _, taint := range object.Spec.Taints {
				if taint.Key == "node.kubernetes.io/not-ready" || taint.Key == "node.kubernetes.io/unreachable" {
					return fmt.Errorf("the node is ready, but still keeps pods off by the taint %s", taint.Key)
				}
			}
			return nil
		}
		if condition.Type == "Ready" {
			return fmt.Errorf("the node is not ready: %s: %s", condition.Reason, condition.Message)
		}
	}
	return errors.New("the node does not say whether it is ready")
}

// prepare makes what a node needs before the control plane is there: its files, network and control
// groups; then it starts containerd and gives it the sandbox image.
func (c Cluster) prepare(ctx context.Context, n Node) error {
	if err := errors.Join(c.identify(n), n.writeConfig()); err != nil {
		return err
	}
	if err := errors.Join(n.connect(ctx, c.record.Ports[apiserverPort]), n.makeCgroups()); err != nil {
		return err
	}
	if err := c.nodesPart.bringUpOne(ctx, c.containerd(n)); err != nil {
		return err
	}
	return n.importImage(ctx, sandboxArchive(c.binaries["sandbox-image"]))
}

// identify gives the node its certificates and access to the API server.
func (c Cluster) identify(n Node) error {
	ca, err := loadAuthority(c.plane.part.Path("pki"), "ca")
	if err != nil {
		return err
	}
	kubelet, err := ca.client("system:node:"+n.Name, "system:nodes")
	if err != nil {
		return err
	}
	proxy, err := ca.client("system:kube-proxy")
	if err != nil {
		return err
	}
	server, err := ca.server(n.Name, n.Name, n.address())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(n.Path("pki"), 0o700); err != nil {
		return err
	}
	access := func(user string, identity Identity) []byte {
		return kubeconfig(c.plane.cluster(), c.plane.nodeServer(), user, ca.Certificate, identity)
	}
	return errors.Join(
		server.save(n.Path("pki"), "kubelet"),
		writeFile(n.Path("pki", "ca.crt"), ca.Certificate),
		writeFile(n.Path("kubelet.kubeconfig"), access("system:node:"+n.Name, kubelet)),
		writeFile(n.Path("kube-proxy.kubeconfig"), access("system:kube-proxy", proxy)),
	)
}
