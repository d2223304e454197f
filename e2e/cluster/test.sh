#!/usr/bin/env bash
# Checks an installation on the two-node cluster: who may run where, who may do what, and that it goes on when pods and
# nodes end. Ends with 1 when a check fails, after all have run.
#
#   e2e/cluster/test.sh [CHECK...]      default: all of them, in the order below
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
PATH=${KEYWRIGHT_CLUSTER_ASSETS:-$("$here/build.sh" --where)}:$("$checkout/e2e/controlplane/build.sh" --where):$PATH
system=(-n keywright-system)
previous=fb9ec07 # the chart to upgrade from, run with the present images, so with the rights they need: the one of the last release, once there is one
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
milliseconds() { echo $((($(date +%s%N) - $1) / 1000000)); }
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
kubectl_keywright() { "$built/kubectl-keywright" "$@"; }
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

values_of_the_chart() { "$here/render.sh"; }
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
  # What is neither run in it nor an image of it is not in the way: controllers change labels, owners and finalizers.
  kubectl "${system[@]}" annotate --overwrite pod keywright-signer-0 "checked=$RANDOM" >/dev/null || return 1
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
    may keywright-bootstrap patch secret/keywright-signer-kek keywright-system no && may keywright-bootstrap get secrets shop no || return 1
  may keywright-webhook create certificates.keywright.dev shop no && may keywright-webhook get secrets keywright-system no &&
    may keywright-webhook get secret/keywright-webhook-tls keywright-system yes && may keywright-webhook get secrets shop no
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

# reaches FROM-POD NODE ADDRESS PORT: from where that pod is.
reaches() {
  local process
  process=$(process_of "$1" "$2") || return 1
  in_node "$2" nsenter -t "$process" -n timeout 2 bash -c "exec 3<>/dev/tcp/$3/$4" 2>/dev/null
}
flow() { reaches "$@" || { echo "is not let through: $*"; return 1; }; }
no_flow() { ! reaches "$@" || { echo "is let through: $*"; return 1; }; }
ip_of() { kubectl "${system[@]}" get pod "$1" -o 'jsonpath={.status.podIP}'; }
first() { kubectl "${system[@]}" get pod -l "app.kubernetes.io/name=$1" -o 'jsonpath={.items[0].metadata.name}'; }

# The policies let through what the parts need and nothing else.
only_needed_flows() {
  local operator webhook bootstrap signer
  operator=$(first keywright-operator) webhook=$(first keywright-webhook) bootstrap=$(first keywright-bootstrap)
  signer=$(ip_of keywright-signer-0)
  sleep 5 # what is newest is seen
  flow "$operator" general "$signer" 8443 && flow "$operator" general 10.96.0.1 443 && flow "$webhook" general 10.96.0.1 443 &&
    flow "$bootstrap" general 10.96.0.1 443 || return 1
  no_flow "$webhook" general "$signer" 8443 && no_flow "$bootstrap" general "$signer" 8443 && no_flow "$operator" general "$signer" 8081 &&
    no_flow "$operator" general "$(ip_of "$webhook")" 8080 && no_flow keywright-signer-0 signer "$(ip_of "$operator")" 8080 &&
    no_flow keywright-signer-0 signer "$(ip_of "$webhook")" 8443 && no_flow "$operator" general 10.77.0.12 10250 &&
    no_flow "$webhook" general "$(ip_of "$operator")" 8080 || return 1
  # A neighbour, and the machine outside, which routes into the pods' ranges.
  ! timeout 2 bash -c "exec 3<>/dev/tcp/$signer/8443" 2>/dev/null || { echo "the signer is reached from outside"; return 1; }
  ! timeout 2 bash -c "exec 3<>/dev/tcp/$(ip_of "$operator")/8080" 2>/dev/null || { echo "the operator is reached from outside"; return 1; }
}

# Told to end, it gives the lease back: another pod works within 5 s, under a higher fencing token.
leader_ends() {
  local before leader from took
  before=$(lease leaseTransitions) leader=$(lease holderIdentity) from=$(date +%s%N)
  kubectl "${system[@]}" delete pod "$leader" --wait=false >/dev/null
  until_true 15 "another leads" another_leads "$leader" || return 1
  took=$(milliseconds "$from")
  tell "    another leads after $took ms; fencing token $before, then $(lease leaseTransitions)"
  [ "$took" -lt 5000 ] && [ "$(lease leaseTransitions)" -gt "$before" ] && ready && issues
}
another_leads() { local now; now=$(lease holderIdentity); [ -n "$now" ] && [ "$now" != "$1" ]; }

# Killed, it gives nothing back: the process in its place takes its own name's lease within 5 s, and what the dead one
# might still have under way is refused by the signer, which has seen the higher token.
leader_killed() {
  local before leader process from took
  # New pods: kubelets wait before they start a container again that has ended before.
  kubectl "${system[@]}" rollout restart deployment/keywright-operator >/dev/null && ready || return 1
  before=$(lease leaseTransitions) leader=$(lease holderIdentity)
  process=$(process_of "$leader") || return 1
  from=$(date +%s%N)
  in_node general kill -KILL "$process"
  until_true 15 "another leads" token_above "$before" || return 1
  took=$(milliseconds "$from")
  tell "    another process leads after $took ms; fencing token $before, then $(lease leaseTransitions)"
  [ "$took" -lt 5000 ] && ready && issues || return 1
  refused "grpc-message: .*fencing" asks_for_a_key "$before" && asks_for_a_key "$(lease leaseTransitions)"
}
token_above() { [ "$(lease leaseTransitions)" -gt "$1" ]; }

# process_of POD [NODE]: the id of its process on the node.
process_of() {
  local container
  container=$(kubectl "${system[@]}" get pod "$1" -o 'jsonpath={.status.containerStatuses[0].containerID}')
  in_node "${2:-general}" ctr -n k8s.io task ls | awk -v id="${container#containerd://}" '$1 == id { found = $2 } END { print found; exit !found }'
}

# asks_for_a_key TOKEN: one request to the signer by a foreign client, with the operator's identity and from its place.
asks_for_a_key() {
  local folder file said place
  place=$(process_of "$(lease holderIdentity)") || return 1
  folder=$(mktemp -d)
  for file in ca.crt tls.crt tls.key; do
    (umask 077; kubectl "${system[@]}" get secret keywright-operator-tls -o "jsonpath={.data.${file/./\\.}}" | base64 -d >"$folder/$file")
  done
  # EnsureKeyRequest: fencing_token, key_uid, purpose JWT, algorithm ECDSA P-256; before it "not compressed" and its length.
  printf "\\x08$(varint "$1")\\x12\\x24%s\\x18\\x04\\x20\\x01" 6f1d5c2e-0a1b-4c3d-8e5f-102030405060 >"$folder/message"
  { printf "\\0\\0\\0\\0\\x$(printf %02x "$(stat -c %s "$folder/message")")"; cat "$folder/message"; } >"$folder/request"
  said=$(in_node general nsenter -t "$place" -n curl -sv --max-time 10 --http2 --tlsv1.3 -o "$folder/answer" \
    --cacert "$folder/ca.crt" --cert "$folder/tls.crt" --key "$folder/tls.key" -H 'content-type: application/grpc' -H 'te: trailers' \
    --resolve "keywright-signer:8443:$(kubectl "${system[@]}" get pod keywright-signer-0 -o 'jsonpath={.status.podIP}')" \
    --data-binary "@$folder/request" https://keywright-signer:8443/keywright.signer.v1alpha1.Signer/EnsureKey 2>&1 | tr -d '\r' | grep '^< ')
  rm -rf "$folder"
  grep -q '^< grpc-status: 0$' <<<"$said" || { echo "$said"; return 1; }
}
# As protobuf writes it, in printf's escapes.
varint() {
  local left=$1
  while [ "$left" -ge 128 ]; do
    printf '\\x%02x' $((left % 128 + 128))
    left=$((left / 128))
  done
  printf '\\x%02x' "$left"
}

# All replicas are replaced one by one, and one is killed, under 200 admissions a second: none fails.
webhook_rolling_under_load() {
  local load said
  said=$(mktemp)
  "$built/keywright-dev" admissions --per-second 200 >"$said" 2>&1 &
  load=$!
  kubectl "${system[@]}" rollout restart deployment/keywright-webhook >/dev/null &&
    kubectl "${system[@]}" rollout status --timeout=180s deployment/keywright-webhook >/dev/null &&
    kubectl "${system[@]}" delete pod "$(kubectl "${system[@]}" get pod -l app.kubernetes.io/name=keywright-webhook -o 'jsonpath={.items[0].metadata.name}')" >/dev/null &&
    kubectl "${system[@]}" rollout status --timeout=90s deployment/keywright-webhook >/dev/null
  local replaced=$?
  kill -TERM "$load"
  wait "$load"
  local admitted=$?
  sed 's/^/    /' "$said"
  rm -f "$said"
  [ $replaced = 0 ] && [ $admitted = 0 ]
}

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

# To the chart of before and on to this one, as people come by; then back by Helm's own means, and on again. What is not
# due stays as it is.
upgrade_and_rollback() {
  local before folder=$state/previous values revision
  before=$(serial) values=$(mktemp)
  rm -rf "$folder" && mkdir -p "$folder" && git -C "$checkout" archive "$previous" charts/keywright | tar -x -C "$folder" || return 1
  helm get values keywright "${system[@]}" -o yaml >"$values" || return 1
  helm upgrade keywright "$folder/charts/keywright" "${system[@]}" -f "$values" --wait --timeout 120s >/dev/null || return 1
  revision=$(helm status keywright "${system[@]}" -o json | jq .version)
  ready && issues || { echo "with the chart of before"; return 1; }
  helm upgrade keywright "$checkout/charts/keywright" "${system[@]}" -f "$values" --set operator.concurrency=16 --wait --timeout 120s >/dev/null || return 1
  kubectl "${system[@]}" get deployment keywright-operator -o yaml | grep -q -- --concurrency=16 || return 1
  ready && issues && equal "$(serial)" "$before" "the certificate that was not due, after the upgrade" || return 1
  helm rollback keywright "$revision" "${system[@]}" --wait --timeout 120s >/dev/null || return 1
  kubectl "${system[@]}" get deployment keywright-operator -o yaml | grep -q -- --concurrency=32 || return 1
  ready && issues && equal "$(serial)" "$before" "the certificate that was not due, after the rollback" || return 1
  helm upgrade keywright "$checkout/charts/keywright" "${system[@]}" -f "$values" --wait --timeout 120s >/dev/null && ready && issues
  local verdict=$?
  rm -f "$values"
  return $verdict
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

# As docs/backup.md says: the volume as a snapshot shows it while the signer works, checked by the signer's own command in
# the documented pod, and served from again with the same authority.
signer_restored() {
  local volume=$state/nodes/signer/lib/volumes/signer copy=$state/copy before process said values
  before=$(authority) values=$(mktemp)
  process=$(process_of keywright-signer-0 signer) || return 1
  rm -rf "$copy"
  # One instant of all files, as a snapshot is.
  in_node signer kill -STOP "$process" && cp -a "$volume" "$copy"
  in_node signer kill -CONT "$process"
  issues || return 1
  helm get values keywright "${system[@]}" -o yaml >"$values" || return 1
  helm upgrade keywright "$checkout/charts/keywright" "${system[@]}" -f "$values" --set signer.pool.guarded=false --wait --timeout 120s >/dev/null || return 1
  kubectl "${system[@]}" scale statefulset keywright-signer --replicas=0 >/dev/null &&
    kubectl "${system[@]}" wait --for=delete pod/keywright-signer-0 --timeout=60s >/dev/null || return 1
  rm -rf "${volume:?}"/* && cp -a "$copy"/. "$volume" || return 1
  kubectl apply -f "$checkout/docs/examples/signer-volume.yaml" >/dev/null &&
    kubectl "${system[@]}" wait --for=jsonpath='{.status.phase}'=Succeeded pod/keywright-signer-volume --timeout=60s >/dev/null
  said=$(kubectl "${system[@]}" logs keywright-signer-volume)
  kubectl "${system[@]}" delete pod keywright-signer-volume >/dev/null
  grep -q ': sound$' <<<"$said" || { echo "the copy: $said"; return 1; }
  kubectl "${system[@]}" scale statefulset keywright-signer --replicas=1 >/dev/null &&
    helm upgrade keywright "$checkout/charts/keywright" "${system[@]}" -f "$values" --wait --timeout 120s >/dev/null || return 1
  rm -f "$values"
  ready && issues && equal "$(authority)" "$before" "the authority of before" &&
    kubectl -n shop wait --for=condition=Ready certificate --all --timeout=60s >/dev/null
}

# The suite's own root is replaced, with all below it, while certificates are issued without a pause.
identities_rotated() {
  local before limit
  before=$(kubectl "${system[@]}" get secret keywright-signer-tls -o 'jsonpath={.data.tls\.crt}')
  kubectl "${system[@]}" delete secret keywright-root >/dev/null
  limit=$((SECONDS + 240))
  while [ "$(kubectl "${system[@]}" get secret keywright-signer-tls -o 'jsonpath={.data.tls\.crt}')" = "$before" ]; do
    issues || { echo "while the new pins settle"; return 1; }
    [ $SECONDS -lt $limit ] || { echo "the identity was never replaced"; return 1; }
  done
  # Each kubelet brings the change at a time of its own.
  limit=$((SECONDS + 100))
  while [ $SECONDS -lt $limit ]; do issues || { echo "while the new identities arrive"; return 1; }; done
}

checks=(values_of_the_chart helm_test objects signer_on_its_pool foreign_pods_kept_off signer_sealed least_rights only_needed_flows nothing_to_write no_drift
  webhook_rolling_under_load leader_ends leader_killed pods_deleted_one_by_one pods_deleted_together signer_node_drained
  signer_node_power_cut upgrade_and_rollback uninstall_and_reinstall signer_restored identities_rotated renewed_all_along)
[ $# = 0 ] || checks=("$@")
for check in "${checks[@]}"; do
  from=$SECONDS
  if "$check"; then verdict=ok; else verdict=FAILED; failed=1; fi
  printf '%-6s %4d s  %s\n' "$verdict" $((SECONDS - from)) "${check//_/ }"
done
exit "$failed"
