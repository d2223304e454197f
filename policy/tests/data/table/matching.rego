# Patterns: what a module of OPA brings its own engine for.
package keywright

deny contains "glob" if glob.match("*.example.test", ["."], input.object.name)
deny contains "glob of all" if glob.match("**.example.test", ["."], input.object.name)
deny contains "glob of some" if glob.match("{web,shop}.*", [], input.object.name)
deny contains "regex" if regex.match("^[a-z]+\\.example\\.test$", input.object.name)
deny contains "valid" if regex.is_valid(input.object.pattern)
deny contains "given" if {
	input.object.given
	regex.match(input.object.pattern, input.object.name)
}
