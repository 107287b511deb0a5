package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { modes["probe"] = probe }

// probe enters the sandbox and tries to leave it, in a process of its own. It
// prints one line per attempt, and runs each on several threads.
func probe() {
	// Threads that are there before the filter must have it as well.
	var ready, leave sync.WaitGroup
	leave.Add(1)
	results := make(chan string, 100)
	attempt := func(name string, do func() error) {
		for range 3 {
			ready.Add(1)
			go func() {
				runtime.LockOSThread()
				ready.Done()
				leave.Wait()
				err := do()
				switch {
				case err == nil:
					results <- "ESCAPED " + name
				case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOSYS):
					results <- "refused " + name
				default:
					results <- fmt.Sprintf("ESCAPED %s: %v", name, err)
				}
			}()
		}
	}
	syscallErr := func(errno unix.Errno) error {
		if errno == 0 {
			return nil
		}
		return errno
	}
	attempt("socket", func() error {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		return err
	})
	attempt("unix socket", func() error {
		_, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		return err
	})
	attempt("socketpair", func() error {
		_, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		return err
	})
	attempt("connect", func() error { return unix.Connect(0, &unix.SockaddrInet4{Port: 80}) })
	attempt("execve", func() error { return unix.Exec("/bin/true", []string{"true"}, nil) })
	attempt("exec.Command", func() error {
		// Its pipe to the parent fails first; that is as good.
		return exec.Command("/bin/true").Run()
	})
	attempt("fork", func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
		return syscallErr(errno)
	})
	attempt("clone3", func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0)
		return syscallErr(errno)
	})
	attempt("open for reading", func() error {
		_, err := os.ReadFile("/etc/passwd")
		return err
	})
	attempt("open for writing", func() error { return os.WriteFile("/tmp/orbit-renderer-escaped", nil, 0o600) })
	attempt("readdir", func() error {
		_, err := os.ReadDir("/")
		return err
	})
	attempt("stat", func() error {
		_, err := os.Stat("/etc/passwd")
		return err
	})
	attempt("ptrace", func() error { return unix.PtraceAttach(os.Getppid()) })
	attempt("kill", func() error { return unix.Kill(os.Getppid(), 0) })
	attempt("tgkill of another", func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_TGKILL, uintptr(os.Getppid()), uintptr(os.Getppid()), 0)
		return syscallErr(errno)
	})
	attempt("process_vm_readv", func() error {
		_, err := unix.ProcessVMReadv(os.Getppid(), nil, nil, 0)
		return err
	})
	attempt("bpf", func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_BPF, 0, 0, 0)
		return syscallErr(errno)
	})
	attempt("io_uring", func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
		return syscallErr(errno)
	})
	attempt("unshare", func() error { return unix.Unshare(unix.CLONE_NEWUSER) })
	attempt("memfd", func() error {
		_, err := unix.MemfdCreate("x", 0)
		return err
	})
	attempt("raising a limit", func() error {
		return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	})

	ready.Wait()
	if err := boundMemory(memoryHard); err != nil {
		fmt.Println("ESCAPED", err)
	}
	if err := enterSandbox(); err != nil {
		fmt.Println("ESCAPED", err)
		os.Exit(1)
	}
	leave.Done()
	for range cap(results) {
		select {
		case result := <-results:
			fmt.Println(result)
		case <-time.After(2 * time.Second):
			os.Exit(0)
		}
	}
}

func TestSandboxHolds(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable)
	cmd.Env = []string{modeVariable + "=probe"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	counts := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		counts[line]++
		if !strings.HasPrefix(line, "refused ") {
			t.Error(line)
		}
	}
	if len(counts) < 20 {
		t.Errorf("only %d attempts were made:\n%s", len(counts), out)
	}
	for line, count := range counts {
		if count != 3 {
			t.Errorf("%s: on %d of 3 threads", line, count)
		}
	}
}

// The worker that answers requests is the one behind the filter: the kernel
// says so of each of its threads.
func TestWorkerIsSandboxed(t *testing.T) {
	w := startWorker(t)
	w.call(t, m{"op": "ping"})
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", w.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("%v, %v", tasks, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for _, line := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n"} {
			if !strings.Contains(string(status), line) {
				t.Errorf("%s lacks %q", task, line)
			}
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", w.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(limits), "\n") {
		if strings.HasPrefix(line, "Max data size") && !strings.Contains(line, strconv.Itoa(memoryHard)) {
			t.Error(line)
		}
	}
}

// A schema that refers to another host or to a file reaches neither.
func TestSchemaReferencesReachNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	reached := make(chan struct{}, 1)
	go func() {
		if connection, err := listener.Accept(); err == nil {
			connection.Close()
			reached <- struct{}{}
		}
	}()
	secret := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(secret, []byte(`{"const": "s3cr3t"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t)
	for _, ref := range []string{"http://" + listener.Addr().String() + "/x.json", "https://" + listener.Addr().String() + "/x.json", "file://" + secret} {
		r := w.call(t, renderOf(chartOf(t, entry{"values.schema.json", `{"properties":{"a":{"$ref":"` + ref + `"}}}`}), m{"values": m{"a": 1}}))
		wantFault(t, r, reasonChartInvalid, "values.schema.json", "$ref")
		if strings.Contains(r.Error.Message, "s3cr3t") {
			t.Errorf("a file's content is in the message: %s", r.Error.Message)
		}
	}
	select {
	case <-reached:
		t.Error("the worker reached the network")
	default:
	}
}

// A worker whose parent dies does not go on spinning.
func TestWorkerEndsWithItsParent(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	// The shell is the parent; killed, it leaves the worker behind with its
	// input open.
	cmd := exec.Command("/bin/sh", "-c", `"$0" <&3 & echo $!; wait`, executable)
	cmd.Env = []string{modeVariable + "=worker"}
	cmd.ExtraFiles = []*os.File{read}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(pid, unix.SIGKILL)
	if err := writeFrame(write, marshal(t, endless(t))); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if err := unix.Kill(pid, 0); err != nil {
		t.Fatalf("the worker is gone too early: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the worker goes on")
}
