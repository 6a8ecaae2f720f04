#!/usr/bin/env bash
# `make test`: every test there is. A failing stage does not stop the next; the last lines count over all stages, and
# show how long each took.
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
  SUMMARY+=$(printf '  %-32s %5d passed %5d failed %12s' "$name" "$passed" "$failed" "$(duration "$(since "$began")")")$'\n'
}

HINT="Fix that, then: make test"
# What comes from Go and what comes from Rust is compiled side by side: each ends with a long step on one core.
build() { step "packages and toolchains" "$HINT" ./e2e/packages.sh --tests && side_by_side tools programs; }
tools() { step "tools" "$HINT" ./e2e/build-tools.sh; }
programs() { step "programs and tests" "$HINT" cargo test "${EVERYTHING[@]}" --no-run; }
go_tests() { cd e2e/cluster && go test -trimpath -v ./internal/... ./cmd/cluster; }

BEGAN=$EPOCHREALTIME
claim_target
stage "build" build
stage "check" e2e/check.sh
stage "cluster program" go_tests
stage "unit, property, store, scenarios" e2e/rust-tests.sh
stage "stories on the embedded cluster" e2e/stories.sh

release_target
printf '\n== summary (%s)\n%s\n%d passed, %d failed\n' "$(duration "$(since "$BEGAN")")" "$SUMMARY" "$PASSED" "$FAILED"
((FAILED == 0))
