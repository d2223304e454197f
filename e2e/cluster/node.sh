# Sourced by cluster.sh: nodes, each a set of namespaces with containerd, kubelet and kube-proxy.
# What a machine of its own would have: builds beside it take what is left.
shares=20480
cgroups=(cpu cpuacct cpuset memory devices freezer blkio pids systemd)

# boot NODE: powers it on. Its disk, $state/nodes/NODE, is what it was.
boot() {
  local node=$1 disk=$state/nodes/$1
  alive "node-$node" && return
  mkdir -p "$disk"/{lib,kubelet,conf,cni}
  node_files "$node" "$disk"
  make_cgroups "$node"
  start "node-$node" bash -c '
    node=$1; shift
    for group in "$@"; do echo $$ >"/sys/fs/cgroup/$group/keywright-$node/cgroup.procs"; done
    exec unshare -n -m -C -p -u -i --fork --kill-child --mount-proc --propagation private \
      bash -c "trap : TERM; while :; do sleep 3600 & wait \$!; done"' boot "$node" "${cgroups[@]}"
  until_true 5 "node $node has its namespaces" has_inner "node-$node"
  until_true 5 "node $node has its own /proc" in_node "$node" test -e /proc/1/ns/net
  in_node "$node" hostname "$node"
  in_node "$node" bash "$here/node-mounts.sh" "$disk" "${cgroups[@]}"
  in_hub ip link add "kw-$node" type veth peer name eth0 address "${mac[$node]}" netns "$(inner "node-$node")"
  in_hub ip link set "kw-$node" master br0 up
  in_node "$node" ip link set lo up
  in_node "$node" ip addr add "${address[$node]}/24" dev eth0
  in_node "$node" ip link set eth0 up
  in_node "$node" ip route add default via 10.77.0.1
  in_node "$node" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
  for other in "${nodes[@]}"; do
    [ "$other" = "$node" ] || in_node "$node" ip route add "${pods[$other]}" via "${address[$other]}"
  done
  agents "$node"
}

# agents NODE: starts containerd, kubelet and kube-proxy where they do not run.
agents() {
  local node=$1 disk=$state/nodes/$1 enter=(nsenter -t "$(inner "node-$1")" -n -m -C -p -u -i)
  local pool=()
  [ "$node" != signer ] || pool=(--node-labels=keywright.dev/pool=signer
    --register-with-taints=keywright.dev/pool=signer:NoSchedule,keywright.dev/pool=signer:NoExecute)
  alive "containerd-$node" || start "containerd-$node" "${enter[@]}" containerd --config "$disk/conf/containerd.toml"
  until_true 20 "containerd of $node listens" in_node "$node" test -S /run/containerd/containerd.sock
  alive "kubelet-$node" || start "kubelet-$node" "${enter[@]}" "$extra/kubelet" --config="$disk/conf/kubelet.yaml" \
    --kubeconfig="$disk/conf/kubelet.kubeconfig" --hostname-override="$node" --node-ip="${address[$node]}" "${pool[@]}"
  alive "kube-proxy-$node" || start "kube-proxy-$node" "${enter[@]}" "$extra/kube-proxy" --config="$disk/conf/kube-proxy.yaml"
}

# power_cut NODE: everything in it ends at once, and nothing is told.
power_cut() {
  kill -KILL "$(inner "node-$1")"
  for name in "node-$1" "containerd-$1" "kubelet-$1" "kube-proxy-$1"; do
    until_true 20 "$name is gone" gone "$name"
    rm -f "$state/run/$name"
  done
  remove_cgroups "$1"
}

make_cgroups() {
  local group dir
  for group in "${cgroups[@]}"; do
    dir=/sys/fs/cgroup/$group/keywright-$1
    mkdir -p "$dir"
    if [ "$group" = cpuset ]; then
      cat /sys/fs/cgroup/cpuset/cpuset.cpus >"$dir/cpuset.cpus"
      cat /sys/fs/cgroup/cpuset/cpuset.mems >"$dir/cpuset.mems"
    fi
    [ "$group" != cpu ] || echo "$shares" >"$dir/cpu.shares"
  done
}

remove_cgroups() {
  local group
  for group in "${cgroups[@]}"; do
    [ ! -d "/sys/fs/cgroup/$group/keywright-$1" ] ||
      find "/sys/fs/cgroup/$group/keywright-$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

node_files() {
  local node=$1 disk=$2
  kubeconfig_of "system:node:$node" "$disk/conf/kubelet.kubeconfig"
  kubeconfig_of system:kube-proxy "$disk/conf/kube-proxy.kubeconfig"
  cat >"$disk/conf/containerd.toml" <<CONF
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "keywright.dev/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$disk/cni"
CONF
  cat >"$disk/cni/10-bridge.conflist" <<CONF
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "${pods[$node]}"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONF
  cat >"$disk/conf/kubelet.yaml" <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/keys/client-ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: [10.77.0.1]
clusterDomain: cluster.local
resolvConf: ""
volumePluginDir: /var/lib/kubelet/plugins
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
# Never: no registry would give an image again, and the disk is the machine's.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 4s
syncFrequency: 10s
CONF
  cat >"$disk/conf/kube-proxy.yaml" <<CONF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $disk/conf/kube-proxy.kubeconfig}
mode: nftables
hostnameOverride: $node
clusterCIDR: 10.77.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
CONF
}
