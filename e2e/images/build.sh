#!/usr/bin/env bash
# Builds the images that changed, without a container daemon (buildah), as archives in the
# cache. An image's reference ends in a hash of all that goes into it: what did not change
# is neither built nor loaded again. With arguments: only the named images.
#
#   index.tsv  name <TAB> reference <TAB> archive, one line an image
#   release    the tag under which the images of this state are known together that the operator starts
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ../lib.sh

OUT=$CACHE/images
REGISTRY=localhost/storefront
mapfile -t RUST < <(release_crates)
ALL=(pause coredns postgres nats redis mailpit prometheus otelcol "${RUST[@]}" reviews)
# What the operator starts, all under one tag.
RELEASED=(postgres nats redis "${RUST[@]}")
BINARIES=${CARGO_TARGET_DIR:-$CACHE/target}/x86_64-unknown-linux-musl/release

# context NAME DIR: puts what the Containerfile copies into DIR.
context() {
  local name=$1 dir=$2
  case $name in
    pause) musl-gcc -static -Os -s -o "$dir/pause" pause/pause.c ;;
    coredns | mailpit | prometheus | otelcol) ln "$BIN/$name" "$dir/$name" 2>/dev/null || cp "$BIN/$name" "$dir/$name" ;;
    nats) cp "$BIN/nats-server" "$dir/nats-server" ;;
    postgres) postgres/rootfs.sh "$dir/rootfs" ;;
    reviews) (cd ../team-service && go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$dir/reviews" .) ;;
    redis) libraries_of "$(command -v redis-server)" "$dir/rootfs" ;;
    *) cp "$BINARIES/$name" "$dir/$name" ;;
  esac
}

# inputs NAME: prints what the image depends on; its hash names the image.
inputs() {
  case $1 in
    pause) cat pause/* ;;
    coredns | mailpit | prometheus | otelcol) cat "$1/Containerfile" "$BIN/.$1.key" ;;
    nats) cat nats/Containerfile "$BIN/.nats-server.key" ;;
    postgres) cat postgres/*; debian_version postgresql-15 ;;
    reviews) cat ../team-service/*; go version ;;
    redis) cat redis/Containerfile; sha256sum < "$(command -v redis-server)" ;;
    *) cat services/Containerfile; sha256sum < "$BINARIES/$1" ;;
  esac
}

# A security update of the package is a new image.
debian_version() { apt-cache policy "$1" | awk '/Candidate:/ { print $2 }'; }

# libraries_of PROGRAM ROOT: the program and the libraries that it loads, at their places.
libraries_of() {
  local file
  install -D -m 0755 "$1" "$2/usr/bin/$(basename "$1")"
  ldd "$1" | grep -o '/[^ ]*' | while read -r file; do
    mkdir -p "$2$(dirname "$file")"
    cp -L "$file" "$2$file"
  done
  install -d -m 1777 "$2/tmp"
}

containerfile() {
  case $1 in
    pause | coredns | postgres | nats | redis | mailpit | prometheus | otelcol) echo "$1/Containerfile" ;;
    reviews) echo "../team-service/Containerfile" ;;
    *) echo "services/Containerfile" ;;
  esac
}

# Its own configuration: otherwise it makes /etc/cni, although nothing here needs a network.
buildah() { CONTAINERS_CONF=$OUT/.containers.conf command buildah --root "$OUT/.storage" --runroot "$OUT/.storage-run" --storage-driver vfs "$@"; }

# build NAME REFERENCE ARCHIVE
build() {
  local name=$1 reference=$2 archive=$3 dir
  dir=$(mktemp -d "$OUT/.context.XXXXXX")
  context "$name" "$dir" > "$dir.log" 2>&1 || { tail -n 30 "$dir.log" >&2; rm -rf "$dir" "$dir.log"; return 1; }
  local target=()
  if [[ $(containerfile "$name") == services/* ]]; then target=(--target "$name"); fi
  # --timestamp: the same inputs give the same image, whenever it is built.
  buildah bud --isolation chroot --layers=false --timestamp 0 --quiet "${target[@]}" \
    --file "$(containerfile "$name")" --tag "$reference" "$dir" > /dev/null
  rm -f "$archive.next"
  buildah push --quiet "$reference" "docker-archive:$archive.next:$reference"
  buildah rmi "$reference" > /dev/null
  mv "$archive.next" "$archive"
  rm -rf "$dir" "$dir.log"
}

main() {
  local name hash reference archive began line lines="" released="" wanted=("$@")
  mkdir -p "$OUT"
  exec 9> "$OUT/.lock" && flock 9 # `make up` and `make test` may run at the same time
  rm -rf "$OUT"/.context.*
  printf '[network]\nnetwork_config_dir = "%s"\n' "$OUT/.cni" > "$OUT/.containers.conf"
  [[ ${#wanted[@]} -gt 0 ]] || wanted=("${ALL[@]}")
  for name in "${ALL[@]}"; do
    if [[ " ${wanted[*]} " != *" $name "* ]]; then
      line=$(grep -P "^$name\t" "$OUT/index.tsv" 2>/dev/null || true)
      [[ -z $line ]] || add "$line"
      continue
    fi
    hash=$(inputs "$name" | sha256sum | cut -c1-12)
    reference=$REGISTRY/$name:$hash archive=$OUT/$name-$hash.tar
    if [[ ! -f $archive ]]; then
      began=$EPOCHREALTIME
      build "$name" "$reference" "$archive"
      printf '    built %-20s %6.1f s  %5.1f MB\n' "$name" "$(since "$began")" "$(megabytes "$archive")"
      find "$OUT" -maxdepth 1 -name "$name-????????????.tar" ! -path "$archive" -delete
    fi
    add "$name"$'\t'"$reference"$'\t'"$archive"
  done
  replace "$OUT/index.tsv" "$lines"
  replace "$OUT/release" "$(printf %s "$released" | sha256sum | cut -c1-12)"$'\n'
}

# add LINE: to the index, which main holds.
add() {
  lines+=$1$'\n'
  if [[ " ${RELEASED[*]} " == *" ${1%%$'\t'*} "* ]]; then released+=$(cut -f2 <<< "$1")$'\n'; fi
}

megabytes() { awk -v b="$(stat -c %s "$1")" 'BEGIN { print b / 1e6 }'; }

# replace FILE CONTENT: leaves an unchanged file untouched.
replace() {
  [[ -f $1 && $(cat "$1"; echo x) == "$2x" ]] && return 0
  printf %s "$2" > "$1.next" && mv "$1.next" "$1"
}

main "$@"
