#!/usr/bin/env bash
# module-cycles.sh [CRATE...]: prints the cycles between the source files of each crate (all of the workspace
# without arguments), and fails when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh

mapfile -t roots < <(cargo metadata --no-deps --format-version 1 --locked |
  jq -r --arg here "$PWD/" '.packages[] | .name as $crate
    | select($ARGS.positional | length == 0 or index($crate))
    | .targets[] | select(.kind | any(. == "lib" or . == "bin")) | .src_path | ltrimstr($here)' --args "$@")
((${#roots[@]})) || die "No such crate: $*"
cargo build --quiet --locked -p module-cycles
"$CARGO_TARGET_DIR/debug/module-cycles" "${roots[@]}"
