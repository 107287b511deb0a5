package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"time"
)

const (
	kwokPort    = "kwok"
	kwokVersion = "v0.8.0"
	// kwokAnnotation marks the nodes that kwok answers for.
	kwokAnnotation = "kwok.x-k8s.io/node"
	maxSimulated   = 1000
	// simulatedRange is what pods on simulated nodes are said to have addresses from. Nothing is there.
	simulatedRange = "10.246.0.0/16"
)

//go:embed simulated-stages.yaml
var simulatedStages []byte

// kwokArtifact simulates nodes: it renews their leases, and says of their pods what a kubelet would.
func kwokArtifact() Artifact {
	return goInstalled("kwok", kwokVersion, "sigs.k8s.io/kwok/cmd/kwok", "", 125*time.Second)
}

func (c ControlPlane) kwok() Component {
	port := c.record.Ports[kwokPort]
	return Component{
		Name:    "kwok",
		Version: kwokVersion,
		Port:    port,
		Command: []string{
			c.binaries["kwok"],
			"--kubeconfig=" + c.part.Path("kwok.kubeconfig"),
			"--config=" + c.part.Path("simulated-stages.yaml"),
			"--server-address=" + loopback(port),
			"--manage-nodes-with-annotation-selector=" + kwokAnnotation + "=fake",
			"--node-lease-duration-seconds=40",
			"--cidr=" + simulatedRange,
		},
		Ready: func(ctx context.Context) error {
			if _, err := ask(ctx, nil, "http://"+loopback(port)+"/healthz", http.StatusOK); err != nil {
				return err
			}
			return c.simulatedNodesReady(ctx)
		},
	}
}

// simulatedNodesReady says with an error which node, of those that are there, is not ready.
func (c ControlPlane) simulatedNodesReady(ctx context.Context) error {
	trust, err := c.trust("ca", "admin")
	if err != nil {
		return err
	}
	answer, err := ask(ctx, trust, c.server()+"/api/v1/nodes", http.StatusOK)
	if err != nil {
		return err
	}
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	for _, node := range list.Items {
		if err := readyCondition(node); err != nil {
			return err
		}
	}
	return nil
}

// addSimulatedNodes tells the API server of the nodes that kwok answers for, and waits for it to do so.
func (c ControlPlane) addSimulatedNodes(ctx context.Context) error {
	if c.record.Simulated == 0 {
		return nil
	}
	began := time.Now()
	trust, err := c.trust("ca", "admin")
	if err != nil {
		return err
	}
	for i := range c.record.Simulated {
		node, err := simulatedNode(i + 1)
		if err != nil {
			return err
		}
		if _, err := send(ctx, trust, http.MethodPost, c.server()+"/api/v1/nodes", node, http.StatusCreated); err != nil {
			return err
		}
	}
	if err := c.part.waitReady(ctx, c.kwok(), nil); err != nil {
		return err
	}
	say("%-24s %-10d ready in %.1f s", "simulated nodes", c.record.Simulated, time.Since(began).Seconds())
	return nil
}

// simulatedNode is a node that has room for any number of pods.
func simulatedNode(n int) ([]byte, error) {
	type object = map[string]any
	name := fmt.Sprintf("simulated-%d", n)
	room := object{"cpu": "1k", "memory": "1Ti", "pods": "1M"}
	return json.Marshal(object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": object{
			"name":        name,
			"annotations": object{kwokAnnotation: "fake"},
			"labels": object{
				"kubernetes.io/hostname": name,
				"kubernetes.io/os":       "linux",
				"kubernetes.io/arch":     runtime.GOARCH,
			},
		},
		"status": object{
			"capacity":    room,
			"allocatable": room,
			"addresses": []object{
				{"type": "InternalIP", "address": fmt.Sprintf("10.247.%d.%d", n/256, n%256)},
				{"type": "Hostname", "address": name},
			},
			"nodeInfo": object{
				"architecture": runtime.GOARCH, "operatingSystem": "linux", "osImage": "", "kernelVersion": "",
				"kubeletVersion": "kwok-" + kwokVersion, "kubeProxyVersion": "", "containerRuntimeVersion": "kwok://" + kwokVersion,
				"machineID": "", "systemUUID": "", "bootID": "",
			},
		},
	})
}
