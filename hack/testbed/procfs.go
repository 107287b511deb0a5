package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procStat is what /proc/PID/stat tells that matters here.
type procStat struct {
	State   byte   // R, S, D: alive; T: stopped; Z, X: dead
	Started uint64 // clock ticks after boot
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
	const state, started = 0, 19 // fields 3 and 22 of proc(5)
	if len(fields) <= started || len(fields[state]) != 1 {
		return procStat{}, fmt.Errorf("too few fields in %q", line)
	}
	ticks, err := strconv.ParseUint(fields[started], 10, 64)
	if err != nil {
		return procStat{}, err
	}
	return procStat{State: fields[state][0], Started: ticks}, nil
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
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			continue // gone, or somebody else's
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			value, ok := bytes.CutPrefix(variable, prefix)
			if !ok || !match(string(value)) {
				continue
			}
			if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
				found[pid] = string(value)
			}
		}
	}
	return found
}
