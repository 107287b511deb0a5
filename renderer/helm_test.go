package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

// mapOf is a template of a ConfigMap with some data.
func mapOf(data string) entry {
	return entry{"templates/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  " + data + "\n"}
}

func TestTemplateErrors(t *testing.T) {
	helpers := entry{"templates/_helpers.tpl", "{{ define \"name\" }}\n{{ .Values.a.b.c }}\n{{ end }}"}
	for _, test := range []struct {
		name  string
		files []entry
		place string
		words []string
	}{
		{"not closed", []entry{mapOf("x: {{ .Values.x")}, "templates/a.yaml:6", []string{"unclosed action"}},
		{"no end", []entry{{"templates/a.yaml", "{{ if true }}\na: b\n"}}, "templates/a.yaml:3", []string{"unexpected EOF"}},
		{"unknown function", []entry{mapOf("x: {{ env \"HOME\" }}")}, "templates/a.yaml:6", []string{`function "env" not defined`}},
		{"nil pointer", []entry{mapOf("x: {{ .Values.a.b.c }}")}, "templates/a.yaml:6", []string{"nil pointer"}},
		{"in an include", []entry{helpers, mapOf(`x: {{ include "name" . }}`)}, "templates/_helpers.tpl:2", []string{"nil pointer", "templates/a.yaml:6"}},
		{"required", []entry{mapOf(`x: {{ required "set x to a number" .Values.x }}`)}, "templates/a.yaml:6", []string{"set x to a number"}},
		{"fail", []entry{mapOf(`x: {{ fail "colons: are fine" }}`)}, "templates/a.yaml:6", []string{"colons: are fine"}},
		{"no such template", []entry{mapOf(`x: {{ include "nobody" . }}`)}, "templates/a.yaml:6", []string{`"nobody"`}},
		{"tpl", []entry{mapOf(`x: {{ tpl "{{ .Values.a.b }}" . }}`)}, "templates/a.yaml:6", []string{"nil pointer"}},
		{"in a subchart", []entry{
			{"charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"},
			{"charts/sub/templates/b.yaml", "\n{{ fail \"no\" }}"},
		}, "charts/sub/templates/b.yaml:2", []string{"no"}},
		{"wrong type", []entry{mapOf(`x: {{ add "a" | upper }}`)}, "templates/a.yaml:6", []string{"wrong type"}},
		{"too long", []entry{mapOf(`x: {{ until 1000000000 }}`)}, "templates/a.yaml:6", []string{"until 1000000000 is too long"}},
		{"too many", []entry{mapOf(`x: {{ repeat 1000000000 "x" }}`)}, "templates/a.yaml:6", []string{"repeat 1000000000 is too long"}},
		{"too many steps", []entry{mapOf(`x: {{ untilStep 0 -100000000 -1 }}`)}, "templates/a.yaml:6", []string{"untilStep 0 -100000000 -1 is too long"}},
		{"too long a sequence", []entry{mapOf(`x: {{ seq 0 2 1000000000 }}`)}, "templates/a.yaml:6", []string{"seq 0 2 1000000000 is too long"}},
		{"recursion", []entry{mapOf(`x: {{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}`)}, "templates/a.yaml:6", []string{"nested"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFault(t, ask(t, renderOf(chartOf(t, test.files...))), reasonTemplateFailed, test.place, test.words...)
		})
	}
}

func TestBoundedFunctionsAreHelms(t *testing.T) {
	r := ask(t, renderOf(chartOf(t, mapOf(`x: '{{ until 3 }} {{ until -2 }} {{ untilStep 0 6 2 }} {{ untilStep 0 5 0 }} {{ seq 3 }}, {{ seq 2 -1 0 }}, {{ seq 1 2 5 }} {{ repeat 3 "ab" }}'`))))
	want := `x: '[0 1 2] [0 -1] [0 2 4] [] 1 2 3, 2 1 0, 1 3 5 ababab'`
	if !strings.Contains(r.Base, want) {
		t.Errorf("got %v\n%s", r.Error, r.Base)
	}
}

func TestOutputThatIsNotAnObject(t *testing.T) {
	for _, test := range []struct {
		name  string
		text  string
		place string
		words []string
	}{
		{"not YAML", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n   labels: {}\n", "templates/a.yaml:5", []string{"not valid YAML", "labels: {}"}},
		{"tab", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: a\n", "templates/a.yaml:4", []string{"not valid YAML"}},
		{"the second document", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\na: b: c\n", "templates/a.yaml:1", []string{"a: b: c"}},
		{"no kind", "apiVersion: v1\nmetadata: {name: a}\n", "templates/a.yaml", []string{"kind", "name: a"}},
		{"no apiVersion", "kind: ConfigMap\nmetadata: {name: a}\n", "templates/a.yaml", []string{"apiVersion"}},
		{"no name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {a: b}}\n", "templates/a.yaml", []string{"metadata.name"}},
		{"no metadata", "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n", "templates/a.yaml", []string{"metadata"}},
		{"a string", "just words\n", "templates/a.yaml", []string{"metadata.name"}},
		{"a list", "- a\n- b\n", "templates/a.yaml", []string{"metadata.name"}},
		{"an annotation that is a list", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {b: [5]}}\n", "templates/a.yaml", []string{"metadata.annotations is of type array, but must be string"}},
		{"twice", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "templates/a.yaml", []string{"ConfigMap a", "twice"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFault(t, ask(t, renderOf(chartOf(t, entry{"templates/a.yaml", test.text}))), reasonManifestInvalid, test.place, test.words...)
		})
	}
}

func TestBrokenCRD(t *testing.T) {
	r := ask(t, renderOf(chartOf(t, entry{"crds/c.yaml", "a: b: c\n"})))
	wantFault(t, r, reasonManifestInvalid, "crds/c.yaml:1", "a: b: c")
}

func TestHooks(t *testing.T) {
	hook := func(name, events string) string {
		return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: %s\n  annotations:\n    helm.sh/hook: %s\n", name, events)
	}
	refused := map[string][]string{
		hook("migrate", "pre-install,pre-upgrade"):                {"Job migrate (pre-install,pre-upgrade, in templates/a.yaml)"},
		hook("a", "post-delete") + "---\n" + hook("b", "test"):    {"Job a (post-delete"},
		hook("both", "test, post-install"):                        {"Job both"},
		hook("old", "crd-install"):                                {"Job old (crd-install"},
		hook("typo", "pre-instal"):                                {"Job typo (pre-instal"},
		hook("b", "pre-install") + "---\n" + hook("c", "PreSync"): {"Job b", "Job c"},
	}
	for text, words := range refused {
		wantFault(t, ask(t, renderOf(chartOf(t, entry{"templates/a.yaml", text}))), reasonHookUnsupported, "templates/a.yaml", words...)
	}
	for _, events := range []string{"test", "test-success", `"test, test-success"`} {
		r := ask(t, renderOf(chartOf(t, mapOf("x: y"), entry{"templates/tests/t.yaml", hook("t", events)})))
		if !r.OK || len(r.Objects) != 1 || strings.Contains(r.Base, "Job") {
			t.Errorf("%s: %v\n%s", events, r.Error, r.Base)
		}
	}
	// A mention is not a hook.
	r := ask(t, renderOf(chartOf(t, mapOf("x: 'helm.sh/hook: pre-install'"))))
	if !r.OK {
		t.Error(r.Error)
	}
}

func TestSchemas(t *testing.T) {
	schema := entry{"values.schema.json", `{
		"$schema": "https://json-schema.org/draft-07/schema#",
		"required": ["name"],
		"properties": {
			"replicas": {"type": "integer", "minimum": 1},
			"image": {"type": "object", "properties": {"tag": {"type": "string"}}, "additionalProperties": false},
			"name": {"enum": ["a", "b"]}
		}}`}
	sub := []entry{
		{"charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"},
		{"charts/sub/values.schema.json", `{"properties": {"port": {"type": "integer"}}}`},
	}
	files := append([]entry{schema}, sub...)
	for _, test := range []struct {
		name   string
		values m
		words  []string
	}{
		{"type", m{"name": "a", "replicas": "two"}, []string{"values.replicas: got string, want integer", "chart web"}},
		{"minimum", m{"name": "a", "replicas": 0}, []string{"values.replicas: minimum: got 0, want 1"}},
		{"missing", m{}, []string{"values: missing property 'name'"}},
		{"nested", m{"name": "a", "image": m{"tag": 1.1}}, []string{"values.image.tag: got number, want string"}},
		{"unknown", m{"name": "a", "image": m{"tga": "x"}}, []string{"values.image: additional properties 'tga' not allowed"}},
		{"enum", m{"name": "c"}, []string{"values.name: value must be one of 'a', 'b'"}},
		{"two at once", m{"replicas": "two"}, []string{"values.replicas", "missing property 'name'"}},
		{"of a subchart", m{"name": "a", "sub": m{"port": "http"}}, []string{"sub:", "values.port: got string, want integer"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFault(t, ask(t, renderOf(chartOf(t, files...), m{"values": test.values})), reasonValuesInvalid, "values.schema.json", test.words...)
		})
	}
	if r := ask(t, renderOf(chartOf(t, files...), m{"values": m{"name": "a", "replicas": 3}})); !r.OK {
		t.Error(r.Error)
	}
	for _, broken := range []string{`{`, `{"type": "nothing"}`, `{"$ref": "#/nowhere"}`, `{"properties": {"a": {"pattern": "("}}}`} {
		r := ask(t, renderOf(chartOf(t, entry{"values.schema.json", broken})))
		wantFault(t, r, reasonChartInvalid, "values.schema.json", "values.schema.json cannot be used")
	}
}

// A message that changes from one attempt to the next would look like news.
func TestMessagesAreStable(t *testing.T) {
	var properties []string
	wrong := m{}
	for _, name := range strings.Split("abcdefghij", "") {
		properties = append(properties, fmt.Sprintf(`%q: {"type": "integer"}`, name))
		wrong[name] = "x"
		wrong["un"+name] = 1
	}
	schema := entry{"values.schema.json", `{"properties": {` + strings.Join(properties, ",") + `}, "required": ["x", "y", "z"], "additionalProperties": false,
		"anyOf": [{"properties": {"a": {"type": "array"}, "b": {"type": "array"}}}, {"required": ["n", "m"]}]}`}
	templates := []entry{{"templates/b.yaml", "a: b: c\n"}, {"templates/c.yaml", "a: b: c\n"}, {"templates/d.yaml", "{{ fail \"d\" }}"}, {"templates/e.yaml", "{{ fail \"e\" }}"}}
	for name, req := range map[string]m{
		"schema":    renderOf(chartOf(t, schema), m{"values": wrong}),
		"templates": renderOf(chartOf(t, templates...)),
		"output":    renderOf(chartOf(t, templates[:2]...)),
	} {
		first := ask(t, req)
		if first.Error == nil {
			t.Fatalf("%s: accepted", name)
		}
		for range 50 {
			if again := ask(t, req); *again.Error != *first.Error {
				t.Fatalf("%s:\n%v\n%v", name, first.Error, again.Error)
			}
		}
	}
}

func TestBrokenCharts(t *testing.T) {
	chartYAML := entry{"Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n"}
	var truncated = chartOf(t, mapOf("x: y"))
	truncated = truncated[:len(truncated)/2]
	var notTar bytes.Buffer
	zipped := gzip.NewWriter(&notTar)
	fmt.Fprint(zipped, strings.Repeat("not a tar archive ", 100))
	zipped.Close()
	for _, test := range []struct {
		name   string
		chart  []byte
		reason string
		place  string
		words  []string
	}{
		{"empty", []byte{}, reasonChartInvalid, "", []string{"gzip"}},
		{"not gzip", []byte("hello"), reasonChartInvalid, "", []string{"gzip"}},
		{"gzip, not tar", notTar.Bytes(), reasonChartInvalid, "", []string{"broken"}},
		{"truncated", truncated, reasonChartInvalid, "", []string{"broken"}},
		{"no Chart.yaml", archiveOf(t, entry{"web/values.yaml", ""}), reasonChartInvalid, "", []string{"no Chart.yaml"}},
		{"Chart.yaml too high", archiveOf(t, entry{"Chart.yaml", chartYAML.text}), reasonChartInvalid, "", []string{"not below one top directory"}},
		{"Chart.yaml not YAML", chartOf(t, entry{"Chart.yaml", "apiVersion: v2\nname: a: b\n"}), reasonChartInvalid, "Chart.yaml:2", []string{"not valid YAML"}},
		{"Chart.yaml without version", chartOf(t, entry{"Chart.yaml", "apiVersion: v2\nname: web\n"}), reasonChartInvalid, "", []string{"version"}},
		{"Chart.yaml with a bad version", chartOf(t, entry{"Chart.yaml", "apiVersion: v2\nname: web\nversion: one\n"}), reasonChartInvalid, "", []string{"version"}},
		{"of the future", chartOf(t, entry{"Chart.yaml", "apiVersion: v3\nname: web\nversion: 1.0.0\n"}), reasonChartInvalid, "Chart.yaml", []string{`"v3"`}},
		{"library", chartOf(t, entry{"Chart.yaml", chartYAML.text + "type: library\n"}), reasonChartInvalid, "Chart.yaml", []string{"library"}},
		{"dependency not vendored", chartOf(t, entry{"Chart.yaml", chartYAML.text + "dependencies:\n- {name: redis, version: 1.x.x, repository: 'https://example.test'}\n"}), reasonChartInvalid, "Chart.yaml", []string{"redis", "helm dependency build"}},
		{"for a newer cluster", chartOf(t, entry{"Chart.yaml", chartYAML.text + "kubeVersion: '>=9.0.0'\n"}), reasonChartInvalid, "Chart.yaml", []string{">=9.0.0", "v1.36.3"}},
		{"values.yaml not YAML", chartOf(t, entry{"values.yaml", "a: b\nc\n"}), reasonChartInvalid, "values.yaml:3", []string{"values.yaml"}},
		{"values.yaml a list", chartOf(t, entry{"values.yaml", "- a\n"}), reasonChartInvalid, "values.yaml", []string{"values.yaml"}},
		{"a file twice", chartOf(t, mapOf("x: y"), mapOf("x: z")), reasonChartInvalid, "", []string{"templates/a.yaml is in the archive twice"}},
		{"a broken subchart", chartOf(t, entry{"charts/sub.tgz", "hello"}), reasonChartInvalid, "charts/sub.tgz", []string{"gzip"}},
		{"traversal", chartOf(t, entry{"../../etc/passwd", ""}), reasonChartInvalid, "", []string{"points outside"}},
		{"traversal within", chartOf(t, entry{"templates/../../x", ""}), reasonChartInvalid, "", []string{"points outside"}},
		{"traversal of other systems", chartOf(t, entry{`..\..\x`, ""}), reasonChartInvalid, "", []string{"points outside"}},
		{"traversal of the top", archiveOf(t, entry{"../Chart.yaml", chartYAML.text}), reasonChartInvalid, "", []string{"points outside"}},
		{"absolute", archiveOf(t, entry{"/web/Chart.yaml", chartYAML.text}), reasonChartInvalid, "", []string{"points outside"}},
		{"absolute below", chartOf(t, entry{"/etc/passwd", ""}), reasonChartInvalid, "", []string{"points outside"}},
		{"drive", chartOf(t, entry{"c:/x", ""}), reasonChartInvalid, "", []string{"points outside"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFault(t, ask(t, renderOf(test.chart)), test.reason, test.place, test.words...)
		})
	}
}

func TestChartBounds(t *testing.T) {
	zeros := strings.Repeat("\x00", maxChartUnpacked/4)
	many := []entry{}
	for i := range maxChartFiles + 1 {
		many = append(many, entry{fmt.Sprintf("files/%d", i), ""})
	}
	nested := func(depth int) []byte {
		packed := chartOf(t)
		for range depth {
			packed = chartOf(t, entry{"charts/sub.tgz", string(packed)})
		}
		return packed
	}
	quarter := string(chartOf(t, entry{"zeros", zeros}))
	for _, test := range []struct {
		name   string
		chart  []byte
		reason string
		words  []string
	}{
		{"packed", make([]byte, maxChartPacked+1), reasonTooLarge, []string{"8 MiB"}},
		{"one file", chartOf(t, entry{"zeros", zeros + zeros + zeros + zeros + "x"}), reasonTooLarge, []string{"64 MiB"}},
		{"several files", chartOf(t, entry{"a", zeros}, entry{"b", zeros}, entry{"c", zeros}, entry{"d", zeros}, entry{"e", "x"}), reasonTooLarge, []string{"64 MiB"}},
		{"subcharts together", chartOf(t, entry{"charts/a.tgz", quarter}, entry{"charts/b.tgz", quarter}, entry{"charts/c.tgz", quarter}, entry{"charts/d.tgz", quarter}), reasonTooLarge, []string{"64 MiB"}},
		{"files", chartOf(t, many...), reasonTooLarge, []string{"10000 files"}},
		{"nesting", nested(maxChartNesting), reasonChartInvalid, []string{"deep"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(t, renderOf(test.chart))
			if r.Error == nil {
				t.Fatal("accepted")
			}
			wantFault(t, r, test.reason, r.Error.File, test.words...)
		})
	}
	if r := ask(t, renderOf(nested(3))); !r.OK {
		t.Error(r.Error)
	}
}

func TestOutputBound(t *testing.T) {
	r := ask(t, renderOf(chartOf(t, entry{"templates/a.yaml", `{{ range $i := until 40 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a{{ $i }}}
data: {x: {{ repeat 1000000 "x" }}}
{{ end }}`})))
	wantFault(t, r, reasonTooLarge, "", "32 MiB")
}

// The order of subcharts in the archive, and that of a map in Helm's loader,
// must not show.
func TestSubchartsComeInOneOrder(t *testing.T) {
	var files []entry
	for _, name := range []string{"d", "a", "c", "b", "e", "f"} {
		files = append(files,
			entry{"charts/" + name + "/Chart.yaml", "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\n"},
			entry{"charts/" + name + "/crds/crd.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + name + "s.example.test}\n"})
	}
	first := ask(t, renderOf(chartOf(t, files...)))
	if !first.OK {
		t.Fatal(first.Error)
	}
	for range 20 {
		if again := ask(t, renderOf(chartOf(t, files...))); again.Base != first.Base {
			t.Fatalf("another order:\n%s\n%s", first.Base, again.Base)
		}
	}
}

func TestNotes(t *testing.T) {
	r := ask(t, renderOf(chartOf(t, entry{"templates/NOTES.txt", "Hello {{ .Release.Name }}\n"})))
	if r.Notes != "Hello web" || r.Manifest != "" {
		t.Errorf("%v: %q, %q", r.Error, r.Notes, r.Manifest)
	}
}

// Nothing of the machine or of its environment shows in a template.
func TestTemplatesSeeNothingOutside(t *testing.T) {
	w := startWorker(t) // with a time zone in its environment
	r := w.call(t, renderOf(chartOf(t, mapOf(`x: '{{ date "15:04 MST" (toDate "2006-01-02" "2024-07-01") }} {{ lookup "v1" "Secret" "" "" | toJson }} {{ getHostByName "localhost" }} {{ .Files.Get "/etc/passwd" }} {{ .Files.Get "../../etc/passwd" }}'`))))
	if !strings.Contains(r.Base, "x: '00:00 UTC {}   '") {
		t.Errorf("%v\n%s", r.Error, r.Base)
	}
}
