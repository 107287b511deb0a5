package main

import "testing"

func TestSelect(t *testing.T) {
	for _, test := range []struct {
		name, wanted, prereleases string
		versions                  []string
		want                      string // "" is null
	}{
		{"newest of all", "", "Exclude", []string{"1.0.0", "1.10.0", "1.9.0"}, "1.10.0"},
		{"by number, not by text", ">=1.0.0 <2.0.0", "Exclude", []string{"1.9.0", "1.10.0", "2.0.0"}, "1.10.0"},
		{"nothing fits", "^3", "Exclude", []string{"1.0.0"}, ""},
		{"nothing there", "", "Include", nil, ""},
		{"no prereleases by default", "", "", []string{"1.0.0", "1.1.0-rc.1"}, "1.0.0"},
		{"prereleases excluded from all", "", "Exclude", []string{"1.1.0-rc.1"}, ""},
		{"prereleases included in all", "", "Include", []string{"1.0.0", "1.1.0-rc.1"}, "1.1.0-rc.1"},
		{"prereleases included in a range", ">=1.0.0 <2.0.0", "Include", []string{"1.0.0", "1.1.0-rc.1"}, "1.1.0-rc.1"},
		{"a range that names a prerelease", ">=1.1.0-0", "Exclude", []string{"1.0.0", "1.1.0-rc.1"}, "1.1.0-rc.1"},
		{"release after its prereleases", "", "Include", []string{"1.1.0", "1.1.0-rc.9"}, "1.1.0"},
		{"prereleases by number", "", "Include", []string{"1.1.0-rc.9", "1.1.0-rc.10"}, "1.1.0-rc.10"},
		{"tilde", "~1.4", "Exclude", []string{"1.4.0", "1.4.7", "1.5.0"}, "1.4.7"},
		{"caret below one", "^0.2.3", "Exclude", []string{"0.2.9", "0.3.0"}, "0.2.9"},
		{"comma and or", ">=1.0, <1.2 || >=3", "Exclude", []string{"1.1.0", "1.3.0"}, "1.1.0"},
		{"exact", "1.3.2", "Exclude", []string{"1.3.1", "1.3.2", "1.4.0"}, "1.3.2"},
		{"wildcard", "1.x", "Exclude", []string{"1.3.1", "2.0.0"}, "1.3.1"},
		{"spelled as given", "", "Exclude", []string{"v1.2"}, "v1.2"},
		{"not versions", "", "Include", []string{"latest", "", "1.0.0", "1.2.3.4"}, "1.0.0"},
		{"build metadata, one order", "", "Exclude", []string{"1.0.0+b", "1.0.0+a"}, "1.0.0+b"},
		{"build metadata, other order", "", "Exclude", []string{"1.0.0+a", "1.0.0+b"}, "1.0.0+b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(t, m{"op": "select", "range": test.wanted, "prereleases": test.prereleases, "versions": test.versions})
			if r.Error != nil {
				t.Fatal(r.Error)
			}
			got := ""
			if r.Version != nil {
				got = *r.Version
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSelectRefusals(t *testing.T) {
	for _, wanted := range []string{"newest", ">=", "1.0.0 <<2", "~~1"} {
		r := ask(t, m{"op": "select", "range": wanted, "prereleases": "Exclude", "versions": []string{"1.0.0"}})
		wantFault(t, r, reasonRangeInvalid, "", wanted, "for example")
	}
	r := ask(t, m{"op": "select", "range": "", "prereleases": "Maybe", "versions": []string{}})
	wantFault(t, r, reasonRequestInvalid, "", "Maybe")
}
