package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// markerVariable is set in the environment of every process that a testbed starts, to
// "<part's folder>/<component>". Together with the pid files it says what is ours to end.
const markerVariable = "ORBIT_TESTBED_COMPONENT"

// Process is a process that was started, told from a later one with the same number by its start
// time and by the boot it belongs to. It is what a pid file holds.
type Process struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"`
	Boot    string `json:"boot"`
}

// State is what became of a process.
type State string

// The states of a process.
const (
	Gone    State = "gone"
	Running State = "running"
	Paused  State = "paused"
)

// identify takes the start time of a living process.
func identify(pid int) (Process, error) {
	stat, err := readStat(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{PID: pid, Started: stat.Started, Boot: bootID()}, nil
}

// State looks whether the process still lives. Another one under the same number does not count.
func (p Process) State() State {
	stat, err := readStat(p.PID)
	switch {
	case err != nil, stat.Started != p.Started, p.Boot != bootID():
		return Gone
	case stat.State == 'Z' || stat.State == 'X' || stat.State == 'x':
		return Gone
	case stat.State == 'T' || stat.State == 't':
		return Paused
	}
	return Running
}

// Signal sends a signal to the process, and to none that may have got its number since: the
// handle is opened first, then the start time compared.
func (p Process) Signal(signal syscall.Signal) error {
	handle, err := os.FindProcess(p.PID)
	if err != nil {
		return err
	}
	defer handle.Release()
	if p.State() == Gone {
		return os.ErrProcessDone
	}
	return handle.Signal(signal)
}

// start starts a component in a session and process group of its own, with what it prints going
// to its log, and writes its pid file. The channel closes when the process ends.
func (p Part) start(c Component) (Process, <-chan struct{}, error) {
	log, err := os.OpenFile(p.Log(c.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return Process{}, nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.Command[0], c.Command[1:]...)
	cmd.Dir = p.Dir()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = append(componentEnvironment(), c.Environment...)
	cmd.Env = append(cmd.Env, markerVariable+"="+p.marker(c.Name))
	if err := cmd.Start(); err != nil {
		return Process{}, nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	ended := make(chan struct{})
	process, err := identify(cmd.Process.Pid)
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	if err != nil {
		return process, ended, fmt.Errorf("%s ended at once: %w", c.Name, err)
	}
	data, err := json.Marshal(process)
	if err != nil {
		return process, ended, err
	}
	return process, ended, writeFile(p.pidFile(c.Name), append(data, '\n'))
}

// componentEnvironment is the little that a component gets from the caller's environment: no
// proxies, no cloud credentials, no kubeconfig.
func componentEnvironment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// pidFile is where the process of a component is written down.
func (p Part) pidFile(component string) string { return p.Path("run", component+".pid") }

// marker is the value of the marker variable in a component's environment.
func (p Part) marker(component string) string { return filepath.Join(p.Dir(), component) }

// recorded reads a component's pid file.
func (p Part) recorded(component string) (Process, error) {
	var process Process
	data, err := os.ReadFile(p.pidFile(component))
	if err != nil {
		return process, err
	}
	return process, json.Unmarshal(data, &process)
}

// state is the recorded process of a component and what became of it.
func (p Part) state(component string) (Process, State) {
	process, err := p.recorded(component)
	if err != nil {
		return process, Gone
	}
	return process, process.State()
}

// processes finds all living processes of a component: the recorded one, its descendants, and one
// that was started but never recorded. An empty name means all components of the part.
func (p Part) processes(component string) []Process {
	var found []Process
	seen := map[int]bool{}
	add := func(process Process) {
		if !seen[process.PID] && process.State() != Gone {
			seen[process.PID] = true
			found = append(found, process)
		}
	}
	if component != "" {
		if process, err := p.recorded(component); err == nil {
			add(process)
		}
	}
	for pid := range marked(func(value string) bool {
		if component == "" {
			return strings.HasPrefix(value, p.Dir()+string(filepath.Separator))
		}
		return value == p.marker(component)
	}) {
		if process, err := identify(pid); err == nil {
			add(process)
		}
	}
	return found
}

// end ends a component: politely at first, by force when it takes longer than its grace.
func (p Part) end(component string, grace time.Duration) error {
	find := func() []Process { return p.processes(component) }
	if grace > 0 {
		signalAll(find(), syscall.SIGTERM)
		signalAll(find(), syscall.SIGCONT) // one that is paused hears nothing before
		if waitGone(find, grace) {
			return removeFile(p.pidFile(component))
		}
	}
	if !killUntilGone(find) {
		return fmt.Errorf("%s does not end, not even by SIGKILL", component)
	}
	return removeFile(p.pidFile(component))
}

// endAll ends the components in the order given, then whatever else carries the part's marker.
func (p Part) endAll(order []Component) error {
	for _, c := range order {
		if err := p.end(c.Name, c.Grace); err != nil {
			return err
		}
	}
	if !killUntilGone(func() []Process { return p.processes("") }) {
		return fmt.Errorf("processes of %s do not end, not even by SIGKILL", p.Dir())
	}
	return nil
}

// signalAll sends a signal to each process that still lives.
func signalAll(processes []Process, signal syscall.Signal) {
	for _, process := range processes {
		_ = process.Signal(signal) // gone in between is what we want
	}
}

// signalAndWait sends a signal to each process and waits until it has the effect that is wanted.
func signalAndWait(processes []Process, signal syscall.Signal, want State) error {
	signalAll(processes, signal)
	unmoved := func() []Process {
		return slices.DeleteFunc(slices.Clone(processes), func(p Process) bool {
			state := p.State()
			return state == want || state == Gone
		})
	}
	if !waitGone(unmoved, 5*time.Second) {
		return fmt.Errorf("not %s after 5 s", want)
	}
	return nil
}

// waitGone waits until nothing is found any more.
func waitGone(find func() []Process, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for len(find()) > 0 {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

// killUntilGone kills what is found until nothing is, also what is forked meanwhile.
func killUntilGone(find func() []Process) bool {
	for range 100 {
		found := find()
		if len(found) == 0 {
			return true
		}
		signalAll(found, syscall.SIGKILL)
		waitGone(find, 100*time.Millisecond)
	}
	return false
}

// removeFile removes a file that need not exist.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
