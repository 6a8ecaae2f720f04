# Sourced by the scripts of this folder: where things lie, which versions, and how a step
# is shown. Nothing happens by sourcing it.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/storefront
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/storefront
BIN=$CACHE/bin
LOGS=$CACHE/logs
export PATH=$BIN:$PATH

NATS_VERSION=v2.15.2
MAILPIT_VERSION=v1.27.11
PROMETHEUS_VERSION=v0.316.0 # the Go module of Prometheus 3.16.0; the first without replace directives
OTELCOL_VERSION=v0.165.0 # of the builder and the components
OTELCOL_STABLE_VERSION=v1.71.0 # of the components that belong to it and have reached 1.0
CARGO_DENY_VERSION=0.20.2
GATEWAY_API_VERSION=v1.6.3

# One target folder for the workspace, outside the repository; musl for what ships.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
export CC_x86_64_unknown_linux_musl=musl-gcc
# claim_target: before what compiles for tests and lints. Cargo tells by a file's time whether it changed. In another checkout
# that is older than what was built last, everything would count as built, from the sources of the last one; in a new clone of
# the same place every file is new. So after another checkout every file gets a new time, or the one that it had when
# everything was built, if it is the same file and nothing was built since release_target wrote that down.
claim_target() {
  local mark=$CARGO_TARGET_DIR/.checkout
  CHECKOUT="$ROOT $(stat --format=%i:%W "$ROOT")"
  mkdir -p "$CARGO_TARGET_DIR"
  if [[ -d $CARGO_TARGET_DIR/debug && $(cat "$mark" 2>/dev/null) != "$CHECKOUT" ]]; then
    sources | xargs --null touch -c
    if [[ $(cat "$mark" 2>/dev/null) == "$ROOT "* ]] && nothing_built_since_release; then restore_times; fi
  fi
  echo "$CHECKOUT" > "$mark"
}
# release_target: after it. A later edit gets a later time, so what counts is the time that a file has now.
release_target() {
  local list=$CARGO_TARGET_DIR/.sources
  sources | xargs --null sha256sum > "$list.sums"
  sources | xargs --null stat --format='%y  %n' > "$list.times"
}
sources() { find "$ROOT" -path "$ROOT/.git" -prune -o -path "$ROOT/target" -prune -o -type f -print0 | sort --zero-terminated; }
nothing_built_since_release() {
  local times=$CARGO_TARGET_DIR/.sources.times
  [[ -f $times && -z $(find "$CARGO_TARGET_DIR/debug" -newer "$times" -type f -print -quit) ]]
}
restore_times() {
  local path time
  while IFS=$'\t' read -r path time; do touch -c -d "$time" "$path"; done < <(
    sources | xargs --null sha256sum | comm -12 <(sort "$CARGO_TARGET_DIR/.sources.sums") <(sort) | cut -c 67- |
      awk -F '  ' 'NR == FNR { time[$2] = $1; next } $1 in time { print $1 "\t" time[$1] }' "$CARGO_TARGET_DIR/.sources.times" -)
}
# One way of compiling Go: with another setting every package would be compiled again.
export CGO_ENABLED=0
MUSL=x86_64-unknown-linux-musl
# One choice of packages for lints, tests and stories: with another one Cargo unifies the features of
# dependencies in another way, and compiles them all once more.
EVERYTHING=(--workspace --locked)
STORIES=(--features e2e/stories)

# shellcheck source=e2e/progress.sh
. "$ROOT/e2e/progress.sh"

die() { printf '%s\n' "$*" >&2; exit 1; }

# image NAME: the reference under which it was built.
image() { awk -F '\t' -v name="$1" '$1 == name { print $2 }' "$CACHE/images/index.tsv"; }

# kube ARGS...: kubectl on the cluster that $CLUSTER names. What it remembers of the API goes
# with the cluster; by itself it would write below ~/.kube.
kube() { kubectl --kubeconfig "$STATE/$CLUSTER/kubeconfig" --cache-dir "$STATE/$CLUSTER/kubectl" "$@"; }

# apply FILE...: server-side, so that what is right already is not written again.
apply() { kube apply --server-side --force-conflicts --field-manager=make-up -f "$@"; }

# release_crates: what ships as an image of its own, one crate a line. The columns of services.tsv, which `make gen`
# writes: name, database schema, OpenAPI document.
release_crates() { printf '%s\n' operator gateway; cut -f 1 "$ROOT/e2e/services.tsv"; }
