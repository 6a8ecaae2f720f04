#!/usr/bin/env bash
# vm.sh: a throw-away Debian 12 with systemd and cgroup v2, in which a reboot and a power cut
# are real. For changes to e2e/cluster; needs root, KVM and what `make images` built.
#
#   vm.sh make         packages, a disk with the built binaries and images, this commit
#   vm.sh boot         boots that disk and waits until it can be entered
#   vm.sh run CMD...   runs CMD in it, e.g. vm.sh run e2e/up.sh
#   vm.sh trace        prints what a cluster could leave behind; compare before and after
#   vm.sh cut          ends it as if the power went; the disk stays
#   vm.sh end          the same, and deletes everything
#
# ACCEL=tcg,thread=multi does without KVM, some twenty times slower; MEMORY, PORT and VM (the folder)
# have defaults.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
VM=${VM:-/tmp/storefront-vm}
PORT=${PORT:-2222} # on 127.0.0.1, for ssh
SYSTEM=(
  systemd-sysv dbus libpam-systemd udev linux-image-cloud-amd64 initramfs-tools openssh-server apparmor
  containerd runc containernetworking-plugins nftables conntrack iproute2 util-linux procps jq curl make
)

make_disk() {
  local root=$VM/root gateway_api
  apt-get install -y -q --no-install-recommends qemu-system-x86 mmdebstrap e2fsprogs openssh-client > /dev/null
  end && mkdir -p "$VM"
  ssh-keygen -q -t ed25519 -N '' -f "$VM/key"
  mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${SYSTEM[*]}")" bookworm "$root"
  cp -L "$root/vmlinuz" "$root/initrd.img" "$VM/"
  install -D -m 0600 "$VM/key.pub" "$root/root/.ssh/authorized_keys"
  printf '[Match]\nName=en*\n[Network]\nDHCP=yes\n' > "$root/etc/systemd/network/lan.network"
  ln -s /lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/"
  mkdir -p "$root/root/.cache/storefront/images" "$root/root/storefront"
  cp -a "$BIN" "$root/root/.cache/storefront/"
  cp "$CACHE"/images/{*.tar,index.tsv,release} "$root/root/.cache/storefront/images/"
  sed -i "s|$CACHE|/root/.cache/storefront|" "$root/root/.cache/storefront/images/index.tsv"
  git archive HEAD | tar -x -C "$root/root/storefront"
  # Nothing is built in there, and there is no network: what up.sh would ask for is at hand.
  gateway_api=$(go mod download -json "sigs.k8s.io/gateway-api@$GATEWAY_API_VERSION" | jq -r .Dir)
  mkdir -p "$root/root/gateway-api/config/crd"
  cp -r "$gateway_api/config/crd/standard" "$root/root/gateway-api/config/crd/"
  local script
  for script in packages.sh build-tools.sh services.sh images/build.sh; do
    printf '#!/bin/sh\necho warm\n' > "$root/root/storefront/e2e/$script"
  done
  printf '#!/bin/sh\necho "{\\"Dir\\": \\"/root/gateway-api\\"}"\n' > "$root/usr/local/bin/go"
  chmod +x "$root/usr/local/bin/go"
  mke2fs -q -t ext4 -d "$root" "$VM/disk" 16G
  rm -rf "$root"
}

boot() {
  qemu-system-x86_64 -accel "${ACCEL:-kvm}" -cpu max -smp 2 -m "${MEMORY:-6G}" -display none -daemonize -pidfile "$VM/pid" \
    -kernel "$VM/vmlinuz" -initrd "$VM/initrd.img" -append "root=/dev/vda rw console=ttyS0 quiet" \
    -drive "file=$VM/disk,format=raw,if=virtio" -serial "file:$VM/console" \
    -netdev "user,id=lan,restrict=on,hostfwd=tcp:127.0.0.1:$PORT-:22" -device virtio-net-pci,netdev=lan
  local deadline=$((SECONDS + 300))
  until inside true 2> /dev/null; do
    ((SECONDS < deadline)) || die "it did not come up; see $VM/console"
    sleep 0.5
  done
}

inside() {
  ssh -q -i "$VM/key" -p "$PORT" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=3 \
    root@127.0.0.1 "cd storefront && PATH=/root/.cache/storefront/bin:\$PATH; $*"
}

# shellcheck disable=SC2016 # expanded in there
trace() {
  inside '
    section() { echo "== $1"; shift; "$@" 2>&1 | sort; }
    section processes ps --ppid 2 -p 2 --deselect -o args= | grep -vE "^(ps|sort|sshd|bash|sed|.udev-worker)"
    section mounts findmnt -rno TARGET,FSTYPE
    section interfaces ls /sys/class/net
    section routes ip route
    section namespaces lsns -nt net -o COMMAND
    section namespaces lsns -nt pid -o COMMAND
    section nftables nft list ruleset
    section cgroups find /sys/fs/cgroup -type d -path "*storefront*"
    section apparmor cat /sys/kernel/security/apparmor/profiles
    section files find / -xdev -not -path "/var/log/*.log" -not -path "/var/log/journal/*" -not -path "*/tmp/*"'
}

# A pid may belong to somebody else meanwhile, so its command line must name this disk.
cut() {
  local pid; pid=$(cat "$VM/pid" 2> /dev/null) || return 0
  if grep -qzF "$VM/disk" "/proc/$pid/cmdline" 2> /dev/null; then kill -9 "$pid"; fi
  while [[ -d /proc/$pid ]] && grep -qzF "$VM/disk" "/proc/$pid/cmdline"; do sleep 0.1; done
  rm -f "$VM/pid"
}

end() {
  [[ ! -e $VM || -f $VM/key ]] || die "$VM is not of our making; left alone"
  cut
  rm -rf "$VM"
}

case ${1-} in
  make) make_disk ;;
  boot | trace | cut | end) "$1" ;;
  run) shift; inside "$@" ;;
  *) sed -n '2,/^set/ { /^#/s/^# \{0,1\}//p }' "$0"; exit 2 ;;
esac
