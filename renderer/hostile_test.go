package main

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// endless is a request whose template runs for ever in little memory.
func endless(t testing.TB) m {
	return renderOf(chartOf(t, entry{"templates/a.yaml",
		`{{ range until 2000 }}{{ range until 2000 }}{{ range until 2000 }}{{ range until 2000 }}{{ $_ := . }}{{ end }}{{ end }}{{ end }}{{ end }}`}))
}

// A template without end is ended by killing the worker; the next one works.
func TestEndlessTemplateCanBeKilled(t *testing.T) {
	w := startWorker(t)
	w.send(t, marshal(t, endless(t)))
	time.Sleep(300 * time.Millisecond)
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = w.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the worker does not die")
	}
	startWorker(t).call(t, m{"op": "ping"})
}

// What needs too much memory is refused with a message, or at worst ends the
// worker; it never outgrows its bound.
func TestMemoryBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	objects := func(text string) m { return renderOfText(text, nil) }
	for name, req := range map[string]m{
		"range":       renderOf(chartOf(t, entry{"templates/a.yaml", `{{ range until 1000000000 }}a{{ end }}`})),
		"repeat":      renderOf(chartOf(t, entry{"templates/a.yaml", `{{ range until 1000 }}{{ repeat 100000000 "a" }}{{ end }}`})),
		"huge repeat": renderOf(chartOf(t, entry{"templates/a.yaml", `{{ repeat 100000000000 "a" }}`})),
		"doubling": renderOf(chartOf(t, entry{"templates/a.yaml",
			`{{ $s := "aaaaaaaaaaaaaaaa" }}{{ range until 60 }}{{ $s = print $s $s }}{{ end }}{{ $s }}`})),
		"printf width": renderOf(chartOf(t, entry{"templates/a.yaml", `{{ range until 1000000 }}{{ printf "%1000000d" 1 }}{{ end }}`})),
		"tpl in tpl": renderOf(chartOf(t, entry{"templates/a.yaml", `{{ tpl .Values.x . }}`}),
			m{"values": m{"x": "{{ tpl .Values.x . }}"}}),
		"template in template": renderOf(chartOf(t, entry{"templates/a.yaml", `{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`})),
		"include in include":   renderOf(chartOf(t, entry{"templates/a.yaml", `{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`})),
		"aliases in values": renderOf(chartOf(t, entry{"values.yaml", laughs("")},
			entry{"templates/a.yaml", `a: {{ toYaml .Values }}`})),
		"aliases in a template": renderOf(chartOf(t, entry{"templates/a.yaml", laughs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")})),
		"aliases in manifests":  objects(laughs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")),
		"aliases in a patch": renderOfText("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", m{"patches": []m{{
			"patch": laughs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")}}}),
		"deep nesting": objects("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: " + strings.Repeat("[", 1_000_000)),
		"deep JSON":    renderOf(chartOf(t), m{"values": nested(100_000)}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t)
			w.send(t, marshal(t, req))
			answered := make(chan *reply, 1)
			go func() {
				defer close(answered)
				body, err := readFrame(w.out)
				if err == nil {
					answered <- decode(t, body)
				}
			}()
			select {
			case r, ok := <-answered:
				if !ok {
					_ = w.cmd.Wait()
					t.Logf("the worker died: %.300s", w.log)
					break
				}
				if r.OK {
					t.Errorf("a result of %d bytes", len(r.Manifest))
				} else {
					t.Logf("%s: %.300s", r.Error.Reason, r.Error.Message)
				}
			case <-time.After(60 * time.Second):
				t.Error("no answer")
			}
		})
	}
}

// nested is JSON that is nested so deep.
func nested(depth int) any {
	var v any = 1
	for range depth {
		v = []any{v}
	}
	return m{"a": v}
}

// laughs is a small YAML mapping that is endless once its aliases are expanded.
func laughs(head string) string {
	var out strings.Builder
	out.WriteString(head)
	out.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		prev := "*a" + strconv.Itoa(i-1)
		out.WriteString("a" + strconv.Itoa(i) + ": &a" + strconv.Itoa(i) + " [" + strings.Repeat(prev+",", 9) + prev + "]\n")
	}
	return out.String()
}
