#!/bin/sh
# Subscribes the app to the events of the flow-log accounts: infra/events.bicep, which needs a key
# that the app makes when it first runs. Safe to run again at any time.
#
#   azd hooks run postdeploy                    after azd up; azd passes the outputs on
#   infra/hooks/postdeploy.sh DEPLOYMENT        after az deployment sub create --name DEPLOYMENT
#
# NSGFLOW_KEY_WAIT_SECONDS: how long to wait for the key (300).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
wait=${NSGFLOW_KEY_WAIT_SECONDS:-300}
subscription=

fail() {
  printf 'nsgflow: %s\n' "$*" >&2
  exit 1
}

command -v az >/dev/null || fail "the Azure CLI (az) is needed: see docs/deployment.md"

# output NAME: an output of the deployment. Resource Manager may write AZURE_X as azurE_X.
output() {
  first=${1%%_*}
  head=$(printf '%s' "${first%?}" | tr '[:upper:]' '[:lower:]')
  other="$head${first#"${first%?}"}_${1#*_}"
  az deployment sub show --name "$deployment" --output "${2:-tsv}" \
    --query "properties.outputs.$1.value || properties.outputs.$other.value"
}

if [ $# -gt 0 ]; then
  deployment=$1
  AZURE_LOCATION=$(output AZURE_LOCATION)
  AZURE_RESOURCE_GROUP=$(output AZURE_RESOURCE_GROUP)
  AZURE_FUNCTION_APP_NAME=$(output AZURE_FUNCTION_APP_NAME)
  NSGFLOW_DEAD_LETTER_STORAGE_ID=$(output NSGFLOW_DEAD_LETTER_STORAGE_ID)
  NSGFLOW_DEAD_LETTER_CONTAINER=$(output NSGFLOW_DEAD_LETTER_CONTAINER)
  NSGFLOW_EVENT_SOURCES=$(output NSGFLOW_EVENT_SOURCES json)
else
  # azd may be in another subscription than az is.
  subscription=${AZURE_SUBSCRIPTION_ID:-}
fi

for name in AZURE_LOCATION AZURE_RESOURCE_GROUP AZURE_FUNCTION_APP_NAME \
  NSGFLOW_DEAD_LETTER_STORAGE_ID NSGFLOW_DEAD_LETTER_CONTAINER NSGFLOW_EVENT_SOURCES; do
  eval "value=\${$name:-}"
  # shellcheck disable=SC2154 # eval sets it
  [ -n "$value" ] || fail "$name is not set. Run this with azd hooks run postdeploy, or name the" \
    "deployment of infra/main.bicep: infra/hooks/postdeploy.sh DEPLOYMENT"
done

messages=$(mktemp)
parameters=$(mktemp)
trap 'rm -f "$messages" "$parameters"' EXIT

# key: whether the app has the key: yes, no, or nothing when az failed. It is never printed.
key() {
  az functionapp keys list ${subscription:+--subscription "$subscription"} \
    --resource-group "$AZURE_RESOURCE_GROUP" --name "$AZURE_FUNCTION_APP_NAME" --output tsv \
    --query "systemKeys.blobs_extension && 'yes' || 'no'" 2>"$messages" || true
}

waited=0
found=$(key)
while [ "$found" != yes ] && [ "$waited" -lt "$wait" ]; do
  [ "$waited" -gt 0 ] || echo "Waiting for the app's key, up to $wait seconds …"
  sleep 10
  waited=$((waited + 10))
  found=$(key)
done
if [ "$found" != yes ]; then
  [ -n "$found" ] || cat "$messages" >&2
  fail "the app $AZURE_FUNCTION_APP_NAME has no key blobs_extension yet. It makes the key when" \
    "it first runs with the code of nsgflow: deploy the code, look in Application Insights for why" \
    "the app does not start, and run this again."
fi

cat >"$parameters" <<JSON
{
  "\$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#",
  "contentVersion": "1.0.0.0",
  "parameters": {
    "appName": { "value": "$AZURE_FUNCTION_APP_NAME" },
    "resourceGroupName": { "value": "$AZURE_RESOURCE_GROUP" },
    "deadLetterStorageId": { "value": "$NSGFLOW_DEAD_LETTER_STORAGE_ID" },
    "deadLetterContainer": { "value": "$NSGFLOW_DEAD_LETTER_CONTAINER" },
    "sources": { "value": $NSGFLOW_EVENT_SOURCES }
  }
}
JSON

echo "Subscribing $AZURE_FUNCTION_APP_NAME to the events of the flow logs …"
az deployment sub create ${subscription:+--subscription "$subscription"} \
  --name "nsgflow-events-$AZURE_FUNCTION_APP_NAME" \
  --location "$AZURE_LOCATION" --template-file "$here/../events.bicep" \
  --parameters "@$parameters" --output none ||
  fail "the event subscriptions were not made; az says why above. Roles take minutes to work and" \
    "the app must answer Event Grid's handshake, so running this again may be enough. What is" \
    "there already stays as it is."
echo "Done: new flow logs reach $AZURE_FUNCTION_APP_NAME as they are written."
