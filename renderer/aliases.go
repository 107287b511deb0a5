package main

import (
	"regexp"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxNodes is how many nodes a YAML document may have once its aliases are
// expanded.
const maxNodes = 1_000_000

// aliasMark and anchorMark find what may be an alias and what may be an anchor.
var (
	aliasMark  = regexp.MustCompile(`(?:^|[\s\[{,:-])\*[^\s*/]`)
	anchorMark = regexp.MustCompile(`(?:^|[\s\[{,:-])&[^\s&]`)
)

// checkAliases refuses YAML whose aliases refer to themselves or expand to very
// much: kustomize follows them without a bound. What is not YAML passes; it is
// reported where it is read.
func checkAliases(reason, file, text string) error {
	if !aliasMark.MatchString(text) || !anchorMark.MatchString(text) {
		return nil
	}
	decoder := kyaml.NewDecoder(strings.NewReader(text))
	for {
		var node kyaml.Node
		if decoder.Decode(&node) != nil {
			return nil
		}
		sizes := map[*kyaml.Node]int{}
		switch size := expandedSize(&node, sizes); {
		case size == endlessSize:
			return faultf(reason, "a YAML alias (*name) refers to something that contains it").at(file, node.Line)
		case size > maxNodes:
			return faultf(reason, "the YAML aliases (*name) expand to more than %d values; write out what is meant", maxNodes).at(file, node.Line)
		}
	}
}

// endlessSize is the size of a node that contains itself.
const endlessSize = -1

// expandedSize counts the nodes below a node, aliases expanded, up to a little
// over maxNodes. Sizes remembers what is counted and marks what is being counted.
func expandedSize(node *kyaml.Node, sizes map[*kyaml.Node]int) int {
	if size, ok := sizes[node]; ok {
		return size
	}
	sizes[node] = endlessSize
	total := 1
	children := node.Content
	if node.Alias != nil {
		children = []*kyaml.Node{node.Alias}
	}
	for _, child := range children {
		size := expandedSize(child, sizes)
		if size == endlessSize {
			return endlessSize
		}
		if total += size; total > maxNodes {
			total = maxNodes + 1
		}
	}
	sizes[node] = total
	return total
}
