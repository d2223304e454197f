#!/usr/bin/env bash
# Our kinds under Flux: builds a program of Flux's own code that applies, waits and prunes as kustomize-controller does, which
# takes minutes the first time, and runs what is left out of ordinary runs, on control planes of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. hack/common.sh

# As in hack/test.sh: the programs under test, and one selection of crates.
under_it() {
  cargo build --quiet --release --locked --workspace --bins || return 1
  KEYWRIGHT_FLUX=$(hack/go-program.sh e2e/flux --where) cargo nextest run --release --locked --workspace --test product \
    --ignore-default-filter -E 'test(/^flux::/)' "$@"
}

stage "Flux" hack/go-program.sh e2e/flux
stage "setup" hack/setup.sh
stage "our kinds under it" under_it "$@"
summary
