package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// procStat is what /proc/PID/stat tells that matters here.
type procStat struct {
	State       byte      // R, S, D: alive; T: stopped; Z, X: dead
	Started     uint64    // clock ticks after boot
	Memory      uint64    // bytes; kernel threads and zombies have none
	Code        uint64    // where in its memory its program begins; 0 in the midst of an exec
	Environment [2]uint64 // where in its memory its environment begins and ends, once Code is told
}

// readStat reads the state and the start time of a process.
func readStat(pid int) (procStat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(data)
}

// parseStat takes apart a line of /proc/PID/stat. The command name is in parentheses and may hold
// blanks and parentheses itself, so fields count from the last one.
func parseStat(line []byte) (procStat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("no command name in %q", line)
	}
	fields := strings.Fields(string(line[end+1:]))
	const state, started, memory, code, environment = 0, 19, 20, 23, 47 // fields 3, 22, 23, 26, 50 (and 51) of proc(5)
	if len(fields) <= environment+1 || len(fields[state]) != 1 {
		return procStat{}, fmt.Errorf("too few fields in %q", line)
	}
	stat := procStat{State: fields[state][0]}
	for field, value := range map[int]*uint64{
		started:         &stat.Started,
		memory:          &stat.Memory,
		code:            &stat.Code,
		environment:     &stat.Environment[0],
		environment + 1: &stat.Environment[1],
	} {
		number, err := strconv.ParseUint(fields[field], 10, 64)
		if err != nil {
			return procStat{}, err
		}
		*value = number
	}
	return stat, nil
}

// bootID tells one boot of the machine from another: start times count from the boot.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// marked finds the processes whose environment holds the marker with a value that match accepts.
// The environment is inherited, so children count too; and it is there from the first instruction
// on, so a process is found even when whoever started it died before writing anything down.
func marked(match func(value string) bool) map[int]string {
	found := map[int]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	prefix := []byte(markerVariable + "=")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		for variable := range bytes.SplitSeq(environment(pid), []byte{0}) {
			if value, ok := bytes.CutPrefix(variable, prefix); ok && match(string(value)) {
				found[pid] = string(value)
			}
		}
	}
	return found
}

// environment is the environment of a process, none if it is gone or somebody else's. In the midst
// of an exec a process has none for a moment, and one that is read in pieces can end early: who took
// that for an answer would miss the process.
func environment(pid int) []byte {
	const patience = time.Second // an exec takes as long as the first pages of its program take to be read
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Microsecond) {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return nil
		}
		stat, err := readStat(pid)
		if err != nil || stat.believes(environ) || time.Now().After(deadline) {
			return environ
		}
	}
}

// believes tells whether this can be the whole environment of a process in this state.
func (s procStat) believes(environ []byte) bool {
	if s.Memory == 0 { // kernel threads and zombies
		return len(environ) == 0
	}
	return s.Code != 0 && s.Environment[0]+uint64(len(environ)) == s.Environment[1]
}
