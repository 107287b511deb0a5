package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// debianPackages are what the project needs of Debian: images are built by buildah and read by
// skopeo as a check on our own reading; the portal is used in chromium; nodes run containers; the rest compiles.
var debianPackages = append(nodePackages(),
	"buildah", "skopeo", "chromium", "fonts-dejavu-core", "ca-certificates", "gcc", "git", "libc6-dev", "make")

// packagesName is what the packages are called on the command line.
const packagesName = "packages"

// toolArtifacts are the programs that building and testing the project takes, and that no testbed runs.
func toolArtifacts() []Artifact {
	return []Artifact{
		goInstalled("helm", "v4.3.1", "helm.sh/helm/v4/cmd/helm",
			"-X helm.sh/helm/v4/internal/version.version=v4.3.1", 150*time.Second),
		goInstalled("kustomize", "v5.8.2", "sigs.k8s.io/kustomize/kustomize/v5", "", 15*time.Second),
		goInstalled("crane", "v0.22.1", "github.com/google/go-containerregistry/cmd/crane", "", 10*time.Second),
		goInstalled("oras", "v1.3.6", "oras.land/oras/cmd/oras", "", 30*time.Second),
		cargoInstalled("cargo-deny", "0.20.2", 5*time.Minute),
	}
}

// fluxArtifacts are Flux's controllers, of one release of it. Few need them and they take long: they are made only when
// they are named.
func fluxArtifacts() []Artifact {
	controller := func(name, version string, usually time.Duration) Artifact {
		return fromModule("flux", name, version, "github.com/fluxcd/"+name, "", usually)
	}
	return []Artifact{
		controller("source-controller", "v1.9.5", 10*time.Minute),
		controller("kustomize-controller", "v1.9.5", 2*time.Minute),
		controller("helm-controller", "v1.6.4", 2*time.Minute),
	}
}

// tools installs what a bare Debian 12 with Rust and Go lacks, or what of it is named.
func tools(ctx context.Context, args []string) error {
	names, err := newArguments().parse(args, 0, 1+len(toolArtifacts())+len(fluxArtifacts()))
	if err != nil {
		return err
	}
	if all := len(names) == 0; all || slices.Contains(names, packagesName) {
		if err := ensurePackages(ctx, debianPackages); err != nil {
			return err
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == packagesName })
		if !all && len(names) == 0 {
			return nil
		}
	}
	artifacts := toolArtifacts()
	if len(names) > 0 {
		artifacts = append(artifacts, fluxArtifacts()...)
	}
	return makeNamed(ctx, names, artifacts)
}

// ensurePackages installs those of the Debian packages that are not there yet.
func ensurePackages(ctx context.Context, packages []string) error {
	missing := missingPackages(ctx, packages)
	if len(missing) == 0 {
		return nil
	}
	cache, err := cacheRoot()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(cache, "logs"), 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(cache, "logs", "packages.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	began := time.Now()
	say("installing Debian packages: %s (usually 30 s)", strings.Join(missing, ", "))
	if err := installPackages(ctx, log, missing...); err != nil {
		return fmt.Errorf("Debian packages could not be installed: %w. The end of %s:\n%s", err, log.Name(), tail(log.Name(), 25))
	}
	say("Debian packages: done in %s", round(time.Since(began)))
	return nil
}

// missingPackages asks dpkg. It knows nothing of programs that came another way, so a package
// counts as there as well when the program of its name is found.
func missingPackages(ctx context.Context, packages []string) []string {
	var missing []string
	for _, name := range packages {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		state, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status}", name).Output()
		if err != nil || string(state) != "installed" {
			missing = append(missing, name)
		}
	}
	return missing
}

// cargoInstalled is a program that cargo builds, with the dependencies that its author locked.
func cargoInstalled(name, version string, usually time.Duration) Artifact {
	return Artifact{
		Name:    name,
		Version: version,
		How:     "building the crate with cargo",
		Usually: usually,
		Make: func(ctx context.Context, out string, log *os.File) error {
			dir, remove, err := workshop(out)
			if err != nil {
				return err
			}
			defer remove()
			environment := []string{"CARGO_TARGET_DIR=" + filepath.Join(dir, "target")}
			install := command(ctx, log, environment, "cargo", "install", "--locked", "--version", version, "--root", dir, name)
			install.Dir = dir // no configuration of the project's own
			if err := install.Run(); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "bin", name), out)
		},
	}
}
