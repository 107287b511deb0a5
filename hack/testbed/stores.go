package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Store is one of the test stores: a component that can be prepared, stopped, paused and found by tests.
type Store struct {
	Component
	// Prepare makes what the store needs before it starts: folders, a database. It runs before
	// every start and does nothing when all is there.
	Prepare func(ctx context.Context) error
	// Variables are the lines that tell tests how to reach it.
	Variables []string
	// PIDVariable names the line with its process.
	PIDVariable string
}

// storeNames are the stores in the order in which they are shown.
var storeNames = []string{s3Name, dynamoDBName, mysqlName}

// storeArtifacts are the programs of the stores.
func storeArtifacts() []Artifact {
	return []Artifact{versitygwArtifact(), motoArtifact(), mysqlArtifact()}
}

// storeCommands are the commands below `testbed stores`, with how many stores each takes as arguments.
var storeCommands = map[string]struct {
	stores int
	run    func(ctx context.Context, t Testbed, names []string) error
}{
	"up":     {0, storesUp},
	"down":   {0, storesDown},
	"status": {0, storesStatus},
	"start":  {1, storeStart},
	"stop":   {1, storeStop},
	"pause":  {1, storePause},
	"resume": {1, storeResume},
}

// stores runs one of the commands below `testbed stores`.
func stores(ctx context.Context, args []string) error {
	a := newArguments()
	words, err := a.parse(args, 1, 2)
	if err != nil {
		return err
	}
	command, ok := storeCommands[words[0]]
	if !ok || len(words) != 1+command.stores {
		return fmt.Errorf("testbed stores takes up, down or status, or start, stop, pause or resume with one of %s: %w",
			strings.Join(storeNames, ", "), errUsage)
	}
	for _, name := range words[1:] {
		if !slices.Contains(storeNames, name) {
			return fmt.Errorf("there is no store %q, but %s: %w", name, strings.Join(storeNames, ", "), errUsage)
		}
	}
	t, err := a.testbed()
	if err != nil {
		return err
	}
	return command.run(ctx, t, words[1:])
}

// loadStores finds the stores of a testbed that were brought up before. Without paths to the
// programs they can be looked at and ended, but not started.
func loadStores(t Testbed, paths map[string]string) ([]Store, error) {
	part := t.Stores()
	record, err := part.Record()
	if err != nil {
		return nil, err
	}
	return []Store{
		s3Store(part, record, paths["versitygw"]),
		dynamoDBStore(part, record, paths["moto"]),
		mysqlStore(part, record, paths["mysql"]),
	}, nil
}

// storesUp starts what is not running. A store that was up before keeps its data and its port.
func storesUp(ctx context.Context, t Testbed, _ []string) error {
	paths, err := ensure(ctx, storeArtifacts())
	if err != nil {
		return err
	}
	began := time.Now()
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := bringStoresUp(ctx, t, paths); err != nil {
		t.removeIfEmpty()
		return err
	}
	say("stores of %q are ready after %.1f s; end them with: testbed stores down --name %s", t.Name, time.Since(began).Seconds(), t.Name)
	fmt.Println(t.StoresEnv())
	return nil
}

func bringStoresUp(ctx context.Context, t Testbed, paths map[string]string) error {
	for attempt := 1; ; attempt++ {
		fresh, err := createStores(t)
		if err != nil {
			return err
		}
		all, err := loadStores(t, paths)
		if err != nil {
			return err
		}
		err = startStores(ctx, t, all)
		if err == nil || !fresh {
			return err // data of stores that were there before is never thrown away here
		}
		if cleaning := removeStores(t); cleaning != nil {
			say("clearing away: %v", cleaning)
		}
		if attempt == 3 || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return err
		}
		say("another program took one of the ports in between: trying others")
	}
}

// createStores reserves ports and makes passwords, unless that has been done.
func createStores(t Testbed) (fresh bool, err error) {
	part := t.Stores()
	_, err = part.Record()
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		say("the record of the stores of %q cannot be read (%v): clearing them away first", t.Name, err)
	}
	if err := removeStores(t); err != nil {
		return false, err
	}
	secrets := map[string]string{}
	for _, name := range []string{s3Name, mysqlName} {
		secrets[name] = newPassword()
	}
	_, err = part.create(Record{Secrets: secrets}, storeNames...)
	return true, err
}

// startStores starts those of the stores that do not run, side by side, and writes down where they are.
func startStores(ctx context.Context, t Testbed, all []Store) error {
	failures := make([]error, len(all))
	var wait sync.WaitGroup
	for i, store := range all {
		wait.Go(func() { failures[i] = store.start(ctx, t.Stores()) })
	}
	wait.Wait()
	return errors.Join(append(failures, writeStoresEnv(t, all))...)
}

// start starts one store if it does not run, and waits until it is ready.
func (s Store) start(ctx context.Context, part Part) error {
	began := time.Now()
	if process, state := part.state(s.Name); state == Paused {
		signalAll(part.processes(s.Name), syscall.SIGCONT)
		say("%-9s was paused: process %d goes on", s.Name, process.PID)
	}
	if s.works(ctx, part) {
		say("%-9s runs already on %s", s.Name, loopback(s.Port))
		return nil
	}
	// Without its main process the rest of it is of no use, and it could hold the port.
	if err := part.end(s.Name, 0); err != nil {
		return err
	}
	if err := s.Prepare(ctx); err != nil {
		return fmt.Errorf("preparing %s: %w", s.Name, err)
	}
	_, ended, err := part.start(s.Component)
	if err != nil {
		return err
	}
	if err := part.waitReady(ctx, s.Component, ended); err != nil {
		return err
	}
	say("%-9s %s ready in %.1f s on %s", s.Name, s.Version, time.Since(began).Seconds(), loopback(s.Port))
	return nil
}

// works says whether the store's process lives and answers, for which it gets a moment: one that
// was just killed still lives for a while, and one that was just woken does not answer at once.
func (s Store) works(ctx context.Context, part Part) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		status := part.status(ctx, s.Component)
		if status.Problem == "" {
			return true
		}
		if status.State == Gone || !pause(ctx, 25*time.Millisecond) {
			return false
		}
	}
}

// writeStoresEnv writes the file that tells tests how to reach the stores.
func writeStoresEnv(t Testbed, all []Store) error {
	var lines []string
	for _, store := range all {
		lines = append(lines, store.Variables...)
		if process, state := t.Stores().state(store.Name); state != Gone {
			lines = append(lines, fmt.Sprintf("%s=%d", store.PIDVariable, process.PID))
		}
	}
	return writeFile(t.StoresEnv(), []byte(strings.Join(lines, "\n")+"\n"))
}

// storesDown ends the stores and deletes their data.
func storesDown(_ context.Context, t Testbed, _ []string) error {
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	err = downStores(t)
	t.removeIfEmpty()
	return err
}

// downStores is storesDown under a lock that is held already.
func downStores(t Testbed) error {
	had := t.Stores().Exists() || len(t.Stores().processes("")) > 0
	if err := removeStores(t); err != nil {
		return err
	}
	if had {
		say("the stores of %q are down, their data deleted", t.Name)
	} else {
		say("the stores of %q are not up", t.Name)
	}
	return nil
}

func removeStores(t Testbed) error {
	var order []Component
	for _, name := range storeNames {
		order = append(order, Component{Name: name}) // without grace: the data goes next
	}
	return errors.Join(t.Stores().endAll(order), t.removeEntries(ownedByStores))
}

// storesStatus shows the stores. Its exit code is 0 only when all are ready.
func storesStatus(ctx context.Context, t Testbed, _ []string) error {
	all, err := loadStores(t, nil)
	if err != nil {
		fmt.Printf("the stores of %q are not up\n", t.Name)
		return errNotReady
	}
	var components []Component
	for _, store := range all {
		components = append(components, store.Component)
	}
	fmt.Printf("stores of %q\n", t.Name)
	result := show(t.Stores().statuses(ctx, components))
	fmt.Printf("environment  %s\nlogs         %s\n", t.StoresEnv(), t.Stores().Path("logs"))
	return result
}

// withStore runs something on one store while no other command is at work, and then writes down
// its new process.
func withStore(t Testbed, name string, paths map[string]string, do func(store Store) error) error {
	if !t.Stores().Exists() {
		return fmt.Errorf("the stores of %q are not up; bring them up with: testbed stores up --name %s", t.Name, t.Name)
	}
	unlock, err := t.lock()
	if err != nil {
		return err
	}
	defer unlock()
	all, err := loadStores(t, paths)
	if err != nil {
		return err
	}
	for _, store := range all {
		if store.Name == name {
			return errors.Join(do(store), writeStoresEnv(t, all))
		}
	}
	return fmt.Errorf("there is no store %q", name)
}

// storeStart starts one store again, with its data and its port.
func storeStart(ctx context.Context, t Testbed, names []string) error {
	paths, err := ensure(ctx, storeArtifacts())
	if err != nil {
		return err
	}
	return withStore(t, names[0], paths, func(s Store) error { return s.start(ctx, t.Stores()) })
}

// storeStop ends one store and keeps its data and its port.
func storeStop(_ context.Context, t Testbed, names []string) error {
	return withStore(t, names[0], nil, func(s Store) error {
		if err := t.Stores().end(s.Name, s.Grace); err != nil {
			return err
		}
		say("%s is stopped; start it with: testbed stores start %s --name %s", s.Name, s.Name, t.Name)
		return nil
	})
}

// storePause freezes one store: connections stay open, and nothing answers.
func storePause(_ context.Context, t Testbed, names []string) error {
	return signalStore(t, names[0], syscall.SIGSTOP, Paused)
}

// storeResume lets a paused store go on where it was.
func storeResume(_ context.Context, t Testbed, names []string) error {
	return signalStore(t, names[0], syscall.SIGCONT, Running)
}

// signalStore sends a signal to all processes of a store and waits for its effect.
func signalStore(t Testbed, name string, signal syscall.Signal, want State) error {
	return withStore(t, name, nil, func(s Store) error {
		if _, state := t.Stores().state(name); state == Gone {
			return fmt.Errorf("%s does not run; start it with: testbed stores start %s --name %s", name, name, t.Name)
		}
		if err := signalAndWait(t.Stores().processes(name), signal, want); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		say("%s is %s", name, want)
		return nil
	})
}

// newPassword makes a password that needs no quoting anywhere.
func newPassword() string {
	secret := make([]byte, 16)
	rand.Read(secret) // never fails
	return hex.EncodeToString(secret)
}

// makeFolder makes a folder below the part's.
func (p Part) makeFolder(elem ...string) error { return os.MkdirAll(p.Path(elem...), 0o700) }
