#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/ over their seeds. Ends with the input and the call that shows it again when one breaks.
#
#   hack/fuzz.sh smoke            a few thousand runs of each target, on the pinned toolchain; part of make test
#   hack/fuzz.sh SECONDS [NAME]   so long for each target (or for NAME); with sanitizers and coverage where cargo-fuzz and a
#                                 nightly toolchain are at hand, else without
#
# Found inputs go to .keywright/fuzz/TARGET; a mistake's input is kept in fuzz/seeds/TARGET when it is mended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
what=${1:?usage: hack/fuzz.sh smoke | SECONDS [TARGET]}
only=${2:-}
found=.keywright/fuzz
longest=16384 # bytes; long enough for chains, short enough for thousands of runs
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

targets() { sed -nE 's/^name = "fuzz-(.*)"$/\1/p' fuzz/Cargo.toml | { if [ -n "$only" ]; then grep -x -- "$only"; else cat; fi; }; }
[ -n "$(targets)" ] || { echo "no target named $only; fuzz/Cargo.toml lists them" >&2; exit 2; }

# run TARGET PROGRAM OPTION...: one target; its log only when it breaks.
run() {
  local target=$1 program=$2
  shift 2
  mkdir -p "$found/$target"
  if "$program" -artifact_prefix="$found/$target/broken-" -max_len="$longest" -timeout=10 -rss_limit_mb=2048 "$@" \
    "$found/$target" "fuzz/seeds/$target" >"$logs/$target" 2>&1; then
    echo "$target: $(sed -nE 's/^Done ([0-9]+) runs in ([0-9]+) second.*/\1 runs in \2 s/p' "$logs/$target")"
  else
    tail -40 "$logs/$target" >&2
    echo "$target broke; see it again with: $program $found/$target/broken-..." >&2
    return 1
  fi
}

if [ "$what" = smoke ]; then
  # Not instrumented, so nothing new would be noticed: the seeds are kept and mutated, and what was found before is left out.
  found=$(mktemp -d)
  trap 'rm -rf "$logs"; [ -z "$(find "$found" -name "broken-*")" ] && rm -rf "$found"' EXIT
  cargo build --quiet --locked -p keywright-fuzz --bins
  folder=${CARGO_TARGET_DIR:-target}/debug
  for target in $(targets); do
    run "$target" "$folder/fuzz-$target" -runs=3000 -max_total_time=4 -keep_seed=1 -seed=1 -len_control=0
  done
  exit
fi

case $what in *[!0-9]* | '') echo "usage: hack/fuzz.sh smoke | SECONDS [TARGET]" >&2; exit 2 ;; esac
if command -v cargo-fuzz >/dev/null && cargo +nightly --version >/dev/null 2>&1; then
  triple=$(rustc -vV | sed -nE 's/^host: //p')
  for target in $(targets); do
    cargo +nightly fuzz build --fuzz-dir fuzz "fuzz-$target" >"$logs/build" 2>&1 || { tail -40 "$logs/build" >&2; exit 1; }
  done
  folder=${CARGO_TARGET_DIR:-target}/$triple/release
  options=()
else
  echo "without sanitizers and coverage: they need cargo-fuzz and a nightly toolchain"
  cargo build --quiet --locked --release -p keywright-fuzz --bins
  folder=${CARGO_TARGET_DIR:-target}/release
  options=(-keep_seed=1)
fi
for target in $(targets); do
  run "$target" "$folder/fuzz-$target" -max_total_time="$what" "${options[@]}"
done
