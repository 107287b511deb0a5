package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// build makes the programs that testbeds run, or those of them that are named.
func build(ctx context.Context, args []string) error {
	return makeNamed(ctx, args, slices.Concat(planeArtifacts(), nodeArtifacts(), []Artifact{kwokArtifact()}, storeArtifacts()))
}

// makeNamed makes the artifacts named, or all of them, and prints where they are.
func makeNamed(ctx context.Context, args []string, all []Artifact) error {
	names, err := newArguments().parse(args, 0, len(all))
	if err != nil {
		return err
	}
	chosen := all
	if len(names) > 0 {
		chosen = nil
		for _, name := range names {
			i := slices.IndexFunc(all, func(a Artifact) bool { return a.Name == name })
			if i < 0 {
				return fmt.Errorf("%q is not one of %s: %w", name, strings.Join(artifactNames(all), ", "), errUsage)
			}
			chosen = append(chosen, all[i])
		}
	}
	paths, err := ensure(ctx, chosen)
	if err != nil {
		return err
	}
	for _, a := range chosen {
		fmt.Println(paths[a.Name])
	}
	return nil
}

func artifactNames(all []Artifact) []string {
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	return names
}
