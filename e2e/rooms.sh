#!/usr/bin/env bash
# Prints who depends on whom inside the workspace; `make check` compares it with e2e/rooms.txt.
set -euo pipefail
cargo metadata --no-deps --format-version 1 --locked |
    jq -r '.packages[] | .name as $room | .dependencies[]
           | select(.path and .kind == null) | "\($room) -> \(.name)"' | LC_ALL=C sort
