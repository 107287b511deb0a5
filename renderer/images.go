// Images: what the workloads of a rendering run.

package main

import (
	"maps"
	"slices"

	"sigs.k8s.io/kustomize/api/resmap"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// imagesOf collects the images that containers run and mount, sorted.
func imagesOf(in resmap.ResMap) []string {
	found := map[string]bool{}
	for _, r := range in.Resources() {
		// The schema of a CustomResourceDefinition has fields of these names.
		if r.GetKind() != "CustomResourceDefinition" {
			collectImages(r.YNode(), found)
		}
	}
	return slices.AppendSeq(make([]string, 0, len(found)), slices.Values(slices.Sorted(maps.Keys(found))))
}

// collectImages walks a YAML tree for lists of containers, wherever a kind
// keeps them, and for volumes of type image.
func collectImages(node *kyaml.Node, found map[string]bool) {
	if node == nil {
		return
	}
	if node.Kind != kyaml.MappingNode {
		for _, child := range node.Content {
			collectImages(child, found)
		}
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i].Value, node.Content[i+1]
		switch key {
		case "containers", "initContainers", "ephemeralContainers":
			for _, container := range value.Content {
				if ref := scalarAt(container, "image"); ref != "" {
					found[ref] = true
				}
			}
		case "volumes":
			for _, volume := range value.Content {
				if ref := scalarAt(fieldAt(volume, "image"), "reference"); ref != "" {
					found[ref] = true
				}
			}
		}
		collectImages(value, found)
	}
}

// fieldAt is the value of a field of a mapping, or nil.
func fieldAt(node *kyaml.Node, field string) *kyaml.Node {
	if node == nil || node.Kind != kyaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == field {
			return node.Content[i+1]
		}
	}
	return nil
}

// scalarAt is the text of a scalar field of a mapping, or "".
func scalarAt(node *kyaml.Node, field string) string {
	value := fieldAt(node, field)
	if value == nil || value.Kind != kyaml.ScalarNode {
		return ""
	}
	return value.Value
}
