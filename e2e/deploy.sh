#!/usr/bin/env bash
# deploy.sh CLUSTER [--observability]: everything up to a running operator on the named cluster: packages, tools,
# services, images, the cluster itself, Gateway API, mailpit, the chart; with --observability also Prometheus, a
# collector of traces and the image of the example team service, which only the stories and `make observability` need.
# deploy.sh --images: builds all images, and touches no cluster.
#
# Each step does only what is missing, so a second run takes seconds and changes nothing. What comes from Go (the
# cluster with its tools) and what comes from Rust (the services) is built side by side, and the cluster boots meanwhile.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=e2e/lib.sh
. ./lib.sh

TOOLS=(kubernetes cluster coredns helm nats-server mailpit)
SERVERS=(pause coredns postgres nats redis mailpit)
mapfile -t SERVICES < <(release_crates)
OBSERVABILITY=() TEAM=() CLUSTER=
case "$*" in
  --images) OBSERVABILITY=(prometheus otelcol) TEAM=(reviews) ;;
  *' --observability') CLUSTER=$1 OBSERVABILITY=(prometheus otelcol) TEAM=(reviews) ;;
  '' | -* | *' '*) die "usage: deploy.sh CLUSTER [--observability] | deploy.sh --images" ;;
  *) CLUSTER=$1 ;;
esac
AGAIN="Fix that, then run the same command again: finished steps are not repeated."

tools_lane() {
  exec 8>&- # the lock of the services must not be inherited by the cluster's daemons
  step "tools" "$AGAIN" ./build-tools.sh "${TOOLS[@]}" "${OBSERVABILITY[@]}"
  step "images of servers" "$AGAIN" ./images/build.sh "${SERVERS[@]}" "${OBSERVABILITY[@]}" "${TEAM[@]}"
  [[ -n $CLUSTER ]] || return 0
  step "cluster" "$AGAIN  Logs of its components: $STATE/$CLUSTER/logs; start afresh: make down CLUSTER=$CLUSTER" \
    cluster up --name "$CLUSTER"
  grep 'IPv4 only: ' "$(log_of cluster)" || true # what else is in the log is of interest only when the step fails
  step "Gateway API $GATEWAY_API_VERSION" "$AGAIN" gateway_api
}

services_lane() { step "services (release build)" "$AGAIN" ./services.sh; }

main() {
  progress_begin
  announce
  step "packages and toolchains" "$AGAIN" ./packages.sh
  # From compiling until the binaries are in images: another checkout compiles at the same place.
  exec 8> "$CACHE/.services.lock"
  if ! flock --nonblock 8; then step "waited for another checkout's build" "$AGAIN" flock 8; fi
  side_by_side tools_lane services_lane
  step "images of services" "$AGAIN" ./images/build.sh "${SERVICES[@]}"
  exec 8>&-
  [[ -n $CLUSTER ]] || return 0
  step "images into the cluster" "$AGAIN" cluster load-image --name "$CLUSTER"
  step "mailpit" "$AGAIN" mailpit
  if ((${#OBSERVABILITY[@]})); then ./observability.sh "$CLUSTER"; fi
  step "operator (Helm chart)" \
    "See: kubectl --kubeconfig $STATE/$CLUSTER/kubeconfig -n storefront-system describe pods" chart
}

announce() {
  local tools=warm servers=warm services cluster=cold tool
  for tool in "${TOOLS[@]}" "${OBSERVABILITY[@]}"; do [[ -x $BIN/$tool ]] || tools=cold; done
  [[ -s $CACHE/images/index.tsv ]] || servers=cold
  services=$(./services.sh --state)
  if [[ -n $CLUSTER && -f $STATE/$CLUSTER/kubeconfig ]]; then cluster=warm; fi
  plan go "tools" "$tools"
  plan go "images of servers" "$servers"
  plan rust "services (release build)" "$services"
  plan last "images of services" "$services"
  if [[ -n $CLUSTER ]]; then
    plan go "cluster" "$cluster"
    plan last "images into the cluster" "$cluster"
    plan last "operator (Helm chart)" "$cluster"
  fi
}

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

main
