#!/usr/bin/env bash
# `make seed`: puts the catalogue of services/product/seed into the demo shop, through the
# gateway, as its administrator. Again: the same products, updated by their SKU.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=e2e/lib.sh
. e2e/lib.sh
CLUSTER=${CLUSTER:-dev} NAMESPACE=${NAMESPACE:-shops} SHOP=${SHOP:-demo}
FILE=${FILE:-services/product/seed/products.csv}

secret() { kube -n "$NAMESPACE" get secret "$SHOP-admin" -o jsonpath="{.data.$1}" | base64 -d; }

URL=$(cluster url --name "$CLUSTER" --namespace "$NAMESPACE" --gateway "$SHOP")
# The password travels by a pipe: a command line can be read by everybody on the machine.
TOKEN=$(jq -n --arg email "$(secret email)" --rawfile password <(secret password) '{$email, $password}' |
  curl -fsS -H 'content-type: application/json' --data-binary @- "${URL}v1/users/login" | jq -r .access_token)
curl -sS --fail-with-body -H @<(echo "authorization: Bearer $TOKEN") -H 'content-type: text/csv' \
  --data-binary "@$FILE" "${URL}v1/products/import"
echo
