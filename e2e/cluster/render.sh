#!/usr/bin/env bash
# What values of the chart come to, by rendering alone: what cannot work is refused and the field is named; what follows from
# several values together is there. Needs helm on the PATH, and no cluster.
set -uo pipefail
chart=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../charts/keywright" && pwd)
failed=0
fail() { echo "$*"; failed=1; }
render() { helm template keywright "$chart" -n keywright-system "$@" 2>&1; }

# refused WORDS OPTION...
refused() {
  local words=$1 said
  shift
  if said=$(render "$@"); then fail "was not refused: $*"; return; fi
  grep -qF -- "$words" <<<"$said" || fail "$* is refused, but not by $words: $said"
}

# lines COUNT PATTERN TEMPLATE OPTION...     how many lines of a template match
lines() {
  local count=$1 pattern=$2 template=$3 said found
  shift 3
  said=$(render -s "templates/$template" "$@") || { fail "$* is refused: $said"; return; }
  found=$(grep -cE -- "$pattern" <<<"$said")
  [ "$found" = "$count" ] || fail "$template with $*: $found lines match $pattern, wanted $count"
}

# Nothing is served: an operator without namespaces would watch all of them, with rights on none.
refused "namespaces: none is served" --set check.namespace=
lines 1 --watch-namespace operator.yaml --set check.namespace= --set 'namespaces={shop}'
lines 0 --watch-namespace operator.yaml --set check.namespace= --set clusterWide=true
# The namespace of the suite's own keys is never served by name.
refused "namespaces: the release's own" --set 'namespaces={keywright-system}'
for wide in true false; do
  refused "check.namespace: the release's own" --set check.namespace=keywright-system --set clusterWide=$wide
done
refused "operator.notices.secrets: keywright-signer-kek" --set 'operator.notices.secrets={chat,keywright-signer-kek}'
# The programs end at once with an endpoint by https and no roots.
refused tracing.caConfigMap --set tracing.endpoint=https://collector.observe.svc:4318
refused tracing.caConfigMap --set 'tracing.signerEndpoint=https://192.0.2.7:4318'

# Names of Kubernetes' own objects have dots, quantities fractions.
lines 1 'name: "registry.example.com"' operator.yaml --set 'image.pullSecrets={registry.example.com}'
lines 1 'cpu: 0.5' signer.yaml --set-json signer.resources.cpu=0.5
# No ports at all are all ports.
refused /networkPolicy/dns/ports --set-json 'networkPolicy.dns.ports=[]'
refused /networkPolicy/dns/cidrs/0 --set 'networkPolicy.dns.cidrs={169.254.20.10}'
refused /networkPolicy/metricsFrom/0 --set-json 'networkPolicy.metricsFrom=[{}]'
refused /signer/storage/size --set signer.storage.size=big
refused /signer/kek --set signer.kek=file:
refused /signer/pool/value --set-string "signer.pool.value=it's"
refused /image/registry --set image.registry=https://registry.example.com/
refused /operator/podDisruptionBudget/minAvailable --set operator.podDisruptionBudget.minAvailable=most
# An argument stays text, whatever is in it.
lines 1 '"--kek=file:/a: b #c"' signer.yaml --set-string 'signer.kek=file:/a: b #c'

# Names that read as numbers stay names.
[ "$(helm template 7 "$chart" -n 123 --set-string check.namespace=8,namespaces={9} | grep -cE '(namespace|instance): [0-9]+$')" = 0 ] ||
  fail "a namespace or the release is a number where text is wanted"

# A budget that kept all replicas would let no node be drained.
lines 1 'minAvailable: 2' webhook.yaml
lines 1 'minAvailable: 1' webhook.yaml --set webhook.replicas=2
lines 0 PodDisruptionBudget webhook.yaml --set webhook.replicas=1
lines 0 PodDisruptionBudget operator.yaml --set operator.replicas=1
lines 1 'minAvailable: 50%' webhook.yaml --set webhook.podDisruptionBudget.minAvailable=50%

# The signer looks up names only where its custodian has one: operator, bootstrap and check always do, over two protocols.
lines 6 'port: 53,' networkpolicies.yaml --set-string 'signer.kek=vault:https://192.0.2.7:8200;key=k'
lines 6 'port: 53,' networkpolicies.yaml --set-string 'signer.kek=vault:https://[2001:db8::7]:8200;key=k'
lines 8 'port: 53,' networkpolicies.yaml --set-string 'signer.kek=vault:https://vault.example.com:8200;key=k'
# The log is served only where that is asked for, and only to whom it is.
from='networkPolicy.logFrom[0].podSelector.matchLabels.app=archive'
lines 0 8444 signer.yaml
lines 3 8444 signer.yaml --set signer.servesLog=true
lines 0 8444 networkpolicies.yaml --set signer.servesLog=true
lines 0 8444 networkpolicies.yaml --set "$from"
lines 1 8444 networkpolicies.yaml --set signer.servesLog=true --set "$from"
# On clusters whose pods have IPv6 addresses only, all that is listened at.
for part in operator:1 bootstrap:1 webhook:2 signer:2; do
  lines "${part#*:}" 'listen=\[::\]:' "${part%:*}.yaml" --set-string 'listen=[::]'
  lines "${part#*:}" 'listen=0\.0\.0\.0:' "${part%:*}.yaml"
done
# The namespace of a certificate, and not that of the pod that tells of it.
lines 3 'honorLabels: true' monitoring.yaml --set monitoring.podMonitor=true

# The pod of `helm test` finds a node where the operator does.
lines 1 'dedicated: tools' tests/check.yaml --set operator.nodeSelector.dedicated=tools
exit $failed
