#!/usr/bin/env bash
# Writes what is generated: CRDs (for users and for the chart), OpenAPI documents, the list
# of edges between crates. `gen.sh --check` writes to a scratch folder instead and names
# what differs from the committed files.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh

OPENAPI=(auth user product order payment notification)

# generate ROOT: writes every generated file below ROOT.
generate() {
  local out=$1 service built=$CARGO_TARGET_DIR/debug
  mkdir -p "$out"/{crds/generated,charts/storefront/files/crds,e2e}
  # The programs that the tests are built with, which are there already in `make test`.
  cargo test --quiet "${EVERYTHING[@]}" --no-run
  "$built/crdgen" --write "$out/crds/generated"
  cp "$out"/crds/generated/*.yaml "$out/charts/storefront/files/crds/"
  for service in "${OPENAPI[@]}"; do
    mkdir -p "$out/services/$service"
    "$built/$service" openapi > "$out/services/$service/openapi.json"
  done
}

if [[ ${1-} != --check ]]; then
  generate .
  e2e/crate-edges.sh > e2e/crate-edges.txt
  git --no-pager diff --stat -- crds charts services e2e/crate-edges.txt
  exit
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
generate "$fresh"
status=0
while read -r file; do
  diff -u --label "committed $file" --label generated "$file" "$fresh/$file" | head -n 20 || true
  cmp -s "$file" "$fresh/$file" || { echo "differs: $file (make gen writes it)"; status=1; }
done < <(cd "$fresh" && find . -type f -printf '%P\n')
exit "$status"
