#!/usr/bin/env bash
# Builds the program of a Go module of ours (e2e/vault, e2e/flux) into a folder that is named after what decides its content,
# and prints its path. One that exists is complete and is never built again.
#
#   hack/go-program.sh FOLDER            builds it where it is not
#   hack/go-program.sh FOLDER --where    only prints the path; exit 1 when it has not been built
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. hack/common.sh
name=$(basename "$1")
cd "$1"
hash=$(cat go.mod go.sum ./*.go | sha256sum | cut -c1-16)
root=$cache/$name
out=$root/$hash/$name
if [ -x "$out" ]; then echo "$out"; exit 0; fi
if [ "${2:-}" = --where ]; then echo "$out is not built yet: run hack/$name.sh" >&2; exit 1; fi

go=$(go_command go.mod)
if [ -z "$go" ]; then
  echo "there is no Go of the version in $1/go.mod; hack/setup.sh says how to get one" >&2
  exit 1
fi
mkdir -p "$root"
exec {lock}>"$root/.lock"
flock "$lock" # one build at a time; whoever waited finds it
if [ -x "$out" ]; then echo "$out"; exit 0; fi

echo "building $1 once, for minutes, into $out" >&2
work=$root/.building.$hash
rm -rf "$work"; mkdir -p "$work"
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly"
"$go" build -ldflags "-s -w" -o "$work/$name" . >&2
mv "$work" "$root/$hash" # the name appears only when it is complete
echo "$out"
