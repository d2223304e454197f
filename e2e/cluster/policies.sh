#!/usr/bin/env bash
# Enforces NetworkPolicies in both nodes, which the `bridge` plugin does not: looks every two seconds and loads what changed.
# Traffic between pods of one node passes the same hook; a kubelet's probes do not. For tests: a pod that is new is open for
# as long as this takes to see it.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
last=
while sleep 2; do
  rules=$(kubectl get pods,namespaces,networkpolicies -A -o json | jq -r -f "$here/policies.jq") || continue
  for node in "${nodes[@]}"; do
    # A node that was without power has forgotten.
    ! alive "node-$node" || in_node "$node" nft list table ip policies >/dev/null 2>&1 || last=
  done
  [ "$rules" != "$last" ] || continue
  for node in "${nodes[@]}"; do
    ! alive "node-$node" || in_node "$node" nft -f - <<<"$rules" || continue 2
  done
  last=$rules
done
