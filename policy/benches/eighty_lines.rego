package keywright

# What a platform team asks of every certificate: names of its own, lives that fit, keys that last, owners.

spec := input.object.spec

labels := object.get(input.object.metadata, "labels", {})

public(name) if not endswith(name, concat("", [".", data.settings.internalDomain]))

team := labels["example.com/team"]

default hours := 2160

hours := to_number(trim_suffix(spec.duration, "h")) if endswith(object.get(spec, "duration", ""), "h")

usages := {usage | some usage in object.get(spec, "usages", [])}

algorithm := object.get(object.get(spec, "privateKey", {}), "algorithm", "ECDSA")

size := object.get(object.get(spec, "privateKey", {}), "size", 0)

allowed(name) if {
	some domain in data.teams[team].domains
	endswith(name, concat("", [".", domain]))
}

allowed(name) if name in data.teams[team].domains

deny contains "metadata.labels must name a team: set example.com/team" if not team

deny contains sprintf("team %v is not known", [team]) if not data.teams[team]

deny contains {"message": sprintf("%v is not a name of team %v", [name, team]), "fix": "ask for a name of your own"} if {
	some name in spec.dnsNames
	not allowed(name)
}

deny contains sprintf("%v: a wildcard is for the edge team only", [name]) if {
	some name in spec.dnsNames
	startswith(name, "*.")
	team != "edge"
}

deny contains sprintf("%v is outside the ranges of this cluster", [address]) if {
	some address in object.get(spec, "ipAddresses", [])
	not within(address)
}

within(address) if {
	some range in data.settings.ranges
	net.cidr_contains(range, address)
}

deny contains "RSA keys have at least 3072 bits" if {
	algorithm == "RSA"
	size < 3072
}

deny contains "a life of more than 90 days is not given" if hours > 2160

deny contains "client auth and code signing exclude each other" if {
	"client auth" in usages
	"code signing" in usages
}

deny contains "only members of the platform group ask for an authority" if {
	spec.isCA == true
	not "platform" in input.user.groups
}

require_approval contains "public-names" if {
	some name in spec.dnsNames
	public(name)
}

warn contains "names of more than 20 are hard to rotate" if count(spec.dnsNames) > 20

warn contains "a life of under a day needs a clock that is right" if hours < 24
