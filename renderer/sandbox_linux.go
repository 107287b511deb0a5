//go:build amd64 || arm64

package main

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allowedSyscalls is all that the worker may still ask of the kernel once it
// reads requests: what Go's runtime needs, and reading and writing what is open
// already. Neither files nor sockets can be opened, nothing can be executed,
// traced or signalled.
var allowedSyscalls = append([]uintptr{
	unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_WRITE, unix.SYS_CLOSE,
	unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP,
	unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_GETRANDOM,
	unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
	unix.SYS_RESTART_SYSCALL,
	unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_CREATE1, unix.SYS_EVENTFD2,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	// The C library, where one is linked in, asks for these in new threads and
	// aborts without them.
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ,
}, allowedOnArch...)

// boundMemory makes the kernel refuse the process more memory than this, and
// core dumps.
func boundMemory(bytes uint64) error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core dumps cannot be switched off: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: bytes, Max: bytes}); err != nil {
		return fmt.Errorf("memory cannot be bounded: %w", err)
	}
	return nil
}

// enterSandbox gives up, for all threads and for good, every system call that
// is not in allowedSyscalls. It needs no privileges.
func enterSandbox() error {
	// no_new_privs is the thread's, and the filter's loader must have it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs cannot be set: %w", err)
	}
	program := seccompProgram()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("the seccomp filter cannot be loaded: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("the seccomp filter cannot be loaded: thread %d has another", thread)
	}
	return nil
}

// Offsets into struct seccomp_data.
const (
	seccompNumber = 0
	seccompArch   = 4
	seccompArg0   = 16 // the low half, on little-endian machines
)

// seccompProgram is the filter: another architecture's system calls kill the
// process, allowed ones pass, clone passes only for threads and tgkill only for
// the process itself (Go interrupts its own threads so), and all others fail
// with EPERM (clone3 with ENOSYS, so that its callers fall back).
func seccompProgram() []unix.SockFilter {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jset = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K

		refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	program := []unix.SockFilter{
		{Code: load, K: seccompArch},
		{Code: jeq, K: auditArch, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: seccompNumber},
	}
	for _, number := range allowedSyscalls {
		program = append(program,
			unix.SockFilter{Code: jeq, K: uint32(number), Jf: 1},
			unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	}
	return append(program,
		unix.SockFilter{Code: jeq, K: unix.SYS_CLONE3, Jf: 1},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},

		unix.SockFilter{Code: jeq, K: unix.SYS_CLONE, Jf: 4},
		unix.SockFilter{Code: load, K: seccompArg0},
		unix.SockFilter{Code: jset, K: unix.CLONE_THREAD, Jf: 1},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: refuse},

		unix.SockFilter{Code: jeq, K: unix.SYS_TGKILL, Jf: 3},
		unix.SockFilter{Code: load, K: seccompArg0},
		unix.SockFilter{Code: jeq, K: uint32(os.Getpid()), Jf: 1},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},

		unix.SockFilter{Code: ret, K: refuse},
	)
}
