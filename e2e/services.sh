#!/usr/bin/env bash
# The release build of everything that ships: static binaries for musl.
#
# It compiles a copy at one place, the same for every checkout. Cargo tells by a file's time whether it
# changed, and in a new clone every file is new; in the copy a file gets a new time only when its content
# is another, so a new clone compiles what changed since the last one and not everything.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
COPY=$CACHE/source
mkdir -p "$COPY"
rsync --recursive --links --perms --checksum --delete --exclude /.git --exclude /target ./ "$COPY/"
cd "$COPY"
cargo build --release --locked --target "$MUSL" --bins -p operator -p gateway \
  -p auth -p user -p product -p order -p payment -p notification -p web
