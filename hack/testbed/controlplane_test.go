package main

import "testing"

func TestFailuresOfAHealthCheck(t *testing.T) {
	const answer = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nreadyz check failed\n"
	if got := failures(answer); got != "[-]etcd failed: reason withheld" {
		t.Errorf("got %q", got)
	}
	if got := failures("no such thing\n"); got != "no such thing" {
		t.Errorf("got %q", got)
	}
}
