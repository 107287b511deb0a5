# Orbit Plane. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ORBIT_CACHE ?= $(HOME)/.cache/orbit-plane
export ORBIT_CACHE
BIN := $(ORBIT_CACHE)/bin
TESTBED := $(BIN)/testbed
# The testbed that `make test` starts and ends; name another to keep one running beside it.
TEST_NAME ?= make-test
# The clusters with a node each that it delivers to.
TEST_CLUSTERS := $(TEST_NAME)-eu-1 $(TEST_NAME)-eu-2
# The clusters that `make test-scale` starts, 500 MB each; `make test` takes three.
SCALE_CLUSTERS ?= 20
BENCH_NAME ?= make-bench
CARGO_FLAGS := --locked --features failpoints
# Where cargo puts the programs it builds.
ORBIT := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/orbit
# No part needs C, and what go has built stays valid when a C compiler is installed in between.
export CGO_ENABLED := 0

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: tools
tools: testbed ## Install what building and testing takes (packages, helm, kustomize, Kubernetes; 12 minutes once)
	$(TESTBED) tools
	$(TESTBED) build

.PHONY: testbed
testbed:
	@mkdir -p $(BIN)
	go -C hack/testbed build -o $(TESTBED) .

.PHONY: renderer
renderer: ## Build the renderer (2 minutes once)
	@mkdir -p $(BIN)
	go -C renderer build -trimpath -ldflags "-s -w" -o $(BIN)/orbit-renderer .

.PHONY: portal
portal: portal-modules ## Build the portal's application, to be put into orbit (1 minute)
	npm --prefix portal run build
	@touch build.rs

.PHONY: portal-modules
portal-modules:
	npm --prefix portal install --no-audit --no-fund

.PHONY: build
build: packages renderer $(if $(wildcard portal/package.json),portal) ## Build the orbit command (3 minutes once)
	cargo build --locked

.PHONY: packages
packages: testbed
	$(TESTBED) tools packages

.PHONY: generate
generate: portal-modules ## Write the generated files: crds/, the portal's openapi.json and its types
	cargo run --locked --quiet -- crds --out crds
	cargo run --locked --quiet -- openapi --out portal/openapi.json
	npm --prefix portal run types

.PHONY: fmt
fmt: ## Format Rust and Go
	cargo fmt
	gofmt -w renderer hack

.PHONY: lint
lint: lint-rust lint-go lint-portal lint-generated ## Formats, clippy, vet, licences and bans, generated files fresh

.PHONY: lint-rust
lint-rust: packages
	cargo fmt --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	$(TESTBED) tools cargo-deny
	$(BIN)/cargo-deny --all-features check bans licenses sources

.PHONY: lint-go
lint-go:
	test -z "$$(gofmt -l renderer hack)" || { gofmt -l renderer hack; exit 1; }
	go -C renderer vet ./...
	go -C hack/testbed vet ./...
	go -C hack/demo/app vet ./...

.PHONY: lint-portal
lint-portal: portal-modules
	npm --prefix portal run lint

.PHONY: lint-generated
lint-generated:
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	cargo run $(CARGO_FLAGS) --quiet -- crds --out "$$fresh"; \
	diff -ru crds "$$fresh" || { echo "crds/ is stale: run make generate"; exit 1; }; \
	cargo run $(CARGO_FLAGS) --quiet -- openapi --out "$$fresh/openapi.json"; \
	diff -u portal/openapi.json "$$fresh/openapi.json" || { echo "portal/openapi.json is stale: run make generate"; exit 1; }

.PHONY: test
test: tools renderer portal ## Run every test against a real API server and real stores
	@trap 'for name in $(TEST_NAME) $(TEST_CLUSTERS) $(TEST_NAME)-scale-{1..3}; do $(TESTBED) down --all --name $$name; done' EXIT; \
	for name in $(TEST_CLUSTERS); do $(TESTBED) up --nodes 1 --name $$name; eval "$$($(TESTBED) env --name $$name)"; done; \
	$(TESTBED) up --name $(TEST_NAME); \
	$(TESTBED) stores up --name $(TEST_NAME); \
	eval "$$($(TESTBED) env --name $(TEST_NAME))"; \
	export PATH="$(BIN):$$PATH" ORBIT_TEST_RENDERER="$(BIN)/orbit-renderer"; \
	export ORBIT_TEST_TESTBED="$(TESTBED)" ORBIT_TEST_CLUSTERS="$(TEST_CLUSTERS)"; \
	export ORBIT_TEST_SCALE_NAME="$(TEST_NAME)-scale" ORBIT_TEST_SCALE_CLUSTERS=3; \
	go -C hack/testbed test ./...; \
	go -C renderer test ./...; \
	npm --prefix portal test; \
	cargo test $(CARGO_FLAGS) --no-fail-fast; \
	ORBIT=$(ORBIT) E2E_NAME=$(TEST_NAME)-portal portal/e2e/run

.PHONY: test-portal
test-portal: demo-parts ## The portal alone, in a real browser before a plane with two clusters; leaves pictures (3 minutes)
	ORBIT=$(ORBIT) E2E_NAME=$(TEST_NAME)-portal portal/e2e/run

.PHONY: test-scale
test-scale: tools renderer ## 50 overlays in 20 clusters, of which a quarter dies (takes 10 GB of memory)
	@trap 'for name in $(TEST_NAME) $(TEST_NAME)-scale-{1..$(SCALE_CLUSTERS)}; do $(TESTBED) down --all --name $$name; done' EXIT; \
	$(TESTBED) up --name $(TEST_NAME); \
	eval "$$($(TESTBED) env --name $(TEST_NAME))"; \
	export PATH="$(BIN):$$PATH" ORBIT_TEST_RENDERER="$(BIN)/orbit-renderer" ORBIT_TEST_TESTBED="$(TESTBED)"; \
	export ORBIT_TEST_SCALE_NAME="$(TEST_NAME)-scale" ORBIT_TEST_SCALE_CLUSTERS=$(SCALE_CLUSTERS); \
	cargo test $(CARGO_FLAGS) --test scale -- --nocapture

FLUX := source-controller kustomize-controller helm-controller

.PHONY: test-flux
test-flux: tools renderer ## Flux's own controllers on what the plane publishes (builds them: 15 minutes once)
	$(TESTBED) tools $(FLUX)
	@trap 'for name in $(TEST_NAME) $(TEST_CLUSTERS); do $(TESTBED) down --all --name $$name; done' EXIT; \
	for name in $(TEST_CLUSTERS); do $(TESTBED) up --nodes 1 --name $$name; eval "$$($(TESTBED) env --name $$name)"; done; \
	$(TESTBED) up --name $(TEST_NAME); \
	eval "$$($(TESTBED) env --name $(TEST_NAME))"; \
	export PATH="$(BIN):$$PATH" ORBIT_TEST_RENDERER="$(BIN)/orbit-renderer"; \
	export ORBIT_TEST_TESTBED="$(TESTBED)" ORBIT_TEST_CLUSTERS="$(TEST_CLUSTERS)"; \
	cargo test $(CARGO_FLAGS) --test gitops

.PHONY: demo
demo: demo-parts ## Show it: an image from its Dockerfile to pods in two clusters (2 minutes; 20 the first time)
	@ORBIT=$(ORBIT) hack/demo/demo

.PHONY: up
up: demo-parts ## The same, and leave it running; says how to use it
	@ORBIT=$(ORBIT) hack/demo/demo --keep

.PHONY: down
down: testbed ## End what `make up` started, and delete its data
	@hack/demo/down

.PHONY: demo-parts
demo-parts: build
	$(TESTBED) build etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy sandbox-image kubectl

.PHONY: bench
bench: tools renderer ## Measure: prints a table and writes bench-report.json, then watches 20 clusters rest (10 GB; 15 minutes, 10 more to build it optimised)
	@trap 'for name in $(BENCH_NAME) $(BENCH_NAME)-cluster $(BENCH_NAME)-scale-{1..$(SCALE_CLUSTERS)}; do $(TESTBED) down --all --name $$name; done' EXIT; \
	$(TESTBED) build kubectl; \
	$(TESTBED) up --name $(BENCH_NAME); \
	$(TESTBED) stores up --name $(BENCH_NAME); \
	eval "$$($(TESTBED) env --name $(BENCH_NAME))"; \
	export PATH="$(BIN):$$PATH" ORBIT_TEST_RENDERER="$(BIN)/orbit-renderer" ORBIT_TEST_TESTBED="$(TESTBED)"; \
	export ORBIT_BENCH_CLUSTER="$(BENCH_NAME)-cluster"; \
	cargo bench $(CARGO_FLAGS) --bench plane; \
	export ORBIT_TEST_SCALE_NAME="$(BENCH_NAME)-scale" ORBIT_TEST_SCALE_CLUSTERS=$(SCALE_CLUSTERS); \
	cargo test --profile bench $(CARGO_FLAGS) --test scale -- --nocapture

.PHONY: kind-up
kind-up: ## A cluster on machines with Docker and kind: what `testbed up --nodes 1` is without
	kind create cluster --config kind-config.yaml --wait 2m

.PHONY: kind-down
kind-down: ## Delete it
	kind delete cluster --name orbit

.PHONY: advisories
advisories: ## Check dependencies for known vulnerabilities (takes the advisory database from the network)
	$(BIN)/cargo-deny --all-features check advisories
