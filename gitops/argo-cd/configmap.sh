#!/usr/bin/env bash
# Prints the patch that puts the scripts of keywright.dev/ into Argo CD's ConfigMap argocd-cm. Needs jq.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/keywright.dev"
for kind in *; do
  jq -n --arg key "resource.customizations.health.keywright.dev_$kind" --rawfile text "$kind/health.lua" '{($key): $text}'
  [ -d "$kind/actions" ] || continue
  # As Argo CD reads them: YAML in a string, of which JSON is a part.
  for action in "$kind"/actions/*/action.lua; do
    jq -n --arg name "$(basename "$(dirname "$action")")" --rawfile text "$action" '{name: $name, "action.lua": $text}'
  done | jq -s --arg key "resource.customizations.actions.keywright.dev_$kind" --rawfile discovery "$kind/actions/discovery.lua" \
    '{($key): ({"discovery.lua": $discovery, definitions: .} | tostring)}'
done | jq -s '{data: add}'
