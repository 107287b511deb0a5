package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// app is a base with the usual objects.
const app = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: init, image: "example.test/init@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
      containers:
      - {name: main, image: "example.test:5000/web:1.0", envFrom: [{configMapRef: {name: settings}}]}
      volumes:
      - {name: data, image: {reference: "example.test/data:1"}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop-prod}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop-prod}
data: {a: "1", b: "2"}
`

// customized builds app with one kustomization, which must succeed.
func built(t *testing.T, kustomization m) *reply {
	t.Helper()
	r := ask(t, renderOfText(app, kustomization))
	if !r.OK {
		t.Fatal(r.Error)
	}
	return r
}

// wantText checks that text is there, or, with a leading "!", that it is not.
func wantText(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if absent, ok := strings.CutPrefix(word, "!"); ok {
			if strings.Contains(text, absent) {
				t.Errorf("there is %q in\n%s", absent, text)
			}
		} else if !strings.Contains(text, word) {
			t.Errorf("there is no %q in\n%s", word, text)
		}
	}
}

func TestObjectsAndImages(t *testing.T) {
	r := built(t, nil)
	want := []object{
		{"v1", "ConfigMap", "shop-prod", "settings"},
		{"v1", "Service", "shop-prod", "web"},
		{"apps/v1", "Deployment", "shop-prod", "web"},
	}
	if !slices.Equal(r.Objects, want) {
		t.Errorf("got %v", r.Objects)
	}
	images := []string{
		"example.test/data:1",
		"example.test/init@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"example.test:5000/web:1.0",
	}
	if !slices.Equal(r.Images, images) {
		t.Errorf("got %v", r.Images)
	}
	if r.Base != app || r.Files[baseFile] != app || len(r.Files) != 2 {
		t.Errorf("files: %v", r.Files)
	}
}

func TestOverrides(t *testing.T) {
	r := built(t, m{
		"replicas": []m{{"name": "web", "count": 5}},
		"patches": []m{
			{"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: main, tty: true}]}}}\n"},
			{"target": m{"kind": "Service|Deployment", "name": "w.b"}, "patch": `[{"op": "add", "path": "/metadata/annotations", "value": {"yes": "on"}}]`},
			{"target": m{"labelSelector": "app=web", "group": "apps", "version": "v1"}, "patch": "- {op: replace, path: /spec/template/spec/containers/0/name, value: 'renamed'}"},
			{"target": m{"kind": "ConfigMap"}, "patch": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: any}\ndata: {c: '3'}\n"},
		},
		"images":      []m{{"name": "example.test:5000/web", "newTag": "2.0"}, {"name": "example.test/init", "newName": "mirror.test/init"}},
		"labels":      m{"team": "checkout"},
		"annotations": m{"owner": "maria"},
		"resources":   []string{"apiVersion: v1\nkind: Secret\nmetadata: {name: one}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: two}\n"},
	})
	wantText(t, r.Manifest, "replicas: 5", "tty: true", `"yes": "on"`, "name: renamed", `c: "3"`, "team: checkout", "owner: maria", "name: one", "name: two",
		"image: example.test:5000/web:2.0", "image: mirror.test/init@sha256:e3b0")
	if strings.Count(r.Manifest, "team: checkout") != 5 {
		t.Errorf("labels belong on each object and nowhere else:\n%s", r.Manifest)
	}
	for _, name := range []string{"kustomization.yaml", "base.yaml", "patches/0.yaml", "patches/1.yaml", "patches/2.yaml", "patches/3.yaml", "resources/0.yaml"} {
		if r.Files[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestConfigMaps(t *testing.T) {
	t.Run("create", func(t *testing.T) {
		r := built(t, m{"configMaps": []m{{"name": "new", "data": m{"k": "v"}}},
			"resources": []string{"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i, envFrom: [{configMapRef: {name: new}}]}]}\n"}})
		if strings.Count(r.Manifest, "name: new-") != 2 {
			t.Errorf("the reference must follow the hash suffix:\n%s", r.Manifest)
		}
	})
	t.Run("merge", func(t *testing.T) {
		r := built(t, m{"configMaps": []m{{"name": "settings", "behavior": "merge", "data": m{"b": "3", "c": "4"}}}})
		// Kustomize gives no hash suffix to what it did not generate.
		wantText(t, r.Manifest, `a: "1"`, `b: "3"`, `c: "4"`, "name: settings\n")
	})
	t.Run("replace", func(t *testing.T) {
		r := built(t, m{"configMaps": []m{{"name": "settings", "behavior": "replace", "data": m{"c": "4"}}}})
		wantText(t, r.Manifest, `!a: "1"`, `c: "4"`)
	})
	t.Run("patched", func(t *testing.T) {
		r := built(t, m{"configMaps": []m{{"name": "new", "data": m{"k": "v"}}},
			"patches": []m{{"target": m{"kind": "ConfigMap", "name": "new"}, "patch": "- {op: add, path: /data/l, value: w}"}}})
		wantText(t, r.Manifest, "l: w")
	})
	t.Run("keys name no files", func(t *testing.T) {
		r := built(t, m{"configMaps": []m{{"name": "new", "data": m{"site.zip": "v", ".sourceignore": "*"}}}})
		wantText(t, r.Manifest, "site.zip: v", ".sourceignore: '*'")
		for name := range r.Files {
			if strings.Contains(name, "site.zip") || strings.Contains(name, ".sourceignore") {
				t.Errorf("Flux does not take %s as it is", name)
			}
		}
	})
	t.Run("bytes are kept", func(t *testing.T) {
		for _, value := range []string{"", "\"quoted\"", "'single'", "a=b", " spaces ", "yes", "0644", "null", "line\n", "two\nlines", "crlf\r\nline", "tab\t", "☃ 🚢", "---\na: b", "# x", "{{ x }}", "\x00\x01"} {
			r := built(t, m{"configMaps": []m{{"name": "new", "data": m{"k": value}}}})
			objects, err := resources("manifest", r.Manifest)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, o := range objects.Resources() {
				if strings.HasPrefix(o.GetName(), "new-") {
					found = o.GetDataMap()["k"] == value
				}
			}
			if !found {
				t.Errorf("%q does not come through:\n%s", value, r.Manifest)
			}
		}
	})
}

func TestNamespaces(t *testing.T) {
	r := ask(t, renderOfText(`apiVersion: v1
kind: ServiceAccount
metadata: {name: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: c}
---
apiVersion: example.test/v1
kind: Custom
metadata: {name: c, namespace: elsewhere}
`, nil))
	if !r.OK {
		t.Fatal(r.Error)
	}
	want := []object{
		{"v1", "ServiceAccount", "shop-prod", "default"},
		{"rbac.authorization.k8s.io/v1", "ClusterRole", "", "c"},
		{"example.test/v1", "Custom", "shop-prod", "c"},
	}
	if !slices.Equal(r.Objects, want) {
		t.Errorf("got %v", r.Objects)
	}
}

func TestUnmatched(t *testing.T) {
	smp := func(kind, name string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata: {name: %s}\n", kind, name)
	}
	const op = "- {op: add, path: /metadata/labels, value: {x: y}}"
	for _, test := range []struct {
		name          string
		kustomization m
		reason, place string
		words         []string
	}{
		{"target", m{"patches": []m{{"target": m{"kind": "Deployment"}, "patch": op}, {"target": m{"kind": "Deployment", "name": "wbe"}, "patch": op}}},
			reasonPatchUnmatched, "patches/1.yaml", []string{"patches[1]", "kind: Deployment, name: wbe", "Deployment web", "Service web in namespace shop-prod"}},
		{"target's labels", m{"patches": []m{{"target": m{"labelSelector": "app=other"}, "patch": op}}}, reasonPatchUnmatched, "patches/0.yaml", []string{"labelSelector: app=other"}},
		{"target's annotations", m{"patches": []m{{"target": m{"annotationSelector": "a=b"}, "patch": op}}}, reasonPatchUnmatched, "patches/0.yaml", nil},
		{"target's namespace", m{"patches": []m{{"target": m{"kind": "Deployment", "namespace": "shop-prod"}, "patch": op}}}, reasonPatchUnmatched, "patches/0.yaml", nil},
		{"target's version", m{"patches": []m{{"target": m{"kind": "Deployment", "version": "v2"}, "patch": op}}}, reasonPatchUnmatched, "patches/0.yaml", nil},
		{"part of a name", m{"patches": []m{{"target": m{"name": "we"}, "patch": op}}}, reasonPatchUnmatched, "patches/0.yaml", nil},
		{"merge patch with target", m{"patches": []m{{"target": m{"kind": "Job"}, "patch": smp("Job", "x")}}}, reasonPatchUnmatched, "patches/0.yaml", []string{"kind: Job"}},
		{"merge patch", m{"patches": []m{{"patch": smp("Service", "wbe")}}}, reasonPatchUnmatched, "patches/0.yaml", []string{"Service wbe", "Service web"}},
		{"merge patch without namespace", m{"patches": []m{{"patch": smp("Service", "web")}}}, reasonPatchUnmatched, "patches/0.yaml", []string{"Service web matches no object", "in namespace shop-prod"}},
		{"one of two merge patches", m{"patches": []m{{"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\n" + smp("Service", "wbe")}}}, reasonPatchUnmatched, "patches/0.yaml", []string{"Service wbe"}},
		{"replicas", m{"replicas": []m{{"name": "wbe", "count": 2}}}, reasonReplicasUnmatched, "", []string{"replicas[0]", `"wbe"`, "Deployment web"}},
		{"replicas of a Service", m{"replicas": []m{{"name": "settings", "count": 2}}}, reasonReplicasUnmatched, "", []string{"Deployment web"}},
		{"images", m{"images": []m{{"name": "nginx", "newTag": "1"}}}, reasonImagesUnmatched, "", []string{"images[0]", `"nginx"`, "example.test:5000/web:1.0"}},
		{"image with tag", m{"images": []m{{"name": "example.test:5000/web:1.0", "newTag": "1"}, {"name": "nobody"}}}, reasonImagesUnmatched, "", []string{"images[1]"}},
		{"image renamed before", m{"images": []m{{"name": "example.test:5000/web", "newName": "other"}, {"name": "example.test:5000/web", "newTag": "2"}}}, "", "", nil},
		{"image renamed to", m{"images": []m{{"name": "example.test:5000/web", "newName": "other"}, {"name": "other", "newTag": "2"}}}, "", "", nil},
		{"target made by an earlier patch", m{"patches": []m{
			{"target": m{"kind": "Deployment"}, "patch": "- {op: add, path: /metadata/labels/tier, value: front}"},
			{"target": m{"labelSelector": "tier=front"}, "patch": op}}}, "", "", nil},
		{"image made by a patch", m{
			"patches": []m{{"target": m{"kind": "Deployment"}, "patch": "- {op: replace, path: /spec/template/spec/containers/0/image, value: fresh}"}},
			"images":  []m{{"name": "fresh", "newTag": "2"}}}, "", "", nil},
		{"target in the extra resources", m{
			"resources": []string{smp("Secret", "extra")},
			"patches":   []m{{"target": m{"kind": "Secret"}, "patch": op}}}, "", "", nil},
		{"target that is namespaced", m{"patches": []m{{"target": m{"kind": "Service", "namespace": "shop-prod"}, "patch": op}}}, "", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(t, renderOfText(app, test.kustomization))
			if test.reason == "" {
				if !r.OK {
					t.Error(r.Error)
				}
				return
			}
			wantFault(t, r, test.reason, test.place, test.words...)
		})
	}
}

func TestBrokenKustomizations(t *testing.T) {
	deployment := m{"kind": "Deployment"}
	onDeployment := func(patch string) m { return m{"patches": []m{{"target": deployment, "patch": patch}}} }
	for _, test := range []struct {
		name          string
		kustomization m
		reason, place string
		words         []string
	}{
		{"empty patch", onDeployment(" \n"), reasonPatchInvalid, "patches/0.yaml", []string{"patches[0] is empty"}},
		{"empty target", m{"patches": []m{{"target": m{}, "patch": "- {op: remove, path: /x}"}}}, reasonPatchInvalid, "patches/0.yaml", []string{"empty target"}},
		{"patch not YAML", onDeployment("spec:\n  a: b: c\n"), reasonPatchInvalid, "patches/0.yaml:2", []string{"patches[0]", "not valid YAML"}},
		{"patch of words", onDeployment("do it"), reasonPatchInvalid, "patches/0.yaml", []string{"neither"}},
		{"patch without kind", m{"patches": []m{{"patch": "spec: {a: b}\n"}}}, reasonPatchInvalid, "patches/0.yaml", []string{"neither"}},
		{"JSON patch without target", m{"patches": []m{{"patch": "- {op: remove, path: /x}"}}}, reasonPatchInvalid, "patches/0.yaml", []string{"needs a target"}},
		{"JSON patch of a missing path", onDeployment("- {op: replace, path: /spec/nothing/here, value: 1}"), reasonPatchInvalid, "patches/0.yaml", []string{"cannot be applied", "/spec/nothing/here"}},
		{"JSON patch with a failing test", onDeployment("- {op: test, path: /spec/replicas, value: 7}"), reasonPatchInvalid, "patches/0.yaml", []string{"cannot be applied"}},
		{"JSON patch with an unknown operation", onDeployment("- {op: destroy, path: /spec}"), reasonPatchInvalid, "patches/0.yaml", []string{"destroy"}},
		{"JSON patch with a key that is not text", onDeployment("- {op: add, path: /metadata/annotations, value: {on: 'x'}}"), reasonPatchInvalid, "patches/0.yaml", []string{"patches[0]", "Deployment.apps web", "quotes"}},
		{"bad selector", m{"patches": []m{{"target": m{"labelSelector": "a in b in c"}, "patch": "- {op: add, path: /metadata/labels/x, value: y}"}}}, reasonPatchInvalid, "patches/0.yaml", nil},
		{"bad regular expression", m{"patches": []m{{"target": m{"name": "("}, "patch": "- {op: add, path: /metadata/labels/x, value: y}"}}}, reasonPatchInvalid, "patches/0.yaml", nil},
		{"the second patch", m{"patches": []m{{"target": deployment, "patch": "- {op: add, path: /metadata/labels/x, value: y}"}, {"target": deployment, "patch": "- {op: remove, path: /nowhere}"}}}, reasonPatchInvalid, "patches/1.yaml", []string{"patches[1]"}},
		{"resource not YAML", m{"resources": []string{"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n", "a: b\nc: d: e\n"}}, reasonManifestInvalid, "resources/1.yaml:2", []string{"c: d: e"}},
		{"resource without kind", m{"resources": []string{"apiVersion: v1\nmetadata: {name: a}\n"}}, reasonManifestInvalid, "resources/0.yaml", []string{"kind"}},
		{"resource that is there", m{"resources": []string{"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"}}, reasonManifestInvalid, "resources/0.yaml", []string{"resources[0]", "Deployment.apps web", "patch"}},
		{"ConfigMap that is there", m{"configMaps": []m{{"name": "settings", "data": m{"a": "b"}}}}, reasonKustomizeFailed, "", []string{"configMaps[0]", "set its behavior to merge"}},
		{"ConfigMap that is not there", m{"configMaps": []m{{"name": "setings", "behavior": "merge", "data": m{"a": "b"}}}}, reasonKustomizeFailed, "", []string{"configMaps[0]", "setings", "ConfigMap settings"}},
		{"ConfigMap twice", m{"configMaps": []m{{"name": "x", "data": m{"a": "b"}}, {"name": "x", "data": m{"a": "b"}}}}, reasonKustomizeFailed, "", []string{"configMaps[1]", "second time"}},
		{"ConfigMap with a bad behavior", m{"configMaps": []m{{"name": "x", "behavior": "add"}}}, reasonKustomizeFailed, "", []string{"create, merge or replace"}},
		{"ConfigMap with a bad key", m{"configMaps": []m{{"name": "x", "data": m{"../../etc": "b"}}}}, reasonKustomizeFailed, "", []string{`"../../etc"`}},
		{"ConfigMap with the key ..", m{"configMaps": []m{{"name": "x", "data": m{"..": "b"}}}}, reasonKustomizeFailed, "", []string{`".."`}},
		{"ConfigMap without name", m{"configMaps": []m{{"data": m{"a": "b"}}}}, reasonKustomizeFailed, "", []string{"configMaps[0] has no name"}},
		{"negative count", m{"replicas": []m{{"name": "web", "count": -1}}}, reasonKustomizeFailed, "", []string{"-1"}},
		{"tag and digest", m{"images": []m{{"name": "example.test:5000/web", "newTag": "a", "digest": "sha256:b"}}}, reasonKustomizeFailed, "", []string{"both"}},
		{"unknown field", m{"helmCharts": []m{{"name": "x"}}}, reasonRequestInvalid, "", []string{"helmCharts"}},
		{"generators", m{"generators": []string{"x"}}, reasonRequestInvalid, "", []string{"generators"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(t, renderOfText(app, test.kustomization))
			wantFault(t, r, test.reason, test.place, test.words...)
		})
	}
}

func TestBrokenManifests(t *testing.T) {
	for _, test := range []struct {
		name, text, place string
		words             []string
	}{
		{"the second document", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: a: b\n", "base.yaml:6", []string{"kind: a: b"}},
		{"no kind", "apiVersion: v1\nmetadata: {name: a}\n", "base.yaml", []string{"kind"}},
		{"a string", "words", "base.yaml", nil},
		{"twice", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}\n", "base.yaml", []string{"Pod a", "twice"}},
		{"a list of nonsense", "apiVersion: v1\nkind: List\nitems: [1, 2]\n", "base.yaml", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFault(t, ask(t, renderOfText(test.text, nil)), reasonManifestInvalid, test.place, test.words...)
		})
	}
}

func TestAliases(t *testing.T) {
	head := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for _, text := range map[string]string{
		"to itself":      "&a [*a]",
		"to its parent":  head + "data: &d {x: *d}\n",
		"deep to itself": head + "data: &d {x: {y: [1, *d]}}\n",
		"bomb":           laughs(head),
	} {
		wantFault(t, ask(t, renderOfText(head+"---\n"+text, nil)), reasonManifestInvalid, "base.yaml:4", "alias")
		wantFault(t, ask(t, renderOfText(app, m{"resources": []string{text}})), reasonManifestInvalid, "resources/0.yaml:1", "alias")
		wantFault(t, ask(t, renderOfText(app, m{"patches": []m{{"target": m{"kind": "Service"}, "patch": text}}})), reasonPatchInvalid, "patches/0.yaml:1", "alias")
	}
	fine := head + "data: &d {x: '*y', z: 'a & b'}\nbinaryData: {<<: *d}\n"
	if r := ask(t, renderOfText(fine, nil)); !r.OK {
		t.Error(r.Error)
	}
}

func TestOneObjectInTwoNamespaces(t *testing.T) {
	r := ask(t, renderOfText("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: y}\n", nil))
	wantFault(t, r, reasonKustomizeFailed, "", "Pod a", "shop-prod")
	// Kustomize gives both the name of the namespace that all goes to.
	r = ask(t, renderOfText("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: y}\n", nil))
	wantFault(t, r, reasonKustomizeFailed, "", "Namespace shop-prod")
}

// Messages end up in conditions, which more people may read than Secrets.
func TestMessagesKeepSecrets(t *testing.T) {
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {p: s3cr3t}\n"
	for name, req := range map[string]m{
		"not YAML":          renderOfText("apiVersion: v1\nkind: Secret\nstringData:\n  p: s3cr3t: x\n", nil),
		"in a template":     renderOf(chartOf(t, entry{"templates/a.yaml", "kind: Secret\nstringData:\n  p: s3cr3t: x\n"})),
		"no name":           renderOfText("apiVersion: v1\nkind: Secret\nstringData: {p: s3cr3t}\n", nil),
		"no apiVersion":     renderOfText("kind: Secret\nstringData: {p: s3cr3t}\nmetadata: {name: a}\n", nil),
		"in two namespaces": renderOfText(strings.Replace(secret, "name: a", "name: a, namespace: x", 1)+"---\n"+secret, nil),
		"twice":             renderOfText(secret+"---\n"+secret, nil),
		"patched badly":     renderOfText(secret, m{"patches": []m{{"target": m{"kind": "Secret"}, "patch": "- {op: remove, path: /x/y}"}}}),
		"unmatched":         renderOfText(secret, m{"images": []m{{"name": "x", "newTag": "y"}}}),
	} {
		t.Run(name, func(t *testing.T) {
			r := ask(t, req)
			if r.Error == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(r.Error.Message, "s3cr3t") {
				t.Error(r.Error.Message)
			}
		})
	}
}

// Names that kustomize gives a meaning to are text like any other here.
func TestNothingIsLoadedFromOutside(t *testing.T) {
	r := built(t, m{
		"configMaps": []m{{"name": "x", "data": m{"kustomization.yaml": "resources: [https://example.test/x]", ".env": "a"}}},
		"resources":  []string{"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: k}\nresources: [../../etc]\n"},
	})
	wantText(t, r.Manifest, "kind: Kustomization")
	wantText(t, r.Files[kustomizationFile], "- resources/0.yaml")
	r = ask(t, renderOfText(app, m{"resources": []string{"https://example.test/x//y?ref=z"}}))
	wantFault(t, r, reasonManifestInvalid, "resources/0.yaml")
	r = ask(t, renderOfText(app, m{"resources": []string{`apiVersion: v1
kind: ConfigMap
metadata:
  name: f
  annotations:
    config.kubernetes.io/function: |
      exec: {path: /bin/true}
`}}))
	if !r.OK {
		t.Error(r.Error)
	}
}
