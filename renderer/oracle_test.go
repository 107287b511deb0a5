package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// tool returns the path of a command line tool in the cache, and builds it
// first if it is not there.
func tool(t testing.TB, name, pkg, version string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the command line tools")
	}
	cache := os.Getenv("ORBIT_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache", "orbit-plane")
	}
	bin := filepath.Join(cache, "bin")
	path := filepath.Join(bin, name+"-"+version)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(bin, ".install-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	cmd := exec.Command("go", "install", "-trimpath", "-ldflags", "-s -w", pkg+"@"+version)
	cmd.Env = append(os.Environ(), "GOBIN="+fresh, "CGO_ENABLED=0")
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s cannot be built: %v\n%s", name, err, out)
	}
	if err := os.Rename(filepath.Join(fresh, name), path); err != nil {
		t.Fatal(err)
	}
	return path
}

func helmTool(t testing.TB) string {
	return tool(t, "helm", "helm.sh/helm/v4/cmd/helm", helmVersion)
}

func kustomizeTool(t testing.TB) string {
	return tool(t, "kustomize", "sigs.k8s.io/kustomize/kustomize/v5", kustomizeVersion)
}

// output runs a command and returns what it prints.
func output(t testing.TB, path string, args ...string) string {
	t.Helper()
	home := t.TempDir()
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"HOME=" + home, "TZ=UTC", "PATH=/nowhere"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(path), strings.Join(args, " "), err, &errs)
	}
	return out.String()
}

// helmTemplate is the first half of the oracle.
func helmTemplate(t testing.TB, chart []byte, values any, more ...string) string {
	t.Helper()
	// Not t.TempDir, whose name may have a comma: helm would split it.
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	write(t, filepath.Join(dir, "chart.tgz"), string(chart))
	write(t, filepath.Join(dir, "values.yaml"), string(marshal(t, values)))
	return output(t, helmTool(t), append([]string{"template", "web", filepath.Join(dir, "chart.tgz"),
		"--include-crds", "--skip-tests", "--kube-version", "1.36.3", "--namespace", "shop-prod",
		"-f", filepath.Join(dir, "values.yaml")}, more...)...)
}

// kustomizeBuild is the second half.
func kustomizeBuild(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	return output(t, kustomizeTool(t), "build", dir)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// parsed reads a stream as an API server's client would.
func parsed(t testing.TB, stream string) []any {
	t.Helper()
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(stream), 4096)
	var objects []any
	for {
		var o any
		if err := decoder.Decode(&o); err == io.EOF {
			return objects
		} else if err != nil {
			t.Fatal(err)
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
}

// helmCreate packs what `helm create` makes.
func helmCreate(t testing.TB, change ...func(dir string)) []byte {
	t.Helper()
	dir, err := chartutil.Create("web", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range change {
		do(dir)
	}
	return chartFrom(t, dir)
}

// vendored is the chart of traps with its subcharts as archives.
func vendored(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "traps"), os.DirFS("testdata/charts/traps")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"child", "gadgets"} {
		sub := filepath.Join(dir, "traps", "charts", name)
		packed := chartFrom(t, sub)
		if err := os.RemoveAll(sub); err != nil {
			t.Fatal(err)
		}
		write(t, sub+"-1.2.3.tgz", string(packed))
	}
	return chartFrom(t, filepath.Join(dir, "traps"))
}

// overlay is a kustomization twice: as a request has it, and as a person would
// write it beside the output of Helm.
type overlay struct {
	request m
	files   map[string]string
}

var overlays = map[string]overlay{
	"nothing": {nil, map[string]string{"kustomization.yaml": "resources: [base.yaml]\nnamespace: shop-prod\n"}},
	"everything": {
		m{
			"replicas": []m{{"name": "web", "count": 7}},
			"patches": []m{
				{"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      priorityClassName: high\n      containers:\n      - name: sidecar\n        image: example.test/sidecar:0644\n        env: [{name: ON, value: \"on\"}, {name: MODE, value: '0644'}]\n"},
				{"target": m{"kind": "Service", "name": "web"}, "patch": "- op: add\n  path: /metadata/annotations\n  value: {mode: '0644', agree: \"yes\", \"on\": \"off\", nothing: 'null', big: '12345678901234567890'}\n"},
				{"target": m{"kind": "ServiceAccount"}, "patch": `[{"op": "add", "path": "/automountServiceAccountToken", "value": false}]`},
				{"target": m{"kind": "Deployment"}, "patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ignored}\nspec: {template: {spec: {volumes: [{name: more, emptyDir: {}}]}}}\n"},
			},
			"configMaps": []m{
				{"name": "generated", "data": m{"MODE": "0644", "ANSWER": "yes", "SWITCH": "on", "script.sh": "#!/bin/sh\necho hi\n", "EMPTY": "", "UNICODE": "☃"}},
				{"name": "other", "behavior": "create", "data": m{"a": "b=c"}},
			},
			"images":      []m{{"name": "example.test/sidecar", "newTag": "1.0", "newName": "mirror.test/sidecar"}},
			"labels":      m{"team": "checkout", "tier": "yes"},
			"annotations": m{"owner": "maria", "count": "1"},
			"resources":   []string{"apiVersion: v1\nkind: Secret\nmetadata: {name: extra}\nstringData: {on: \"yes\"}\n", "apiVersion: example.test/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {mode: 0644, on: yes}\n"},
		},
		map[string]string{
			"kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop-prod
resources: [base.yaml, secret.yaml, gadget.yaml]
replicas:
- {name: web, count: 7}
patches:
- path: sidecar.yaml
- target: {kind: Service, name: web}
  patch: |-
    - op: add
      path: /metadata/annotations
      value: {mode: '0644', agree: "yes", "on": "off", nothing: 'null', big: '12345678901234567890'}
- target: {kind: ServiceAccount}
  patch: '[{"op": "add", "path": "/automountServiceAccountToken", "value": false}]'
- target: {kind: Deployment}
  patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: ignored}
    spec: {template: {spec: {volumes: [{name: more, emptyDir: {}}]}}}
configMapGenerator:
- name: generated
  literals: [MODE=0644, ANSWER=yes, SWITCH=on, EMPTY=, UNICODE=☃]
  files: [script.sh]
- name: other
  behavior: create
  literals: [a=b=c]
images:
- {name: example.test/sidecar, newTag: "1.0", newName: mirror.test/sidecar}
labels:
- pairs: {team: checkout, tier: "yes"}
commonAnnotations: {owner: maria, count: "1"}
`,
			"script.sh":   "#!/bin/sh\necho hi\n",
			"secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: extra}\nstringData: {on: \"yes\"}\n",
			"gadget.yaml": "apiVersion: example.test/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {mode: 0644, on: yes}\n",
			"sidecar.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      priorityClassName: high
      containers:
      - name: sidecar
        image: example.test/sidecar:0644
        env: [{name: ON, value: "on"}, {name: MODE, value: '0644'}]
`,
		},
	},
}

// oracleCase is a chart with values.
type oracleCase struct {
	chart  []byte
	values m
	// args are more arguments for helm, apiVersions the same for the renderer.
	args        []string
	apiVersions []string
	// plain leaves out the overlay that needs a Deployment and the like.
	plain bool
}

func oracleCases(t testing.TB) map[string]oracleCase {
	child := func(name string, more ...entry) []entry {
		files := []entry{{"charts/" + name + "/Chart.yaml", "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\n"}}
		for _, e := range more {
			files = append(files, entry{"charts/" + name + "/" + e.name, e.text})
		}
		return files
	}
	return map[string]oracleCase{
		"helm create": {chart: helmCreate(t)},
		"helm create, all on": {chart: helmCreate(t), values: m{
			"replicaCount": 3, "image": m{"repository": "example.test/web", "tag": "0644"},
			"ingress":     m{"enabled": true, "className": "nginx", "hosts": []m{{"host": "a.test", "paths": []m{{"path": "/", "pathType": "Prefix"}}}}, "tls": []m{{"secretName": "s", "hosts": []string{"a.test"}}}},
			"autoscaling": m{"enabled": true, "minReplicas": 2, "maxReplicas": 5, "targetMemoryUtilizationPercentage": 70},
			"resources":   m{"limits": m{"memory": "256Mi", "cpu": 0.5}}, "nodeSelector": m{"yes": "no"}, "podAnnotations": m{"a": "on"},
			"service": m{"port": 8080}, "livenessProbe": nil, "tolerations": []m{{"operator": "Exists"}},
		}},
		"helm create, traps in values": {chart: helmCreate(t), values: m{
			"podLabels": m{"mode": "0644", "agree": "yes", "switch": "on", "nothing": "null"}, "podAnnotations": m{
				"multi": "line one\nline two\n", "unicode": "☃ 🚢 é", "big": "12345678901234567890", "float": "1e3", "date": "2024-01-01", "empty": "", "space": " x ", "tab": "a\tb",
			}, "fullnameOverride": "web", "securityContext": m{"runAsUser": 1000, "fsGroup": 1234567890123},
		}},
		"traps":          {chart: chartFrom(t, "testdata/charts/traps")},
		"traps vendored": {chart: vendored(t)},
		"traps, other values": {chart: chartFrom(t, "testdata/charts/traps"), values: m{
			"mode": 420, "agree": "no", "big": 9007199254740993, "script": "one line", "image": m{"tag": nil, "repository": "example.test/x"},
			"extra": m{"a": []any{1, "1", 1.5, true, nil}, "b": m{}}, "child": m{"enabled": false}, "tags": m{"extra": false},
			"folded": "\"quotes\" and 'more'", "unicode": "\u0000\u001f\u2028",
		}},
		"traps, api versions": {chart: chartFrom(t, "testdata/charts/traps"), args: []string{"--api-versions", "example.test/v1"}, apiVersions: []string{"example.test/v1"}},
		"no templates":        {chart: chartOf(t, entry{"values.yaml", "a: b\n"}), plain: true},
		"no CRDs twice":       {chart: chartOf(t, entry{"crds/a.yaml", "# only a comment\n"}, mapOf("a: b")), plain: true},
		"coalescing": {plain: true, values: m{"gone": nil, "table": m{"gone": nil, "kept": "mine"}, "sub": m{"x": m{"gone": nil}, "n": 3}, "global": m{"g": "mine"}},
			chart: chartOf(t, append(child("sub", entry{"values.yaml", "x: {gone: 1, kept: 2}\nn: 1\nd: {e: f}\nglobal: {h: sub}\n"},
				entry{"templates/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata:\n  all: {{ toJson .Values | quote }}\n"}),
				entry{"values.yaml", "gone: 1\ntable: {gone: 1, kept: 2, other: 3}\nsub: {n: 2}\nglobal: {g: chart, l: [1]}\n"},
				mapOf("all: {{ toJson .Values | quote }}"))...)},
		"chart of the first kind": {plain: true, chart: chartOf(t, append(child("sub", entry{"values.yaml", "a: b\n"}, entry{"templates/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: {{ .Values.a }}}\n"}),
			entry{"Chart.yaml", "name: web\nversion: 0.1.0\n"}, entry{"requirements.yaml", "dependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled}\n"}, mapOf("a: b"))...)},
		"library": {plain: true, chart: chartOf(t,
			entry{"charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n"},
			entry{"charts/lib/templates/_a.tpl", `{{ define "lib.labels" }}a: "0644"{{ end }}`},
			entry{"charts/lib/templates/left-out.yaml", "kind: Nothing\n"},
			entry{"templates/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    {{- include \"lib.labels\" . | nindent 4 }}\n"})},
		"files": {plain: true, chart: chartOf(t,
			entry{"config/a.txt", "a\n"}, entry{"config/b.bin", "\x00\xff"}, entry{".helmignore", "config/\n"}, entry{"README.md", "# x\n"},
			entry{"templates/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n{{ (.Files.Glob \"config/*.txt\").AsConfig | indent 2 }}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n{{ (.Files.Glob \"config/*\").AsSecrets | indent 2 }}\n"})},
		"separators": {plain: true, chart: chartOf(t, entry{"templates/a.yaml",
			"---\n---   \n\n# c\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    ---\n    y\n---apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n--- # comment\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\n"})},
		"order and weights": {plain: true, chart: chartOf(t,
			entry{"templates/z.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop-prod}\n"},
			entry{"templates/b.yaml", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: w}\nwebhooks: [{name: a.b.c, clientConfig: {service: {name: a, namespace: x}}}]\n"},
			entry{"templates/a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.x}\nspec: {service: {name: a, namespace: x}}\n"})},
		"CRDs in several spellings": {plain: true, chart: chartOf(t,
			entry{"crds/a.yml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: as.x}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: bs.x}\n"},
			entry{"crds/c.json", `{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "cs.x"}}`},
			entry{"crds/README.md", "# no {{ template }}\n"}, mapOf("a: b"))},
		"byte order mark": {plain: true, chart: chartOf(t, entry{"values.yaml", "\xEF\xBB\xBFa: b\n"}, mapOf("a: {{ .Values.a }}"))},
		"crlf":            {plain: true, chart: chartOf(t, entry{"templates/a.yaml", "apiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: a}\r\ndata:\r\n  x: |\r\n    one\r\n    two\r\n"})},
		"numbers": {plain: true, values: m{"i": 5, "big": json.Number("123456789012345678"), "f": 0.1, "neg": -3, "exp": json.Number("1e20"), "one": json.Number("1.0")},
			chart: chartOf(t, mapOf("a: '{{ .Values.i }} {{ .Values.big }} {{ .Values.f }} {{ .Values.neg }} {{ .Values.exp }} {{ .Values.one }} {{ add .Values.i 1 }} {{ int .Values.big }} {{ toYaml .Values.big }} {{ printf \"%v %T\" .Values.i .Values.i }}'"))},
		"test hooks left out": {plain: true, chart: chartOf(t, mapOf("a: b"), entry{"templates/tests/t.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: t\n  annotations: {helm.sh/hook: test-success}\n"})},
	}
}

// The oracle: `helm template | kustomize build` with the real tools gives the
// same objects, always.
func TestOracle(t *testing.T) {
	helmTool(t)
	kustomizeTool(t)
	w := startWorker(t)
	for name, c := range oracleCases(t) {
		for overlayName, o := range overlays {
			if c.plain && overlayName != "nothing" {
				continue
			}
			t.Run(name+", "+overlayName, func(t *testing.T) {
				values := c.values
				if values == nil {
					values = m{}
				}
				request := o.request
				r := w.call(t, renderOf(c.chart, m{"values": values, "kustomization": request, "apiVersions": c.apiVersions}))
				if !r.OK {
					t.Fatal(r.Error)
				}
				base := helmTemplate(t, c.chart, values, c.args...)
				if r.Base != base {
					t.Fatalf("helm prints something else:\n%s", difference(base, r.Base))
				}
				if ejected := kustomizeBuild(t, r.Files); r.Manifest != ejected {
					t.Errorf("the ejected kustomization builds to something else:\n%s", difference(ejected, r.Manifest))
				}
				files := map[string]string{"base.yaml": base}
				for file, text := range o.files {
					files[file] = text
				}
				want, got := parsed(t, kustomizeBuild(t, files)), parsed(t, r.Manifest)
				if !reflect.DeepEqual(want, got) {
					t.Errorf("kustomize builds other objects:\n%s", difference(fmt.Sprint(want), fmt.Sprint(got)))
				}
				if len(r.Objects) != len(got) {
					t.Errorf("%d objects are listed, there are %d", len(r.Objects), len(got))
				}
			})
		}
	}
}

// difference shows where two texts part.
func difference(want, got string) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	cut := func(text string) string {
		return text[max(0, min(at-200, len(text))):min(len(text), at+200)]
	}
	return fmt.Sprintf("want …%s…\ngot …%s…", cut(want), cut(got))
}
