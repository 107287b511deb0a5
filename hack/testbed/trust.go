package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// trust makes all nodes of a cluster pull from a registry whose certificate an authority of its own
// has signed. containerd looks at the folder at every pull, so nothing is started anew.
func trust(_ context.Context, args []string) error {
	a := newArguments()
	words, err := a.parse(args, 2, 2)
	if err != nil {
		return err
	}
	registry, authorityFile := words[0], words[1]
	if err := checkRegistry(registry); err != nil {
		return err
	}
	authority, err := os.ReadFile(authorityFile)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(authority) {
		return fmt.Errorf("%s holds no certificate in PEM", authorityFile)
	}
	return withCluster(a, func(cluster Cluster) error {
		if len(cluster.nodes()) == 0 {
			return fmt.Errorf("cluster %q has no node that could pull anything", *a.name)
		}
		err := cluster.eachNode(func(n Node) error { return n.trust(registry, authority) })
		if err == nil {
			say("the nodes of %q pull from https://%s and trust %s", *a.name, registry, authorityFile)
		}
		return err
	})
}

// trust writes what the node's containerd reads about a registry.
func (n Node) trust(registry string, authority []byte) error {
	dir := n.Path("certs.d", registry)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, "ca.crt")
	return errors.Join(
		writeFile(file, authority), // first, for the other names it
		writeFile(filepath.Join(dir, "hosts.toml"), []byte(hostsFile(registry, file))),
	)
}

// hostsFile says that a registry speaks HTTPS with a certificate of the authority in a file. It is named as
// the server and not as a host beside it: containerd turns to the server when a host has not got an image, and
// would trust nothing there.
func hostsFile(registry, authorityFile string) string {
	return fmt.Sprintf(`server = %s
capabilities = ["pull", "resolve"]
ca = %s
`, strconv.Quote("https://"+registry), strconv.Quote(authorityFile))
}

// checkRegistry wants a registry as it stands in an image's name, with its port: HOST:PORT.
func checkRegistry(registry string) error {
	host, port, err := net.SplitHostPort(registry)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" || filepath.Base(registry) != registry {
		return fmt.Errorf("%q is no registry: name it as images do, HOST:PORT: %w", registry, errUsage)
	}
	return nil
}
