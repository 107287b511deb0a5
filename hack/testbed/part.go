package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Part is a group of components of one testbed that comes up and goes down together: the control
// plane, its nodes, the stores. Each has a folder of its own below the testbed's, so that one can be
// replaced while the other runs.
type Part struct {
	Testbed Testbed
	Name    string
}

// Record is what a part must remember between two commands.
type Record struct {
	// Started is when the part was brought up.
	Started time.Time `json:"started"`
	// Ports are the reserved listening ports by what listens there. A store that is stopped keeps its own.
	Ports map[string]int `json:"ports"`
	// Secrets are generated passwords by user.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Nodes are the nodes that belong to the cluster.
	Nodes []Node `json:"nodes,omitempty"`
	// Simulated is how many nodes the cluster has that are only said to be there.
	Simulated int `json:"simulated,omitempty"`
}

// Dir is the part's folder.
func (p Part) Dir() string { return filepath.Join(p.Testbed.Dir, p.Name) }

// Path is a file or folder below the part's folder.
func (p Part) Path(elem ...string) string {
	return filepath.Join(append([]string{p.Dir()}, elem...)...)
}

// Log is the file that takes what a component prints.
func (p Part) Log(component string) string { return p.Path("logs", component+".log") }

// Exists says whether anything of the part is on disk.
func (p Part) Exists() bool {
	_, err := os.Stat(p.Dir())
	return err == nil
}

// Record reads the part's record.
func (p Part) Record() (Record, error) {
	var r Record
	data, err := os.ReadFile(p.Path("record.json"))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", p.Path("record.json"), err)
	}
	return r, nil
}

// create makes the part's folders and reserves ports, which are picked and written down under a
// lock over all testbeds, so that two that start at the same moment never get the same. The rest
// of the record is written down as it is given.
func (p Part) create(record Record, ports ...string) (Record, error) {
	record.Started, record.Ports = time.Now().UTC(), map[string]int{}
	root := filepath.Dir(p.Testbed.Dir)
	unlock, err := lockDir(root, nil)
	if err != nil {
		return record, err
	}
	defer unlock()
	taken, err := reservedPorts(root)
	if err != nil {
		return record, err
	}
	picked, err := pickPorts(len(ports), portSeed(p.Testbed.Name, p.Name), taken, portIsFree)
	if err != nil {
		return record, err
	}
	for i, name := range ports {
		record.Ports[name] = picked[i]
	}
	for _, dir := range []string{"run", "logs"} {
		if err := os.MkdirAll(p.Path(dir), 0o700); err != nil {
			return record, err
		}
	}
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return record, err
	}
	return record, writeFile(p.Path("record.json"), data)
}

// removeIfEmpty removes the testbed's folder and those above it once the last part is gone.
func (t Testbed) removeIfEmpty() {
	dir := t.Dir
	for range 3 { // the testbed, the folder of testbeds, the project's state
		if os.Remove(dir) != nil {
			return
		}
		dir = filepath.Dir(dir)
	}
}

// writeFile replaces a file in one step and readable by its owner only, so that nobody ever sees half of it.
func writeFile(path string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(data)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
