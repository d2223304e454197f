#!/usr/bin/env bash
# A real cluster of two nodes on this machine, in network namespaces: a general node and one for the signer alone.
#
#   e2e/cluster/cluster.sh up          whatever does not run yet; then the images are loaded and the chart is installed
#   e2e/cluster/cluster.sh down        ends all of it; what is on its disks stays
#   e2e/cluster/cluster.sh clean       and removes that too
#   e2e/cluster/cluster.sh agents NODE | power-cut NODE | boot NODE
#
# Needs root, cgroup v1, and the Debian packages containerd, runc, containernetworking-plugins, nftables, conntrack.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
. "$here/keys.sh"
. "$here/hub.sh"
. "$here/node.sh"

wanted() {
  [ "$(id -u)" = 0 ] || die "a node needs root: network namespaces, mounts and cgroups; run this as root"
  [ -d /sys/fs/cgroup/cpuset ] || die "this needs cgroup v1; a machine with cgroup v2 was not tried"
  local program missing=()
  for program in containerd runc nft conntrack openssl jq gcc; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
  [ ${#missing[@]} = 0 ] || die "missing: ${missing[*]}; on Debian: apt-get install containerd runc containernetworking-plugins nftables conntrack"
}

binaries() {
  kubernetes=$("$checkout/e2e/controlplane/build.sh")
  extra=${KEYWRIGHT_CLUSTER_ASSETS:-$("$here/build.sh")}
  export PATH=$extra:$kubernetes:$PATH
}

# The sandbox image, as docker-archive: one static program.
pause_image() {
  local work=$state/pause layer
  [ ! -f "$state/pause.tar" ] || return 0
  mkdir -p "$work/root"
  gcc -static -Os -o "$work/root/pause" "$here/pause.c"
  tar -C "$work/root" -cf "$work/layer.tar" pause
  layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  jq -n --arg layer "sha256:$layer" '{architecture: "amd64", os: "linux", config: {Entrypoint: ["/pause"], User: "65532"},
    rootfs: {type: "layers", diff_ids: [$layer]}}' >"$work/config.json"
  jq -n '[{Config: "config.json", RepoTags: ["keywright.dev/pause:1"], Layers: ["layer.tar"]}]' >"$work/manifest.json"
  tar -C "$work" -cf "$state/pause.tar" manifest.json config.json layer.tar
}

up() {
  wanted
  binaries
  mkdir -p "$state/logs"
  make_keys
  make_hub
  control_plane
  pause_image
  for node in "${nodes[@]}"; do boot "$node"; done
  for node in "${nodes[@]}"; do in_node "$node" ctr -n k8s.io images import "$state/pause.tar" >/dev/null; done
  for node in "${nodes[@]}"; do until_true 60 "node $node has registered" kubectl get node "$node"; done
  kubectl wait --for=condition=Ready node "${nodes[@]}" --timeout=60s >/dev/null
  until_true 30 "ServiceAccount default is there" kubectl -n default get serviceaccount default
  storage
  alive policies || start policies "$here/policies.sh"
  tell "two nodes are ready: export KUBECONFIG=$kubeconfig"
}

# A volume for the signer, on its node's disk.
storage() {
  in_node signer mkdir -p /var/lib/volumes/signer
  kubectl apply --server-side -f - >/dev/null <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: signer}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: local
  local: {path: /var/lib/volumes/signer}
  nodeAffinity:
    required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [signer]}]}]}
YAML
}

down() {
  [ -d "$state/run" ] || return 0
  local name node
  rm -f "$state/run/hub.whole"
  stop policies
  for node in "${nodes[@]}"; do
    if alive "node-$node"; then power_cut "$node"; fi
    remove_cgroups "$node"
  done
  for name in $(printf '%s\n' "${parts[@]}" | tac); do stop "$name"; done
  stop hub KILL
  [ ! -d /sys/fs/cgroup/cpu/keywright-hub ] || rmdir /sys/fs/cgroup/cpu/keywright-hub
  ip link del kw-host 2>/dev/null || true
}

case ${1:-} in
  up) up ;;
  down) down ;;
  clean) down; rm -rf "$state" ;;
  agents) binaries; node_files "${2:?a node}" "$state/nodes/$2"; agents "$2" ;;
  power-cut) power_cut "${2:?a node}" ;;
  boot) binaries; boot "${2:?a node}" ;;
  *) sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
