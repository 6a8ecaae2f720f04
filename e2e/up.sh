#!/usr/bin/env bash
# `make up`: from nothing to a shop with a catalogue that answers on 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ./lib.sh
CLUSTER=${CLUSTER:-dev}
EXAMPLE=$ROOT/crds/examples/good/storefront.yaml
PATIENCE_SECS=${PATIENCE_SECS:-300}

shop() {
  apply manifests/shops.yaml && apply "$EXAMPLE"
}

demo() { kube -n shops get -f "$EXAMPLE" -o json; }

# The conditions of the object as it was applied, not of an older generation. Of those that are True, the type is
# enough. Ready repeats what the others report, until it is True.
conditions() {
  jq -r '.metadata.generation as $now | (.status.conditions // [])[]
    | select((.observedGeneration // $now) == $now)
    | select(.status == "True" or (.type | IN("Ready", "Reconciling", "Stalled") | not))
    | select(.type != "Reconciling")
    | if .status == "True" and .type != "Stalled" then "\(.type)" else "\(.type): \(.message)"[:150] end'
}

# Prints each condition when it changes, until Ready is True.
ready() {
  local began=$EPOCHREALTIME deadline=$((SECONDS + PATIENCE_SECS)) seen="" now line
  while :; do
    now=$(demo | conditions | sort) || return
    while read -r line; do
      [[ -z $line ]] || printf '%5.1f s  %s\n' "$(since "$began")" "$line"
    done < <(comm -13 <(echo "$seen") <(echo "$now"))
    if grep -qx Ready <<< "$now"; then return 0; fi
    if ((SECONDS >= deadline)); then report_failure; return 1; fi
    seen=$now
    sleep 0.5
  done
}

report_failure() {
  echo "not Ready within $PATIENCE_SECS s; pods that do not run:"
  kube -n shops get pods | awk 'NR == 1 || !/Running|Completed/'
  echo "last warnings:"
  kube -n shops get events --field-selector type=Warning --sort-by=.lastTimestamp | tail -n 8
}

# The port on 127.0.0.1 opens within a moment after the shop is Ready.
url() {
  local deadline=$((SECONDS + 30))
  until cluster url --name "$CLUSTER" 2>/dev/null; do
    ((SECONDS < deadline)) || { cluster url --name "$CLUSTER"; return 1; }
    sleep 0.2
  done
}

answers() { curl -fsS --retry 20 --retry-delay 1 --retry-all-errors -o /dev/null "$(url)"; }

# Only an empty catalogue is filled: whoever changed the demo's products keeps them.
catalogue() {
  local there
  there=$(curl -fsS "$(url)v1/products?limit=1" | jq '.items | length') || return
  if ((there > 0)); then echo "the shop has products already"; return 0; fi
  ./seed.sh
}

began=$EPOCHREALTIME
progress_begin
class=cold
[[ ! -f $STATE/$CLUSTER/kubeconfig ]] || class=warm
plan last "shop Ready" "$class"
plan last "catalogue" "$class"
./deploy.sh "$CLUSTER"
HINT="See: kubectl --kubeconfig $STATE/$CLUSTER/kubeconfig -n shops get storefronts,pods,events; then make up again."
step "Storefront demo (namespace shops)" "$HINT" shop
step "shop Ready" "$HINT" ready
step "shop answers" "$HINT" answers
step "catalogue" "$HINT" catalogue
progress_end
URL=$(url)
PORT=${URL##*:}
cat <<TEXT

  The shop is up after $(duration "$(since "$began")").

  Shop         $URL   http://localhost:$PORT   http://demo.localhost:$PORT
  Mail         http://$(kube -n mail get service mailpit -o jsonpath='{.spec.clusterIP}'):8025/   every mail that the shop sends
  Kubeconfig   $STATE/$CLUSTER/kubeconfig

  Next:
    export KUBECONFIG=\$(make -s kubeconfig) PATH=$BIN:\$PATH; kubectl get storefronts,servicedeployments,databasebindings -A
    curl -s -H 'content-type: application/json' -d '{"username":"ada","email":"ada@example.org","password":"a long passphrase"}' ${URL}v1/users/register
    make observability    # Prometheus and a collector of traces: a few minutes more, and not needed to use the shop
TEXT
