package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// certificate makes a server's certificate for hosts, signed by an authority that is made for it and
// kept beside it: made again in the same folder, it is a new one that the same clients trust.
func certificate(_ context.Context, args []string) error {
	a := newArguments()
	var hosts []string
	a.flags.Func("host", "", func(value string) error {
		hosts = append(hosts, value)
		return nil
	})
	words, err := a.parse(args, 1, 1)
	if err != nil {
		return err
	}
	dir := words[0]
	if len(hosts) == 0 {
		hosts = []string{sharedAddress, "127.0.0.1", "localhost"}
	}
	if err := makeCertificate(dir, hosts); err != nil {
		return err
	}
	for _, name := range []string{"ca.crt", "tls.crt", "tls.key"} {
		fmt.Println(filepath.Join(dir, name))
	}
	return nil
}

func makeCertificate(dir string, hosts []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	authority, err := loadAuthority(dir, "ca")
	if errors.Is(err, fs.ErrNotExist) {
		if authority, err = newAuthority("orbit-testbed"); err == nil {
			err = authority.save(dir, "ca")
		}
	}
	if err != nil {
		return err
	}
	server, err := authority.server(hosts[0], hosts...)
	if err != nil {
		return err
	}
	return server.save(dir, "tls")
}
