package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// userKubeconfig makes a kubeconfig for any user and groups, so that tests can act as somebody, and
// prints its path. Without --user it prints the path of the administrator's.
func userKubeconfig(_ context.Context, args []string) error {
	a := newArguments()
	user := a.flags.String("user", "", "")
	raw := a.flags.Bool("raw", false, "")
	var groups []string
	a.flags.Func("group", "", func(value string) error {
		groups = append(groups, strings.Split(value, ",")...)
		return nil
	})
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	cluster, err := loadCluster(t)
	if err != nil {
		return fmt.Errorf("cluster %q is not up; bring it up with: testbed up --name %s", t.Name, t.Name)
	}
	path := t.Kubeconfig()
	if *user != "" {
		if path, err = cluster.plane.addUser(*user, groups); err != nil {
			return err
		}
	} else if len(groups) > 0 {
		return fmt.Errorf("--group needs --user: %w", errUsage)
	}
	if *raw {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(data)
		return err
	}
	fmt.Println(path)
	return nil
}

// unfitForFileName is what a user's name may hold but a file's name should not.
var unfitForFileName = regexp.MustCompile(`[^A-Za-z0-9@._-]`)

// addUser writes a kubeconfig for a user whose certificate the cluster's authority signs. What the
// user may do is up to RBAC, and at first that is next to nothing.
func (c ControlPlane) addUser(user string, groups []string) (path string, err error) {
	ca, err := loadAuthority(c.part.Path("pki"), "ca")
	if err != nil {
		return "", err
	}
	identity, err := ca.client(user, groups...)
	if err != nil {
		return "", err
	}
	dir := c.part.Testbed.UserKubeconfigs()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, unfitForFileName.ReplaceAllString(user, "_")+".kubeconfig")
	return path, writeFile(path, kubeconfig(c.cluster(), c.server(), user, ca.Certificate, identity))
}
