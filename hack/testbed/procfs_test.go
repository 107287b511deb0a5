package main

import (
	"strings"
	"testing"
)

func TestParseStatWithAwkwardCommandNames(t *testing.T) {
	const rest = " S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 2000 18446744073709551615 1 2" +
		" 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 2 3 4 5 6 7 0"
	for _, name := range []string{"(etcd)", "(a) b (c)", "((sd-pam))", "(ld-linux-x86-64)"} {
		stat, err := parseStat([]byte("42 " + name + rest))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := (procStat{'S', 987654, 1000, 1, [2]uint64{6, 7}}); stat != want {
			t.Errorf("%s: got %+v", name, stat)
		}
	}
}

func TestParseStatRefusesNonsense(t *testing.T) {
	for _, line := range []string{"", "42", "42 (x)", "42 (x) S 1 2", "42 (x) S 1 42 42 0 -1 1 1 2 3 4 5 6 7 8 20 0 1 0 soon 1" + strings.Repeat(" 0", 30)} {
		if _, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
