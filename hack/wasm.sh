#!/usr/bin/env bash
# Policies of bundles: builds and tests what everyday builds leave out, the engine in WebAssembly, and compares the table
# of policies and inputs with what OPA itself says, where Go is at hand. The first time takes minutes: the runtime and its
# compiler are built.
#
#   hack/wasm.sh            tests; the table's bundles and OPA's answers must be those that are checked in
#   hack/wasm.sh update     writes these anew, then tests
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. hack/common.sh
what=${1:-}
case $what in '' | update) ;; *) echo "usage: hack/wasm.sh [update]" >&2; exit 2 ;; esac
table=policy/tests/data/table

opa() {
  local go folder file verdict=0
  go=$(go_command policy/opa-table/go.mod)
  if [ -z "$go" ]; then
    echo "opa: SKIPPED, there is no Go of the version in policy/opa-table/go.mod; hack/setup.sh says how to get one"
    [ "$what" != update ]
    return
  fi
  folder=$(mktemp -d)
  for file in "$table"/*.rego; do cp "$file" "${file%.rego}.json" "$folder"; done
  (cd policy/opa-table && "$go" run -mod=readonly . "$folder") || verdict=1
  if [ "$what" = update ] && [ "$verdict" = 0 ]; then
    cp "$folder"/*.tar.gz "$folder"/*.opa.json "$table"
  else
    for file in "$folder"/*; do
      cmp "$file" "$table/${file##*/}" || { echo "OPA makes another ${file##*/}; see the difference, then hack/wasm.sh update" >&2; verdict=1; }
    done
  fi
  rm -rf "$folder"
  return "$verdict"
}

stage "the table, by OPA itself" opa
# One selection of crates: with another one dependencies have other features, and the runtime is built again.
engines() {
  cargo nextest run --locked -p keywright-policy-wasm -p keywright-policy -p keywright-signer -p kubectl-keywright \
    --features keywright-policy-wasm/engine,keywright-policy/wasm,keywright-signer/wasm,kubectl-keywright/wasm \
    -E 'package(keywright-policy-wasm) | package(keywright-policy) | test(bundle)'
}

stage "both engines, and who asks them" engines
summary
