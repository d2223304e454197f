# Functions and operators that fail for what an input gives them, within the module and at its host: in OPA the body is
# undefined and a denial lost unless errors are strict; here the rule has no answer, and denies.
package keywright

which := input.object.which

x := input.object.x

deny contains "divide" if {
	which == "divide"
	1 / x > 1
}

deny contains "remainder" if {
	which == "remainder"
	7 % x > 1
}

deny contains "add" if {
	which == "add"
	x + 1 > 1
}

deny contains "number" if {
	which == "number"
	to_number(x) > 1
}

deny contains "text" if {
	which == "text"
	startswith(x, "a")
}

deny contains "negated" if {
	which == "negated"
	not startswith(x, "a")
}

deny contains "in a helper" if {
	which == "helper"
	not fine(x)
}

deny contains "in a comprehension" if {
	which == "comprehension"
	count([y | y := to_number(x)]) > 0
}

deny contains "address" if {
	which == "address"
	net.cidr_contains("10.0.0.0/8", x)
}

deny contains "json" if {
	which == "json"
	json.unmarshal(x) == 1
}

deny contains "host time" if {
	which == "time"
	time.parse_rfc3339_ns(x) > 1
}

deny contains "host version" if {
	which == "version"
	not semver.compare(x, "1.0.0") == 1
}

deny contains "host certificate" if {
	which == "certificate"
	count(crypto.x509.parse_certificates(x)) > 0
}

deny contains "nothing" if {
	which == "max"
	max(x) > 1
}

require_approval contains "production" if {
	which == "approval"
	x * 2 > 1
}

# Complete rules that contradict each other.
allow := true

allow := false if which == "conflict"

fine(y) if upper(y) == "A"

# What goes over every budget; no input of the table asks for it.
warn contains "loop" if {
	which == "loop"
	count([1 | some a in x; some b in x; some c in x; some d in x; some e in x; a + b + c + d + e > 0]) > 0
}

warn contains "memory" if {
	which == "memory"
	count(x6) > 0
}

warn contains "deep" if {
	which == "deep"
	json.unmarshal(x) != null
}

x1 := concat("", [x, x, x, x, x, x, x, x])

x2 := concat("", [x1, x1, x1, x1, x1, x1, x1, x1])

x3 := concat("", [x2, x2, x2, x2, x2, x2, x2, x2])

x4 := concat("", [x3, x3, x3, x3, x3, x3, x3, x3])

x5 := concat("", [x4, x4, x4, x4, x4, x4, x4, x4])

x6 := concat("", [x5, x5, x5, x5, x5, x5, x5, x5])
