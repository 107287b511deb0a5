package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodesNeeded is the variable by which whoever must not miss these tests says so.
const nodesNeeded = "ORBIT_TEST_NODES"

// A node runs a pod whose image it pulls from a registry on this machine, the pod answers and reaches
// a Service and the API server, and when all is killed and taken down nothing is left.
func TestNodeRunsPods(t *testing.T) {
	needRoot(t)
	testbed := bringUp(t, "--nodes", "1")
	cluster, err := loadCluster(testbed)
	if err != nil {
		t.Fatal(err)
	}
	node := cluster.nodes()[0]
	registry := serveImage(t, answerImage(t))
	kubectl := kubectlOf(t, testbed)
	kubectl(strings.ReplaceAll(`
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
spec:
  containers:
  - name: web
    image: REGISTRY/test/answer:1
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`, "REGISTRY", registry), "apply", "-f", "-")
	kubectl("", "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
	pod := "http://" + kubectl("", "get", "pod", "web", "-o", "jsonpath={.status.podIP}") + ":8080/"
	service := "http://" + kubectl("", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}") + "/"
	through := func(target string) string { return pod + "get?url=" + url.QueryEscape(target) }
	eventually(t, "the pod", pod, "the pod answers")
	// kube-proxy hears of a pod a moment after kubectl does.
	eventually(t, "a Service", through(service), "the pod answers")
	eventually(t, "the API server", through("https://"+serviceAddress+"/version"), kubernetesVersion)
	if got := kubectl("", "logs", "web"); !strings.Contains(got, "the pod listens") {
		t.Errorf("the pod's log is %q", got)
	}
	if got := kubectl("", "exec", "web", "--", "/app", "here"); !strings.Contains(got, "executed here") {
		t.Errorf("exec printed %q", got)
	}

	testbedCommand(t, "kill", "node-1")
	if run(t.Context(), []string{"status", "--name", testbed.Name}) == 0 {
		t.Error("the cluster counts as ready without its node")
	}
	testbedCommand(t, "start", "node-1")
	kubectl("", "wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/web", "--timeout=60s")
	testbedCommand(t, "kill")
	testbedCommand(t, "down")
	expectNothingLeft(t, testbed, node)
}

// Nodes of a testbed whose folder was deleted are cleared away by the next that wants nodes.
func TestAbandonedNodesAreClearedAway(t *testing.T) {
	needRoot(t)
	t.Setenv("ORBIT_STATE", t.TempDir())
	testbed, err := NewTestbed("unit-test")
	if err != nil {
		t.Fatal(err)
	}
	record, err := reserveNodes(t.Context(), testbed.Nodes(), 1)
	if err != nil {
		t.Fatal(err)
	}
	node := record.Nodes[0]
	if err := errors.Join(node.connect(t.Context(), 20000), node.makeCgroups()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := testbed.Nodes().start(shell("exec sleep 1000")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(testbed.Dir); err != nil {
		t.Fatal(err)
	}
	if err := removeAbandonedNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectNothingLeft(t, testbed, node)
}

// Pods on simulated nodes run, as far as anybody can tell, without root.
func TestSimulatedNodesRunPods(t *testing.T) {
	testbed := bringUp(t, "--simulated-nodes", "2")
	kubectl := kubectlOf(t, testbed)
	kubectl("", "create", "deployment", "web", "--image=nowhere.example/web:1", "--replicas=10")
	kubectl("", "rollout", "status", "deployment/web", "--timeout=60s")
	hosts := kubectl("", "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}")
	if strings.Count(hosts, "simulated-1") != 5 || strings.Count(hosts, "simulated-2") != 5 {
		t.Errorf("ten pods run on %q", hosts)
	}
	kubectl("", "delete", "deployment", "web")
	kubectl("", "wait", "--for=delete", "pod", "--all", "--timeout=60s")
}

// needRoot skips a test on nodes where there can be none, and fails it where it must not be missed.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv(nodesNeeded) == "required" {
		t.Fatal("nodes need root, and " + nodesNeeded + " says that this test may not be missed")
	}
	t.Skip("nodes need root: run this as root")
}

// bringUp brings the test's testbed up, and takes it down after the test.
func bringUp(t *testing.T, flags ...string) Testbed {
	t.Helper()
	t.Setenv("ORBIT_STATE", t.TempDir())
	testbed, err := NewTestbed("nodes-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if testbed.Plane().Exists() {
			testbedCommand(t, "down")
		}
	})
	testbedCommand(t, append([]string{"up"}, flags...)...)
	return testbed
}

// kubectlOf runs kubectl as a testbed's administrator.
func kubectlOf(t *testing.T, testbed Testbed) func(input string, args ...string) string {
	cache, err := cacheRoot()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "bin", "kubectl")
	return func(input string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"--kubeconfig", testbed.Kubeconfig()}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

// testbedCommand runs a command on the test's testbed.
func testbedCommand(t *testing.T, args ...string) {
	t.Helper()
	if code := run(context.Background(), append(args, "--name", "nodes-test")); code != 0 {
		t.Fatalf("testbed %s: exit code %d", strings.Join(args, " "), code)
	}
}

// eventually waits until a page holds a text.
func eventually(t *testing.T, what, page, want string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	got := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		response, err := client.Get(page)
		if err != nil {
			got = err.Error()
			continue
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if got = string(body); response.StatusCode == http.StatusOK && strings.Contains(got, want) {
			return
		}
	}
	t.Errorf("%s answers %q, without %q", what, got, want)
}

// answerImage is the image of testdata/answer.
func answerImage(t *testing.T) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "answer")
	build := exec.Command("go", "build", "-o", program, "./testdata/answer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	image, err := imageArchive("test/answer:1", binary)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// serveImage serves an image as test/answer:1 by HTTPS on the address that nodes reach, with a
// certificate that they are made to trust, and returns the registry's name.
func serveImage(t *testing.T, image []byte) string {
	t.Helper()
	files := untar(t, image)
	var index struct {
		Manifests []struct{ MediaType, Digest string }
	}
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	manifest := index.Manifests[0]
	blob := func(digest string) []byte { return files["blobs/"+strings.Replace(digest, ":", "/", 1)] }
	pages := http.NewServeMux()
	pages.HandleFunc("/v2/{$}", func(http.ResponseWriter, *http.Request) {})
	pages.HandleFunc("/v2/test/answer/manifests/{reference}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", manifest.MediaType)
		w.Header().Set("Docker-Content-Digest", manifest.Digest)
		w.Write(blob(manifest.Digest))
	})
	pages.HandleFunc("/v2/test/answer/blobs/{digest}", func(w http.ResponseWriter, r *http.Request) {
		w.Write(blob(r.PathValue("digest")))
	})
	dir := t.TempDir()
	if code := run(t.Context(), []string{"certificate", dir}); code != 0 {
		t.Fatalf("testbed certificate: exit code %d", code)
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(pages)
	server.Listener.Close()
	if server.Listener, err = net.Listen("tcp4", sharedAddress+":0"); err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	registry := server.Listener.Addr().String()
	testbedCommand(t, "trust", registry, filepath.Join(dir, "ca.crt"))
	return registry
}

// untar takes an archive apart.
func untar(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// expectNothingLeft looks for all that a node makes of the machine.
func expectNothingLeft(t *testing.T, testbed Testbed, node Node) {
	t.Helper()
	for _, path := range []string{testbed.Dir, node.Dir(), node.namespace(), "/sys/class/net/" + node.kernelName()} {
		if present(path) {
			t.Errorf("%s is still there", path)
		}
	}
	for _, tree := range cgroupTrees(cgroupRoot) {
		if group := filepath.Join(tree, node.kernelName()); present(group) {
			t.Errorf("%s is still there", group)
		}
	}
	for what, args := range map[string][]string{
		"rules":  {"iptables", "--list-rules"},
		"routes": {"ip", "route"},
		"mounts": {"cat", "/proc/self/mountinfo"},
	} {
		out, err := output(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out) {
			fields := strings.Fields(line)
			for _, field := range fields {
				if field == node.kernelName() || strings.HasPrefix(field, node.Dir()+"/") {
					t.Errorf("%s: %s is still there", what, strings.TrimSpace(line))
				}
			}
		}
	}
	if left := marked(func(value string) bool { return strings.HasPrefix(value, testbed.Dir) }); len(left) > 0 {
		t.Error(fmt.Sprint("processes still run: ", left))
	}
}
