#!/usr/bin/env bash
# Checks an installation on the two-node cluster: who may run where, who may do what, and that it goes on when pods and
# nodes end. Ends with 1 when a check fails, after all have run.
#
#   e2e/cluster/test.sh [CHECK...]      default: all of them, in the order below
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
PATH=${KEYWRIGHT_CLUSTER_ASSETS:-$("$here/build.sh" --where)}:$("$checkout/e2e/controlplane/build.sh" --where):$PATH
system=(-n keywright-system)
failed=0

# refused WORDS COMMAND...: it fails, and says so with these words.
refused() {
  local words=$1 said
  shift
  if said=$("$@" 2>&1); then echo "was not refused: $*"; return 1; fi
  grep -q -- "$words" <<<"$said" || { echo "refused, but not by $words: $said"; return 1; }
}
equal() { [ "$1" = "$2" ] || { echo "$3: found $1, wanted $2"; return 1; }; }
# may ACCOUNT VERB RESOURCE NAMESPACE ANSWER
may() { equal "$(kubectl auth can-i "$2" "$3" -n "$4" --as "system:serviceaccount:keywright-system:$1" 2>/dev/null)" "$5" "$1 may $2 $3 in $4"; }
# All pods are ready and somebody leads: a leader that was killed is waited for until its lease ends.
ready() {
  kubectl "${system[@]}" rollout status --timeout=90s deployment,statefulset -l app.kubernetes.io/instance=keywright >/dev/null &&
    until_true 30 "the installation is well" kubectl_keywright check
}
# A certificate through the real signer, as `kubectl keywright check` does it; told only when it fails.
issues() {
  local said
  said=$(kubectl_keywright check --issue -n keywright-check 2>&1) || { echo "$said"; return 1; }
}
kubectl_keywright() { "${KEYWRIGHT_BIN:-$checkout/target/release}/kubectl-keywright" "$@"; }
lease() { kubectl "${system[@]}" get lease keywright-operator -o "jsonpath={.spec.$1}"; }
serial() { kubectl -n shop get secret web-tls -o 'jsonpath={.data.tls\.crt}' | base64 -d | openssl x509 -noout -serial; }
authority() { kubectl -n shop get issuer shop -o 'jsonpath={.status.authority.certificate}' | sha256sum; }

pod() {
  local name=$1 spec=$2
  cat <<YAML
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "$name", "namespace": "${3:-shop}"},
 "spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "c",
  "image": "keywright.dev/pause:1", "imagePullPolicy": "Never",
  "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}], $spec}}
YAML
}

helm_test() { helm test keywright "${system[@]}" --timeout 120s >/dev/null || { kubectl "${system[@]}" logs keywright-check; return 1; }; }

# What the quickstart of the documentation asks for, in a namespace that is served; and one that is due every minute.
objects() {
  kubectl apply --server-side -f - >/dev/null <<'YAML' || return 1
apiVersion: keywright.dev/v1alpha1
kind: Issuer
metadata: {name: shop, namespace: shop}
spec: {authority: {commonName: Shop, privateKey: {algorithm: ECDSA, size: 256}}}
---
apiVersion: keywright.dev/v1alpha1
kind: Certificate
metadata: {name: web, namespace: shop}
spec: {secretName: web-tls, dnsNames: [web.shop.test], issuerRef: {name: shop}}
---
apiVersion: keywright.dev/v1alpha1
kind: Certificate
metadata: {name: hasty, namespace: shop}
spec: {secretName: hasty-tls, dnsNames: [hasty.shop.test], duration: 1h, renewBefore: 59m, issuerRef: {name: shop}}
YAML
  kubectl -n shop wait --for=condition=Ready certificate --all --timeout=60s >/dev/null
}

signer_on_its_pool() {
  local on_pool
  equal "$(kubectl "${system[@]}" get pod keywright-signer-0 -o 'jsonpath={.spec.nodeName}')" signer "node of the signer" || return 1
  on_pool=$(kubectl get pods -A --field-selector spec.nodeName=signer -o name)
  equal "$on_pool" pod/keywright-signer-0 "pods of the pool"
}

foreign_pods_kept_off() {
  local tolerate='"tolerations": [{"key": "keywright.dev/pool", "operator": "Equal", "value": "signer"}]'
  pod intruder "$tolerate" | refused signer-pool kubectl create --dry-run=server -f - || return 1
  pod intruder '"tolerations": [{"operator": "Exists"}]' | refused signer-pool kubectl create --dry-run=server -f - || return 1
  pod intruder "$tolerate" keywright-system | refused signer-pool kubectl create --dry-run=server -f - || return 1
  pod intruder '"tolerations": [{"key": "other", "operator": "Exists"}]' | kubectl create --dry-run=server -f - >/dev/null || return 1
  pod agent "$tolerate" kube-system | kubectl create --dry-run=server -f - >/dev/null || return 1
  # Bound to the node by name it passes the scheduler; the taint ends it.
  pod bound '"nodeName": "signer"' | kubectl create -f - >/dev/null || return 1
  until_true 20 "the bound pod is gone" sh -c '! kubectl -n shop get pod bound'
}

signer_sealed() {
  refused signer-sealed kubectl "${system[@]}" exec keywright-signer-0 -- /keywright-signer --help || return 1
  refused signer-sealed kubectl "${system[@]}" attach keywright-signer-0 || return 1
  refused signer-sealed timeout 5 kubectl "${system[@]}" port-forward keywright-signer-0 8443 || return 1
  refused signer-sealed kubectl "${system[@]}" debug keywright-signer-0 --image=keywright.dev/pause:1 --profile=restricted || return 1
  refused signer-sealed kubectl "${system[@]}" set image pod/keywright-signer-0 signer=keywright.dev/pause:1
}

least_rights() {
  local account=keywright-operator
  may $account list secrets shop yes && may $account get secrets keywright-system no && may $account list secrets default no &&
    may $account list secrets kube-system no && may $account delete secrets shop no || return 1
  may keywright-signer get secrets keywright-system no && may keywright-signer list pods keywright-system no || return 1
  may keywright-bootstrap get secrets keywright-system no && may keywright-bootstrap get secret/keywright-root keywright-system yes &&
    may keywright-bootstrap patch secret/keywright-signer-kek keywright-system no && may keywright-bootstrap get secrets shop no
}

nothing_to_write() {
  local before after
  sleep 5 # what is under way ends
  before=$(writes)
  sleep 20
  after=$(writes)
  equal "$((after - before))" 0 "writes of the suite in a quiet time, besides its lease"
}
writes() {
  grep -E '"username":"system:serviceaccount:keywright-system:' "$state/audit.log" | grep -E '"verb":"(create|update|patch|delete)"' |
    grep -v -e '"resource":"leases"' -e '"name":"hasty' -e 'hasty\.' | grep -c .
}

no_drift() {
  local round diff
  for round in 1 2; do
    diff=$(helm get manifest keywright "${system[@]}" | kubectl diff --server-side --force-conflicts --field-manager=argocd-controller -f - 2>&1) ||
      { echo "round $round: $diff" | head -40; return 1; }
  done
}

pods_deleted_one_by_one() {
  local name
  for name in $(kubectl "${system[@]}" get pods -l app.kubernetes.io/instance=keywright -o 'jsonpath={.items[*].metadata.name}'); do
    [ "$name" = keywright-check ] && continue
    kubectl "${system[@]}" delete pod "$name" --wait=true >/dev/null || return 1
    ready && issues || { echo "after $name"; return 1; }
  done
}

pods_deleted_together() {
  kubectl "${system[@]}" delete pod -l 'app.kubernetes.io/instance=keywright,app.kubernetes.io/name!=keywright-check' >/dev/null && ready && issues
}

# Both ends: the token in the lease grows, and somebody else works within 5 s.
leader_ends() {
  local before leader from
  before=$(lease leaseTransitions) leader=$(lease holderIdentity) from=$(date +%s%N)
  kubectl "${system[@]}" delete pod "$leader" --wait=false >/dev/null
  until_true 15 "another leads" another_leads "$leader" || return 1
  tell "    another leads after $((($(date +%s%N) - from) / 1000000)) ms; fencing token $before, then $(lease leaseTransitions)"
  [ $((($(date +%s%N) - from) / 1000000)) -lt 5000 ] && [ "$(lease leaseTransitions)" -gt "$before" ] && ready && issues
}
another_leads() { local now; now=$(lease holderIdentity); [ -n "$now" ] && [ "$now" != "$1" ]; }

signer_node_drained() {
  local before
  before=$(serial)
  kubectl drain signer --ignore-daemonsets --delete-emptydir-data --timeout=60s >/dev/null 2>&1 || return 1
  equal "$(kubectl "${system[@]}" get pod keywright-signer-0 -o 'jsonpath={.status.phase}')" Pending "the signer, its pool being closed" || return 1
  kubectl uncordon signer >/dev/null
  ready && issues && equal "$(serial)" "$before" "the certificate that was not due"
}

signer_node_power_cut() {
  "$here/cluster.sh" power-cut signer && "$here/cluster.sh" boot signer || return 1
  until_true 60 "the signer is ready again" kubectl_keywright check && ready && issues
}

renewed_all_along() {
  local revision
  revision=$(kubectl -n shop get certificate hasty -o 'jsonpath={.status.revision}')
  tell "    the certificate that is due every minute is at revision $revision"
  [ "$revision" -ge 2 ] && kubectl -n shop wait --for=condition=Ready certificate --all --timeout=30s >/dev/null
}

upgrade_and_rollback() {
  local before
  before=$(serial)
  helm upgrade keywright "$checkout/charts/keywright" "${system[@]}" --reuse-values --set operator.concurrency=16 --wait --timeout 120s >/dev/null || return 1
  kubectl "${system[@]}" get deployment keywright-operator -o yaml | grep -q -- --concurrency=16 || return 1
  helm rollback keywright "${system[@]}" --wait --timeout 120s >/dev/null || return 1
  kubectl "${system[@]}" get deployment keywright-operator -o yaml | grep -q -- --concurrency=32 || return 1
  issues && equal "$(serial)" "$before" "the certificate that was not due"
}

# With objects present: no hang, objects and keys stay, and the same authority signs when it is back.
uninstall_and_reinstall() {
  local before values
  before=$(authority)
  values=$(mktemp)
  helm get values keywright "${system[@]}" -o yaml >"$values" || return 1
  helm uninstall keywright "${system[@]}" --wait --timeout 90s >/dev/null || return 1
  kubectl -n shop get certificate web >/dev/null && kubectl "${system[@]}" get pvc/state-keywright-signer-0 secret/keywright-signer-kek >/dev/null || return 1
  until_true 60 "the check's namespace is gone" sh -c '! kubectl get namespace keywright-check' || return 1
  helm install keywright "$checkout/charts/keywright" "${system[@]}" --wait --timeout 120s -f "$values" >/dev/null || return 1
  rm -f "$values"
  ready && issues && equal "$(authority)" "$before" "the authority of before" &&
    kubectl -n shop wait --for=condition=Ready certificate --all --timeout=60s >/dev/null
}

# The suite's own root is replaced, with all below it, while certificates are issued without a pause.
identities_rotated() {
  local before limit
  before=$(kubectl "${system[@]}" get secret keywright-signer-tls -o 'jsonpath={.data.tls\.crt}')
  kubectl "${system[@]}" delete secret keywright-root >/dev/null
  limit=$((SECONDS + 420))
  while [ "$(kubectl "${system[@]}" get secret keywright-signer-tls -o 'jsonpath={.data.tls\.crt}')" = "$before" ]; do
    issues || { echo "while the new pins settle"; return 1; }
    [ $SECONDS -lt $limit ] || { echo "the identity was never replaced"; return 1; }
  done
  # Each kubelet brings the change at a time of its own.
  limit=$((SECONDS + 100))
  while [ $SECONDS -lt $limit ]; do issues || { echo "while the new identities arrive"; return 1; }; done
}

checks=(helm_test objects signer_on_its_pool foreign_pods_kept_off signer_sealed least_rights nothing_to_write no_drift
  pods_deleted_one_by_one pods_deleted_together leader_ends signer_node_drained signer_node_power_cut upgrade_and_rollback
  uninstall_and_reinstall identities_rotated renewed_all_along)
[ $# = 0 ] || checks=("$@")
for check in "${checks[@]}"; do
  from=$SECONDS
  if "$check"; then verdict=ok; else verdict=FAILED; failed=1; fi
  printf '%-6s %4d s  %s\n' "$verdict" $((SECONDS - from)) "${check//_/ }"
done
exit "$failed"
