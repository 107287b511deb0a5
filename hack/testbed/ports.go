package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"path/filepath"
)

// Ports are taken from a range that lies below the kernel's ephemeral ports (32768 and up), where
// any outgoing connection could take one, and below the NodePorts of Kubernetes (30000 and up).
const (
	firstPort = 20000
	lastPort  = 29999
)

// portSeed spreads testbeds over the range, always in the same place for the same name, so that
// addresses usually survive a restart.
func portSeed(name, part string) int {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", name, part)
	return int(h.Sum32() % (lastPort - firstPort + 1))
}

// pickPorts picks n different ports that are neither taken nor in use, looking from seed onwards.
func pickPorts(n, seed int, taken map[int]bool, free func(int) bool) ([]int, error) {
	var picked []int
	size := lastPort - firstPort + 1
	for i := 0; i < size && len(picked) < n; i++ {
		port := firstPort + (seed+i)%size
		if !taken[port] && free(port) {
			picked = append(picked, port)
		}
	}
	if len(picked) < n {
		return nil, fmt.Errorf("fewer than %d free ports between %d and %d", n, firstPort, lastPort)
	}
	return picked, nil
}

// portIsFree says whether a server could listen on the port now.
func portIsFree(port int) bool {
	l, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// reservedPorts are the ports that testbeds below root have written down, whether in use now or not.
func reservedPorts(root string) (map[int]bool, error) {
	files, err := filepath.Glob(filepath.Join(root, "*", "*", "record.json"))
	if err != nil {
		return nil, err
	}
	taken := map[int]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // taken down in between
		}
		var r Record
		if json.Unmarshal(data, &r) != nil {
			continue
		}
		for _, port := range r.Ports {
			taken[port] = true
		}
	}
	return taken, nil
}

// loopback is the address of a port of this machine.
func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
