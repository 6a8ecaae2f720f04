#!/usr/bin/env bash
# `make image-sizes`: what each image weighs, unpacked layers and archive alike (the layers
# are not compressed).
set -euo pipefail
# shellcheck source=e2e/lib.sh
. "$(dirname "$0")/lib.sh"
[[ -f $CACHE/images/index.tsv ]] || die "No images yet: make images"
while IFS=$'\t' read -r name reference archive; do
  printf '%8.1f MB  %-14s %s\n' "$(awk -v b="$(stat -c %s "$archive")" 'BEGIN { print b / 1e6 }')" "$name" "$reference"
done < "$CACHE/images/index.tsv" | sort -rn
