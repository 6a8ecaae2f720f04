#!/usr/bin/env bash
# `make observability`: Prometheus, with the scrape job and the rules that the chart ships, and a collector of traces,
# on a running cluster. Neither is needed to use a shop, so `make up` builds and starts neither.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ./lib.sh
CLUSTER=${1:-${CLUSTER:-dev}}
[[ -f $STATE/$CLUSTER/kubeconfig ]] || die "There is no cluster $CLUSTER: make up"
AGAIN="Fix that, then: make observability"

collector() { sed "s|@OTELCOL_IMAGE@|$(image otelcol)|" manifests/otelcol.yaml | apply -; }

# The chart's files, unchanged.
prometheus() {
  local files=("$ROOT"/charts/storefront/files/{prometheus-scrape,rules}.yaml) hash
  hash=$(cat "${files[@]}" | sha256sum | cut -c1-12) &&
    sed "s|@PROMETHEUS_IMAGE@|$(image prometheus)|; s|@FILES_HASH@|$hash|" manifests/prometheus.yaml | apply - &&
    kube create configmap storefront-files --namespace monitoring --dry-run=client -o yaml \
      --from-file "${files[0]}" --from-file "${files[1]}" | apply -
}

address() { kube -n "$1" get service "$2" -o jsonpath='{.spec.clusterIP}'; }

if [[ -z ${PROGRESS:-} ]]; then
  progress_begin
  class=warm
  [[ -x $BIN/prometheus && -x $BIN/otelcol ]] || class=cold
  plan first "tools (Prometheus, OpenTelemetry collector)" "$class"
  step "tools (Prometheus, OpenTelemetry collector)" "$AGAIN" ./build-tools.sh prometheus otelcol
  step "images" "$AGAIN" ./images/build.sh prometheus otelcol
  step "images into the cluster" "$AGAIN" cluster load-image --name "$CLUSTER"
  standalone=yes
fi
step "Prometheus" "$AGAIN" prometheus
step "OpenTelemetry collector" "$AGAIN" collector
[[ -n ${standalone:-} ]] || exit 0
step "Prometheus and collector started" "$AGAIN" \
  kube wait --for=condition=Available --timeout=120s -n monitoring deployment/prometheus
cat <<TEXT

  Prometheus   http://$(address monitoring prometheus):9090/
  Traces       kubectl -n shops patch storefront demo --type merge -p '{"spec":{"observability":{"tracing":{"otlpEndpoint":"http://collector.tracing:4318"}}}}'
               kubectl -n tracing logs -f deployment/collector
TEXT
