#!/usr/bin/env bash
# Checks every SQL statement of the services against a real PostgreSQL with their migrations, and
# writes what the compiler needs to know about each into .sqlx, so that a build needs no database.
# `sqlx.sh --check` lints everything on the way, because a macro that is expanded once serves both,
# and fails when the committed files are not what the statements give.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh

mapfile -t SERVICES < <(awk -F '\t' '$2 != "-" { print $1 }' e2e/services.tsv)
SERVER=/usr/lib/postgresql/15/bin
WORK=$(mktemp -d /tmp/storefront-sqlx.XXXXXX)

stop() {
  as_postgres "$SERVER/pg_ctl" --pgdata "$WORK/data" --mode immediate stop > /dev/null 2>&1 || true
  rm -rf "$WORK"
}
trap stop EXIT

# PostgreSQL refuses to run as root.
as_postgres() {
  if ((EUID == 0)); then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}

start() {
  if ((EUID == 0)); then chown postgres: "$WORK"; fi
  as_postgres "$SERVER/initdb" --pgdata "$WORK/data" --auth trust --username postgres --encoding UTF8 --locale C.UTF-8 > /dev/null
  as_postgres "$SERVER/pg_ctl" --pgdata "$WORK/data" --log "$WORK/log" --wait start > /dev/null \
    --options "-c listen_addresses= -c unix_socket_directories=$WORK -c fsync=off"
}

psql() { command psql --host "$WORK" --username postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"; }

migrate() {
  local service schema file
  psql --command 'create database queries'
  while IFS=$'\t' read -r service schema _; do
    [[ $schema != - ]] || continue
    psql --dbname queries --command "create schema $schema"
    # As outbox::migrate does: the outbox's own migrations come first, for the schema at hand.
    for file in services/shared/outbox/migrations/*.sql; do
      sed "s/{schema}/$schema/g; s/{name}/$schema/g" "$file" | psql --dbname queries
    done
    for file in migrations/"$service"/*.sql; do psql --dbname queries --file "$file"; done
  done < e2e/services.tsv
}

describe() {
  mkdir -p "$WORK/sqlx"
  if ((EUID == 0)); then chown "$(id -u)" "$WORK/sqlx"; fi
  # A macro that is not expanded describes nothing, so the crates are compiled anew. Their files then get their time
  # back: otherwise the next build of the tests would compile them, and all that depends on them, once more.
  local service status=0
  for service in "${SERVICES[@]}"; do
    touch --reference="services/$service/src/lib.rs" "$WORK/$service.time"
    touch "services/$service/src/lib.rs"
  done
  SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$WORK/sqlx \
    DATABASE_URL="postgres://postgres@localhost/queries?host=$WORK" "$@" || status=$?
  for service in "${SERVICES[@]}"; do touch --reference="$WORK/$service.time" "services/$service/src/lib.rs"; done
  return "$status"
}

start
migrate
if [[ ${1-} == --check ]]; then
  describe cargo clippy "${EVERYTHING[@]}" "${STORIES[@]}" --all-targets -- -D warnings
  diff -rq .sqlx "$WORK/sqlx" || { echo "the committed .sqlx is not what the statements give (make sqlx writes it)"; exit 1; }
  exit 0
fi
describe cargo check --quiet "${EVERYTHING[@]}"
rm -rf .sqlx && mkdir .sqlx && cp "$WORK"/sqlx/*.json .sqlx/
echo "$(find .sqlx -name '*.json' | wc -l) statements described"
