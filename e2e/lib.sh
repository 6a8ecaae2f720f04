# Sourced by the scripts of this folder: where things lie, which versions, and how a step
# is shown. Nothing happens by sourcing it.
# shellcheck shell=bash

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
GATEWAY_API_VERSION=v1.6.3

# step NAME HINT COMMAND...: runs COMMAND with its output in a log file, shows the name, a
# running clock where somebody watches, and the duration. When it fails: the last lines of
# the log, where the rest is, and HINT (how to go on).
step() {
  local name=$1 hint=$2; shift 2
  local log=$LOGS/${name//[^a-zA-Z0-9]/-}.log began=$EPOCHREALTIME status=0 pid
  mkdir -p "$LOGS"
  if [[ -t 1 ]]; then
    ( while sleep 1; do printf '\r  %-46s %6.0f s ' "$name" "$(since "$began")"; done ) & pid=$!
  fi
  ( set -e; "$@" ) > "$log" 2>&1 || status=$?
  if [[ -n ${pid-} ]]; then kill "$pid"; wait "$pid" 2>/dev/null || true; printf '\r'; fi
  if ((status == 0)); then
    printf '  %-46s %6.1f s\n' "$name" "$(since "$began")"
    return 0
  fi
  printf '  %-46s failed after %.1f s (exit %d)\n\n' "$name" "$(since "$began")" "$status"
  tail -n "${LOG_LINES:-20}" "$log" | sed 's/^/  | /'
  printf '\n  The whole log: %s\n  %s\n' "$log" "$hint"
  return "$status"
}

# since INSTANT: seconds from an $EPOCHREALTIME to now.
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
