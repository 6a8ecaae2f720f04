#!/usr/bin/env bash
# `make up`: from nothing to a shop that answers on 127.0.0.1.
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

# The parts' conditions of the object as it was applied, not of an older generation; of what
# is True already, its name is enough. Ready repeats what its parts say, until it is True.
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
      [[ -z $line ]] || printf '  %5.1f s  %s\n' "$(since "$began")" "$line"
    done < <(comm -13 <(echo "$seen") <(echo "$now"))
    if grep -qx Ready <<< "$now"; then return 0; fi
    if ((SECONDS >= deadline)); then what_is_wrong; return 1; fi
    seen=$now
    sleep 0.5
  done
}

what_is_wrong() {
  echo "not Ready within $PATIENCE_SECS s; pods that do not run:"
  kube -n shops get pods | awk 'NR == 1 || !/Running|Completed/'
  echo "last warnings:"
  kube -n shops get events --field-selector type=Warning --sort-by=.lastTimestamp | tail -n 8
}

# The shop is Ready when it says so; the port on 127.0.0.1 follows within a moment.
url() {
  local deadline=$((SECONDS + 30))
  until cluster url --name "$CLUSTER" 2>/dev/null; do
    ((SECONDS < deadline)) || { cluster url --name "$CLUSTER"; return 1; }
    sleep 0.2
  done
}

began=$EPOCHREALTIME
./deploy.sh "$CLUSTER"
HINT="Look: kubectl --kubeconfig $STATE/$CLUSTER/kubeconfig -n shops get storefronts,pods,events; then make up again."
step "shop (namespace shops, Storefront demo)" "$HINT" shop
live "shop Ready" "$HINT" ready
step "URL" "$HINT" url
URL=$(url)
cat <<TEXT

  Up after $(since "$began") s.

  Shop         $URL
  Kubeconfig   $STATE/$CLUSTER/kubeconfig

  Next:
    export KUBECONFIG=\$(make -s kubeconfig) PATH=$BIN:\$PATH; kubectl get storefronts,servicedeployments,databasebindings -A
    curl -s -H 'content-type: application/json' -d '{"username":"ada","email":"ada@example.org","password":"a long passphrase"}' ${URL}v1/users/register
    curl -s http://$(kube -n mail get service mailpit -o jsonpath='{.spec.clusterIP}'):8025/api/v1/messages    # the mail that arrived
    curl -s 'http://$(kube -n monitoring get service prometheus -o jsonpath='{.spec.clusterIP}'):9090/api/v1/query?query=shop_operator_storefront_ready'    # what Prometheus says
    kubectl -n shops patch storefront demo --type merge -p '{"spec":{"observability":{"tracing":{"otlpEndpoint":"http://collector.tracing:4318"}}}}'; kubectl -n tracing logs -f deployment/collector    # its traces
TEXT
