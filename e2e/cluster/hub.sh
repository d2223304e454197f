# Sourced by cluster.sh: the network that all hangs on, and the control plane in it.
make_hub() {
  if alive hub && [ -e "$state/run/hub.whole" ]; then return; fi
  down
  start hub unshare -n --fork --kill-child sleep infinity
  until_true 5 "the hub's network is there" has_inner hub
  in_hub ip link set lo up
  in_hub ip link add br0 address 02:77:00:00:00:01 type bridge
  in_hub ip addr add 10.77.0.1/24 dev br0
  in_hub ip link set br0 up
  # A leg to the host, which so reaches the API server, pods and NodePorts. There is no other way out.
  ip link add kw-host address 02:77:00:00:00:fe type veth peer name kw-leg netns "$(inner hub)"
  in_hub ip link set kw-leg master br0 up
  ip addr add 10.77.0.254/24 dev kw-host
  ip link set kw-host up
  for node in "${nodes[@]}"; do
    in_hub ip route add "${pods[$node]}" via "${address[$node]}"
    ip route add "${pods[$node]}" via "${address[$node]}"
  done
  touch "$state/run/hub.whole"
}

parts=(etcd kube-apiserver kube-controller-manager kube-scheduler coredns)
control_plane() {
  local keys=$state/keys data=$state/etcd
  mkdir -p "$data" "$state/apiserver"
  chmod 700 "$data"
  alive etcd || start etcd nsenter -t "$(inner hub)" -n "$kubernetes/etcd" --name=etcd --data-dir="$data" --unsafe-no-fsync \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
    --initial-cluster=etcd=http://127.0.0.1:2380 --log-level=warn
  printf '%s\n' '{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}' \
    >"$state/audit-policy.json"
  # Aggregator routing: webhooks in pods are called at the pods' addresses, as no service range leads out of the hub.
  alive kube-apiserver || start kube-apiserver nsenter -t "$(inner hub)" -n "$kubernetes/kube-apiserver" \
    --etcd-servers=http://127.0.0.1:2379 --cert-dir="$state/apiserver" \
    --bind-address=0.0.0.0 --advertise-address=10.77.0.1 --secure-port=6443 \
    --service-cluster-ip-range=10.96.0.0/16 --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$keys/service-accounts.pub" --service-account-signing-key-file="$keys/service-accounts.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --token-auth-file="$keys/tokens.csv" \
    --client-ca-file="$keys/client-ca.crt" \
    --kubelet-client-certificate="$keys/kubelet-client.crt" --kubelet-client-key="$keys/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP --enable-aggregator-routing=true --allow-privileged=true \
    --audit-policy-file="$state/audit-policy.json" --audit-log-path="$state/audit.log" --audit-log-maxsize=1000000
  until_true 30 "kube-apiserver has made its certificate" test -s "$state/apiserver/apiserver.crt"
  kubeconfig_of admin "$kubeconfig"
  until_true 60 "kube-apiserver is ready" kubectl get --raw /readyz
  for part in kube-controller-manager kube-scheduler; do
    kubeconfig_of "system:$part" "$state/kubeconfig/$part"
  done
  alive kube-controller-manager || start kube-controller-manager nsenter -t "$(inner hub)" -n "$kubernetes/kube-controller-manager" \
    --kubeconfig="$state/kubeconfig/kube-controller-manager" --service-account-private-key-file="$keys/service-accounts.key" \
    --root-ca-file="$state/apiserver/apiserver.crt" --cluster-signing-cert-file="$keys/signing.crt" \
    --cluster-signing-key-file="$keys/signing.key" --use-service-account-credentials --leader-elect=false --secure-port=0 \
    --kube-api-qps=200 --kube-api-burst=400
  alive kube-scheduler || start kube-scheduler nsenter -t "$(inner hub)" -n "$extra/kube-scheduler" \
    --kubeconfig="$state/kubeconfig/kube-scheduler" --leader-elect=false --secure-port=0
  kubectl create clusterrole system:coredns --verb=list,watch \
    --resource=services,pods,namespaces,endpointslices.discovery.k8s.io --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  kubectl create clusterrolebinding system:coredns --clusterrole=system:coredns --user=system:coredns \
    --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  kubeconfig_of system:coredns "$state/kubeconfig/coredns"
  cat >"$state/Corefile" <<CONF
cluster.local:53 {
  bind 10.77.0.1
  kubernetes cluster.local {
    kubeconfig $state/kubeconfig/coredns keywright
    ttl 1
  }
}
.:53 {
  bind 10.77.0.1
  template ANY ANY {
    rcode NXDOMAIN
  }
}
CONF
  alive coredns || start coredns nsenter -t "$(inner hub)" -n "$extra/coredns" -conf "$state/Corefile"
  mkdir -p /sys/fs/cgroup/cpu/keywright-hub
  echo "$shares" >/sys/fs/cgroup/cpu/keywright-hub/cpu.shares
  for part in "${parts[@]}"; do pid "$part" >/sys/fs/cgroup/cpu/keywright-hub/cgroup.procs; done
}
