package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// sandboxImage is the image of every pod's first process. It is made here: no registry is asked.
const (
	sandboxImage   = "orbit-plane.example/pause:" + sandboxVersion
	sandboxVersion = "1"
)

//go:embed pause/main.go
var pauseSource []byte

// sandboxArtifact is a folder with the sandbox image's archive.
func sandboxArtifact() Artifact {
	return Artifact{
		Name:    "sandbox-image",
		Version: sandboxVersion,
		How:     "building the process that keeps a pod's namespaces",
		Usually: 10 * time.Second,
		Folder:  true,
		Make: func(ctx context.Context, out string, log *os.File) error {
			dir, remove, err := workshop(out)
			if err != nil {
				return err
			}
			defer remove()
			if err := os.WriteFile(filepath.Join(dir, "main.go"), pauseSource, 0o644); err != nil {
				return err
			}
			program := filepath.Join(dir, "pause")
			build := command(ctx, log, goEnvironment(dir), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "main.go")
			build.Dir = dir
			if err := build.Run(); err != nil {
				return err
			}
			binary, err := os.ReadFile(program)
			if err != nil {
				return err
			}
			archive, err := imageArchive(sandboxImage, binary)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return err
			}
			return os.WriteFile(sandboxArchive(out), archive, 0o644)
		},
	}
}

// sandboxArchive is the archive in the artifact's folder.
func sandboxArchive(folder string) string { return filepath.Join(folder, "image.tar") }

// imageArchive is an OCI image layout, as one archive, of an image that consists of one static
// program. The same program always gives the same bytes.
func imageArchive(name string, program []byte) ([]byte, error) {
	type object = map[string]any
	layer, err := archive(file{"app", program, 0o755})
	if err != nil {
		return nil, err
	}
	var blobs []file
	var failed error
	blob := func(mediaType string, data []byte) object {
		digest := hexDigest(data)
		blobs = append(blobs, file{"blobs/sha256/" + digest, data, 0o644})
		return object{"mediaType": mediaType, "digest": "sha256:" + digest, "size": len(data)}
	}
	encode := func(value object) []byte {
		data, err := json.Marshal(value)
		if err != nil {
			failed = err
		}
		return data
	}
	const oci = "application/vnd.oci.image."
	config := blob(oci+"config.v1+json", encode(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       object{"Entrypoint": []string{"/app"}},
		"rootfs":       object{"type": "layers", "diff_ids": []string{"sha256:" + hexDigest(layer)}},
	}))
	manifest := blob(oci+"manifest.v1+json", encode(object{
		"schemaVersion": 2,
		"mediaType":     oci + "manifest.v1+json",
		"config":        config,
		"layers":        []object{blob(oci+"layer.v1.tar", layer)},
	}))
	manifest["annotations"] = object{"io.containerd.image.name": name}
	index := encode(object{"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": []object{manifest}})
	if failed != nil {
		return nil, failed
	}
	return archive(append([]file{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644},
		{"index.json", index, 0o644},
	}, blobs...)...)
}

// file is one in an archive.
type file struct {
	name string
	data []byte
	mode int64
}

func archive(files ...file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func hexDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// load gives all nodes of a cluster the images in archives, so that pods need not pull them.
func load(ctx context.Context, args []string) error {
	a := newArguments()
	archives, err := a.parse(args, 1, 100)
	if err != nil {
		return err
	}
	return withCluster(a, func(cluster Cluster) error {
		return cluster.eachNode(func(n Node) error {
			for _, path := range archives {
				if err := n.importImage(ctx, path); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// importImage gives the node the images in an archive.
func (n Node) importImage(ctx context.Context, path string) error {
	return execute(ctx, "ctr", "--address", n.containerdSocket(), "--namespace", "k8s.io", "images", "import", path)
}
