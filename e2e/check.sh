#!/usr/bin/env bash
# `make check`: what can be said without running anything.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
claim_target

go_code() {
  local unformatted; unformatted=$(gofmt -l e2e/cluster)
  [[ -z $unformatted ]] || { echo "gofmt -w $unformatted"; return 1; }
  (cd e2e/cluster && go vet -trimpath ./internal/... ./cmd/cluster)
}

scripts() { shellcheck -x e2e/*.sh e2e/images/build.sh e2e/images/postgres/{rootfs.sh,start-postgres} .ci/run; }

# Each line is in what the chart renders with values that no default sets.
EVERY_VALUE=(
  "image: registry.example/shops/operator@sha256:aaaa" 'IMAGE_REGISTRY, value: "registry.example/shops"'
  'IMAGE_DIGESTS, value: "web=sha256:bbbb' "name: shops-leader" "priorityClassName: system-cluster-critical"
  "topologyKey: kubernetes.io/hostname" "name: NO_COLOR" "example.com/role: operator" "example.com/team: platform"
)

chart() {
  local rendered line
  helm lint --quiet charts/storefront && helm template storefront charts/storefront > /dev/null || return
  rendered=$(helm template storefront charts/storefront --values charts/storefront/ci/every-value.yaml) || return
  for line in "${EVERY_VALUE[@]}"; do
    grep -qF -- "$line" <<< "$rendered" || { echo "with ci/every-value.yaml the chart does not render: $line"; return 1; }
  done
  ! grep -q "^kind: GatewayClass$" <<< "$rendered" || { echo "gatewayClass: null renders a GatewayClass"; return 1; }
  if helm template storefront charts/storefront --set image.tag=sha256:abc > /dev/null 2>&1; then
    echo "a digest is taken for a tag"
    return 1
  fi
  if command -v promtool > /dev/null; then
    (cd charts/storefront/files && promtool check rules rules.yaml && promtool test rules rules_test.yaml)
  fi
}

# Advisories are in a git repository, which is out of reach where nothing but package registries is allowed.
ADVISORY_DB=https://github.com/rustsec/advisory-db
reaches_advisories() { GIT_TERMINAL_PROMPT=0 timeout 15 git ls-remote --exit-code "$ADVISORY_DB" HEAD; }
advisories() {
  if reaches_advisories; then cargo deny --locked check advisories; return; fi
  echo "cannot read $ADVISORY_DB"
  [[ ${ADVISORIES-} != required ]] || return 1
  LOOKED=no
}

failed=0 LOOKED=yes
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
run "advisories" "Take the version that an advisory names, or another crate, then: make check" advisories
if [[ $LOOKED == no ]]; then echo "  advisories: nobody has looked, since $ADVISORY_DB is out of reach; CI does"; fi
((failed == 0))
