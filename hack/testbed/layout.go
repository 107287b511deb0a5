package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// DefaultName is the testbed that commands mean when no --name is given.
const DefaultName = "orbit"

// validName keeps a testbed's name harmless as a folder name and short enough for what is made of it.
var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$`)

// Testbed is one named testbed: a folder of state, and what runs from it.
type Testbed struct {
	Name string
	Dir  string
}

// NewTestbed finds the folder of the testbed called name. It creates nothing.
func NewTestbed(name string) (Testbed, error) {
	if !validName.MatchString(name) {
		return Testbed{}, fmt.Errorf("%q cannot name a testbed: use at most 32 lowercase letters, digits and '-', with a letter or digit at both ends", name)
	}
	root, err := stateRoot()
	if err != nil {
		return Testbed{}, err
	}
	return Testbed{Name: name, Dir: filepath.Join(root, name)}, nil
}

// Plane is the control plane: etcd, kube-apiserver, kube-controller-manager.
func (t Testbed) Plane() Part { return Part{Testbed: t, Name: "plane"} }

// Nodes are the nodes of the control plane's cluster.
func (t Testbed) Nodes() Part { return Part{Testbed: t, Name: "nodes"} }

// Stores are the test stores: S3, DynamoDB's protocol, MySQL.
func (t Testbed) Stores() Part { return Part{Testbed: t, Name: "stores"} }

// Kubeconfig is the file that holds the cluster administrator's access.
func (t Testbed) Kubeconfig() string { return filepath.Join(t.Dir, "kubeconfig") }

// UserKubeconfigs is the folder of the kubeconfigs made for other users.
func (t Testbed) UserKubeconfigs() string { return filepath.Join(t.Dir, "users") }

// AuditLog is the API server's audit log: one JSON object a line.
func (t Testbed) AuditLog() string { return filepath.Join(t.Dir, "audit.log") }

// StoresEnv is the file of KEY=value lines that tests read to find the stores.
func (t Testbed) StoresEnv() string { return filepath.Join(t.Dir, "stores.env") }

// stateRoot is the folder that holds one folder per testbed.
func stateRoot() (string, error) {
	dir := os.Getenv("ORBIT_STATE")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("set ORBIT_STATE to a folder for the testbed's state: %w", err)
		}
		dir = filepath.Join(home, ".local", "state", "orbit-plane")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "testbed"), nil
}

// cacheRoot is the folder that holds what is built or installed once and used by every testbed.
func cacheRoot() (string, error) {
	dir := os.Getenv("ORBIT_CACHE")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("set ORBIT_CACHE to a folder for built binaries: %w", err)
		}
		dir = filepath.Join(home, ".cache", "orbit-plane")
	}
	return filepath.Abs(dir)
}
