package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/golden.json")

// golden holds the digests of what known requests render to.
type golden struct {
	// Renderer is the outputVersion that gives these bytes.
	Renderer string                       `json:"renderer"`
	Cases    map[string]map[string]string `json:"cases"`
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Equal input gives equal bytes, in another process and after other requests.
func TestGolden(t *testing.T) {
	const file = "testdata/golden.json"
	requests := map[string]m{
		"traps":             renderOf(chartFrom(t, "testdata/charts/traps")),
		"traps, everything": renderOf(chartFrom(t, "testdata/charts/traps"), m{"kustomization": overlays["everything"].request}),
		"manifests":         renderOfText(app, m{"configMaps": []m{{"name": "settings", "behavior": "merge", "data": m{"c": "3"}}}}),
	}
	got := golden{Renderer: outputVersion, Cases: map[string]map[string]string{}}
	for range 2 {
		w := startWorker(t)
		for range 2 {
			for name, req := range requests {
				r := w.call(t, req)
				if !r.OK {
					t.Fatalf("%s: %v", name, r.Error)
				}
				digests := map[string]string{"manifest": digest(r.Manifest), "base": digest(r.Base)}
				for path, text := range r.Files {
					digests["files/"+path] = digest(text)
				}
				if before := got.Cases[name]; before != nil && !reflect.DeepEqual(before, digests) {
					t.Errorf("%s: other bytes the second time", name)
				}
				got.Cases[name] = digests
			}
		}
	}
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, string(text)+"\n")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for name, digests := range want.Cases {
		for path, want := range digests {
			if got := got.Cases[name][path]; got != want {
				t.Errorf("%s: %s is %s, was %s", name, path, got, want)
			}
		}
	}
	if t.Failed() {
		t.Log("if the change is meant, raise outputVersion and run: go test -run Golden -update .")
	}
	if want.Renderer != outputVersion || len(want.Cases) != len(got.Cases) {
		t.Errorf("%s is of renderer %s with %d cases; run: go test -run Golden -update .", file, want.Renderer, len(want.Cases))
	}
}
