#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/ over their seeds. Ends with the input and the call that shows it again when one breaks.
#
#   hack/fuzz.sh smoke              a few thousand runs of each target, changes of its seeds; part of make test
#   hack/fuzz.sh SECONDS [TARGET]   so long for each target, or for one, guided by coverage; with sanitizers where
#                                   cargo-fuzz and a nightly toolchain are at hand, else on the pinned toolchain without
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
  cargo run --quiet --release --locked -p keywright-fuzz --bin smoke -- 20000 "$found"
  exit
fi

case $what in *[!0-9]* | '') echo "usage: hack/fuzz.sh smoke | SECONDS [TARGET]" >&2; exit 2 ;; esac
triple=$(rustc -vV | sed -nE 's/^host: //p')
mapfile -t bins < <(targets | sed 's/^/fuzz-/')
echo "building ${#bins[@]} targets; the first time takes minutes"
if command -v cargo-fuzz >/dev/null && cargo +nightly --version >/dev/null 2>&1; then
  folder=${CARGO_TARGET_DIR:-target}/fuzz
  # One target or all: it takes no list.
  cargo +nightly fuzz build --features engine --fuzz-dir fuzz --target-dir "$folder" ${only:+"fuzz-$only"} >"$logs/build" 2>&1 ||
    { tail -40 "$logs/build" >&2; exit 1; }
else
  echo "without sanitizers: they need cargo-fuzz and a nightly toolchain"
  folder=${CARGO_TARGET_DIR:-target}/fuzz-stable
  # Coverage as cargo-fuzz asks for it; --target keeps it out of build scripts.
  RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Ccodegen-units=1" \
    cargo build --quiet --locked --release --target "$triple" --target-dir "$folder" -p keywright-fuzz --features engine "${bins[@]/#/--bin=}"
fi
for target in $(targets); do
  run "$target" "$folder/$triple/release/fuzz-$target" -max_total_time="$what"
done
