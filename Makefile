# Everything a person or a machine calls. `make help` lists it.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup build up demo down clean-demo test perturb perturb-short generate bench bench-signer

dev := $(or $(CARGO_TARGET_DIR),target)/release/keywright-dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing, or say how
	@hack/setup.sh

build: setup ## the release binaries
	@cargo build --release --locked -p keywright-operator -p keywright-signer -p keywright-webhooks -p kubectl-keywright -p keywright-e2e

demo: build ## from nothing to a certificate: control plane, signer, webhook, operator, the quickstart; leaves them running
	@$(dev) demo

up: build ## the same without the quickstart; starts whatever does not run
	@$(dev) up

down: ## stop all that up started; data stays
	@if [ -x $(dev) ]; then $(dev) down; elif [ -d .keywright/run ]; then echo "$(dev) is missing: run make build" >&2; exit 1; fi

clean-demo: down ## stop all and remove its data
	@rm -rf .keywright

test: ## everything: formatting, clippy, dependencies, generated files, unit tests, tests on a real control plane
	@hack/test.sh

perturb: build ## break the operator on purpose, everything that is known to break operators (long)
	@$(dir $(dev))keywright-perturb all

perturb-short: build ## the same in two minutes; part of make test
	@$(dir $(dev))keywright-perturb short

generate: ## CRD YAML and API reference from the Rust types
	@cargo run --locked -p keywright-crds --bin crdgen

bench: build ## what issuance costs, against goals and earlier runs, into .keywright/bench/issuance.{md,json,svg}
	@$(dir $(dev))keywright-bench --out $(CURDIR)/.keywright/bench

bench-signer: setup ## the signer against the sum of its primitives, into .keywright/bench/signer.json
	@mkdir -p .keywright/bench
	@cargo bench --quiet --locked -p keywright-signer --bench issuance -- --out $(CURDIR)/.keywright/bench/signer.json
