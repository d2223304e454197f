//! What a set of policies answers, as tables.

use keywright_policy::{
    AppliesTo, CompileError, Decision, Fault, Input, Issuer, IssuerRef, Member, Mode, Outcome, Policy,
    PolicySet, Problem, Rules, Source,
};
use serde_json::json;
use std::sync::Arc;

fn source(name: &str, rules: &str) -> Source {
    Source {
        name: name.to_owned(),
        applies_to: AppliesTo::default(),
        mode: Mode::Enforce,
        data: [("domains".to_owned(), json!(["example.com"]))].into(),
        rules: Rules::Rego(format!("package keywright\n{rules}")),
    }
}

fn input() -> Input {
    Input {
        request: "CREATE".to_owned(),
        object: json!({
            "kind": "Certificate",
            "metadata": {"namespace": "shop", "name": "web", "uid": "u1"},
            "spec": {"dnsNames": ["web.example.com", "evil.test"], "note": "HIDDEN"},
        }),
        time: "2030-01-01T00:00:00Z".to_owned(),
        ..Input::default()
    }
}

fn ask(rules: &str) -> Decision {
    set(vec![source("p", rules)]).decide(&input())
}

fn set(sources: Vec<Source>) -> PolicySet {
    let members: Vec<_> = sources.into_iter().map(|source| Arc::new(Member::of(source, None))).collect();
    assert!(members.iter().all(|member| member.problem().is_none()), "{members:?}");
    PolicySet::new(members).expect("different names")
}

fn fault(rules: &str) -> Option<Fault> {
    match ask(rules).outcome {
        Outcome::Deny { denials } => denials[0].fault,
        Outcome::Allow | Outcome::RequireApproval { .. } => panic_on(rules),
    }
}

fn panic_on(rules: &str) -> ! {
    unreachable!("not denied: {rules}")
}

#[test]
fn answers() {
    let nothing_minds = [
        "allow := true",
        "deny contains \"never\" if input.request == \"DELETE\"",
        "warn contains \"careful\"",
        "default allow := false\nallow if input.object.metadata.namespace == \"shop\"",
        "allow if net.cidr_contains(\"10.0.0.0/8\", \"10.1.2.3\")",
        "allow if semver.compare(\"1.2.3\", \"1.2.4\") == -1",
        "allow if glob.match(\"*.example.com\", [\".\"], \"web.example.com\")",
        "allow if time.parse_rfc3339_ns(input.time) > 0",
        "allow if \"example.com\" in data.domains",
    ];
    for rules in nothing_minds {
        assert_eq!(ask(rules).outcome, Outcome::Allow, "{rules}");
    }
    let no = "deny contains sprintf(\"%s is not ours\", [name]) if {
        some name in input.object.spec.dnsNames
        not endswith(name, sprintf(\".%s\", [data.domains[0]]))
    }";
    assert_eq!(
        ask(no).refusal().expect("denied").split(" (decision").next(),
        Some("policy p: evil.test is not ours")
    );
    let Outcome::Deny { denials } = ask("deny contains {\"message\": \"m\", \"fix\": \"f\"}").outcome else {
        panic_on("fix")
    };
    assert_eq!(
        (denials[0].message.as_str(), denials[0].fix.as_deref(), denials[0].fault),
        ("m", Some("f"), None)
    );
    assert_eq!(
        ask("require_approval contains \"two\"\nrequire_approval contains \"one\"").outcome,
        Outcome::RequireApproval { classes: vec!["one".to_owned(), "two".to_owned()] }
    );
    assert!(ask("allow := false").refusal().is_some());
    assert!(
        ask("allow := true\ndeny contains \"no\"\nrequire_approval contains \"one\"").refusal().is_some()
    );
}

#[test]
fn no_answer_is_a_no() {
    let cases = [
        ("allow if input.object.spec.absent == 1", Fault::Undefined),
        ("allow := \"yes\"", Fault::NotAResult),
        ("allow := 1", Fault::NotAResult),
        ("deny := \"text\"", Fault::NotAResult),
        ("deny := [\"text\"]", Fault::NotAResult),
        ("deny contains 7", Fault::NotAResult),
        ("deny contains \"\"", Fault::NotAResult),
        ("deny contains {\"fix\": \"f\"}", Fault::NotAResult),
        ("deny contains {\"message\": \"m\", \"other\": \"o\"}", Fault::NotAResult),
        ("warn contains {\"message\": \"m\"}", Fault::NotAResult),
        ("require_approval contains \"Not A Name\"", Fault::NotAResult),
        (
            "deny contains sprintf(\"%d\", [i]) if { some i in [a | some x in input.object.spec.dnsNames; some y in [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40]; a := y + (count(x) * 1000)] }",
            Fault::NotAResult,
        ),
        ("allow if time.parse_rfc3339_ns(\"x\") == 1", Fault::FunctionFailed),
        ("allow := true if true\nallow := false if true", Fault::Undefined),
    ];
    for (rules, expected) in cases {
        assert_eq!(fault(rules), Some(expected), "{rules}");
    }
}

/// In OPA the body would be undefined: under `deny` the denial would be lost.
#[test]
fn a_failing_function_denies_under_every_rule() {
    let failing = "time.parse_rfc3339_ns(input.object.kind) > 1";
    let failing_calls = [
        format!("allow if {failing}"),
        format!("deny contains \"no\" if {failing}"),
        format!("allow := true\ndeny contains \"no\" if not ok\nok if not {failing}"),
        format!("require_approval contains \"one\" if {failing}"),
        "deny contains \"no\" if net.cidr_contains(\"10.0.0.0/8\", input.object.kind)".to_owned(),
        "deny contains \"no\" if net.cidr_contains(input.object.kind, \"10.0.0.1\")".to_owned(),
        "deny contains \"no\" if semver.compare(input.object.kind, \"1.0.0\") == 1".to_owned(),
        "deny contains \"no\" if startswith(input.object.metadata, \"x\")".to_owned(),
        "deny contains \"no\" if to_number(input.object.kind) > 1".to_owned(),
        "deny contains \"no\" if regex.match(\"(\", input.object.kind)".to_owned(),
        "deny contains \"no\" if max([]) > 1".to_owned(),
        "deny contains \"no\" if { some x in [parse(\"y\")]; x > 1 }\nparse(t) := time.parse_rfc3339_ns(t)"
            .to_owned(),
        "deny contains \"no\" if count([x | x := time.parse_rfc3339_ns(\"y\")]) > 1".to_owned(),
    ];
    for rules in failing_calls {
        assert_eq!(fault(&rules), Some(Fault::FunctionFailed), "{rules}");
    }
    assert_eq!(
        ask("deny contains \"no\" if input.object.absent == 1\ndeny contains \"no\" if startswith(input.absent, \"x\")").outcome,
        Outcome::Allow,
        "what is absent is no failure"
    );
}

/// In OPA these leave a body undefined as well.
#[test]
fn a_failing_operator_denies_under_every_rule() {
    let failing = [
        "deny contains \"no\" if input.object.kind + 1 > 2",
        "deny contains \"no\" if 1 - input.object.kind > 2",
        "deny contains \"no\" if input.object.metadata * 2 > 2",
        "deny contains \"no\" if 7 / count(input.object.spec.none_of_them) > 1\nnone := []",
        "deny contains \"no\" if 7 / (count(input.object.spec.dnsNames) - 2) > 1",
        "deny contains \"no\" if 7 % (count(input.object.spec.dnsNames) - 2) > 1",
        "deny contains \"no\" if 7.5 % 2 > 1",
        "allow := true\ndeny contains \"no\" if not ok\nok if not 1 / (count(input.object.spec.dnsNames) - 2) > 1",
        "deny contains \"no\" if count([x | some y in input.object.spec.dnsNames; x := y + 1]) > 1",
    ];
    for rules in failing {
        let expected = if rules.contains("none_of_them") { None } else { Some(Fault::FunctionFailed) };
        let said = match ask(rules).outcome {
            Outcome::Deny { denials } => denials[0].fault,
            Outcome::Allow | Outcome::RequireApproval { .. } => None,
        };
        assert_eq!(said, expected, "{rules}");
    }
    for rules in [
        "allow if { 7 + 1 == 8; 7 - 1 == 6; 7 * 2 == 14; 7 / 2 == 3.5; 7 % 4 == 3 }",
        "allow if { 1 < 2; 2 <= 2; 3 > 2; 2 >= 2; 1 != 2; {1, 2} - {2} == {1}; {1} | {2} == {1, 2} }",
        "allow if { \"a\" < \"b\"; null < true; true < 1; 1 < \"a\"; \"a\" < [1]; [1] < {\"a\": 1}}",
        "allow if 9223372036854775807 * 9223372036854775807 == 85070591730234615847396907784232501249",
    ] {
        assert_eq!(ask(rules).outcome, Outcome::Allow, "{rules}");
    }
}

/// A chain of rules each of which makes twice of the one before.
fn doublings(of: &str, times: usize, first: &str) -> String {
    let first = format!("x0 := {first}\n");
    let next = |n: usize| format!("x{n} := {}\n", of.replace('X', &format!("x{}", n - 1)));
    std::iter::once(first).chain((1..=times).map(next)).collect()
}

#[test]
fn no_policy_takes_more_memory_than_it_may() {
    let text = "\"abcdefgh\"";
    let cases = [
        format!("{}deny contains \"no\" if count(x24) == 0", doublings("concat(\"\", [X, X])", 24, text)),
        format!("{}deny contains \"no\" if x24 == \"\"", doublings("sprintf(\"%s%s\", [X, X])", 24, text)),
        format!("{}deny contains \"no\" if count(x24) == 0", doublings("array.concat(X, X)", 24, "[1]")),
        // Small to hold, and more than the world when written out.
        format!("{}deny contains \"no\" if sprintf(\"%v\", [x60]) == \"\"", doublings("[X, X]", 60, text)),
        // Cheap to hold, and more than the world to compare.
        format!(
            "{}{}deny contains \"no\" if x60 == y60",
            doublings("[X, X]", 60, text),
            doublings("[X, X]", 60, text).replace('x', "y")
        ),
        // A number of many megabytes, by squares.
        format!("{}deny contains \"no\" if x40 == 1", doublings("X * X", 40, "3")),
        // A long text between many short ones.
        format!(
            "{}deny contains \"no\" if concat(x12, split(x12, \"\")) == \"\"",
            doublings("concat(\"\", [X, X])", 12, text)
        ),
    ];
    for rules in cases {
        assert_eq!(fault(&rules), Some(Fault::TooMuchMemory), "{rules}");
    }
}

#[test]
fn loops_end() {
    let ten = "[1,2,3,4,5,6,7,8,9,10]";
    let nested = format!(
        "allow if {{ count([1 | some a in {ten}; some b in {ten}; some c in {ten}; some d in {ten}; some e in {ten}; \
         a + b + c + d + e > 0]) > 0 }}"
    );
    assert_eq!(fault(&nested), Some(Fault::TooManyInstructions));
}

fn refused(source: Source) -> CompileError {
    match Policy::compile(source, None) {
        Err(Problem::DoesNotCompile(error)) => error,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn what_does_not_compile_has_its_place() {
    let cases = [
        ("allow if {", 2, "expecting"),
        ("allow := nosuch(1)", 2, "nosuch"),
        ("helper := 1", 1, "no rule that is asked"),
        ("\nallow if http.send({}).status == 200", 3, "http.send"),
        ("\nallow if time.now_ns() > 0", 3, "time.now_ns"),
        ("\nallow if count(numbers.range(1, 1000000000000)) > 0", 3, "numbers.range"),
        ("\nallow if replace(input.request, \"\", input.request) != \"\"", 3, "replace"),
        ("\nallow if bits.lsh(1, 1000000000000) > 0", 3, "bits.lsh"),
        ("\nallow if sprintf(input.request, []) != \"\"", 3, "sprintf"),
        ("\nallow if sprintf( input.request, []) != \"\"", 3, "sprintf"),
        ("\nallow if sprintf(\"%4000000000d\", [1]) != \"\"", 3, "sprintf"),
        ("\nallow if sprintf(\"%²\", [1]) != \"\"", 3, "sprintf"),
        ("\nallow if sprintf(\"\\u00259d\", [1]) != \"\"", 3, "sprintf"),
        ("\nallow if __builtin_host_await([], input.request) == 1", 3, "__builtin_host_await"),
        ("\nallow if net.cidr_intersects(\"10.0.0.0/8\") == 1", 3, "net.cidr_intersects"),
        ("\nallow if rand.intn(\"a\", 2) == 1", 3, "rand.intn"),
        ("\nf(x) := f(x)\nallow if f(1)", 3, "`f` asks for itself: f -> f"),
        ("\nallow if p\np if not q\nq if p", 5, "`p` asks for itself: p -> q -> p"),
        ("\ndeny contains x if some x in deny", 3, "`deny` asks for itself"),
        ("\nallow if p\np := [y | some y in q]\nq := {x | x := data.keywright.p}", 5, "itself: p -> q -> p"),
        (
            "f.a := 1\nf.b if allow\nallow if f[input.request]",
            3,
            "`allow` asks for itself: allow -> f -> allow",
        ),
    ];
    for (rules, line, says) in cases {
        let error = refused(source("p", rules));
        assert_eq!(error.line, line, "{rules}: {error}");
        assert!(error.message.contains(says), "{rules}: {error}");
    }
    let other = Source { rules: Rules::Rego("package other\nallow := true".to_owned()), ..source("p", "") };
    assert!(refused(other).message.contains("package"));
    let shadow = Source {
        data: [("keywright".to_owned(), json!({"allow": true}))].into(),
        ..source("p", "allow := true")
    };
    assert!(refused(shadow).message.contains("data"));
}

#[test]
fn what_policies_say_is_one_line_of_plain_text() {
    let said = ask(
        "warn contains \"a\\nb\\u001b[31mc\\u202ed\"\ndeny contains {\"message\": \"x\\ty\", \"fix\": \"z\\u0000\"}",
    );
    assert_eq!(said.warnings[0].message, "a b\\u{1b}[31mc\\u{202e}d");
    let Outcome::Deny { denials } = &said.outcome else { panic_on("deny") };
    assert_eq!((denials[0].message.as_str(), denials[0].fix.as_deref()), ("x y", Some("z\\u{0}")));
}

#[test]
fn a_rule_that_comes_to_two_values_denies() {
    let two = [
        "allow := x if some x in [false, true]",
        "allow := true\nallow := false",
        "v := x if some x in [\"a\", \"b\"]\nallow if v == \"b\"",
        "v := 1\nv := 2\ndeny contains \"no\" if v == 1",
        "default v := 3\nv := 1 if input.request\nv := 2 if input.request\ndeny contains \"no\" if v == 3",
        "f(a) := x if some x in [a, 2]\ndeny contains \"no\" if f(1) == 1",
        "f(a) := 1 if a > 0\nf(a) := 2 if a > 1\ndeny contains \"no\" if f(2) == 1",
        "o[k] := v if { some k in [\"a\"]; some v in [1, 2] }\ndeny contains \"no\" if o.a == 1",
        "o.a := 1\no.a := 2\ndeny contains \"no\" if o.a == 1",
    ];
    for rules in two {
        assert_eq!(fault(rules), Some(Fault::Undefined), "{rules}");
    }
    let one = [
        "allow := x if some x in [true, true]",
        "allow := true if input.request\nallow := true if input.object",
        "v := x.max if { some x in [{\"n\": 1, \"max\": 5}, {\"n\": 2, \"max\": 6}]; x.n == 2 }\nallow if v == 6",
        "f(a) := x if { some x in [a, a] }\nallow if { f(1) == 1; f(2) == 2; f(1) == 1 }",
        "f(a, b) := 1 if a > b\nf(a, b) := 2 if a < b\nallow if { f(1, 2) == 2; f(2, 1) == 1 }",
        "f(1) := \"one\"\nf(2) := \"two\"\nallow if { f(1) == \"one\"; f(2) == \"two\" }",
        "v := 1 if input.nothing\nelse := 2 if { some x in [1, 2]; x > 0 }\nelse := 3\nallow if v == 2",
        "o[k] := v if { some k, v in {\"a\": 1, \"b\": 2} }\nallow if o == {\"a\": 1, \"b\": 2}",
        "allow if not v\nv := x if some x in []",
        "allow if not v\nv := x.y if some x in [{}]",
    ];
    for rules in one {
        assert_eq!(ask(rules).outcome, Outcome::Allow, "{rules}");
    }
}

/// Each of these overflows the stack of a thread where it is let in.
#[test]
fn what_no_stack_holds_does_not_compile() {
    let lines = |n: usize, line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>();
    let chain = |n: usize| {
        let rules = lines(n, &|i| {
            format!("a{i} contains x if {{ every y in [1] {{ count(a{}) > y }}; x := 1 }}\n", i + 1)
        });
        format!("{rules}a{n} contains 1\nallow if count(a0) == 0")
    };
    assert_eq!(ask(&chain(100)).outcome, Outcome::Allow);
    let cases = [
        (chain(1000), "within each other"),
        (
            lines(3000, &|i| format!("a{i}(x) := a{}(x)\n", i + 1)) + "a3000(x) := x\nallow if a0(1)",
            "within each other",
        ),
        (format!("allow if {}1 == 0", lines(9000, &|_| "1 +\n".to_owned())), "operators in one expression"),
        (format!("allow if {}1 == 0", lines(9000, &|_| "-\n".to_owned())), "operators in one expression"),
        (
            format!(
                "allow if {}1{}",
                lines(5000, &|_| "abs(\n".to_owned()),
                lines(5000, &|_| ")\n".to_owned())
            ),
            "parentheses in each other",
        ),
    ];
    for (rules, says) in cases {
        let error = refused(source("p", &rules));
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn asked_only_about_what_it_applies_to() {
    let of = |kinds: &[&str], namespaces: &[&str], issuers: Vec<IssuerRef>| {
        let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let applies_to = AppliesTo { kinds: owned(kinds), namespaces: owned(namespaces), issuers };
        let policies = set(vec![Source { applies_to, ..source("p", "deny contains \"no\"") }]);
        let issuer =
            Issuer { kind: "Issuer".to_owned(), name: "ca".to_owned(), namespace: Some("shop".to_owned()) };
        policies.decide(&Input { issuer: Some(issuer), ..input() }).refusal().is_some()
    };
    let issuer = |kind: &str, namespace: Option<&str>| {
        vec![IssuerRef {
            kind: kind.to_owned(),
            name: "ca".to_owned(),
            namespace: namespace.map(str::to_owned),
        }]
    };
    assert!(of(&[], &[], vec![]));
    assert!(of(&["Issuer", "Certificate"], &["shop"], issuer("Issuer", Some("shop"))));
    assert!(of(&[], &[], issuer("Issuer", None)));
    assert!(!of(&["Issuer"], &[], vec![]));
    assert!(!of(&[], &["other"], vec![]));
    assert!(!of(&[], &[], issuer("ClusterIssuer", None)));
    assert!(!of(&[], &[], issuer("Issuer", Some("other"))));
}

#[test]
fn a_stored_policy_that_cannot_be_asked_denies_what_it_applies_to() {
    let about = |spec: serde_json::Value| {
        let member = Member::read("bad", &spec, None);
        assert!(member.problem().is_some() && member.digest().starts_with("sha256:"), "{member:?}");
        PolicySet::new(vec![Arc::new(member)]).expect("one").decide(&input())
    };
    let rego = json!({"source": "package keywright\nallow if {"});
    let decision = about(json!({"rego": rego}));
    assert!(
        decision.refusal().expect("denied").starts_with("policy bad: the policy does not compile (line 2")
    );
    assert!(about(json!({"rego": rego, "appliesTo": {"kinds": ["Certificate"]}})).refusal().is_some());
    assert_eq!(about(json!({"rego": rego, "appliesTo": {"kinds": ["Issuer"]}})).outcome, Outcome::Allow);
    let audit = about(json!({"rego": rego, "mode": "Audit"}));
    assert_eq!((audit.outcome, audit.audited.len()), (Outcome::Allow, 1));
    // A field of a later version may be the one that says what it is about.
    assert!(
        about(json!({"rego": {"source": "package keywright\nallow := true"}, "until": "2030"}))
            .refusal()
            .is_some()
    );
    assert!(about(json!({"appliesTo": {"kinds": ["Issuer"]}})).refusal().is_some(), "no engine");

    let good = json!({"appliesTo": {"issuers": [{"name": "ca"}]}, "rego": {"source": "package keywright\nallow := true"}});
    let spelled = json!({
        "appliesTo": {"issuers": [{"kind": "Issuer", "name": "ca"}], "kinds": []}, "mode": "Enforce", "data": {},
        "rego": {"source": "package keywright\nallow := true"},
    });
    assert_eq!(Member::read("p", &good, None).digest(), Member::read("p", &spelled, None).digest());
}

#[test]
fn audit_only_tells() {
    let audit = Source {
        mode: Mode::Audit,
        ..source("a", "deny contains \"no\"\nrequire_approval contains \"one\"")
    };
    let decision = set(vec![audit]).decide(&input());
    assert_eq!(decision.outcome, Outcome::Allow);
    assert_eq!(decision.audited.len(), 2);
}

#[test]
fn no_policies_forbid_nothing() {
    assert_eq!(set(vec![]).decide(&input()).outcome, Outcome::Allow);
}

#[test]
fn digests_and_ids_follow_from_what_was_asked_alone() {
    let (a, b) = (source("a", "deny contains \"no\""), source("b", "allow := true"));
    let one = set(vec![a.clone(), b.clone()]);
    let other = set(vec![b.clone(), a.clone()]);
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.decide(&input()), other.decide(&input()));
    for changed in [
        Source { mode: Mode::Audit, ..a.clone() },
        Source { data: [].into(), ..a.clone() },
        Source {
            applies_to: AppliesTo { kinds: vec!["Issuer".to_owned()], ..AppliesTo::default() },
            ..a.clone()
        },
        source("a", "deny contains \"nO\""),
        source("c", "deny contains \"no\""),
    ] {
        assert_ne!(set(vec![changed, b.clone()]).digest(), one.digest());
    }
    let later = Input { time: "2030-01-01T00:00:01Z".to_owned(), ..input() };
    assert_ne!(one.decide(&later).id, one.decide(&input()).id);
    let twice = [a.clone(), a].map(|source| Arc::new(Member::of(source, None))).to_vec();
    assert!(PolicySet::new(twice).is_err());
    assert_eq!(PolicySet::new(vec![]).expect("none").digest(), "");
}

#[test]
fn policies_about_other_objects_make_no_decision_another_one() {
    let elsewhere = |rules: &str| Source {
        applies_to: AppliesTo { namespaces: vec!["other".to_owned()], ..AppliesTo::default() },
        ..source("elsewhere", rules)
    };
    let here = source("here", "require_approval contains \"production\"");
    let alone = set(vec![here.clone()]);
    let beside = set(vec![here.clone(), elsewhere("deny contains \"no\"")]);
    assert_ne!(alone.digest(), beside.digest());
    assert_eq!(alone.decide(&input()), beside.decide(&input()));
    assert_eq!(alone.digest_for(&input()), alone.digest());
    assert_eq!(beside.digest_for(&input()), alone.digest());
    assert_eq!(beside.decide(&input()).policy_digest, alone.digest());
    assert_eq!(set(vec![elsewhere("allow := false")]).digest_for(&input()), "");
    let edited = source("here", "require_approval contains \"other\"");
    assert_ne!(set(vec![edited]).digest_for(&input()), alone.digest_for(&input()));
}

#[test]
fn the_log_has_the_id_of_the_refusal_and_nothing_of_the_content() {
    let decision = ask("deny contains \"no\"");
    let record = serde_json::to_string(&decision.record(&input())).expect("json");
    assert!(decision.refusal().expect("denied").contains(&decision.id));
    assert!(
        record.contains(&decision.id) && record.contains("\"web\"") && !record.contains("HIDDEN"),
        "{record}"
    );
}
