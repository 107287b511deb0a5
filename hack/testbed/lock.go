package main

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lockDir creates the folder if need be and takes an exclusive lock on it. The lock lies on the
// folder itself, so no lock file is left behind, and the kernel drops it when its holder dies.
// waiting, if given, is called once when somebody else holds it.
func lockDir(dir string, waiting func()) (unlock func(), err error) {
	for {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed by a `down` in between
		}
		if err != nil {
			return nil, err
		}
		for {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
				break
			}
			if waiting != nil {
				waiting()
				waiting = nil
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		// Whoever held the lock may have removed the folder: then this lock is on a folder without a name.
		held, err := f.Stat()
		if err == nil {
			if now, err := os.Stat(dir); err == nil && os.SameFile(held, now) {
				return func() { f.Close() }, nil
			}
		}
		f.Close()
	}
}
