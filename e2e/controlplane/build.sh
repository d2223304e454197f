#!/usr/bin/env bash
# Builds etcd, kube-apiserver, kube-controller-manager and kubectl, at the versions of go.mod, into a folder that is named
# after what decides their content, and prints that folder. A folder that exists is complete and is never built again.
#
#   $KEYWRIGHT_KUBE_ASSETS   a folder with these four binaries, ready: it is checked and used, nothing is built
#   $GO                      the go command (default: go)
#   --where                  only print the folder; exit 1 when it has not been built
set -euo pipefail
binaries=(etcd kube-apiserver kube-controller-manager kubectl)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -n "${KEYWRIGHT_KUBE_ASSETS:-}" ]; then
  for name in "${binaries[@]}"; do
    if [ ! -x "$KEYWRIGHT_KUBE_ASSETS/$name" ]; then
      echo "KEYWRIGHT_KUBE_ASSETS=$KEYWRIGHT_KUBE_ASSETS has no executable $name: add it, or unset the variable to build all four" >&2
      exit 1
    fi
  done
  (cd "$KEYWRIGHT_KUBE_ASSETS" && pwd)
  exit 0
fi

cd "$here"
hash=$(cat go.mod go.sum etcd/main.go build.sh | sha256sum | cut -c1-16)
root=${XDG_CACHE_HOME:-$HOME/.cache}/keywright/controlplane
out=$root/$hash/bin
if [ -d "$out" ]; then echo "$out"; exit 0; fi
if [ "${1:-}" = --where ]; then echo "$out is not built yet: run make setup" >&2; exit 1; fi

mkdir -p "$root"
exec 9>"$root/.lock"
flock 9 # one build at a time; whoever waited finds the folder
if [ -d "$out" ]; then echo "$out"; exit 0; fi

version_of() { sed -nE "s#^(require |\t)$1 (v[^ ]+).*#\2#p" go.mod; }
kubernetes=$(version_of k8s.io/kubernetes)
etcd=$(version_of go.etcd.io/etcd/server/v3)
minor=${kubernetes#v1.}; minor=${minor%%.*}
stamp="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

echo "building etcd $etcd and Kubernetes $kubernetes once, 4 to 6 minutes on two cores, into $out" >&2
work=$root/.building.$hash
rm -rf "$work"; mkdir -p "$work/bin"
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly"
"${GO:-go}" build -ldflags "-s -w" -o "$work/bin/" ./etcd >&2
"${GO:-go}" build -ldflags "$stamp" -o "$work/bin/" \
  k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kubectl} >&2
mv "$work" "$root/$hash" # the name appears only when all four are there
echo "$out"
