#!/usr/bin/env bash
# `make test`: every test there is. A failing stage does not stop the next; the last line
# counts over all of them.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
# shellcheck source=e2e/lib.sh
. e2e/lib.sh

PASSED=0 FAILED=0 SUMMARY=""

# stage NAME COMMAND...: runs it with its output in a log and on the screen, and counts.
# Test binaries report "N passed; M failed"; a stage without such lines counts as one test.
stage() {
  local name=$1; shift
  local log began=$EPOCHREALTIME status passed failed
  log=$(log_of "test-$name")
  printf '\n== %s\n' "$name"
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  read -r passed failed < <(awk '
    /^test result:/ { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1) } n++ }
    /^--- PASS/ { p++; n++ } /^--- FAIL/ { f++; n++ }
    /^  .* failed after / { f++; n++ }
    END { print p + 0, f + 0 }' "$log")
  if ((passed + failed == 0)); then ((status == 0)) && passed=1 || failed=1; fi
  ((status == 0 || failed > 0)) || failed=1
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
  SUMMARY+=$(printf '  %-32s %5d passed %5d failed %8.1f s' "$name" "$passed" "$failed" "$(since "$began")")$'\n'
}

tools() { ./e2e/packages.sh && ./e2e/build-tools.sh; }
go_tests() { cd e2e/cluster && go test -trimpath -v ./internal/... ./cmd/cluster; }
build() { step "all programs and tests" "Put it right, then: make test" cargo test "${EVERYTHING[@]}" --no-run; }
rust_tests() {
  STOREFRONT_NATS_SERVER=$BIN/nats-server cargo test "${EVERYTHING[@]}" --no-fail-fast
}

BEGAN=$EPOCHREALTIME
stage "packages and tools" tools
stage "build" build
stage "check" e2e/check.sh
stage "cluster program" go_tests
stage "unit, property, store, scenarios" rust_tests
stage "stories on the embedded cluster" e2e/stories.sh

printf '\n== summary (%.0f s)\n%s\n%d passed, %d failed\n' "$(since "$BEGAN")" "$SUMMARY" "$PASSED" "$FAILED"
((FAILED == 0))
