#!/usr/bin/env bash
# Checks the boundaries between crates, modules and files that neither the compiler nor clippy enforces.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
complain() { echo "$1"; status=1; }

diff <(e2e/crate-edges.sh) e2e/crate-edges.txt ||
  complain "A dependency between crates was added or removed. If intended: make gen, and say why in the commit."

for domain in services/*/src/domain services/*/src/*/domain operator/plan/src; do
  [[ -d $domain ]] || continue
  if grep -rnE '^\s*(pub )?use (sqlx|axum|tokio|kube::(Client|Api))\b|\b(sqlx|axum|tokio)::' "$domain" --include='*.rs'; then
    complain "$domain must not do input or output."
  fi
done
for api in services/*/src/api services/*/src/*/api; do
  [[ -d $api ]] || continue
  if grep -rnE 'sqlx::query|query(_as|_scalar)?!' "$api" --include='*.rs'; then
    complain "$api must not contain SQL; it belongs in store/."
  fi
done

# Who may call an internal endpoint is tested where it is named: in its service, and in a story through the gateway.
story=e2e/tests/stories/a_shop_from_apply_to_mail.rs
while read -r route; do
  grep -qF "\"${route//\{id\}/ID}\"" "$story" || complain "$route is not in INTERNAL of $story."
  grep -rqE "\"${route//\{id\}/[0-9a-f-]{36\}}\"" services/*/tests/api ||
    complain "$route is not in the AccessTable of its service: .internal(..) in tests/api/."
done < <(grep -rhoE '"/internal/[^"]+"' services/shared/contracts/src | tr -d '"')

e2e/module-cycles.sh || complain "Files depend on each other in a cycle: see e2e/module-cycles/README.md."

# Sizes (see ARCHITECTURE.md).
while read -r lines file; do
  [[ $file == total ]] || ((lines <= 500)) || complain "$file has $lines lines, more than 500: split it."
done < <(git ls-files '*.rs' '*.go' '*.sh' | xargs wc -l)
for main in services/*/src/main.rs operator/src/main.rs; do
  (($(wc -l < "$main") <= 60)) || complain "$main is longer than 60 lines: it should only wire modules together."
done
exit "$status"
