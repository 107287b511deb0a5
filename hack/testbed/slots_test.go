package main

import (
	"net/netip"
	"slices"
	"testing"
)

func TestPickSlotsSkipsWhatIsTaken(t *testing.T) {
	got, err := pickSlots(2, func(slot int) bool { return slot != firstSlot+1 })
	if err != nil || !slices.Equal(got, []int{firstSlot, firstSlot + 2}) {
		t.Errorf("picked %v, %v", got, err)
	}
	if _, err := pickSlots(3, func(slot int) bool { return slot > lastSlot-2 }); err == nil {
		t.Error("two slots are free, and three were picked")
	}
}

func TestForeignRoutes(t *testing.T) {
	// As on a machine whose processor has the low byte first: the default route, a network of the
	// machine's, one of Docker's, a VPN's.
	const table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	0000F40A	00000000	0001	0	0	0	0000FFFF	0	0	0
tun0	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
`
	got, err := foreignRoutes(table)
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.244.0.0/16")}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !overlapsAny(Node{Slot: 7}, got) {
		t.Error("a network over all pods is in nobody's way")
	}
	if overlapsAny(Node{Slot: 7}, got[:1]) || overlapsAny(Node{Slot: 7}, []netip.Prefix{netip.MustParsePrefix("10.244.8.0/24")}) {
		t.Error("another network is in the way")
	}
	if _, err := foreignRoutes("head\neth0 zz 0 0 0 0 0 00000000"); err == nil {
		t.Error("nonsense was read as a route")
	}
}
