package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// installPackages installs packages of the machine's own Debian.
func installPackages(ctx context.Context, log *os.File, packages ...string) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("this needs root once: apt-get install --no-install-recommends %s", strings.Join(packages, " "))
	}
	quiet := []string{"DEBIAN_FRONTEND=noninteractive"}
	if err := command(ctx, log, quiet, "apt-get", "update").Run(); err != nil {
		return err
	}
	install := append([]string{"install", "--yes", "--no-install-recommends"}, packages...)
	return command(ctx, log, quiet, "apt-get", install...).Run()
}

// mysqlArtifact is MySQL from Debian's development release: Debian 12 has MariaDB only. Nothing is
// installed: apt works in a folder of its own, and the packages are just unpacked there.
func mysqlArtifact() Artifact {
	return Artifact{
		Name:    "mysql",
		Version: mysqlVersion,
		How:     "unpacking mysql-server-core and its libraries from Debian sid (60 MB)",
		Usually: 15 * time.Second,
		Folder:  true,
		Make: func(ctx context.Context, out string, log *os.File) error {
			apt, err := newIsolatedApt(ctx, out)
			if err != nil {
				return err
			}
			for _, args := range [][]string{
				{"update"},
				{"install", "--yes", "--no-install-recommends", "--download-only", "mysql-server-core"},
			} {
				if err := command(ctx, log, []string{"APT_CONFIG=" + apt}, "apt-get", args...).Run(); err != nil {
					return err
				}
			}
			return unpackMySQL(ctx, out, log)
		},
	}
}

// unpackMySQL unpacks what apt downloaded and clears away what a server does not need.
func unpackMySQL(ctx context.Context, out string, log *os.File) error {
	packages, err := filepath.Glob(filepath.Join(out, "apt", "archives", "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range packages {
		if err := command(ctx, log, nil, "dpkg-deb", "--extract", file, out).Run(); err != nil {
			return err
		}
	}
	args := mysqlFolder(out).program("--version")
	version, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		return fmt.Errorf("mysqld --version: %w", err)
	}
	fmt.Fprintf(log, "%s", version)
	if !strings.Contains(string(version), "Ver "+mysqlVersion+".") {
		return fmt.Errorf("Debian sid now has %s, and not MySQL %s: change mysqlVersion", strings.TrimSpace(string(version)), mysqlVersion)
	}
	for _, dir := range []string{"apt", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl"} {
		if err := os.RemoveAll(filepath.Join(out, dir)); err != nil {
			return err
		}
	}
	return nil
}

// newIsolatedApt writes a configuration with which apt sees Debian sid and an empty machine, and
// keeps everything below the folder. The machine's own apt is not touched; it only tells where
// Debian is to be had, and through which proxy.
func newIsolatedApt(ctx context.Context, folder string) (config string, err error) {
	mirror, err := debianMirror(ctx)
	if err != nil {
		return "", err
	}
	apt := filepath.Join(folder, "apt")
	for _, dir := range []string{"lists/partial", "archives/partial", "empty"} {
		if err := os.MkdirAll(filepath.Join(apt, dir), 0o755); err != nil {
			return "", err
		}
	}
	config = filepath.Join(apt, "apt.conf")
	settings := strings.NewReplacer("FOLDER", apt).Replace(`
Dir::State "FOLDER";
Dir::State::Lists "FOLDER/lists";
Dir::State::Status "FOLDER/status";
Dir::Cache "FOLDER";
Dir::Cache::Archives "FOLDER/archives";
Dir::Etc::SourceList "FOLDER/sources.list";
Dir::Etc::SourceParts "FOLDER/empty";
Dir::Etc::Preferences "FOLDER/preferences";
Dir::Etc::PreferencesParts "FOLDER/empty";
Dir::Log "FOLDER";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
APT::Sandbox::User "";
`)
	source := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s sid main\n", mirror)
	return config, errors.Join(
		os.WriteFile(config, []byte(settings), 0o644),
		os.WriteFile(filepath.Join(apt, "sources.list"), []byte(source), 0o644),
		os.WriteFile(filepath.Join(apt, "status"), nil, 0o644),
		os.WriteFile(filepath.Join(apt, "preferences"), nil, 0o644),
	)
}

// releaseFile finds the address of a mirror in what apt says it would download.
var releaseFile = regexp.MustCompile(`(?m)^'([^']+)/dists/([a-z]+)/InRelease'`)

// debianMirror is where the machine gets its own Debian from: the other releases are there too.
func debianMirror(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "-o", "Debug::NoLocking=1", "update", "--print-uris").Output()
	if err != nil {
		return "", fmt.Errorf("asking apt for its mirror (without Debian, point ORBIT_TEST_MYSQL_URL to a MySQL of your own): %w", err)
	}
	return mirrorOf(string(out))
}

// mirrorOf takes the mirror of the main archive out of apt's list: the one with a release's plain
// name, as opposed to NAME-security and NAME-updates.
func mirrorOf(uris string) (string, error) {
	for _, found := range releaseFile.FindAllStringSubmatch(uris, -1) {
		if strings.HasSuffix(found[1], "/debian") {
			return found[1], nil
		}
	}
	return "", errors.New("apt has no source whose address ends in /debian")
}
