package main

import (
	"context"
	"errors"
)

func storeArtifacts() []Artifact { return nil }

func stores(context.Context, []string) error { return errors.New("not yet") }

func downStores(Testbed) error { return nil }
