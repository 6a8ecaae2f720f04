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
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/module-cycles
tool=(--quiet --locked --manifest-path e2e/module-cycles/Cargo.toml)
# Its tests have no other place to run: what is not in the workspace is not in `cargo test --workspace`.
cargo test "${tool[@]}" > /dev/null
cargo build "${tool[@]}"
"$CARGO_TARGET_DIR/debug/module-cycles" "${roots[@]}"
