package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	mysqlName    = "mysql"
	mysqlUser    = "orbit"
	mysqlVersion = "9"
)

// mysqlFolder is an unpacked MySQL with all the libraries that it needs, the C library and its
// loader included, because they are of another release of Debian than the machine's.
type mysqlFolder string

// program is how mysqld is started with its own libraries.
func (f mysqlFolder) program(args ...string) []string {
	loaders, _ := filepath.Glob(filepath.Join(string(f), "usr", "lib", "*", "ld-linux-*.so.*"))
	if len(loaders) == 0 {
		loaders = []string{filepath.Join(string(f), "usr", "lib", "ld-linux.so")} // fails with a name in the message
	}
	share := filepath.Join(string(f), "usr", "share", "mysql")
	command := []string{
		loaders[0], "--library-path", filepath.Dir(loaders[0]), filepath.Join(string(f), "usr", "sbin", "mysqld"),
		"--no-defaults",
		"--lc-messages-dir=" + share,
		"--character-sets-dir=" + filepath.Join(share, "charsets"),
		"--plugin-dir=" + filepath.Join(string(f), "usr", "lib", "mysql", "plugin"),
		"--secure-file-priv=NULL",
	}
	if os.Getuid() == 0 {
		command = append(command, "--user=root") // it refuses to be root by accident
	}
	return append(command, args...)
}

// mysqlStore is a MySQL server with the database "orbit" and a user who may make more of them.
func mysqlStore(part Part, record Record, folder string) Store {
	port, password := record.Ports[mysqlName], record.Secrets[mysqlName]
	data := part.Path("mysql", "data")
	certificate := func(name string) string { return part.Path("mysql", name) }
	return Store{
		Component: Component{
			Name:    mysqlName,
			Version: "mysql " + mysqlVersion,
			Port:    port,
			Command: mysqlFolder(folder).program(
				"--datadir="+data,
				"--bind-address=127.0.0.1",
				"--port="+strconv.Itoa(port),
				"--socket=mysqld.sock", // in the data folder; an absolute path could be too long
				"--pid-file=mysqld.pid",
				"--mysqlx=OFF",
				"--skip-log-bin",
				"--skip-name-resolve",
				"--performance-schema=OFF", // saves 200 MB
				"--ssl-ca="+certificate("ca.crt"),
				"--ssl-cert="+certificate("server.crt"),
				"--ssl-key="+certificate("server.key"),
			),
			Ready: func(ctx context.Context) error { return greetsMySQL(ctx, loopback(port)) },
			Grace: 30 * time.Second,
		},
		Prepare: func(ctx context.Context) error {
			return prepareMySQL(ctx, part, mysqlFolder(folder), password)
		},
		Variables: []string{
			fmt.Sprintf("ORBIT_TEST_MYSQL_URL=mysql://%s:%s@%s/orbit?ssl-mode=REQUIRED", mysqlUser, password, loopback(port)),
			"ORBIT_TEST_MYSQL_CA=" + certificate("ca.crt"), // for who wants ssl-mode=VERIFY_IDENTITY
		},
		PIDVariable: "ORBIT_TEST_MYSQL_PID",
	}
}

// prepareMySQL makes the data folder, the user and certificates, unless they are there.
func prepareMySQL(ctx context.Context, part Part, folder mysqlFolder, password string) error {
	data := part.Path("mysql", "data")
	if present(data) {
		// One that was killed leaves this behind, and it would be believed if another process had
		// its number by now. Ours is gone: that has been seen to.
		return removeFile(filepath.Join(data, "mysqld.sock.lock"))
	}
	// Everything is made in a folder that gets its name when it is complete.
	making := part.Path("mysql.making")
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	if err := os.Mkdir(making, 0o700); err != nil {
		return err
	}
	if err := mysqlCertificates(making); err != nil {
		return err
	}
	script := filepath.Join(making, "init.sql")
	if err := writeFile(script, []byte(mysqlScript(password))); err != nil {
		return err
	}
	initialize := folder.program("--initialize-insecure", "--datadir="+filepath.Join(making, "data"),
		"--init-file="+script, "--auto-generate-certs=OFF")
	if err := part.run(ctx, mysqlName, initialize); err != nil {
		return err
	}
	return errors.Join(os.Remove(script), os.RemoveAll(part.Path("mysql")), os.Rename(making, part.Path("mysql")))
}

// mysqlScript runs once, on an empty server, one statement a line.
func mysqlScript(password string) string {
	return strings.Join([]string{
		"CREATE DATABASE orbit CHARACTER SET utf8mb4;",
		fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s';", mysqlUser, password),
		fmt.Sprintf("GRANT ALL PRIVILEGES ON *.* TO '%s'@'%%' WITH GRANT OPTION;", mysqlUser),
		"ALTER USER 'root'@'localhost' ACCOUNT LOCK;", // it has no password
	}, "\n") + "\n"
}

// mysqlCertificates makes certificates that hold the server's address, which MySQL's own lack.
func mysqlCertificates(dir string) error {
	ca, err := newAuthority("orbit-testbed-mysql")
	if err != nil {
		return err
	}
	server, err := ca.server("mysql", "localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	return errors.Join(writeFile(filepath.Join(dir, "ca.crt"), ca.Certificate), server.save(dir, "server"))
}

// greetsMySQL reads what a server says first: a packet with protocol 10 and its version, or an error.
func greetsMySQL(ctx context.Context, address string) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp4", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := connection.SetDeadline(deadline); err != nil {
			return err
		}
	}
	var header [4]byte // three bytes of length, a sequence number
	if _, err := io.ReadFull(connection, header[:]); err != nil {
		return err
	}
	header[3] = 0
	packet := make([]byte, binary.LittleEndian.Uint32(header[:]))
	if _, err := io.ReadFull(connection, packet); err != nil {
		return err
	}
	if len(packet) == 0 || packet[0] != 10 {
		return fmt.Errorf("it greets with %q", packet)
	}
	return nil
}

// run runs a command of a component to its end. It carries the component's mark, so it is ended
// with it, and it dies with us.
func (p Part) run(ctx context.Context, component string, args []string) error {
	runtime.LockOSThread() // or the parent-death signal could come too early
	defer runtime.UnlockOSThread()
	log, err := os.OpenFile(p.Log(component), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = p.Dir()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(componentEnvironment(), markerVariable+"="+p.marker(component))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w. The end of its log:\n%s", err, tail(p.Log(component), 15))
	}
	return nil
}
