# Functions and operators that have a value for what these inputs give them: each line is one question, and the set of
# those that are answered yes must be the same everywhere.
package keywright

o := input.object

deny contains "abs" if abs(o.minus) == 3
deny contains "add" if o.n + 0.5 == 7.5
deny contains "array.concat" if array.concat(o.list, [9])[3] == 9
deny contains "array.reverse" if array.reverse(o.list) == [3, 2, 1]
deny contains "array.slice" if array.slice(o.list, 1, 3) == [2, 3]
deny contains "base64" if base64.decode(base64.encode(o.text)) == o.text
deny contains "base64.is_valid" if base64.is_valid("aGk=")
deny contains "base64url" if base64url.encode_no_pad("a?b~") == "YT9ifg"
deny contains "bits" if bits.xor(bits.and(o.n, 6), bits.or(1, 8)) == 15
deny contains "ceil" if ceil(o.half) == 2
deny contains "compare" if {
	null < true
	true < 1
	1 < "a"
	"a" < [1]
	[1] < {"a": 1}
	{"a": 1} < {1}
}
deny contains "concat" if concat(",", ["b", "a"]) == "b,a"
deny contains "contains" if contains(o.text, "éa")
deny contains "count" if count(o.text) == 5
deny contains "divide" if o.n / 2 == 3.5
deny contains "floor" if floor(o.half) == 1
deny contains "hex" if hex.decode(hex.encode(o.text)) == o.text
deny contains "indexof" if indexof(o.text, "z") == 4
deny contains "intersection" if intersection({{1, 2}, {2, 3}}) == {2}
deny contains "json.unmarshal" if json.unmarshal("{\"a\": [1, {}]}").a[0] == 1
deny contains "json.filter" if json.filter(o, ["deep/b"]) == {"deep": {"b": [1, 2]}}
deny contains "json.remove" if json.remove(o.deep, ["b/0"]) == {"a": {"x": 1}, "b": [2]}
deny contains "lower" if lower(upper(o.text)) == o.text
deny contains "max" if max(o.list) == 3
deny contains "min" if min({4, 2}) == 2
deny contains "multiply" if 9007199254740993 * 3 == 27021597764222979
deny contains "object.filter" if object.filter(o.deep, ["a"]) == {"a": {"x": 1}}
deny contains "object.get" if object.get(o, ["deep", "a", "y"], "none") == "none"
deny contains "object.keys" if object.keys(o.deep) == {"a", "b"}
deny contains "object.remove" if object.remove(o.deep, {"a"}) == {"b": [1, 2]}
deny contains "object.subset" if object.subset(o.deep, {"a": {"x": 1}})
deny contains "object.union" if object.union({"a": {"y": 2}}, o.deep).a == {"x": 1, "y": 2}
deny contains "object.union_n" if object.union_n([{"a": 1}, {"b": 2}]) == {"a": 1, "b": 2}
deny contains "product" if product(o.list) == 6
deny contains "remainder" if o.n % 4 == 3
deny contains "round" if round(o.half) == 2
deny contains "set difference" if {1, 2, 3} - {2} == {1, 3}
deny contains "set operators" if ({1, 2} | {3}) & {2, 3} == {2, 3}
deny contains "sort" if sort({3, 1, 2}) == [1, 2, 3]
deny contains "split" if split(o.text, "") == ["a", "é", "a", "\"", "z"]
deny contains "sprintf" if sprintf("%s %d %v %v %%", ["a", 7, "b", true]) == "a 7 b true %"
deny contains "strings.any_prefix_match" if strings.any_prefix_match(o.text, {"b", "aé"})
deny contains "strings.reverse" if strings.reverse(o.text) == "z\"aéa"
deny contains "substring" if substring(o.text, 1, 2) == "éa"
deny contains "subtract" if o.n - 0.5 == 6.5
deny contains "sum" if sum(o.list) == 6
deny contains "to_number" if to_number("-1.5e2") == -150
deny contains "trim" if trim("--x--", "-") == "x"
deny contains "trim_prefix" if trim_prefix(trim_suffix("axb", "b"), "a") == "x"
deny contains "trim_space" if trim_space(" x\t") == "x"
deny contains "types" if {
	is_array(o.list)
	is_set({1})
	is_null(o.nothing)
	type_name(o.deep) == "object"
}
deny contains "union" if union({{1}, {2}}) == {1, 2}

# What is undefined is no failure.
deny contains "absent" if o.absent == 1
deny contains "absent to a function" if startswith(o.absent, "a")
deny contains "index of nothing" if o.list[9] == 1

deny contains "comprehensions" if {
	{x: y | some x, y in o.deep.b} == {0: 1, 1: 2}
	[x | some x in o.list; x > 1] == [2, 3]
}
deny contains "every" if {
	every x in o.list {
		x < 4
	}
}
deny contains "else" if grade(o.n) == "middle"
deny contains "with default" if limit == 5

default limit := 5

limit := o.limit

grade(n) := "low" if {
	n < 5
} else := "middle" if {
	n < 10
} else := "high"
