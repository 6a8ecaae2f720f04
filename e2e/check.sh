#!/usr/bin/env bash
# `make check`: what can be said without running anything.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh

go_code() {
  local unformatted; unformatted=$(gofmt -l e2e/cluster)
  [[ -z $unformatted ]] || { echo "gofmt -w $unformatted"; return 1; }
  (cd e2e/cluster && go vet -trimpath ./internal/... ./cmd/cluster)
}

scripts() { shellcheck -x e2e/*.sh e2e/images/build.sh e2e/images/postgres/{rootfs.sh,start-postgres} .ci/run; }

chart() {
  helm lint --quiet charts/storefront && helm template storefront charts/storefront > /dev/null || return
  if command -v promtool > /dev/null; then
    (cd charts/storefront/files && promtool check rules rules.yaml && promtool test rules rules_test.yaml)
  fi
}

failed=0
run() { step "$@" || failed=$((failed + 1)); }
FIX="Put it right, then: make check"
run "cargo fmt" "cargo fmt --all" cargo fmt --all --check
run "boundaries" "$FIX" e2e/boundaries.sh
run "clippy, SQL = .sqlx" "$FIX  SQL that is not what .sqlx says: make sqlx" e2e/sqlx.sh --check
run "generated = committed" "make gen" e2e/gen.sh --check
run "Go: gofmt, vet" "$FIX" go_code
run "shellcheck" "$FIX" scripts
run "chart and alert rules" "$FIX" chart
run "dependencies" "$FIX" cargo deny --locked check bans licenses sources
((failed == 0))
