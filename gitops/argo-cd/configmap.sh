#!/usr/bin/env bash
# Prints the patch that puts the scripts of keywright.dev/ into Argo CD's ConfigMap argocd-cm. Needs jq.
#
#   configmap.sh [VOTER]   the username that approvals and denials are given by; default: the ServiceAccount of Argo CD's API
#                          server as it is installed, system:serviceaccount:argocd:argocd-server
set -euo pipefail
voter=${1:-system:serviceaccount:argocd:argocd-server}
if ! [[ $voter =~ ^system:serviceaccount:[a-z0-9.-]+:[a-z0-9.-]+$ ]]; then
  echo "VOTER $voter: must be system:serviceaccount:NAMESPACE:NAME" >&2
  exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/keywright.dev"
for kind in *; do
  jq -n --arg key "resource.customizations.health.keywright.dev_$kind" --rawfile text "$kind/health.lua" '{($key): $text}'
  [ -d "$kind/actions" ] || continue
  # As Argo CD reads them: YAML in a string, of which JSON is a part.
  for action in "$kind"/actions/*/action.lua; do
    jq -n --arg name "$(basename "$(dirname "$action")")" --rawfile text <(sed "s/^local voter = .*/local voter = \"$voter\"/" "$action") \
      '{name: $name, "action.lua": $text}'
  done | jq -s --arg key "resource.customizations.actions.keywright.dev_$kind" --rawfile discovery "$kind/actions/discovery.lua" \
    '{($key): ({"discovery.lua": $discovery, definitions: .} | tostring)}'
done | jq -s '{data: add}'
