#!/usr/bin/env bash
# What a build machine can see of the chart in minutes: installed with Helm on the cluster of two nodes, `helm test`, the
# signer's pool and pod guarded, rights, no drift. The last stage of `make test`, from its binaries. Where the machine cannot, it says
# why and that it was skipped.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
skip() { echo "cluster of two nodes: SKIPPED, $*"; exit 0; }

[ "$(id -u)" = 0 ] || skip "it needs root"
[ -d /sys/fs/cgroup/cpuset ] || skip "it needs cgroup v1"
for program in containerd runc nft conntrack openssl jq gcc curl; do
  command -v "$program" >/dev/null || skip "$program is not installed; e2e/cluster/cluster.sh says what else it needs"
done
[ -x /usr/lib/cni/bridge ] || skip "the Debian package containernetworking-plugins is not installed"
unshare -n -m -C -p -u -i --fork true 2>/dev/null || skip "namespaces cannot be made here"
"$here/build.sh" --where >/dev/null 2>&1 || skip "kubelet, scheduler, proxy, CoreDNS and Helm are not built; e2e/cluster/build.sh does it in about 5 minutes"
! ip link show kw-host >/dev/null 2>&1 || skip "one runs on this machine already"

trap '"$here/cluster.sh" clean' EXIT
"$here/dev-images.sh" "$state/images"
"$here/cluster.sh" up
"$here/install.sh" "$state/images" >/dev/null
"$here/test.sh" values_of_the_chart helm_test objects signer_on_its_pool foreign_pods_kept_off signer_sealed least_rights no_drift
