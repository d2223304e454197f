//! The functions that policies about certificates need: values as OPA gives them, and no value as a fault.

use keywright_policy::{AppliesTo, Fault, Input, Member, Mode, Outcome, PolicySet, Rules, Source};
use serde_json::json;
use std::sync::Arc;

/// A root and a leaf: `openssl req -x509 -newkey ec ...`, made once.
const CHAIN: &str = include_str!("data/chain.pem");
/// A request with names of every kind.
const REQUEST: &str = include_str!("data/request.pem");

fn outcome(rules: &str) -> Outcome {
    let source = Source {
        name: "p".to_owned(),
        applies_to: AppliesTo::default(),
        mode: Mode::Enforce,
        data: [
            ("chain".to_owned(), json!(CHAIN)),
            ("request".to_owned(), json!(REQUEST)),
            ("token".to_owned(), json!("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ3ZWIiLCJuIjo3fQ.AQID")),
        ]
        .into(),
        rules: Rules::Rego(format!("package keywright\n{rules}")),
    };
    let set = PolicySet::new(vec![Arc::new(Member::of(source, None))]).expect("one policy");
    set.decide(&Input { request: "CREATE".to_owned(), object: json!({"kind": "Odd"}), ..Input::default() })
        .outcome
}

#[test]
fn values_are_those_of_opa() {
    let expressions = [
        "net.cidr_intersects(\"192.168.0.0/16\", \"192.168.1.0/24\")",
        "not net.cidr_intersects(\"192.168.0.0/16\", \"10.0.0.0/8\")",
        "net.cidr_intersects(\"2001:db8::/32\", \"2001:db8:1::/48\")",
        "net.cidr_merge([\"192.0.128.0/24\", \"192.0.129.0/24\"]) == {\"192.0.128.0/23\"}",
        "net.cidr_merge({\"10.0.0.1\", \"10.0.0.0\"}) == {\"10.0.0.0/31\"}",
        "net.cidr_contains(\"10.0.0.0/8\", \"10.1.0.0/16\")",
        "net.ip_is_valid(\"::1\"); not net.ip_is_valid(\"localhost\")",
        "crypto.sha256(\"foo\") == \"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"",
        "glob.match(\"*.example.test\", [\".\"], \"web.example.test\"); not glob.match(\"*.example.test\", [\".\"], \"a.b.example.test\")",
        "semver.is_valid(\"1.2.3-rc.1\"); semver.compare(\"1.2.3-rc.1\", \"1.2.3\") == -1",
        "[h, p, s] := io.jwt.decode(data.token); h.alg == \"ES256\"; p == {\"sub\": \"web\", \"n\": 7}; s == \"010203\"",
        "count(crypto.x509.parse_certificates(data.chain)) == 2",
        "crypto.x509.parse_certificates(base64.encode(data.chain)) == crypto.x509.parse_certificates(data.chain)",
    ];
    for expression in expressions {
        assert_eq!(outcome(&format!("allow if {{ {expression} }}")), Outcome::Allow, "{expression}");
    }
}

#[test]
fn certificates_have_the_fields_of_opa() {
    let fields = "
        [leaf, root] := crypto.x509.parse_certificates(data.chain)
        leaf.Subject.CommonName == \"web\"
        leaf.Subject.Organization == [\"Shop\", \"Till\"]
        leaf.Subject.Country == null
        leaf.Subject.Names[0] == {\"Type\": [2, 5, 4, 10], \"Value\": \"Shop\"}
        leaf.Issuer == root.Subject
        leaf.DNSNames == [\"web.example.test\", \"*.shop.test\"]
        leaf.IPAddresses == [\"10.0.0.1\", \"2001:db8::1\"]
        leaf.EmailAddresses == [\"ops@example.test\"]
        leaf.URIStrings == [\"spiffe://example.test/web\"]
        leaf.SerialNumber == 79228162514264337593543950335
        leaf.KeyUsage == 1
        leaf.ExtKeyUsage == [1, 2]
        leaf.IsCA == false
        leaf.MaxPathLen == -1
        leaf.PublicKeyAlgorithm == 3
        leaf.SignatureAlgorithm == 10
        leaf.Version == 3
        time.parse_rfc3339_ns(leaf.NotAfter) > time.parse_rfc3339_ns(leaf.NotBefore)
        root.IsCA == true
        root.BasicConstraintsValid == true
        root.MaxPathLen == 0
        root.MaxPathLenZero == true
        root.DNSNames == null
        root.KeyUsage == 96";
    assert_eq!(outcome(&format!("allow if {{ {fields} }}")), Outcome::Allow);
    let fields = "
        request := crypto.x509.parse_certificate_request(data.request)
        request.Subject.CommonName == \"web\"
        request.DNSNames == [\"web.example.test\", \"*.shop.test\"]
        request.IPAddresses == [\"10.0.0.1\", \"2001:db8::1\"]
        request.PublicKeyAlgorithm == 3
        request.SignatureAlgorithm == 10";
    assert_eq!(outcome(&format!("allow if {{ {fields} }}")), Outcome::Allow);
}

#[test]
fn what_does_not_parse_denies() {
    for call in [
        "net.cidr_intersects(\"10.0.0.0/8\", input.object.kind)",
        "net.cidr_intersects(7, \"10.0.0.0/8\")",
        "net.cidr_merge([\"10.0.0.0/8\", input.object.kind]) != set()",
        "crypto.sha256(7) != \"\"",
        "io.jwt.decode(\"a.b\") != []",
        "io.jwt.decode(\"e30.e30.e30.e30\") != []",
        "io.jwt.decode(\"W10.e30.AQ\") != []",
        "crypto.x509.parse_certificates(input.object.kind) != []",
        "crypto.x509.parse_certificates(\"\") != []",
        "crypto.x509.parse_certificates(data.request) != []",
        "crypto.x509.parse_certificates(base64.encode(\"0\")) != []",
        "crypto.x509.parse_certificate_request(data.chain) != {}",
        "crypto.x509.parse_certificate_request(substring(data.request, 0, 200)) != {}",
    ] {
        let denied = matches!(
            outcome(&format!("deny contains \"no\" if not {call}")),
            Outcome::Deny { denials } if denials[0].fault == Some(Fault::FunctionFailed)
        );
        assert!(denied, "{call}");
    }
}
