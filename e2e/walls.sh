#!/usr/bin/env bash
# The walls between the rooms that neither the compiler nor clippy holds up.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
complain() { echo "$1"; status=1; }

diff <(e2e/rooms.sh) e2e/rooms.txt ||
  complain "An edge between crates is new or gone. Meant so: make gen, and say why in the commit."

for domain in services/*/src/domain operator/plan/src; do
  [[ -d $domain ]] || continue
  if grep -rnE '^\s*(pub )?use (sqlx|axum|tokio|kube::(Client|Api))\b|\b(sqlx|axum|tokio)::' "$domain" --include='*.rs'; then
    complain "$domain decides; it does no input and output."
  fi
done
for api in services/*/src/api; do
  [[ -d $api ]] || continue
  if grep -rnE 'sqlx::query|query(_as|_scalar)?!' "$api" --include='*.rs'; then
    complain "$api speaks HTTP; SQL lives in store/."
  fi
done

# Sizes that a reader can hold in the head (see ARCHITECTURE.md).
while read -r lines file; do
  [[ $file == total ]] || ((lines <= 500)) || complain "$file has $lines lines, more than 500: split it."
done < <(git ls-files '*.rs' '*.go' '*.sh' | xargs wc -l)
for main in services/*/src/main.rs operator/src/main.rs; do
  (($(wc -l < "$main") <= 60)) || complain "$main is longer than 60 lines: main wires, it does not do."
done
exit "$status"
