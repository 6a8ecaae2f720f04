#!/usr/bin/env bash
# Installs those Debian packages that are missing, and keeps their daemons from starting: only the programs are needed.
# With --tests also those that only tests and checks need. Checks Go and Rust, which do not come from Debian.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ./lib.sh

PACKAGES=(
  containerd runc containernetworking-plugins nftables conntrack iproute2 util-linux # the node
  buildah mmdebstrap python3-pip                                                     # images
  gcc libc6-dev make musl-tools                                                      # C parts of Rust crates
  redis-server                                                                       # for the image of the cache
  rsync jq curl ca-certificates git
)
if [[ ${1-} == --tests ]]; then PACKAGES+=(postgresql-15 prometheus shellcheck openssl); fi

missing() {
  local package
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == i* ]] || echo "$package"
  done
}

# Debian starts what it installs. policy-rc.d is its switch for that; a PostgreSQL package
# would also make a database cluster.
install_quietly() {
  local guard=/usr/sbin/policy-rc.d clusters=/etc/postgresql-common/createcluster.conf
  if [[ ! -e $guard ]]; then
    printf '#!/bin/sh\nexit 101\n' > "$guard" && chmod +x "$guard"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  if [[ ! -e $clusters ]]; then
    mkdir -p "${clusters%/*}" && echo 'create_main_cluster = false' > "$clusters"
  fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o Dpkg::Options::=--force-confold "$@"
  local unit
  for unit in containerd redis-server postgresql prometheus; do
    if [[ " $* " == *" $unit"* ]] && [[ -d /run/systemd/system ]]; then
      systemctl disable --now "$unit" 2>/dev/null || true
    fi
  done
}

toolchains() {
  command -v go > /dev/null || die "Go 1.26.7 or newer is missing: https://go.dev/doc/install"
  local go; go=$(go env GOVERSION)
  if [[ $(printf '%s\n' go1.26.7 "$go" | sort -V | head -1) != go1.26.7 ]]; then
    die "Go is $go; 1.26.7 or newer is needed: https://go.dev/doc/install"
  fi
  command -v rustup > /dev/null || die "Rust is missing: https://rustup.rs (rust-toolchain.toml then picks the version)"
  cd "$ROOT"
  local channel; channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  if [[ ! -e $(rustup run "$channel" rustc --print sysroot 2>/dev/null)/lib/rustlib/$MUSL ]]; then
    rustup toolchain install "$channel" --profile minimal --component clippy,rustfmt --target "$MUSL"
  fi
}

[[ $(uname -sm) == "Linux x86_64" ]] || die "This needs Linux on x86_64, and this is $(uname -sm)."
((EUID == 0)) || die "This needs root, for packages, namespaces and cgroups: sudo -E make ..."
command -v apt-get > /dev/null || die "This needs a Debian-like system (apt-get). Elsewhere install: ${PACKAGES[*]}"
mapfile -t absent < <(missing)
if ((${#absent[@]})); then
  echo "installing ${absent[*]}"
  install_quietly "${absent[@]}"
fi
toolchains
