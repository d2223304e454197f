//! Policies: their source, the document that they are asked with, and what their functions read of foreign bytes.

use base64ct::{Base64, Encoding as _};
use keywright_policy::{Decision, Fault, Input, Member, Outcome, PolicySet};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

/// What has a bearing on a policy's time and not on its answer.
const LONGEST: usize = 4096;

fn set(name: &str, rego: &str) -> PolicySet {
    let member = Member::read(name, &json!({ "rego": { "source": rego } }), None);
    PolicySet::new(vec![Arc::new(member)]).expect("one policy has a name of its own")
}

/// Whether it ended for its time, which is another one in each run.
fn is_too_slow(decision: &Decision) -> bool {
    match &decision.outcome {
        Outcome::Deny { denials } => denials.iter().any(|denial| denial.fault == Some(Fault::TooSlow)),
        Outcome::Allow | Outcome::RequireApproval { .. } => false,
    }
}

/// Asks twice. What is no yes names a reason.
fn ask(set: &PolicySet, input: &Input) -> Decision {
    let (one, two) = (set.decide(input), set.decide(input));
    assert_eq!((&one.id, &one.policy_digest), (&two.id, &two.policy_digest));
    if !is_too_slow(&one) && !is_too_slow(&two) {
        assert_eq!(one, two, "the same question to the same policies has the same answer");
    }
    match &one.outcome {
        Outcome::Allow => {}
        Outcome::RequireApproval { classes } => {
            assert!(!classes.is_empty() && classes.is_sorted(), "it says whose approval");
        }
        Outcome::Deny { denials } => assert!(!denials.is_empty() && denials.is_sorted(), "it says why"),
    }
    one
}

fn question() -> Input {
    Input {
        request: "CREATE".to_owned(),
        object: json!({
            "kind": "Certificate", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "dnsNames": ["web.example.com"], "duration": "24h" },
        }),
        time: "2030-01-01T00:00:00Z".to_owned(),
        ..Input::default()
    }
}

/// Rego: whatever the source, it compiles or says why not; what does not compile denies, and what does answers.
pub fn rego(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    if source.len() > LONGEST {
        return;
    }
    let set = set("p", source);
    let decision = ask(&set, &question());
    let broken = set.members().any(|member| member.problem().is_some());
    if broken {
        assert!(matches!(decision.outcome, Outcome::Deny { .. }), "what does not compile denies");
    }
}

/// Looks at every part of the document.
static READS_ALL: LazyLock<PolicySet> = LazyLock::new(|| {
    set(
        "p",
        r#"package keywright

deny contains sprintf("%v is not yours", [name]) if {
    some name in input.object.spec.dnsNames
    not endswith(name, ".example.com")
}

deny contains "a stranger" if not input.user.username in {"ann", "bob"}

require_approval contains "production" if {
    input.object.metadata.namespace == "shop"
    not "production" in {approval.class | some approval in input.approvals}
}

warn contains "late" if time.parse_rfc3339_ns(input.time) > 0

warn contains input.csr.subject if count(input.csr.dnsNames) > 0
"#,
    )
});

/// The document: what reads is written and reads back the same, and is answered.
pub fn policy_input(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<Input>(bytes) else { return };
    let written = serde_json::to_vec(&input).expect("a document that was read can be written");
    let again: Input = serde_json::from_slice(&written).expect("what was written reads back");
    assert_eq!(again, input);
    assert!(
        READS_ALL.members().all(|member| member.problem().is_none()),
        "the policy of this target compiles"
    );
    let decision = ask(&READS_ALL, &input);
    assert_eq!(ask(&READS_ALL, &again).id, decision.id);
    let record = decision.record(&input);
    assert_eq!((&record.id, &record.policy_digest), (&decision.id, &decision.policy_digest));
}

/// Functions that read foreign bytes, each in a policy that allows what it has a value for.
static FUNCTIONS: LazyLock<Vec<PolicySet>> = LazyLock::new(|| {
    [
        "count(crypto.x509.parse_certificates(input.object.text)) >= 0",
        "crypto.x509.parse_certificate_request(input.object.text).Version >= 0",
        "count(io.jwt.decode(input.object.text)) == 3",
        "count(crypto.sha256(input.object.text)) == 64",
        "net.cidr_intersects(input.object.text, \"10.0.0.0/8\") in {true, false}",
        "count(net.cidr_merge(split(input.object.text, \"\\n\"))) >= 0",
        "net.ip_is_valid(input.object.text) in {true, false}",
        "glob.match(input.object.text, [\".\"], \"web.example.com\") in {true, false}",
        "regex.is_valid(input.object.text) in {true, false}",
        "semver.is_valid(input.object.text) in {true, false}",
        "time.parse_rfc3339_ns(input.object.text) != null",
        "json.unmarshal(input.object.text) != null",
    ]
    .map(|body| set("p", &format!("package keywright\n\nallow if {body}\n")))
    .into()
});

/// Functions: the first byte says which one is given the rest, as text, or as base64 of the bytes where that is no text.
pub fn policy_functions(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let set = &FUNCTIONS[usize::from(*which) % FUNCTIONS.len()];
    assert!(set.members().all(|member| member.problem().is_none()), "the policies of this target compile");
    let text = std::str::from_utf8(rest).map_or_else(|_| Base64::encode_string(rest), str::to_owned);
    let object: Value = json!({ "text": text });
    ask(set, &Input { object, ..question() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn each_function_has_a_value_for_a_seed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/policy-functions");
        let (mut with_value, mut without) = (BTreeSet::new(), Vec::new());
        for file in std::fs::read_dir(folder).expect("seeds") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("a seed");
            let (which, rest) = bytes.split_first().expect("a function");
            let text = std::str::from_utf8(rest).map_or_else(|_| Base64::encode_string(rest), str::to_owned);
            let set = &FUNCTIONS[usize::from(*which)];
            let decision = set.decide(&Input { object: json!({ "text": text }), ..question() });
            if decision.outcome == Outcome::Allow {
                with_value.insert(*which);
            } else {
                without.push((text, decision.outcome));
            }
        }
        assert_eq!(with_value.len(), FUNCTIONS.len(), "{without:?}");
    }
}
