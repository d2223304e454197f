# NetworkPolicies as one nftables table: input is a List of Pods, Namespaces and NetworkPolicies. What of the API the chart
# does not use (matchExpressions, named ports, endPort, except) is refused rather than passed over.
def known($keys): if (keys - $keys) == [] then . else error("not understood here: \(keys - $keys)") end;
def selects($labels): known(["matchLabels"]) | (.matchLabels // {}) | to_entries | all(. as $want | $labels[$want.key] == $want.value);

.items as $all
| [$all[] | select(.kind == "Pod" and .status.podIP != null and .spec.hostNetwork != true
    and (.status.phase == "Running" or .status.phase == "Pending"))] as $pods
| [$all[] | select(.kind == "Namespace")] as $namespaces
| [$all[] | select(.kind == "NetworkPolicy")] as $policies
# The addresses of a peer, as the policy of $own sees them.
| def addresses($own):
    known(["ipBlock", "namespaceSelector", "podSelector"])
    | if .ipBlock then (.ipBlock | known(["cidr"]) | .cidr | select(contains(":") | not))
      else . as $peer
        | [if $peer.namespaceSelector then $namespaces[] | select(.metadata.labels as $labels | $peer.namespaceSelector | selects($labels)) | .metadata.name
           else $own end] as $in
        | $pods[] | select(.metadata.namespace | IN($in[])) | select(.metadata.labels as $labels | ($peer.podSelector // {}) | selects($labels)) | .status.podIP
      end;
  # The rules of one direction: who may, and on which ports.
  def allowed($own; $side; $word):
    known(["from", "to", "ports"])
    | (if .[$side] then [.[$side][] | addresses($own)] | unique else null end) as $peers
    | (if .ports then [.ports[] | known(["port", "protocol"]) | "\(.protocol // "TCP" | ascii_downcase) dport \(.port | numbers)"] else [""] end)[]
    | . as $port
    | if $peers == null then "    \($port) return" elif $peers == [] then empty
      else "    ip \($word) { \($peers | join(", ")) } \($port) return" end;
  def chain($pod; $type; $list; $side; $word):
    [$policies[] | select(.metadata.namespace == $pod.metadata.namespace and (.spec.policyTypes | index($type)))
      | select(.spec.podSelector | selects($pod.metadata.labels))] as $mine
    | select($mine != [])
    | ["  chain \($type | ascii_downcase)-\($pod.status.podIP | gsub("[.]"; "-")) {"]
      + [$mine[] | (.spec[$list] // [])[] | allowed($pod.metadata.namespace; $side; $word)] + ["    drop", "  }"];
  [$pods[] | . as $pod | (chain($pod; "Egress"; "egress"; "to"; "daddr"), chain($pod; "Ingress"; "ingress"; "from"; "saddr"))] as $chains
| ["table ip policies", "delete table ip policies", "table ip policies {"]
  + ($chains | add // [])
  + ["  chain forward {", "    type filter hook forward priority 10; policy accept;", "    ct state established,related accept"]
  + [$chains[][0] | capture("chain (?<name>(?<way>[a-z]+)-(?<ip>[0-9-]+)) ")
      | "    ip \(if .way == "egress" then "saddr" else "daddr" end) \(.ip | gsub("-"; ".")) jump \(.name)"]
  + ["  }", "}"]
| .[]
