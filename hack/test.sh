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
    cargo check --quiet --release --locked -p "$crate" || { echo "$crate does not compile alone" >&2; return 1; }
  done
}

# Alerts by their tests, and every expression of the dashboard as PromQL, where Prometheus' tool is at hand.
alerts() {
  command -v promtool >/dev/null || { echo "alerts: SKIPPED, promtool is not installed; on Debian it is in the package prometheus"; return 0; }
  promtool test rules e2e/monitoring/rules_test.yaml || return 1
  local rules
  rules=$(mktemp)
  {
    printf 'groups:\n- name: dashboard\n  rules:\n'
    grep -oE '"expr": ".*"(,|$)' charts/keywright/files/monitoring/dashboard.json | sed -E 's/^"expr": (".*"),?$/  - {record: panel, expr: \1}/' |
      awk '{ sub(/panel/, "panel" NR) } 1'
  } >"$rules"
  promtool check rules "$rules"
  local verdict=$?
  rm -f "$rules"
  return $verdict
}

# What needs a foreign program that takes minutes to build: run where its script has built it.
foreign() {
  local variable=$1 name=$2 program
  shift 2
  program=$(hack/go-program.sh "e2e/$name" --where 2>/dev/null) || { echo "$name: SKIPPED, it is not built; hack/$name.sh builds it and runs these tests"; return 0; }
  hasty env "$variable=$program" cargo nextest run --release --locked --workspace --profile ci --ignore-default-filter "$@"
}

# For control planes that live for seconds: a third of what kube-apiserver does until it is ready is to collect garbage (2.4 s of
# processor time against 1.6). Here its heap may grow to this size before it does.
hasty() { env GOGC=off GOMEMLIMIT=400MiB "$@"; }

# All that ships and all that tests it, in one call: what is chosen apart has other features, and dependencies twice.
built=${CARGO_TARGET_DIR:-target}/release
everything() { cargo build --quiet --release --locked --workspace --all-targets; }
tests() { hasty cargo nextest run --release --locked --workspace --profile ci -E "$@"; }

stage "setup" hack/setup.sh test
stage "formatting" cargo fmt --all --check
stage "dependencies and imports" dependencies
# As a release: build scripts and macros are then built and run once for this and for the programs.
stage "clippy" cargo clippy --quiet --release --locked --workspace --all-targets --features keywright-fuzz/engine --keep-going -- -D warnings
stage "each crate alone" alone
stage "alerts and dashboard" alerts
stage "programs and tests" everything
stage "generated files" "$built/crdgen" --check
stage "unit tests" tests 'not package(keywright-e2e)'
stage "fuzz targets over their seeds" "$built/smoke" 20000 .keywright/fuzz
stage "custody against Vault" foreign KEYWRIGHT_VAULT_SERVER vault --test signer -E 'test(/^vault_server::/)'
stage "tests from outside" tests 'package(keywright-e2e)' --test-threads $(($(nproc) + 1))
stage "our kinds under Flux" foreign KEYWRIGHT_FLUX flux --test product -E 'test(/^flux::/)'
stage "perturbation" hasty "$built/keywright-perturb" short
stage "cluster of two nodes" e2e/cluster/ci.sh
summary
