package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// slotsRoot holds one folder for each slot that is taken, by whichever testbed of whichever user.
const slotsRoot = "/var/lib/orbit-testbed"

// ownerFile is the file in a slot's folder that names the part that the slot belongs to.
const ownerFile = "owner"

// reserveNodes makes the folders of a cluster's nodes, and reserves their slots.
func reserveNodes(ctx context.Context, part Part, n int) (Record, error) {
	var record Record
	if n == 0 {
		return record, nil
	}
	if err := removeAbandonedNodes(ctx); err != nil {
		return record, err
	}
	// First of all, for a slot whose owner's folder is gone is nobody's.
	if _, err := part.create(record); err != nil {
		return record, err
	}
	var names []string
	for i := range n {
		names = append(names, nodeName(i+1))
	}
	var err error
	record.Nodes, err = reserveSlots(part, names)
	return record, err
}

// reserveSlots takes a slot for each node. The folder of a slot is its reservation, so that it holds
// for testbeds that keep their state elsewhere too; what a killed command left half-made is found
// by the owner's name.
func reserveSlots(owner Part, names []string) ([]Node, error) {
	unlock, err := lockDir(slotsRoot, nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, err
	}
	foreign, err := foreignRoutes(string(routes))
	if err != nil {
		return nil, err
	}
	picked, err := pickSlots(len(names), func(slot int) bool {
		return !present(Node{Slot: slot}.Dir()) && !overlapsAny(Node{Slot: slot}, foreign)
	})
	if err != nil {
		return nil, err
	}
	var nodes []Node
	for i, name := range names {
		node := Node{Name: name, Slot: picked[i]}
		// The owner is written before the folder gets its name: none is ever without.
		temporary := filepath.Join(slotsRoot, unfinished+strconv.Itoa(node.Slot))
		err := errors.Join(
			os.RemoveAll(temporary),
			os.MkdirAll(temporary, 0o755),
			writeFile(filepath.Join(temporary, ownerFile), []byte(owner.Dir())),
			os.Rename(temporary, node.Dir()))
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// pickSlots picks n slots that are free.
func pickSlots(n int, free func(slot int) bool) ([]int, error) {
	var picked []int
	for slot := firstSlot; slot <= lastSlot && len(picked) < n; slot++ {
		if free(slot) {
			picked = append(picked, slot)
		}
	}
	if len(picked) < n {
		return nil, fmt.Errorf("there is room for %d more nodes on this machine, not for %d: "+
			"the addresses of %s and %s are in use", len(picked), n, nodeRange, podRange)
	}
	return picked, nil
}

// slotsOf are the slots that belong to a part.
func slotsOf(owner Part) ([]Node, error) {
	owners, err := slotOwners()
	return owners[owner.Dir()], err
}

// slotOwners are the slots that are taken, by the folder of the part that they belong to.
func slotOwners() (map[string][]Node, error) {
	files, err := filepath.Glob(filepath.Join(slotsRoot, "[0-9]*", ownerFile))
	if err != nil {
		return nil, err
	}
	owners := map[string][]Node{}
	for _, file := range files {
		owner, err := os.ReadFile(file)
		if err != nil {
			continue // taken down in between
		}
		if slot, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			owners[string(owner)] = append(owners[string(owner)], Node{Slot: slot})
		}
	}
	return owners, nil
}

// releaseSlot gives a slot back, when nothing of its node is left but the folder. whenLast is what to
// do when no testbed has a node any more.
func releaseSlot(n Node, whenLast func() error) error {
	unlock, err := lockDir(slotsRoot, nil)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.RemoveAll(n.Dir()); err != nil {
		return err
	}
	if left, err := filepath.Glob(filepath.Join(slotsRoot, "*")); err != nil || len(left) > 0 {
		return err
	}
	return errors.Join(whenLast(), os.RemoveAll(slotsRoot))
}

// overlapsAny says whether the node's addresses or its pods' lie in one of the networks.
func overlapsAny(n Node, networks []netip.Prefix) bool {
	link := netip.PrefixFrom(netip.MustParseAddr(n.machineAddress()), 24)
	pods := netip.MustParsePrefix(n.podSubnet())
	for _, network := range networks {
		if network.Overlaps(link) || network.Overlaps(pods) {
			return true
		}
	}
	return false
}

// foreignRoutes are the networks that this machine reaches by routes that are not the default one,
// out of /proc/net/route: addresses there are hexadecimal, with the bytes in the processor's order.
func foreignRoutes(table string) ([]netip.Prefix, error) {
	var found []netip.Prefix
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		fields := strings.Fields(line)
		if i == 0 || len(fields) < 8 {
			continue
		}
		destination, err := hex.DecodeString(fields[1])
		if err != nil || len(destination) != 4 {
			return nil, fmt.Errorf("/proc/net/route has a destination %q", fields[1])
		}
		mask, err := hex.DecodeString(fields[7])
		if err != nil || len(mask) != 4 {
			return nil, fmt.Errorf("/proc/net/route has a mask %q", fields[7])
		}
		bits := 0
		for value := binary.NativeEndian.Uint32(mask); value != 0; value &= value - 1 {
			bits++
		}
		if bits < 16 {
			continue // the default route, or as wide as a VPN's: the nodes' own go before it
		}
		var address [4]byte
		binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(destination))
		found = append(found, netip.PrefixFrom(netip.AddrFrom4(address), bits))
	}
	return found, nil
}
