package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Artifact is something that is built or installed once and then kept in the cache, under its
// version: a program, or a folder.
type Artifact struct {
	Name    string
	Version string
	// How says in a few words where it comes from.
	How string
	// Usually is how long making it takes on a machine with two cores and nothing cached.
	Usually time.Duration
	// Folder says that it is a folder in the cache, rather than a program in the cache's bin.
	Folder bool
	// Make makes it at the path given, and prints what happens to the log.
	Make func(ctx context.Context, out string, log *os.File) error
}

// unfinished starts the names of artifacts that are being made; they get their own name when they
// are complete, so that a half-made one is never taken for one that works.
const unfinished = ".making-"

// path is where the artifact is to be found once it is made.
func (a Artifact) path(cache string) string {
	if a.Folder {
		return filepath.Join(cache, a.Name+"-"+a.Version)
	}
	return filepath.Join(cache, "bin", a.Name+"-"+a.Version)
}

// ensure makes what is missing and returns the path of each artifact by its name.
func ensure(ctx context.Context, artifacts []Artifact) (map[string]string, error) {
	cache, err := cacheRoot()
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	var missing []Artifact
	for _, a := range artifacts {
		paths[a.Name] = a.path(cache)
		if !present(a.path(cache)) {
			missing = append(missing, a)
		}
	}
	if len(missing) > 0 {
		if err := makeMissing(ctx, cache, missing); err != nil {
			return nil, err
		}
	}
	for _, a := range artifacts {
		if err := a.link(cache); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// makeMissing makes artifacts under a lock, so that two commands never build the same thing twice.
func makeMissing(ctx context.Context, cache string, artifacts []Artifact) error {
	unlock, err := lockDir(filepath.Join(cache, "bin"), func() {
		say("another testbed command is filling %s: waiting for it", cache)
	})
	if err != nil {
		return err
	}
	defer unlock()
	for _, dir := range []string{cache, filepath.Join(cache, "bin")} {
		left, _ := filepath.Glob(filepath.Join(dir, unfinished+"*"))
		for _, path := range left { // whoever made it is dead: we hold the lock
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	var total time.Duration
	for _, a := range artifacts {
		total += a.Usually
	}
	say("%d to make, once, in %s; on two cores, with nothing downloaded, this takes about %s", len(artifacts), cache, round(total))
	for i, a := range artifacts {
		if present(a.path(cache)) {
			continue // made by the one we waited for
		}
		if err := a.make(ctx, cache, fmt.Sprintf("%d/%d", i+1, len(artifacts))); err != nil {
			return err
		}
	}
	return nil
}

// make makes one artifact and tells now and then that it is still at it.
func (a Artifact) make(ctx context.Context, cache, position string) error {
	out := filepath.Join(filepath.Dir(a.path(cache)), unfinished+filepath.Base(a.path(cache)))
	logs := filepath.Join(cache, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(logs, a.Name+"-"+a.Version+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	began := time.Now()
	say("[%s] %s %s: %s (usually %s)", position, a.Name, a.Version, a.How, round(a.Usually))
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // or the commands' parent-death signal could come too early
		defer runtime.UnlockOSThread()
		result <- a.Make(ctx, out, log)
	}()
	tick := time.NewTicker(20 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err = <-result:
		case <-tick.C:
			say("[%s] %s: still at it after %s", position, a.Name, round(time.Since(began)))
			continue
		}
		break
	}
	if err == nil {
		err = os.Rename(out, a.path(cache))
	}
	if err != nil {
		os.RemoveAll(out)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%s %s could not be made: %w. The end of %s:\n%s", a.Name, a.Version, err, log.Name(), tail(log.Name(), 25))
	}
	say("[%s] %s %s: done in %s", position, a.Name, a.Version, round(time.Since(began)))
	return nil
}

// link gives a program its stable path, bin/NAME.
func (a Artifact) link(cache string) error {
	if a.Folder {
		return nil
	}
	target := filepath.Base(a.path(cache))
	link := filepath.Join(cache, "bin", a.Name)
	if now, err := os.Readlink(link); err == nil && now == target {
		return nil
	}
	temporary := fmt.Sprintf("%s%s-link.%d", filepath.Join(cache, "bin", unfinished), a.Name, os.Getpid())
	os.Remove(temporary)
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, link)
}

// command prepares a command that prints to the log and dies with us.
func command(ctx context.Context, log *os.File, environment []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	fmt.Fprintf(log, "+ %s %s\n", name, strings.Join(args, " "))
	return cmd
}

// present says whether something is at the path.
func present(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// round makes a duration pleasant to read.
func round(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// workshop is an empty folder for making something in. It lies beside what is made, so the result
// can be moved there in one step, and what a killed command leaves is cleared away by the next.
func workshop(out string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(filepath.Dir(out), unfinished+"in-")
	return dir, func() { os.RemoveAll(dir) }, err
}
