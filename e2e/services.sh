#!/usr/bin/env bash
# The release build of everything that ships: static binaries for musl.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
cargo build --release --locked --target "$MUSL" --bins -p operator -p gateway \
  -p auth -p user -p product -p order -p payment -p notification -p web
