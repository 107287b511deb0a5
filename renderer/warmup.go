package main

import (
	"fmt"

	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// warmUpManifests make kustomize load what it loads once: its schemas, its
// transformers, its hashes.
const warmUpManifests = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: warm
spec:
  selector:
    matchLabels: {app: warm}
  template:
    metadata:
      labels: {app: warm}
    spec:
      containers:
      - name: main
        image: warm
---
apiVersion: v1
kind: Service
metadata:
  name: warm
spec:
  selector: {app: warm}
---
apiVersion: example.test/v1
kind: Unknown
metadata:
  name: warm
`

// warmUp renders something, so that the first request is as quick as the next.
func warmUp() error {
	openapi.Schema()
	_, err := customize(warmUpManifests, "warm", &customizations{
		Patches: []patch{{Patch: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: warm}, spec: {template: {spec: {containers: [{name: main, tty: true}]}}}}"}},
		Images:  []image{{Name: "warm", NewTag: "up"}},
	})
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	return nil
}
