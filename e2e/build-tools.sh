#!/usr/bin/env bash
# Builds tools into the cache: Kubernetes (one binary), the cluster program, CoreDNS, helm, NATS, mailpit, Prometheus,
# OpenTelemetry's collector and cargo-deny. Each is built only when its version or our sources changed. With arguments:
# only the named ones.
#
# The first four share a module (cluster/go.mod), and so one version of the Kubernetes libraries, which are compiled
# once. The others are modules of their own.
set -euo pipefail
cd "$(dirname "$0")/cluster"
# shellcheck source=e2e/lib.sh
. ../lib.sh

KUBERNETES=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
HELM=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)
BUILD=(-trimpath -buildvcs=false)

# build NAME KEY COMMAND...: COMMAND writes the file "$NEXT", which replaces the tool in one
# step: a running process keeps its old file.
build() {
  local name=$1 key=$2; shift 2
  key=$(printf '%s %s' "$key" "$(go version)" | sha256sum | cut -c1-16)
  [[ -x $BIN/$name && $(cat "$BIN/.$name.key" 2>/dev/null) == "$key" ]] && return 0
  printf '  building %s\n' "$name"
  export NEXT=$BIN/.$name.next
  "$@"
  mv "$NEXT" "$BIN/$name"
  echo "$key" > "$BIN/.$name.key"
}

kubernetes() {
  local v=$KUBERNETES stamp
  # Without these the version prints as v0.0.0, and clients that compare versions refuse it.
  stamp="-X k8s.io/component-base/version.gitVersion=$v -X k8s.io/client-go/pkg/version.gitVersion=$v"
  go build "${BUILD[@]}" -ldflags "-s -w $stamp" -o "$NEXT" ./cmd/kubernetes
}
program() { go build "${BUILD[@]}" -ldflags "-s -w" -o "$NEXT" ./cmd/cluster; }
coredns() { go build "${BUILD[@]}" -ldflags "-s -w" -o "$NEXT" ./cmd/coredns; }
# Helm judges a chart by the Kubernetes version that it was linked with; without one it assumes v1.20.
helm() {
  local minor=${KUBERNETES#v1.} at=helm.sh/helm/v3 flags=()
  minor=${minor%%.*}
  for package in chartutil lint/rules; do
    flags+=("-X $at/pkg/$package.k8sVersionMajor=1 -X $at/pkg/$package.k8sVersionMinor=$minor")
  done
  go build "${BUILD[@]}" -ldflags "-s -w -X $at/internal/version.version=$HELM ${flags[*]}" -o "$NEXT" "$at/cmd/helm"
}
# module PACKAGE@VERSION [LINKER FLAGS [BUILD TAGS]]: `go install` names the file itself, hence the folder.
module() {
  local dir; dir=$(mktemp -d "$BIN/.install.XXXXXX")
  GOBIN=$dir go install "${BUILD[@]}" -tags "${3-}" -ldflags "-s -w ${2-}" "$1"
  mv "$dir"/* "$NEXT" && rmdir "$dir"
}
# The collector is not a module but a program that its builder writes, out of the components named.
otelcol() {
  local dir; dir=$(mktemp -d "$BIN/.install.XXXXXX")
  GOBIN=$dir go install "${BUILD[@]}" "go.opentelemetry.io/collector/cmd/builder@$OTELCOL_VERSION" &&
    sed "s|@VERSION@|$OTELCOL_VERSION|; s|@STABLE_VERSION@|$OTELCOL_STABLE_VERSION|; s|@FOLDER@|$dir/made|" \
      ../images/otelcol/builder.yaml > "$dir/builder.yaml" &&
    GOFLAGS=-buildvcs=false "$dir/builder" --config "$dir/builder.yaml" &&
    mv "$dir/made/otelcol" "$NEXT" && rm -rf "$dir"
}
# A debug build: it reads a lock file, and is compiled in a quarter of the time.
deny() {
  local dir; dir=$(mktemp -d "$BIN/.install.XXXXXX")
  CARGO_TARGET_DIR=$dir/target cargo install --quiet --debug --locked --no-track --root "$dir" "cargo-deny@$CARGO_DENY_VERSION"
  mv "$dir/bin/cargo-deny" "$NEXT" && rm -rf "$dir"
}
sources() { find go.mod go.sum "$@" -type f | sort | xargs sha256sum | sha256sum; }

program_sources() { find go.mod go.sum cmd/cluster internal -type f ! -name '*_test.go' | sort | xargs sha256sum | sha256sum; }

wanted() { [[ ${#WANTED[@]} -eq 0 || " ${WANTED[*]} " == *" $1 "* ]]; }
WANTED=("$@")
mkdir -p "$BIN"
exec 9> "$BIN/.lock" && flock 9 # `make up` and `make test` may run at the same time
if wanted kubernetes; then
  build kubernetes "$KUBERNETES $(sources cmd/kubernetes)" kubernetes
  ln -sfn kubernetes "$BIN/kubectl"
fi
if wanted cluster; then build cluster "$(program_sources)" program; fi
if wanted coredns; then build coredns "$(sources cmd/coredns)" coredns; fi
if wanted helm; then build helm "$HELM $(sources)" helm; fi
if wanted nats-server; then build nats-server "$NATS_VERSION" module "github.com/nats-io/nats-server/v2@$NATS_VERSION"; fi
if wanted mailpit; then build mailpit "$MAILPIT_VERSION" module "github.com/axllent/mailpit@$MAILPIT_VERSION"; fi
if wanted prometheus; then
  # Debian builds its package without the discovery of Kubernetes; here it is the only one.
  build prometheus "$PROMETHEUS_VERSION" module "github.com/prometheus/prometheus/cmd/prometheus@$PROMETHEUS_VERSION" \
    "" remove_all_sd,enable_kubernetes_sd
fi
if wanted otelcol; then
  build otelcol "$OTELCOL_VERSION $OTELCOL_STABLE_VERSION $(sha256sum < ../images/otelcol/builder.yaml)" otelcol
fi
if wanted cargo-deny; then build cargo-deny "$CARGO_DENY_VERSION $(rustc --version)" deny; fi
