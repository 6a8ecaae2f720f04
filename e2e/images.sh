#!/usr/bin/env bash
# `make images`: everything that goes into images, then the images, and no cluster.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ./lib.sh
AGAIN="Put that right, then: make images"
step "packages and toolchains" "$AGAIN" ./packages.sh
live "tools (Kubernetes, CoreDNS, NATS, mailpit, Prometheus, collector, helm)" "$AGAIN" \
  ./build-tools.sh kubernetes cluster coredns nats-server mailpit prometheus otelcol helm
# From compiling until the binaries are in images: another checkout compiles at the same place.
exec 8> "$CACHE/.services.lock"
if ! flock --nonblock 8; then
  echo "  another checkout builds the services; waiting for it"
  flock 8
fi
step "services (release build)" "$AGAIN" ./services.sh
live "images" "$AGAIN" ./images/build.sh
exec 8>&-
