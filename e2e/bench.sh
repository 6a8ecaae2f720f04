#!/usr/bin/env bash
# `make bench`: measures on the cluster that `make up` booted; see the README's numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
CLUSTER=${CLUSTER:-dev}
[[ -f $STATE/$CLUSTER/kubeconfig ]] || die "No cluster $CLUSTER: make up"
export STOREFRONT_E2E_STATE=$STATE/$CLUSTER STOREFRONT_KUBECTL=$BIN/kubectl
cargo run --release --locked -p e2e --bin bench -- "$@"
