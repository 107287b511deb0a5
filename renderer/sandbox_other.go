//go:build !linux || !(amd64 || arm64)

package main

import "errors"

// boundMemory leaves memory to Go's own limit.
func boundMemory(uint64) error { return nil }

// enterSandbox has no way to sandbox the worker on this system.
func enterSandbox() error {
	return errors.New("there is no seccomp on this system")
}
