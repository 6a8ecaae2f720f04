#!/usr/bin/env bash
# Prints the dependencies between the crates of the workspace; `make check` compares them with e2e/crate-edges.txt.
set -euo pipefail
cargo metadata --no-deps --format-version 1 --locked |
    jq -r '.packages[] | .name as $crate | .dependencies[]
           | select(.path and .kind == null) | "\($crate) -> \(.name)"' | LC_ALL=C sort
