#!/usr/bin/env bash
# Builds what a node needs besides the control plane (kubelet, kube-scheduler, kube-proxy, CoreDNS) and Helm, at the
# versions of the go.mod files below, into a folder that is named after what decides their content, and prints that folder.
#
#   $GO        the go command (default: go)
#   --where    only print the folder; exit 1 when it has not been built
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
hash=$(cat */go.mod */go.sum build.sh | sha256sum | cut -c1-16)
root=${XDG_CACHE_HOME:-$HOME/.cache}/keywright/cluster
out=$root/$hash/bin
if [ -d "$out" ]; then echo "$out"; exit 0; fi
if [ "${1:-}" = --where ]; then echo "$out is not built yet: run e2e/cluster/build.sh" >&2; exit 1; fi

mkdir -p "$root"
exec 9>"$root/.lock"
flock 9 # one build at a time; whoever waited finds the folder
if [ -d "$out" ]; then echo "$out"; exit 0; fi

kubernetes=$(sed -nE 's#^(require |\t)k8s.io/kubernetes (v[^ ]+).*#\2#p' node/go.mod)
minor=${kubernetes#v1.}; minor=${minor%%.*}
stamp="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

echo "building Helm, CoreDNS and the node's parts of Kubernetes $kubernetes once, about 5 minutes on two cores, into $out" >&2
work=$root/.building.$hash
rm -rf "$work"; mkdir -p "$work/bin"
# Where the system has none or one that is too old, hack/setup.sh brought one.
for own in "${XDG_CACHE_HOME:-$HOME/.cache}"/keywright/go-*/go/bin/go; do
  if [ -x "$own" ]; then GO=${GO:-$own}; fi
done
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly"
build() { (cd "$1" && "${GO:-go}" build -ldflags "$2" -o "$work/bin/" "${@:3}") >&2; }
build helm "-s -w" helm.sh/helm/v4/cmd/helm
build node "$stamp" k8s.io/kubernetes/cmd/{kubelet,kube-scheduler,kube-proxy}
build coredns "-s -w" github.com/coredns/coredns
mv "$work" "$root/$hash" # the name appears only when all are there
echo "$out"
