#!/usr/bin/env bash
# deploy.sh CLUSTER: everything up to a running operator on the named cluster: packages,
# tools, services, images, the cluster itself, Gateway API, mailpit, Prometheus, a collector of traces, the chart. Each step
# does only what is missing, so a second run takes seconds and changes nothing.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ./lib.sh
CLUSTER=${1:?usage: deploy.sh CLUSTER}

# Skipped when that version is there: the API server rewrites an admission policy at every
# apply, and a second run is to change nothing.
gateway_api() {
  local module there
  there=$(kube get crd --ignore-not-found gateways.gateway.networking.k8s.io httproutes.gateway.networking.k8s.io \
    -o jsonpath='{.items[*].metadata.annotations.gateway\.networking\.k8s\.io/bundle-version}') || return
  if [[ $there == "$GATEWAY_API_VERSION $GATEWAY_API_VERSION" ]]; then return 0; fi
  module=$(go mod download -json "sigs.k8s.io/gateway-api@$GATEWAY_API_VERSION" | jq -r .Dir) &&
    apply "$module/config/crd/standard" &&
    kube wait --for=condition=Established --timeout=60s \
      crd/{gatewayclasses,gateways,httproutes,referencegrants}.gateway.networking.k8s.io
}

mailpit() { sed "s|@MAILPIT_IMAGE@|$(image mailpit)|" manifests/mailpit.yaml | apply -; }

collector() { sed "s|@OTELCOL_IMAGE@|$(image otelcol)|" manifests/otelcol.yaml | apply -; }

# What the chart ships goes in as files, word for word.
prometheus() {
  local files=("$ROOT"/charts/storefront/files/{prometheus-scrape,rules}.yaml) hash
  hash=$(cat "${files[@]}" | sha256sum | cut -c1-12) &&
    sed "s|@PROMETHEUS_IMAGE@|$(image prometheus)|; s|@FILES_HASH@|$hash|" manifests/prometheus.yaml | apply - &&
    kube create configmap storefront-files --namespace monitoring --dry-run=client -o yaml \
      --from-file "${files[0]}" --from-file "${files[1]}" | apply -
}

# A Helm upgrade writes a new revision even when nothing changed, so it is asked for only
# when the chart, the images or the release in the cluster are not what they were.
chart() {
  local tag key record=$STATE/$CLUSTER/chart.key
  tag=$(cat "$CACHE/images/release") || return
  key=$(find "$ROOT/charts/storefront" -type f -print0 | sort -z | xargs -0 sha256sum | cat - <(echo "$tag") | sha256sum) || return
  if [[ $(cat "$record" 2>/dev/null) == "$key" ]] && operator_runs; then return 0; fi
  helm --kubeconfig "$STATE/$CLUSTER/kubeconfig" upgrade --install storefront "$ROOT/charts/storefront" \
    --namespace storefront-system --create-namespace --wait --timeout 3m \
    --set image.registry=localhost/storefront --set-string image.tag="$tag" || { operator_log; return 1; }
  echo "$key" > "$record"
}

operator_runs() {
  kube -n storefront-system get secret -l owner=helm,name=storefront,status=deployed -o name | grep -q . &&
    kube -n storefront-system wait --for=condition=Available --timeout=60s deployment --all
}

operator_log() {
  kube -n storefront-system get pods
  kube -n storefront-system logs --tail=10 --all-containers -l app.kubernetes.io/part-of=storefront || true
  kube -n storefront-system get events --sort-by=.lastTimestamp | tail -n 5
}

AGAIN="Put that right, then run the same command again: what is done stays done."
./images.sh
live "cluster $CLUSTER" "$AGAIN  Logs of the parts: $STATE/$CLUSTER/logs; start afresh: make down CLUSTER=$CLUSTER" \
  cluster up --name "$CLUSTER"
live "images into the cluster" "$AGAIN" cluster load-image --name "$CLUSTER"
step "Gateway API $GATEWAY_API_VERSION" "$AGAIN" gateway_api
step "mailpit" "$AGAIN" mailpit
step "Prometheus" "$AGAIN" prometheus
step "OpenTelemetry collector" "$AGAIN" collector
step "operator (Helm chart)" "Look: kubectl --kubeconfig $STATE/$CLUSTER/kubeconfig -n storefront-system describe pods" chart
