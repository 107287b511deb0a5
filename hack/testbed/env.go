package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// env prints what a shell evaluates to use a testbed: its kubeconfig, the
// address at which its nodes reach this machine, and where its stores are.
func env(_ context.Context, args []string) error {
	a := newArguments()
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	var lines []string
	if present(t.Kubeconfig()) {
		lines = append(lines, "KUBECONFIG="+t.Kubeconfig())
	}
	if cluster, err := loadCluster(t); err == nil && len(cluster.nodes()) > 0 {
		lines = append(lines, "ORBIT_TESTBED_ADDRESS="+sharedAddress)
	}
	data, err := os.ReadFile(t.StoresEnv())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lines = append(lines, strings.Split(strings.TrimSpace(string(data)), "\n")...)
	found := false
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, "="); ok {
			fmt.Printf("export %s=%s\n", name, shellQuote(value))
			found = true
		}
	}
	if !found {
		return fmt.Errorf("testbed %q has neither a control plane nor stores up", t.Name)
	}
	return nil
}

// shellQuote makes a value one word for a POSIX shell.
func shellQuote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
