package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/types"
)

// smallParts divides what is small, so that many relations cross parts.
var smallParts = limits{part: 3}

// withLimits sets the limits for one test.
func withLimits(t testing.TB, to limits) {
	before := defaultLimits
	defaultLimits = to
	t.Cleanup(func() { defaultLimits = before })
}

// invention is an invented overlay.
type invention struct {
	base string
	customizations
}

// inventor invents overlays whose objects refer to each other.
type inventor struct{ *rand.Rand }

func (g inventor) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g inventor, from ...T) T { return from[g.IntN(len(from))] }

func (g inventor) name() string {
	return pick(g, "web", "api", "db", "job", "cache", "x", "y", "z", "shared")
}

// object is one document. Names come from few, so that many are the same.
func (g inventor) object(i int) string {
	name := g.name()
	if g.chance(50) {
		name = fmt.Sprintf("%s-%d", name, g.IntN(40))
	}
	other := func() string {
		if g.chance(50) {
			return g.name()
		}
		return fmt.Sprintf("%s-%d", g.name(), g.IntN(40))
	}
	meta := "name: " + name
	if g.chance(25) {
		meta += ", namespace: " + pick(g, "shop-prod", "default", "other")
	}
	if g.chance(30) {
		meta += ", labels: {app: " + other() + ", tier: " + pick(g, "front", "back") + "}"
	}
	head := func(apiVersion, kind string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {%s}\n", apiVersion, kind, meta)
	}
	pod := func() string {
		return fmt.Sprintf("{serviceAccountName: %s, containers: [{name: main, image: %q, envFrom: [{configMapRef: {name: %s}}, {secretRef: {name: %s}}]}], volumes: [{name: v, persistentVolumeClaim: {claimName: %s}}, {name: w, configMap: {name: %s}}]}",
			other(), pick(g, "example.test/web:1", "nginx", "example.test/db@sha256:0"), other(), other(), other(), other())
	}
	subjects := func() string {
		subject := "{kind: ServiceAccount, name: " + pick(g, other(), "default")
		if g.chance(60) {
			subject += ", namespace: " + pick(g, "shop-prod", "default", "other", "elsewhere")
		}
		return fmt.Sprintf("subjects: [%s}]\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\n", subject, pick(g, "Role", "ClusterRole"), other())
	}
	switch g.IntN(16) {
	case 0, 1:
		return head("v1", "ConfigMap") + fmt.Sprintf("data: {a: %s, b: \"%d\"}\n", other(), i)
	case 2:
		return head("v1", "Secret") + "stringData: {a: b}\n"
	case 3:
		return head("v1", "Service") + "spec: {selector: {app: " + other() + "}, ports: [{port: 80}]}\n"
	case 4:
		return head("v1", "ServiceAccount") + "imagePullSecrets: [{name: " + other() + "}]\n"
	case 5, 6, 7:
		return head("apps/v1", pick(g, "Deployment", "StatefulSet")) + "spec: {replicas: 1, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: " + pod() + "}}\n"
	case 8:
		return head("rbac.authorization.k8s.io/v1", "RoleBinding") + subjects()
	case 9:
		return head("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") + subjects()
	case 10:
		return head("rbac.authorization.k8s.io/v1", pick(g, "Role", "ClusterRole")) + "rules: [{apiGroups: [''], resources: [secrets], resourceNames: [" + other() + ", " + other() + "], verbs: [get]}]\n"
	case 11:
		return head("autoscaling/v2", "HorizontalPodAutoscaler") + "spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: " + other() + "}}\n"
	case 12:
		return head("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration") +
			"webhooks: [{name: a.b.c, clientConfig: {service: {name: " + other() + ", namespace: " + pick(g, "shop-prod", "default", "other") + "}}}]\n"
	case 13:
		return "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: " + name + "\n  annotations: {nginx.ingress.kubernetes.io/auth-secret: " + other() + "}\nspec: {defaultBackend: {service: {name: " + other() + ", port: {number: 80}}}}\n"
	case 14:
		return head("v1", "PersistentVolumeClaim") + "spec: {volumeName: " + other() + ", storageClassName: " + other() + "}\n"
	default:
		return head("example.test/v1", pick(g, "Widget", "Gadget")) + "spec: {mode: 0644, on: yes, name: " + other() + "}\n"
	}
}

// invent makes an overlay, often one with mistakes.
func (g inventor) invent() *invention {
	o := &invention{}
	seen := map[string]bool{}
	document := func(i int) string {
		for {
			text := g.object(i)
			key := strings.TrimRight(strings.Join(strings.Fields(text)[:7], " "), ",}")
			if seen[key] && !g.chance(5) {
				continue
			}
			seen[key] = true
			return text
		}
	}
	var base []string
	for i := range 8 + g.IntN(25) {
		base = append(base, document(i))
	}
	if g.chance(10) {
		base = append(base, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+pick(g, "shop-prod", "other")+"}\n")
	}
	if g.chance(10) {
		base = append(base, "# only a comment\n", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: local\n  annotations: {config.kubernetes.io/local-config: 'true'}\n")
	}
	o.base = strings.Join(base, pick(g, "---\n", "--- # next\n", "---\n---\n"))
	if g.chance(30) {
		o.base = "---\n" + strings.TrimSuffix(o.base, "\n")
	}
	if g.chance(10) {
		o.base = strings.ReplaceAll(o.base, "\n", "\r\n")
	}
	for i := range g.IntN(3) {
		text := document(100 + i)
		if g.chance(30) {
			text += "---\n" + document(200+i)
		}
		o.Resources = append(o.Resources, text)
	}
	if g.chance(50) {
		o.ConfigMaps = append(o.ConfigMaps, configMap{Name: pick(g, "shared", g.name(), "fresh"), Data: map[string]string{"k": g.name()}, Behavior: pick(g, "", "", "", "create", "merge", "replace")})
	}
	if g.chance(20) {
		o.ConfigMaps = append(o.ConfigMaps, configMap{Name: fmt.Sprintf("new-%d", g.IntN(3)), Data: map[string]string{"k": "v"}})
	}
	if g.chance(40) {
		o.Labels = map[string]string{"team": g.name()}
	}
	if g.chance(30) {
		o.Annotations = map[string]string{"owner": "maria", "nginx.ingress.kubernetes.io/auth-secret": g.name()}
	}
	if g.chance(30) {
		o.Images = append(o.Images, image{Name: pick(g, "nginx", "example.test/web"), NewTag: "2"})
	}
	// Where an object is asked for by name, mostly one that is there.
	existing := func(kind string) (string, bool) {
		for _, text := range base {
			if strings.Contains(text, "kind: "+kind+"\nmetadata: {name: ") && !strings.Contains(strings.SplitN(text, "\n", 4)[2], "namespace") {
				name, _, _ := strings.Cut(strings.SplitN(text, "metadata: {name: ", 2)[1], "}")
				name, _, _ = strings.Cut(name, ",")
				return name, true
			}
		}
		return g.name(), g.chance(5)
	}
	if name, ok := existing("Deployment"); ok && g.chance(30) {
		o.Replicas = append(o.Replicas, types.Replica{Name: name, Count: 3})
	}
	for range g.IntN(4) {
		var p patch
		switch g.IntN(9) {
		case 0:
			name, ok := existing("Service")
			if !ok {
				continue
			}
			p = patch{Patch: "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {type: NodePort}\n"}
		case 1:
			p = patch{Target: &patchTarget{Kind: "Deployment|StatefulSet"}, Patch: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {template: {spec: {containers: [{name: main, envFrom: [{configMapRef: {name: " + g.name() + "}}]}]}}}\n"}
		case 2:
			p = patch{Target: &patchTarget{LabelSelector: "tier=front"}, Patch: "- {op: add, path: /metadata/annotations, value: {a: " + g.name() + "}}\n"}
		case 3:
			p = patch{Target: &patchTarget{Kind: "Secret", Name: g.name() + ".*"}, Patch: "$patch: delete\napiVersion: v1\nkind: Secret\nmetadata: {name: any}\n"}
		case 4:
			p = patch{Target: &patchTarget{Kind: "Deployment"}, Patch: "- {op: replace, path: /spec/template/spec/serviceAccountName, value: " + g.name() + "}\n"}
		case 5:
			p = patch{Target: &patchTarget{Kind: "Service", Name: g.name()}, Patch: "- {op: replace, path: /metadata/name, value: " + g.name() + "-renamed}\n"}
		case 6:
			p = patch{Target: &patchTarget{Kind: "Widget"}, Patch: "- {op: copy, from: /metadata/name, path: /spec/copied}\n"}
		case 7:
			p = patch{Target: &patchTarget{Namespace: "other"}, Patch: "- {op: add, path: /metadata/labels, value: {moved: 'yes'}}\n"}
		case 8:
			if !g.chance(20) {
				continue
			}
			p = patch{Target: &patchTarget{Kind: "Deployment", Name: g.name()}, Patch: "- {op: remove, path: /spec/nowhere}\n"}
		}
		o.Patches = append(o.Patches, p)
	}
	return o
}

// address is what some of Kustomize's messages contain.
var address = regexp.MustCompile(`0x[0-9a-f]+`)

// checkParts compares what parts of an invented overlay are put together to with
// what Kustomize builds as a whole: the same bytes, or both refuse it. It says
// what has become of each build.
func checkParts(t *testing.T, seed uint64) (outcomes []string) {
	withLimits(t, smallParts)
	o := inventor{rand.New(rand.NewPCG(seed, 0))}.invent()
	k := &kustomizer{base: o.base, namespace: "shop-prod", customizations: &o.customizations}
	for _, upTo := range []stage{stageAll, {patches: len(o.Patches)}} {
		files, err := k.files(upTo)
		if err != nil {
			return append(outcomes, "unreadable")
		}
		p := k.partition(defaultLimits)
		if p == nil {
			return append(outcomes, "indivisible")
		}
		got, gotErr := p.build(upTo)
		if errors.Is(gotErr, errRelated) {
			outcomes = append(outcomes, "related")
			continue
		}
		want, wantErr := build(files)
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("seed %d\nas a whole: %v\nin parts: %v\n%v", seed, wantErr, gotErr, files)
		}
		if wantErr != nil {
			want, got := address.ReplaceAllString(wantErr.Error(), ""), address.ReplaceAllString(gotErr.Error(), "")
			if outcomes = append(outcomes, "refused"); want != got {
				outcomes = append(outcomes, "refused in other words")
				t.Logf("seed %d\nas a whole: %.400s\nin parts: %.400s", seed, want, got)
			}
			continue
		}
		outcomes = append(outcomes, "built")
		wantText, wantErr := want.AsYaml()
		gotText, gotErr := got.AsYaml()
		if wantErr != nil || gotErr != nil {
			t.Fatalf("seed %d\nas a whole: %v\nin parts: %v", seed, wantErr, gotErr)
		}
		if string(wantText) != string(gotText) {
			t.Fatalf("seed %d: parts build to something else:\n%s\n%v", seed, difference(string(wantText), string(gotText)), files)
		}
	}
	return outcomes
}

func TestParts(t *testing.T) {
	seeds := 200
	if testing.Short() {
		seeds = 40
	}
	counts := map[string]int{}
	for seed := range seeds {
		for _, outcome := range checkParts(t, uint64(seed)) {
			counts[outcome]++
		}
	}
	t.Log(counts)
	if counts["built"] < seeds/2 || counts["refused"] == 0 {
		t.Errorf("too few overlays are built in parts, or refused: %v", counts)
	}
}

func FuzzParts(f *testing.F) {
	f.Fuzz(func(t *testing.T, seed uint64) { checkParts(t, seed) })
}

// many are n objects as charts have them: workloads with what belongs to them.
func many(n int) string {
	var text strings.Builder
	for i := 0; i < n; i += 4 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-%d, labels: {instance: web}}\ndata: {a: \"%d\"}\n", i, i)
	}
	for i := 0; i < n; i += 4 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Service\nmetadata: {name: web-%d, labels: {instance: web}}\nspec: {selector: {app: web-%d}, ports: [{port: 80}]}\n", i, i)
	}
	for i := 0; i < n; i += 4 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web-%d, labels: {instance: web}}\n", i)
	}
	for i := 0; i < n; i += 4 {
		fmt.Fprintf(&text, `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-%d, labels: {instance: web}}
spec:
  selector: {matchLabels: {app: web-%d}}
  template:
    metadata: {labels: {app: web-%d}}
    spec:
      serviceAccountName: web-%d
      containers:
      - {name: main, image: "example.test/web:1", envFrom: [{configMapRef: {name: settings-%d}}, {configMapRef: {name: shared}}]}
`, i, i, i, i, i)
	}
	return text.String()
}

// manyOverrides is a bit of everything over many.
var manyOverrides = m{
	"labels": m{"team": "checkout"}, "annotations": m{"owner": "maria"},
	"images":     []m{{"name": "example.test/web", "newTag": "2"}},
	"replicas":   []m{{"name": "web-0", "count": 3}},
	"configMaps": []m{{"name": "shared", "data": m{"a": "b"}}},
	"patches": []m{{"target": m{"kind": "Deployment"},
		"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {template: {spec: {priorityClassName: high}}}\n"}},
}

// The work grows with the number of objects, not with its square: what belongs
// together goes into one part, and little of it into others as well.
func TestPartsStaySmall(t *testing.T) {
	k := &kustomizer{base: many(5000), namespace: "shop-prod", customizations: &customizations{ConfigMaps: []configMap{{Name: "shared"}}}}
	p := k.partition(defaultLimits)
	if p == nil {
		t.Fatal("not divided")
	}
	kept := 0
	for _, one := range p.parts {
		kept += len(one.kept)
		if len(one.context) > defaultLimits.part+10 {
			t.Errorf("a part for %d objects has %d", len(one.kept), len(one.context))
		}
	}
	if kept != 5000 {
		t.Errorf("the parts are for %d objects", kept)
	}
}

// The real kustomize builds the same from the files of a large overlay.
func TestManyObjectsOracle(t *testing.T) {
	kustomizeTool(t)
	r := ask(t, renderOfText(many(400), manyOverrides))
	if !r.OK {
		t.Fatal(r.Error)
	}
	if want := kustomizeBuild(t, r.Files); r.Manifest != want {
		t.Error(difference(want, r.Manifest))
	}
	if len(r.Objects) != 401 {
		t.Errorf("%d objects", len(r.Objects))
	}
}

// What is wrong in a large overlay is said in the same words as in a small one.
func TestManyObjectsExplained(t *testing.T) {
	twice := "---\napiVersion: v1\nkind: Service\nmetadata: {name: web-8}\n"
	elsewhere := "---\napiVersion: v1\nkind: Service\nmetadata: {name: web-8, namespace: other}\n"
	const op = "- {op: remove, path: /spec/nowhere}"
	for name, c := range map[string]struct {
		more   string
		change m
		reason string
	}{
		"twice":               {twice, nil, reasonManifestInvalid},
		"twice in resources":  {"", m{"resources": []string{twice}}, reasonManifestInvalid},
		"in two namespaces":   {elsewhere, nil, reasonKustomizeFailed},
		"not YAML":            {"---\na: b: c\n", nil, reasonManifestInvalid},
		"no name":             {"---\napiVersion: v1\nkind: Secret\n", nil, reasonManifestInvalid},
		"bad patch":           {"", m{"patches": []m{{"target": m{"kind": "Deployment", "name": "web-12"}, "patch": op}}}, reasonPatchInvalid},
		"unmatched target":    {"", m{"patches": []m{{"target": m{"kind": "Job"}, "patch": op}}}, reasonPatchUnmatched},
		"unmatched patch":     {"", m{"patches": []m{{"patch": "apiVersion: v1\nkind: Service\nmetadata: {name: wbe}\n"}}}, reasonPatchUnmatched},
		"unmatched replicas":  {"", m{"replicas": []m{{"name": "wbe", "count": 1}}}, reasonReplicasUnmatched},
		"unmatched image":     {"", m{"images": []m{{"name": "nobody", "newTag": "1"}}}, reasonImagesUnmatched},
		"generated twice":     {"", m{"configMaps": []m{{"name": "settings-4", "data": m{"a": "b"}}}}, reasonKustomizeFailed},
		"merged into nothing": {"", m{"configMaps": []m{{"name": "settings", "behavior": "merge", "data": m{"a": "b"}}}}, reasonKustomizeFailed},
		"not text":            {"", m{"patches": []m{{"target": m{"name": "web-12", "kind": "Service"}, "patch": "- {op: add, path: /metadata/annotations, value: {on: x}}"}}}, reasonPatchInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			req := renderOfText(many(40)+c.more, c.change)
			whole := ask(t, req)
			wantFault(t, whole, c.reason, strings.TrimSuffix(fmt.Sprintf("%s:%d", whole.Error.File, whole.Error.Line), ":0"))
			withLimits(t, smallParts)
			if parts := ask(t, req); *parts.Error != *whole.Error {
				t.Errorf("as a whole: %v\nin parts: %v", whole.Error, parts.Error)
			}
		})
	}
}

func TestSplitAtSeparators(t *testing.T) {
	for text, want := range map[string][]string{
		"":                       {""},
		"a: b":                   {"a: b"},
		"a: b\n---\nc: d\n":      {"a: b\n", "c: d\n"},
		"---\na: b\n--- # x\n":   {"", "a: b\n", ""},
		"a: b\n---":              {"a: b\n", ""},
		"a: |\n  ---\n  b\n":     {"a: |\n  ---\n  b\n"},
		"a: b\n---c: d\n":        nil,
		"a: b\n--- c: d\n":       nil,
		"a: b\n--- |\n text\n":   nil,
		"a: b\n----\nc: d\n":     nil,
		"a: b\n---\t \nc: d\n\n": {"a: b\n", "c: d\n\n"},
	} {
		if got, ok := splitAtSeparators(text); ok != (want != nil) || ok && !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

func TestIdentityPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"": true, "/": true, "/kind": true, "/apiVersion": true, "/metadata": true, "/metadata/": true, "/metadata/name": true,
		"/metadata/namespace": true, "x/metadata/name": true, "/metadata/labels": false, "/metadata/annotations/a~1b": false,
		"/spec/name": false, "/metadata/names": false, "remove": false, "/data": false,
	} {
		if got := isIdentityPath(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func BenchmarkManyObjects(b *testing.B) {
	for _, n := range []int{1000, 2000, 5000} {
		req := renderOfText(many(n), manyOverrides)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if r := ask(b, req); !r.OK {
					b.Fatal(r.Error)
				}
			}
		})
	}
}
