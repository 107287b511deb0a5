package main

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// allowedOnArch is empty: arm64 has only the newer forms.
var allowedOnArch []uintptr
