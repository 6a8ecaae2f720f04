#!/usr/bin/env bash
# `make e2e`: the users' stories, on a cluster of their own (its name is derived from this
# checkout, so that neither `make up` nor another checkout is disturbed). KEEP=1 leaves the
# cluster for a look afterwards; further arguments go to the test binary.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
claim_target
CLUSTER=test-$(sha256sum <<< "$ROOT" | cut -c1-8)

leave() {
  [[ ${KEEP:-} == 1 ]] || step "cluster $CLUSTER down" "make down CLUSTER=$CLUSTER" cluster down --name "$CLUSTER"
}
trap leave EXIT
e2e/deploy.sh "$CLUSTER" --observability
export STOREFRONT_E2E_STATE=$STATE/$CLUSTER STOREFRONT_KUBECTL=$BIN/kubectl
STOREFRONT_TEAM_IMAGE=$(image reviews)
export STOREFRONT_TEAM_IMAGE

stories() { cargo test "${EVERYTHING[@]}" "${STORIES[@]}" --test stories --no-fail-fast -- "$@"; }

# The operator's own tests run on a fake API server. What that fake claims to do is compared with a real one here; a
# filter that matched nothing would pass.
contract() {
  STOREFRONT_KUBECONFIG=$STATE/$CLUSTER/kubeconfig cargo test "${EVERYTHING[@]}" --test scenarios -- \
    --exact contract::a_real_api_server_keeps_the_contract | tee /dev/stderr | grep '^test result: ok. 1 passed' > /dev/null
}

if (($#)); then
  stories --test-threads=1 "$@"
else
  # A story waits, so two share the cores; a node of two has room for four shops. What waits most, the contract, runs beside them.
  status=0 log=$(log_of contract)
  # A pipe, since a file that is opened anew as /dev/stderr would be emptied.
  { contract 2>&1 | cat > "$log"; } & contract=$!
  stories --test-threads=2 --skip alone:: || status=1
  wait "$contract" || status=1
  cat "$log"
  stories --test-threads=1 alone:: || status=1
  ((status == 0))
fi
