#!/usr/bin/env bash
# Writes what is generated: CRDs (for users and for the chart), OpenAPI documents, the list of services for scripts,
# the dependencies between crates, diagrams. `gen.sh --check` writes to a scratch folder instead and names what differs
# from the committed files. `gen.sh crds product ...` builds and writes only these: the CRDs, the document of a service.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh

# generate ROOT: writes every generated file below ROOT.
generate() {
  local out=$1 service built=$CARGO_TARGET_DIR/debug
  mkdir -p "$out"/{crds/generated,charts/storefront/files/crds,e2e}
  # The programs that the tests are built with, which are there already in `make test`.
  cargo test --quiet "${EVERYTHING[@]}" --no-run
  "$built/crdgen" --write "$out/crds/generated"
  cp "$out"/crds/generated/*.yaml "$out/charts/storefront/files/crds/"
  "$built/service-catalogue" > "$out/e2e/services.tsv"
  while IFS=$'\t' read -r service _ document; do
    [[ $document != - ]] || continue
    mkdir -p "$out/${document%/*}"
    "$built/$service" openapi > "$out/$document"
  done < "$out/e2e/services.tsv"
}

# A picture depends on the fonts of the machine that rendered it, so what is compared is the source that it was rendered
# from: its hash is the first line of the SVG.
diagrams() {
  local source picture hash stale=0
  for source in docs/diagrams/*.dot; do
    picture=${source%.dot}.svg
    hash="<!-- rendered from sha256 $(sha256sum < "$source" | cut -c1-64) -->"
    [[ $(head -n 1 "$picture" 2> /dev/null) != "$hash" ]] || continue
    stale=1
    if [[ ${1-} == --check ]]; then echo "differs: $picture (make gen writes it)"; continue; fi
    command -v dot > /dev/null || die "$picture needs graphviz: apt-get install graphviz"
    { echo "$hash"; dot -Tsvg "$source" | sed '/^<?xml/d; /^<!DOCTYPE/,/>$/d'; } > "$picture"
  done
  [[ ${1-} != --check ]] || ((stale == 0))
}

# only NAME...: what one crate generates, without building the others.
only() {
  local name document
  for name; do
    if [[ $name == crds ]]; then
      cargo run --quiet --locked -p crds --bin crdgen -- --write crds/generated
      cp crds/generated/*.yaml charts/storefront/files/crds/
      continue
    fi
    document=$(awk -F '\t' -v name="$name" '$1 == name && $3 != "-" { print $3 }' e2e/services.tsv)
    [[ $document ]] || die "gen.sh $name: say crds, or a service with an OpenAPI document ($(awk -F '\t' '$3 != "-" { print $1 }' e2e/services.tsv | xargs))"
    cargo run --quiet --locked -p "$name" -- openapi > "$document.new"
    mv "$document.new" "$document"
  done
}

if (($#)) && [[ $1 != --check ]]; then
  only "$@"
  git --no-pager diff --stat -- crds charts services
  exit
fi
if [[ ${1-} != --check ]]; then
  generate .
  e2e/crate-edges.sh > e2e/crate-edges.txt
  diagrams
  git --no-pager diff --stat -- crds charts services e2e docs
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
diagrams --check || status=1
exit "$status"
