# Sourced by cluster.sh: keys, tokens and kubeconfigs, made once.
make_keys() {
  local keys=$state/keys
  [ ! -f "$keys/tokens.csv" ] || return 0
  mkdir -p "$keys"
  chmod 700 "$keys"
  (
    cd "$keys"
    umask 077
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out service-accounts.key
    openssl pkey -in service-accounts.key -pubout -out service-accounts.pub
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=kubelets-clients \
      -keyout client-ca.key -out client-ca.crt
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:masters/CN=kube-apiserver \
      -keyout kubelet-client.key -out kubelet-client.csr
    openssl x509 -req -days 3650 -in kubelet-client.csr -CA client-ca.crt -CAkey client-ca.key -CAcreateserial -out kubelet-client.crt
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=cluster-signing \
      -keyout signing.key -out signing.crt
    {
      token_line admin '"system:masters"'
      token_line system:kube-controller-manager
      token_line system:kube-scheduler
      token_line system:kube-proxy
      token_line system:coredns
      for node in "${nodes[@]}"; do token_line "system:node:$node" '"system:nodes"'; done
    } >tokens.new
    mv tokens.new tokens.csv
  ) 2>>"$state/logs/keys"
}

token_line() { printf '%s,%s,%s%s\n' "$(openssl rand -hex 24)" "$1" "$1" "${2:+,$2}"; }

# kubeconfig_of USER FILE: with the API server's own certificate as what is trusted.
kubeconfig_of() {
  local token
  token=$(awk -F, -v user="$1" '$2 == user { print $1 }' "$state/keys/tokens.csv")
  mkdir -p "$state/kubeconfig"
  (
    umask 077
    cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: keywright, cluster: {server: "$api", certificate-authority: $state/apiserver/apiserver.crt}}]
users: [{name: user, user: {token: "$token"}}]
contexts: [{name: keywright, context: {cluster: keywright, user: user}}]
current-context: keywright
YAML
  )
}
