#!/usr/bin/env bash
# Custody by a transit key against a real Vault: builds the server the first time, which takes minutes, and runs what is left
# out of ordinary runs. Parts of names choose among them: hack/vault.sh killed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. hack/common.sh

# One selection of crates, as in hack/test.sh: with another one dependencies have other features, and are built again.
against_it() {
  KEYWRIGHT_VAULT_SERVER=$(hack/go-program.sh e2e/vault --where) cargo nextest run --release --locked --workspace \
    --test signer --ignore-default-filter -E 'test(/^vault_server::/)' "$@"
}

stage "Vault" hack/go-program.sh e2e/vault
stage "custody against it" against_it "$@"
summary
