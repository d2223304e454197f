#!/usr/bin/env bash
# Builds the product's static binaries and writes each as an OCI archive with its bill of materials, without a container
# engine. No path of the machine gets into them, and no time but the commit's.
#
#   hack/images.sh [FOLDER]        default: .keywright/images
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-.keywright/images}
triple=$(rustc -vV | sed -nE 's/^host: //p')
case $triple in *-linux-gnu) ;; *) echo "static binaries are made on Linux with glibc; this is $triple" >&2; exit 1 ;; esac
crates=(keywright-operator keywright-webhooks keywright-signer kubectl-keywright)
binaries=(keywright-operator keywright-webhook keywright-signer kubectl-keywright)
# What ships runs policies of bundles too; everyday builds do without the runtime for them.
features=$(printf '%s/wasm,' "${crates[@]}")
features=${features%,}

# No path of this machine gets into a binary: neither of the checkout, nor of the fetched crates, nor of the toolchain.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
flags="\"-Ctarget-feature=+crt-static\", \"--remap-path-prefix=$PWD=/src\", \"--remap-path-prefix=$cargo_home=/cargo\""
export "CFLAGS_${triple//-/_}=-ffile-prefix-map=$PWD=/src -ffile-prefix-map=$cargo_home=/cargo"
cargo build --quiet --release --locked --target "$triple" --config "target.$triple.rustflags=[$flags]" "${crates[@]/#/--package=}" --features "$features"

built=${CARGO_TARGET_DIR:-target}/$triple/release
for binary in "${binaries[@]}"; do
  if readelf -d "$built/$binary" | grep -q NEEDED; then
    echo "$built/$binary is not static; see what it needs with readelf -d" >&2
    exit 1
  fi
done
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} \
  cargo run --quiet --release --locked -p keywright-images -- --binaries "$built" --target "$triple" --out "$out" \
  --revision "$(git rev-parse HEAD)" --features "$features"
