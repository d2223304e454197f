#!/usr/bin/env bash
# All tests, in the order in which they tell most for their time. Called by `make test`; ends at the first stage that fails,
# unless KEEP_GOING is set. What runs is built as it ships, so dependencies are built once for programs and tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. hack/common.sh
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

# cargo-deny's advisories come from a Git repository that not every machine may reach.
dependencies() {
  cargo deny --log-level error --all-features check --hide-inclusion-graph bans licenses sources || return 1
  if timeout 120 cargo deny --log-level off fetch db >/dev/null 2>&1; then
    cargo deny --log-level error check --disable-fetch advisories
  else
    echo "advisories: SKIPPED, the advisory database cannot be reached from here"
  fi
}

# Each crate with its own features only: what it forgot to ask for, another crate may have asked for it.
alone() {
  local crate
  for crate in $(cargo tree --locked --workspace --depth 0 --prefix none | awk 'NF { print $1 }'); do
    cargo check --quiet --locked -p "$crate" || { echo "$crate does not compile alone" >&2; return 1; }
  done
}

release() { cargo build --quiet --release --locked -p keywright-operator -p keywright-signer -p kubectl-keywright -p keywright-e2e; }

stage "setup" hack/setup.sh test
stage "formatting" cargo fmt --all --check
stage "dependencies and imports" dependencies
stage "clippy" cargo clippy --quiet --locked --workspace --all-targets --keep-going -- -D warnings
stage "each crate alone" alone
stage "release build" release
stage "generated files" cargo run --quiet --release --locked -p keywright-crds --bin crdgen -- --check
stage "unit tests" cargo nextest run --release --locked --workspace --profile ci --exclude keywright-e2e
stage "fuzz targets over their seeds" hack/fuzz.sh smoke
stage "tests from outside" cargo nextest run --release --locked --profile ci -p keywright-e2e
stage "perturbation" "${CARGO_TARGET_DIR:-target}/release/keywright-perturb" short
summary
