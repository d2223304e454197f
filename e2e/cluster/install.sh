#!/usr/bin/env bash
# Loads the images of a folder into both nodes and installs the chart with Helm, or upgrades it to what the checkout holds.
#
#   e2e/cluster/install.sh FOLDER [HELM OPTION...]      FOLDER: what hack/images.sh wrote
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
images=${1:?usage: e2e/cluster/install.sh FOLDER [HELM OPTION...]}
shift
PATH=${KEYWRIGHT_CLUSTER_ASSETS:-$("$here/build.sh" --where)}:$("$checkout/e2e/controlplane/build.sh" --where):$PATH

for node in "${nodes[@]}"; do
  for archive in "$images"/*.tar; do in_node "$node" ctr -n k8s.io images import "$archive" >/dev/null; done
done
# Pod Security `restricted` for all that the chart brings.
kubectl create namespace keywright-system --dry-run=client -o yaml | kubectl apply -f - >/dev/null
kubectl label --overwrite namespace keywright-system pod-security.kubernetes.io/enforce=restricted >/dev/null
kubectl create namespace shop --dry-run=client -o yaml | kubectl apply -f - >/dev/null
# By digest: a new build is a new pod.
digest() { cat "$images/$1.digest"; }
helm upgrade --install keywright "$checkout/charts/keywright" -n keywright-system --wait --timeout 180s \
  --set "namespaces={shop}" --set signer.storage.className=local --set image.pullPolicy=Never \
  --set "operator.podAnnotations.build=$(digest keywright-operator)" --set "bootstrap.podAnnotations.build=$(digest keywright-operator)" \
  --set "webhook.podAnnotations.build=$(digest keywright-webhook)" --set "signer.podAnnotations.build=$(digest keywright-signer)" \
  --set bootstrap.settleSeconds=60 --set "networkPolicy.apiServer.cidrs={10.77.0.1/32}" --set "networkPolicy.apiServer.ports={6443}" \
  --set "networkPolicy.dns.cidrs={10.77.0.1/32}" "$@"
