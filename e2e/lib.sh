# Sourced by the scripts of this folder: where things lie, which versions, and how a step
# is shown. Nothing happens by sourcing it.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/storefront
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/storefront
BIN=$CACHE/bin
LOGS=$CACHE/logs
export PATH=$BIN:$PATH

COREDNS_VERSION=v1.14.6
NATS_VERSION=v2.15.2
MAILPIT_VERSION=v1.27.11
HELM_VERSION=v3.22.0
PROMETHEUS_VERSION=v0.316.0 # the Go module of Prometheus 3.16.0; the first without replace directives
OTELCOL_VERSION=v0.165.0 # of the builder and the components
OTELCOL_STABLE_VERSION=v1.71.0 # of the components that belong to it and have reached 1.0
CARGO_DENY_VERSION=0.20.2
GATEWAY_API_VERSION=v1.6.3

# One target folder for the workspace, outside the repository; musl for what ships.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
export CC_x86_64_unknown_linux_musl=musl-gcc
# One way of compiling Go: with another setting every package would be compiled again.
export CGO_ENABLED=0
MUSL=x86_64-unknown-linux-musl
# One choice of packages for lints, tests and stories: with another one Cargo unifies the features of
# dependencies in another way, and compiles them all once more.
EVERYTHING=(--workspace --locked)
STORIES=(--features e2e/stories)

# step NAME HINT COMMAND...: runs COMMAND with its output in a log file, shows the name, a
# running clock where somebody watches, and the duration. When it fails: the last lines of
# the log, where the rest is, and HINT (how to go on). A function given as COMMAND chains
# with && what must not go on after a failure: `set -e` is off where a status is looked at.
step() {
  local name=$1 hint=$2; shift 2
  local log began=$EPOCHREALTIME status=0 clock=
  log=$(log_of "$name")
  if [[ -t 1 ]]; then
    { while sleep 1; do printf '\r  %-46s %6.0f s ' "$name" "$(since "$began")"; done; } & clock=$!
  fi
  "$@" > "$log" 2>&1 || status=$?
  if [[ -n $clock ]]; then kill "$clock"; wait "$clock" 2>/dev/null || true; printf '\r'; fi
  if ((status == 0)); then
    printf '  %-46s %6.1f s\n' "$name" "$(since "$began")"
    return 0
  fi
  failed "$name" "$hint" "$began" "$status" "$log"
}

# live NAME HINT COMMAND...: the same for a command that reports its own progress.
live() {
  local name=$1 hint=$2; shift 2
  local log began=$EPOCHREALTIME status=0
  log=$(log_of "$name")
  printf '  %s\n' "$name"
  "$@" 2>&1 | tee "$log" | sed -u 's/^/  /' || status=${PIPESTATUS[0]}
  if ((status == 0)); then
    printf '  %-46s %6.1f s\n' "$name: done" "$(since "$began")"
    return 0
  fi
  failed "$name" "$hint" "$began" "$status" "$log"
}

failed() {
  local name=$1 hint=$2 began=$3 status=$4 log=$5
  printf '  %-46s failed after %.1f s (exit %d)\n\n' "$name" "$(since "$began")" "$status"
  tail -n "${LOG_LINES:-20}" "$log" | sed 's/^/  | /'
  printf '\n  The whole log: %s\n  %s\n' "$log" "$hint"
  return "$status"
}

log_of() { mkdir -p "$LOGS" && echo "$LOGS/${1//[^a-zA-Z0-9]/-}.log"; }

# since INSTANT: seconds from an $EPOCHREALTIME to now.
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

die() { printf '%s\n' "$*" >&2; exit 1; }

# image NAME: the reference under which it was built.
image() { awk -F '\t' -v name="$1" '$1 == name { print $2 }' "$CACHE/images/index.tsv"; }

# kube ARGS...: kubectl on the cluster that $CLUSTER names. What it remembers of the API goes
# with the cluster; by itself it would write below ~/.kube.
kube() { kubectl --kubeconfig "$STATE/$CLUSTER/kubeconfig" --cache-dir "$STATE/$CLUSTER/kubectl" "$@"; }

# apply FILE...: server-side, so that what is right already is not written again.
apply() { kube apply --server-side --force-conflicts --field-manager=make-up -f "$@"; }
