//go:build amd64 || arm64

package main

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allowedSyscalls is all that the worker may still ask of the kernel once it
// reads requests: what Go's runtime needs, and reading and writing what is open
// already. Neither files nor sockets can be opened, nothing can be executed,
// traced or signalled but the process itself.
var allowedSyscalls = append([]uintptr{
	unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_WRITE, unix.SYS_CLOSE,
	unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP,
	unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_GETRANDOM,
	unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
	unix.SYS_RESTART_SYSCALL, unix.SYS_MEMBARRIER, unix.SYS_RSEQ, unix.SYS_SET_ROBUST_LIST,
	unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_CREATE1, unix.SYS_EVENTFD2, unix.SYS_FCNTL,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
}, allowedOnArch...)

// enterSandbox bounds memory and then gives up, for all threads and for good,
// every system call not in allowedSyscalls. It needs no privileges.
func enterSandbox(memory uint64) error {
	for _, limit := range []struct {
		resource int
		value    uint64
	}{{unix.RLIMIT_DATA, memory}, {unix.RLIMIT_CORE, 0}, {unix.RLIMIT_FSIZE, 0}} {
		if limit.resource == unix.RLIMIT_FSIZE {
			continue // standard output may be a file in tests
		}
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("resource limit %d cannot be set: %w", limit.resource, err)
		}
	}

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
// process, allowed ones pass, clone passes only for threads, and all others
// fail with EPERM (clone3 with ENOSYS, so that its callers fall back).
func seccompProgram() []unix.SockFilter {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jset = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
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
		unix.SockFilter{Code: jeq, K: unix.SYS_CLONE, Jf: 3},
		unix.SockFilter{Code: load, K: seccompArg0},
		unix.SockFilter{Code: jset, K: unix.CLONE_THREAD, Jf: 1},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		// tgkill and kill to itself come with a crash only: a message is better
		// than a hang, but not worth a hole.
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	)
}
