package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestImageArchiveIsWholeAndAlwaysTheSame(t *testing.T) {
	one, err := imageArchive("example/app:1", []byte("program"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := imageArchive("example/app:1", []byte("program"))
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the same program gives other bytes (%v)", err)
	}
	files := untar(t, one)
	type descriptor struct {
		Digest      string
		Size        int
		Annotations map[string]string
	}
	blob := func(d descriptor) []byte {
		t.Helper()
		data, ok := files["blobs/sha256/"+d.Digest[len("sha256:"):]]
		if !ok || len(data) != d.Size || "sha256:"+hexDigest(data) != d.Digest {
			t.Fatalf("%+v: there are %d bytes", d, len(data))
		}
		return data
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if name := index.Manifests[0].Annotations["io.containerd.image.name"]; name != "example/app:1" {
		t.Errorf("its name is %q", name)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	if err := json.Unmarshal(blob(index.Manifests[0]), &manifest); err != nil {
		t.Fatal(err)
	}
	blob(manifest.Config)
	if layer := untar(t, blob(manifest.Layers[0])); string(layer["app"]) != "program" {
		t.Errorf("its layer holds %q", layer)
	}
}
