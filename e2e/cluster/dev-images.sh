#!/usr/bin/env bash
# Images of the ordinary release build, with the libraries of this machine that it needs: seconds where `make images` takes
# minutes. For trying things on the test cluster; what ships is static.
#
#   e2e/cluster/dev-images.sh FOLDER       from target/release, or $KEYWRIGHT_BIN
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
out=${1:?usage: e2e/cluster/dev-images.sh FOLDER}
version=$(sed -nE 's/^appVersion: (.*)$/\1/p' "$checkout/charts/keywright/Chart.yaml")
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for binary in keywright-operator keywright-webhook keywright-signer kubectl-keywright; do
  rm -rf "$work"/*
  mkdir "$work/root"
  cp "$built/$binary" "$work/root/$binary"
  ldd "$built/$binary" | grep -oE '/[^ ]+' | while read -r library; do install -D "$library" "$work/root/$library"; done
  tar -C "$work/root" --owner=0 --group=0 --mtime=@0 --sort=name -cf "$work/layer.tar" .
  layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  jq -n --arg layer "sha256:$layer" --arg program "/$binary" '{architecture: "amd64", os: "linux",
    config: {Entrypoint: [$program], User: "65532:65532"}, rootfs: {type: "layers", diff_ids: [$layer]}}' >"$work/config.json"
  jq -n --arg tag "keywright.dev/$binary:$version" '[{Config: "config.json", RepoTags: [$tag], Layers: ["layer.tar"]}]' >"$work/manifest.json"
  tar -C "$work" -cf "$out/$binary.tar" manifest.json config.json layer.tar
  echo "sha256:$layer" >"$out/$binary.digest"
done
