package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzRender looks for templates, manifests and patches that make a library
// panic (the worker survives it, but nobody learns what is wrong), and for
// results that are not the same the second time.
func FuzzRender(f *testing.F) {
	f.Add("a: {{ .Values.a }}", app, "- {op: add, path: /metadata/labels/x, value: y}", "Deployment")
	f.Add("{{ include \"x\" . }}", "apiVersion: v1\nkind: List\nitems: []\n", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n$patch: delete\n", "")
	f.Add("{{ toYaml .Values }}", "&a [*a]", "[]", ".*")
	f.Fuzz(func(t *testing.T, template, manifests, patch, kind string) {
		customization := m{"patches": []m{{"patch": patch, "target": m{"kind": kind}}}}
		if kind == "" {
			customization = m{"patches": []m{{"patch": patch}}}
		}
		for _, req := range []m{
			renderOf(chartOf(t, mapOf(template)), m{"values": m{"a": 1}}),
			renderOfText(manifests, customization),
			renderOfText(app, customization),
		} {
			body, err := json.Marshal(req)
			if err != nil {
				t.Fatal(err)
			}
			first, err := encode((&worker{}).answer(body))
			if err != nil {
				t.Fatal(err)
			}
			if r := decode(t, first); r.Error != nil && strings.Contains(r.Error.Message, internalError) {
				t.Error(r.Error)
			}
			again, err := encode((&worker{}).answer(body))
			if err != nil {
				t.Fatal(err)
			}
			if string(first) != string(again) && !strings.Contains(template, "{{") {
				t.Errorf("another answer:\n%s\n%s", first, again)
			}
		}
	})
}
