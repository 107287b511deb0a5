package main

import (
	"context"
	"embed"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The versions of what the control plane consists of. The module files below name them too.
const (
	etcdVersion       = "v3.6.7"
	kubernetesVersion = "v1.36.3"
)

// modules are the go.mod and go.sum of each module that programs are built from. They are kept
// under other names, because a folder with a go.mod cannot be embedded in another module's program,
// and embedded, so that the program works wherever it lies.
//
//go:embed modules/*.mod modules/*.sum
var modules embed.FS

// planeArtifacts are the programs of the control plane, and kubectl to look at it with.
func planeArtifacts() []Artifact {
	return []Artifact{
		fromModule("etcd", "etcd", etcdVersion, "go.etcd.io/etcd/server/v3", "", 40*time.Second),
		kubernetes("kube-apiserver", 300*time.Second),
		kubernetes("kube-controller-manager", 95*time.Second),
		kubernetes("kubectl", 60*time.Second),
	}
}

// kubernetes is one of the commands of Kubernetes. The version is linked in twice, as its own build
// does: into what servers answer (clients would see v0.0.0) and into clients' user agents.
func kubernetes(name string, usually time.Duration) Artifact {
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X "+pkg+".gitVersion="+kubernetesVersion,
			"-X "+pkg+".gitMajor="+major,
			"-X "+pkg+".gitMinor="+minor,
			"-X "+pkg+".gitCommit=unknown")
	}
	return fromModule("kubernetes", name, kubernetesVersion, "k8s.io/kubernetes/cmd/"+name, strings.Join(flags, " "), usually)
}

// fromModule is a program built from a package that one of the embedded modules names as a tool.
func fromModule(module, name, version, pkg, linkerFlags string, usually time.Duration) Artifact {
	return Artifact{
		Name:    name,
		Version: version,
		How:     "building " + pkg,
		Usually: usually,
		Make: func(ctx context.Context, out string, log *os.File) error {
			dir, remove, err := workshop(out)
			if err != nil {
				return err
			}
			defer remove()
			for _, kind := range []string{"mod", "sum"} {
				data, err := modules.ReadFile("modules/" + module + "." + kind)
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, "go."+kind), data, 0o644); err != nil {
					return err
				}
			}
			build := command(ctx, log, goEnvironment(dir), "go", "build", "-mod=readonly", "-trimpath",
				"-ldflags", strings.TrimSpace("-s -w "+linkerFlags), "-o", out, pkg)
			build.Dir = dir
			return build.Run()
		},
	}
}

// goEnvironment makes builds the same whatever the caller's settings are, with temporary files in
// a folder of ours.
func goEnvironment(dir string) []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOTMPDIR=" + dir}
}
