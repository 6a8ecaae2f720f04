#!/usr/bin/env bash
# The release build of everything that ships: static binaries for musl.
#
# It compiles a copy at one place, the same for every checkout. Cargo tells by a file's time whether it
# changed, and in a new clone every file is new; in the copy a file gets a new time only when its content
# is another, so a new clone compiles what changed since the last one and not everything.
#
# `services.sh --state` builds nothing, and prints cold (never built), changed or warm (built from these sources).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
COPY=$CACHE/source
mapfile -t crates < <(release_crates)
copy() { rsync --recursive --links --perms --checksum --delete --exclude /.git --exclude /target "$@" ./ "$COPY/"; }
if [[ ${1-} == --state ]]; then
  if [[ ! -x $CARGO_TARGET_DIR/$MUSL/release/${crates[-1]} || ! -d $COPY ]]; then
    echo cold
  elif copy --dry-run --itemize-changes | grep -q '^[<>*c]'; then
    echo changed
  else
    echo warm
  fi
  exit
fi
mkdir -p "$COPY"
copy
cd "$COPY"
cargo build --release --locked --target "$MUSL" --bins "${crates[@]/#/--package=}"
