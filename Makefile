# The front door. Every target is one line; the work is in e2e/*.sh.
SHELL := /bin/bash
CLUSTER ?= dev
export CLUSTER
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/storefront
export CARGO_TARGET_DIR ?= $(CACHE)/target
PROGRAM := $(CACHE)/bin/cluster

.DEFAULT_GOAL := help
.PHONY: help up down status url kubeconfig check test e2e images gen sqlx observability seed bench image-sizes

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  CLUSTER=name chooses another cluster than dev."

up: ## from nothing to a running shop: packages, build, images, cluster, operator, shop
	@e2e/up.sh

down: ## end the cluster and leave nothing behind
	@if [[ -x $(PROGRAM) ]]; then $(PROGRAM) down --name $(CLUSTER); fi

status: ## what runs of the cluster
	@$(PROGRAM) status --name $(CLUSTER)

url: ## the shop's URL
	@$(PROGRAM) url --name $(CLUSTER)

kubeconfig: ## the path of the administrator's kubeconfig
	@$(PROGRAM) kubeconfig --name $(CLUSTER)

check: ## format, lints, boundaries between crates and files, generated = committed
	@e2e/packages.sh --tests && e2e/build-tools.sh helm cargo-deny && e2e/check.sh

test: ## every test there is, the users' stories on a cluster of their own included
	@e2e/test.sh

e2e: ## only the users' stories (KEEP=1 keeps their cluster)
	@e2e/stories.sh

images: ## build the images that changed
	@e2e/images.sh

gen: ## write what is generated: CRDs, OpenAPI documents, list of services, crate edges, diagrams (ONLY="crds product": these)
	@e2e/gen.sh $(ONLY)

sqlx: ## check every SQL statement on a real PostgreSQL and describe it for builds without one
	@e2e/packages.sh --tests && e2e/sqlx.sh

observability: ## Prometheus and a collector of traces on the running cluster
	@e2e/observability.sh

seed: ## put the example catalogue into the shop
	@e2e/seed.sh

bench: ## measure the numbers of docs/benchmarks.md on the running cluster
	@e2e/bench.sh

image-sizes: ## what each image weighs
	@e2e/image-sizes.sh
