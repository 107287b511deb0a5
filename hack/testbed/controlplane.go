package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// The ports of the control plane, by what listens there.
const (
	etcdPort       = "etcd"
	etcdPeerPort   = "etcd-peer"
	apiserverPort  = "kube-apiserver"
	controllerPort = "kube-controller-manager"
	schedulerPort  = "kube-scheduler"
)

// The control plane's first address of the Services' range is the API server's own.
const (
	serviceRange   = "10.96.0.0/16"
	serviceAddress = "10.96.0.1"
)

// ControlPlane knows how to run etcd, the API server and the controller manager of one testbed. Where
// the cluster has nodes, pods are scheduled too, and the API server is there for the nodes as well.
type ControlPlane struct {
	part     Part
	record   Record
	binaries map[string]string
}

// server is the API server's address.
func (c ControlPlane) server() string { return "https://" + loopback(c.record.Ports[apiserverPort]) }

// components are the servers in the order in which they start.
func (c ControlPlane) components() []Component {
	all := []Component{c.etcd(), c.apiserver(), c.controllerManager()}
	if c.hasNodes() || c.record.Simulated > 0 {
		all = append(all, c.scheduler())
	}
	if c.record.Simulated > 0 {
		all = append(all, c.kwok())
	}
	return all
}

// controlPlanePorts are all that a control plane may listen on, whatever nodes it has.
var controlPlanePorts = []string{etcdPort, etcdPeerPort, apiserverPort, controllerPort, schedulerPort, kwokPort}

// hasNodes says whether the cluster has nodes.
func (c ControlPlane) hasNodes() bool { return len(c.record.Nodes) > 0 }

// nodeServer is the API server's address as nodes and pods see it: this machine's end of the link to
// the first node, which the others reach as well.
func (c ControlPlane) nodeServer() string {
	return fmt.Sprintf("https://%s:%d", c.record.Nodes[0].machineAddress(), c.record.Ports[apiserverPort])
}

// controlPlaneOrder is the order in which the servers end: who asks before who answers. Their data
// is deleted next, so nobody is waited for.
func controlPlaneOrder() []Component {
	return []Component{{Name: "kwok"}, {Name: "kube-scheduler"}, {Name: "kube-controller-manager"}, {Name: "kube-apiserver"}, {Name: "etcd"}}
}

// prepare makes certificates, keys and configuration files.
func (c ControlPlane) prepare() error {
	pki := c.part.Path("pki")
	if err := os.MkdirAll(pki, 0o700); err != nil {
		return err
	}
	// etcd has an authority of its own: a user of the cluster must not be able to read the database.
	etcdCA, err := newAuthority("orbit-testbed-etcd")
	if err != nil {
		return err
	}
	etcd, err := etcdCA.server("etcd", "localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	etcdClient, err := etcdCA.client("kube-apiserver")
	if err != nil {
		return err
	}
	ca, err := newAuthority("orbit-testbed-" + c.part.Testbed.Name)
	if err != nil {
		return err
	}
	hosts := []string{"localhost", "127.0.0.1", serviceAddress,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	for _, node := range c.record.Nodes {
		hosts = append(hosts, node.machineAddress())
	}
	apiserver, err := ca.server("kube-apiserver", hosts...)
	if err != nil {
		return err
	}
	controller, err := ca.client("system:kube-controller-manager")
	if err != nil {
		return err
	}
	scheduler, err := ca.client("system:kube-scheduler")
	if err != nil {
		return err
	}
	kwok, err := ca.client("kwok", "system:masters")
	if err != nil {
		return err
	}
	// What the API server shows nodes for logs, exec and port-forward.
	kubeletClient, err := ca.client("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	admin, err := ca.client("kubernetes-admin", "system:masters")
	if err != nil {
		return err
	}
	private, public, err := newSigningKeys()
	if err != nil {
		return err
	}
	cluster := c.cluster()
	return errors.Join(
		etcdCA.save(pki, "etcd-ca"),
		etcd.save(pki, "etcd"),
		etcdClient.save(pki, "etcd-client"),
		ca.save(pki, "ca"),
		apiserver.save(pki, "apiserver"),
		kubeletClient.save(pki, "kubelet-client"),
		admin.save(pki, "admin"),
		writeFile(c.part.Path("pki", "service-accounts.key"), private),
		writeFile(c.part.Path("pki", "service-accounts.pub"), public),
		writeFile(c.part.Path("audit-policy.yaml"), auditPolicy),
		writeFile(c.part.Path("controller-manager.kubeconfig"),
			kubeconfig(cluster, c.server(), "system:kube-controller-manager", ca.Certificate, controller)),
		writeFile(c.part.Path("simulated-stages.yaml"), simulatedStages),
		writeFile(c.part.Path("kwok.kubeconfig"),
			kubeconfig(cluster, c.server(), "kwok", ca.Certificate, kwok)),
		writeFile(c.part.Path("scheduler.kubeconfig"),
			kubeconfig(cluster, c.server(), "system:kube-scheduler", ca.Certificate, scheduler)),
		writeFile(c.part.Testbed.Kubeconfig(),
			kubeconfig(cluster, c.server(), "kubernetes-admin", ca.Certificate, admin)),
	)
}

// cluster is the cluster's name in kubeconfigs.
func (c ControlPlane) cluster() string { return "orbit-testbed-" + c.part.Testbed.Name }

func (c ControlPlane) etcd() Component {
	client := "https://" + loopback(c.record.Ports[etcdPort])
	peer := "https://" + loopback(c.record.Ports[etcdPeerPort])
	pki := func(name string) string { return c.part.Path("pki", name) }
	return Component{
		Name:    "etcd",
		Version: etcdVersion,
		Port:    c.record.Ports[etcdPort],
		Command: []string{
			c.binaries["etcd"],
			"--name=default",
			"--data-dir=" + c.part.Path("etcd"),
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=default=" + peer,
			"--cert-file=" + pki("etcd.crt"),
			"--key-file=" + pki("etcd.key"),
			"--client-cert-auth",
			"--trusted-ca-file=" + pki("etcd-ca.crt"),
			"--peer-cert-file=" + pki("etcd.crt"),
			"--peer-key-file=" + pki("etcd.key"),
			"--peer-client-cert-auth",
			"--peer-trusted-ca-file=" + pki("etcd-ca.crt"),
			// The data outlives a killed process; it need not outlive the machine.
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		Ready: func(ctx context.Context) error {
			return c.get(ctx, "etcd-ca", "etcd-client", client+"/health", http.StatusOK)
		},
	}
}

func (c ControlPlane) apiserver() Component {
	port := c.record.Ports[apiserverPort]
	pki := func(name string) string { return c.part.Path("pki", name) }
	// Nothing but this machine speaks to it, and the Service "kubernetes" may not have an endpoint
	// on loopback: so it has none.
	reach := []string{
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
	}
	if c.hasNodes() {
		reach = []string{
			"--bind-address=0.0.0.0",
			"--advertise-address=" + c.record.Nodes[0].machineAddress(),
			"--kubelet-certificate-authority=" + pki("ca.crt"),
			"--kubelet-client-certificate=" + pki("kubelet-client.crt"),
			"--kubelet-client-key=" + pki("kubelet-client.key"),
			"--kubelet-preferred-address-types=InternalIP", // names of nodes are known to nobody
		}
	}
	return Component{
		Name:    "kube-apiserver",
		Version: kubernetesVersion,
		Port:    port,
		Command: append([]string{
			c.binaries["kube-apiserver"],
			"--secure-port=" + strconv.Itoa(port),
			"--etcd-servers=https://" + loopback(c.record.Ports[etcdPort]),
			"--etcd-cafile=" + pki("etcd-ca.crt"),
			"--etcd-certfile=" + pki("etcd-client.crt"),
			"--etcd-keyfile=" + pki("etcd-client.key"),
			"--tls-cert-file=" + pki("apiserver.crt"),
			"--tls-private-key-file=" + pki("apiserver.key"),
			"--client-ca-file=" + pki("ca.crt"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + pki("service-accounts.pub"),
			"--service-account-signing-key-file=" + pki("service-accounts.key"),
			"--service-cluster-ip-range=" + serviceRange,
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			// Tests and benches come in bursts; the defaults (400 and 200) are for bigger machines,
			// but what is refused there would be noise here.
			"--max-requests-inflight=800",
			"--max-mutating-requests-inflight=400",
			"--audit-policy-file=" + c.part.Path("audit-policy.yaml"),
			"--audit-log-path=" + c.part.Testbed.AuditLog(),
			"--audit-log-maxsize=2000", // MB: one file for a whole test run
			"--audit-log-maxbackup=1",
		}, reach...),
		// Starting is most of what it does in a test. Collecting garbage less often saves a quarter of
		// that, and costs 50 MB.
		Environment: []string{"GOGC=300"},
		Ready: func(ctx context.Context) error {
			return c.get(ctx, "ca", "admin", c.server()+"/readyz", http.StatusOK)
		},
	}
}

func (c ControlPlane) controllerManager() Component {
	port := c.record.Ports[controllerPort]
	access := c.part.Path("controller-manager.kubeconfig")
	pki := func(name string) string { return c.part.Path("pki", name) }
	return Component{
		Name:    "kube-controller-manager",
		Version: kubernetesVersion,
		Port:    port,
		Command: []string{
			c.binaries["kube-controller-manager"],
			"--bind-address=127.0.0.1",
			"--secure-port=" + strconv.Itoa(port),
			"--cert-dir=" + c.part.Path("controller-manager"),
			"--kubeconfig=" + access,
			"--authentication-kubeconfig=" + access,
			"--authorization-kubeconfig=" + access,
			"--authentication-skip-lookup",
			"--leader-elect=false",
			"--use-service-account-credentials",
			// Its default of 20 requests a second would make it take 5 s to start.
			"--kube-api-qps=500",
			"--kube-api-burst=1000",
			// The default lies in /usr, and it would be created.
			"--flex-volume-plugin-dir=" + c.part.Path("flex-volumes"),
			"--service-account-private-key-file=" + pki("service-accounts.key"),
			"--root-ca-file=" + pki("ca.crt"),
			"--cluster-signing-cert-file=" + pki("ca.crt"),
			"--cluster-signing-key-file=" + pki("ca.key"),
			"--cluster-name=" + c.cluster(),
		},
		// A pod can be made in a namespace once its service account and the cluster's certificate are there.
		Ready: func(ctx context.Context) error {
			return errors.Join(
				healthy(ctx, port),
				c.get(ctx, "ca", "admin", c.server()+"/api/v1/namespaces/default/serviceaccounts/default", http.StatusOK),
				c.get(ctx, "ca", "admin", c.server()+"/api/v1/namespaces/default/configmaps/kube-root-ca.crt", http.StatusOK),
			)
		},
	}
}

func (c ControlPlane) scheduler() Component {
	port := c.record.Ports[schedulerPort]
	access := c.part.Path("scheduler.kubeconfig")
	return Component{
		Name:    "kube-scheduler",
		Version: kubernetesVersion,
		Port:    port,
		Command: []string{
			c.binaries["kube-scheduler"],
			"--bind-address=127.0.0.1",
			"--secure-port=" + strconv.Itoa(port),
			"--cert-dir=" + c.part.Path("scheduler"),
			"--kubeconfig=" + access,
			"--authentication-kubeconfig=" + access,
			"--authorization-kubeconfig=" + access,
			"--authentication-skip-lookup",
			"--leader-elect=false",
			"--kube-api-qps=500",
			"--kube-api-burst=1000",
		},
		Ready: func(ctx context.Context) error { return healthy(ctx, port) },
	}
}
