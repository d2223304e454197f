# What a team writes about the names of its certificates: messages with and without a fix, documents, helpers, all rules.
package keywright

default allow := false

allow if {
	input.object.kind == "Certificate"
	not forbidden
}

forbidden if input.object.metadata.labels.quarantined == "yes"

deny contains {"message": sprintf("%s is not a name of %s", [name, team]), "fix": "ask for a name below it"} if {
	some name in input.object.spec.dnsNames
	not ours(name)
}

deny contains "a wildcard needs a life of at most a day" if {
	some name in input.object.spec.dnsNames
	startswith(name, "*.")
	life > time.parse_duration_ns("24h")
}

deny contains concat(" ", ["no name", "at all"]) if count(object.get(input.object.spec, "dnsNames", [])) == 0

deny contains sprintf("%d names, and %d are the most", [count(names), data.most]) if count(names) > data.most

deny contains "the address is of nobody" if {
	some address in input.object.spec.ipAddresses
	every range in data.ranges {
		not net.cidr_contains(range, address)
	}
}

require_approval contains class if {
	some class, suffixes in data.guarded
	some name in names
	some suffix in suffixes
	endswith(name, suffix)
}

warn contains sprintf("%v asked for it", [input.user.username]) if not input.user.username in data.people

warn contains "renewed often" if life < time.parse_duration_ns("1h")

names := {name | some name in input.object.spec.dnsNames}

life := time.parse_duration_ns(input.object.spec.duration)

team := object.get(input.object.metadata, ["labels", "team"], "nobody")

ours(name) if {
	some domain in data.domains[team]
	endswith(name, concat("", [".", domain]))
}

ours(name) if name in data.shared
