#!/usr/bin/env bash
# `make images`: everything that goes into images, then the images, and no cluster.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ./lib.sh
AGAIN="Put that right, then: make images"
step "packages and toolchains" "$AGAIN" ./packages.sh
live "tools (Kubernetes, CoreDNS, NATS, mailpit, Prometheus, collector, helm)" "$AGAIN" ./build-tools.sh
step "services (release build)" "$AGAIN" ./services.sh
live "images" "$AGAIN" ./images/build.sh
