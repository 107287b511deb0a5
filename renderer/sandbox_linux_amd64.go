package main

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// allowedOnArch are the older forms of allowed calls, which arm64 lacks.
var allowedOnArch = []uintptr{unix.SYS_EPOLL_WAIT, unix.SYS_ARCH_PRCTL}
