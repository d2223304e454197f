//! Tables over the whole review.

use super::*;
use crate::attempt::tests::{object, request};
use keywright_approvals::records::{EDITOR_UIDS, EDITOR_USERNAMES};
use keywright_approvals::{Authors, EffectDigest, Identity, vote_name};
use serde_json::{Value, json};

const OPERATOR: &str = "system:serviceaccount:keywright-system:keywright-operator";
const OWN: &str = "system:serviceaccount:keywright-system:keywright-webhook";

fn world(facts: Facts) -> World {
    World {
        own: Own { operator: OPERATOR.to_owned(), webhook: OWN.to_owned() },
        namespace: "keywright-system".to_owned(),
        bundle: "f00d".to_owned(),
        now: "2030-01-01T00:00:00Z".to_owned(),
        most_waiting: 2,
        policies: Some(Arc::default()),
        facts,
    }
}

/// The rule that refuses, or "allowed".
fn verdict(kind: &str, operation: &str, more: &Value, facts: Facts) -> &'static str {
    let request = request(kind, operation, more);
    let attempt = Attempt::parse(&request).unwrap();
    match review(&attempt, &world(facts)) {
        Review::Allowed { .. } => "allowed",
        Review::Denied(denial) => {
            assert!(!denial.problem.is_empty() && !denial.fix.is_empty(), "{denial:?}");
            denial.rule.name()
        }
    }
}

/// Annotations with the stamp of ann, the author of these requests.
fn stamps() -> Value {
    json!({
        stamp::USERNAME: "ann", stamp::UID: "u-ann", stamp::GROUPS: "dev\nsystem:authenticated",
        stamp::EXTRA: r#"{"scopes":["a","b"]}"#,
    })
}

fn user(name: &str) -> Value {
    json!({ "username": name, "groups": ["security"] })
}

fn certificate(annotations: &Value, secret: &str) -> Value {
    let metadata = json!({ "name": "thing", "namespace": "shop", "annotations": annotations });
    object("Certificate", &json!({ "metadata": metadata, "spec": { "secretName": secret } }))
}

fn claimants(names: &[&str]) -> Facts {
    Facts::Claimants(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_new_object_carries_its_authors_stamp_or_is_refused() {
    let made = |annotations: Value| {
        verdict("Certificate", "CREATE", &json!({ "object": certificate(&annotations, "s") }), claimants(&[]))
    };
    assert_eq!(made(stamps()), "allowed");
    assert_eq!(made(json!({})), "identity-missing");
    for (part, forged) in [
        (stamp::USERNAME, "root"),
        (stamp::UID, "u-root"),
        (stamp::GROUPS, "dev\nsystem:masters"),
        (stamp::EXTRA, "{}"),
        (stamp::EXTRA, "no JSON"),
    ] {
        let mut annotations = stamps();
        annotations[part] = json!(forged);
        assert_eq!(made(annotations), "identity-forged", "{part}");
    }
    let mut without_groups = stamps();
    without_groups.as_object_mut().unwrap().remove(stamp::GROUPS);
    assert_eq!(made(without_groups), "identity-forged");
}

#[test]
fn a_stamp_never_changes_and_is_never_added() {
    let edit = |old: &Value, new: &Value| {
        let more = json!({ "object": certificate(new, "s"), "oldObject": certificate(old, "s") });
        verdict("Certificate", "UPDATE", &more, Facts::Nothing)
    };
    assert_eq!(edit(&stamps(), &stamps()), "allowed");
    assert_eq!(edit(&json!({}), &json!({ "other": "annotation" })), "allowed");
    assert_eq!(edit(&stamps(), &json!({})), "identity-frozen");
    assert_eq!(edit(&json!({}), &stamps()), "identity-frozen");
}

#[test]
fn who_changes_a_spec_is_stamped_or_refused_and_nobody_changes_that_stamp_alone() {
    let edit = |old: Value, new: Value, secret: &str| {
        let more = json!({ "object": certificate(&new, secret), "oldObject": certificate(&old, "s") });
        verdict("Certificate", "UPDATE", &more, claimants(&[]))
    };
    let with = |editors: Value| {
        let mut all = stamps();
        all.as_object_mut().unwrap().extend(editors.as_object().unwrap().clone());
        all
    };
    let ann = json!({ EDITOR_USERNAMES: "ann", EDITOR_UIDS: "u-ann" });
    let both = json!({ EDITOR_USERNAMES: "bob\nann", EDITOR_UIDS: "\nu-ann" });
    let bob = json!({ EDITOR_USERNAMES: "bob" });
    assert_eq!(edit(stamps(), with(ann.clone()), "other"), "allowed");
    assert_eq!(edit(with(bob.clone()), with(both), "other"), "allowed");
    assert_eq!(edit(stamps(), stamps(), "other"), "identity-forged", "nobody stamped it");
    assert_eq!(edit(stamps(), with(bob.clone()), "other"), "identity-forged");
    assert_eq!(
        edit(with(bob.clone()), with(ann.clone()), "other"),
        "identity-forged",
        "bob's edit still waits"
    );
    assert_eq!(edit(with(bob.clone()), with(bob.clone()), "s"), "allowed");
    assert_eq!(edit(with(bob.clone()), stamps(), "s"), "identity-frozen");
    assert_eq!(edit(with(bob), with(ann.clone()), "s"), "identity-frozen");
    assert_eq!(edit(stamps(), with(ann.clone()), "s"), "identity-frozen");
    let claims = json!({ "object": certificate(&with(ann), "s") });
    assert_eq!(verdict("Certificate", "CREATE", &claims, claimants(&[])), "identity-forged");
}

#[test]
fn an_edit_that_cannot_be_stamped_is_refused() {
    let all: Vec<String> = (0..editors::MOST).map(|n| format!("user-{n}")).collect();
    let annotations = json!({ EDITOR_USERNAMES: all.join("\n") });
    let more =
        json!({ "object": certificate(&annotations, "other"), "oldObject": certificate(&annotations, "s") });
    assert_eq!(verdict("Certificate", "UPDATE", &more, claimants(&[])), "editor-stamp");
}

#[test]
fn the_operator_alone_writes_status_of_every_kind() {
    for kind in Kind::ALL {
        let thing = object(kind.name(), &json!({}));
        let write = |who: &str| {
            let more = json!({ "object": thing, "oldObject": thing, "subResource": "status", "userInfo": user(who) });
            verdict(kind.name(), "UPDATE", &more, Facts::Nothing)
        };
        assert_eq!(write(OPERATOR), "allowed");
        assert_eq!(write("ann"), "status-operator-only");
        assert_eq!(write("system:admin"), "status-operator-only");
    }
}

#[test]
fn anything_may_be_deleted_and_records_stay_by_their_finalizer() {
    for kind in Kind::ALL {
        let thing = object(kind.name(), &json!({}));
        assert_eq!(verdict(kind.name(), "DELETE", &json!({ "oldObject": thing }), Facts::Nothing), "allowed");
    }
    let record = |finalizers: Value| {
        object("ApprovalDecision", &json!({ "metadata": { "name": "thing", "finalizers": finalizers } }))
    };
    let release = |who: &str, left: Value| {
        let old = record(json!([stamp::FINALIZER, "example.test/other"]));
        let more = json!({ "object": record(left), "oldObject": old, "userInfo": user(who) });
        verdict("ApprovalDecision", "UPDATE", &more, Facts::Nothing)
    };
    assert_eq!(release("ann", json!([stamp::FINALIZER])), "allowed", "other finalizers are others' business");
    assert_eq!(release("ann", json!(["example.test/other"])), "record-kept");
    assert_eq!(release(OPERATOR, json!([])), "allowed");
}

#[test]
fn who_names_the_secret_of_another_certificate_is_warned() {
    let warned = |facts| {
        let request = request("Certificate", "CREATE", &json!({ "object": certificate(&stamps(), "s") }));
        match review(&Attempt::parse(&request).unwrap(), &world(facts)) {
            Review::Allowed { warnings } => warnings.concat(),
            Review::Denied(denial) => panic!("{denial:?}"),
        }
    };
    assert_eq!(warned(claimants(&[])), "");
    assert_eq!(warned(claimants(&["thing"])), "", "it is applied again");
    assert_eq!(warned(Facts::Unknown("no list yet".into())), "", "its condition will tell");
    let words = warned(claimants(&["other"]));
    assert!(words.contains("\"other\"") && words.contains("a Secret of its own"), "{words}");
    assert!(words.len() <= 256, "the API server cuts longer ones: {words}");

    let request = request(
        "Certificate",
        "UPDATE",
        &json!({ "object": certificate(&stamps(), "s"), "oldObject": certificate(&stamps(), "s") }),
    );
    let attempt = Attempt::parse(&request).unwrap();
    assert_eq!(needs(&attempt), Needs::Nothing, "an edit that keeps the Secret tells nothing new");
}

#[test]
fn the_probe_hears_the_bundle_and_nobody_else_may_have_its_name() {
    let probe = |who: &str, dry_run: bool| {
        let groups = json!({ stamp::USERNAME: who, stamp::GROUPS: "security" });
        let metadata =
            json!({ "name": probe::OBJECT, "namespace": "keywright-system", "annotations": groups });
        let thing = object("Certificate", &json!({ "metadata": metadata, "spec": { "secretName": "s" } }));
        let request = request(
            "Certificate",
            "CREATE",
            &json!({
                "object": thing, "name": probe::OBJECT, "namespace": "keywright-system",
                "userInfo": user(who), "dryRun": dry_run,
            }),
        );
        match review(&Attempt::parse(&request).unwrap(), &world(claimants(&[]))) {
            Review::Denied(denial) if denial.rule == Rule::Probe => denial.problem.contains("f00d"),
            other => unreachable!("{other:?}"),
        }
    };
    assert!(probe(OWN, true));
    assert!(!probe(OWN, false));
    assert!(!probe("ann", true));
}

const EFFECT: &str = r#"{"action":"IssueCertificate","subject":"web"}"#;

fn digest() -> String {
    EffectDigest::of(&serde_json::from_str(EFFECT).unwrap()).unwrap().to_string()
}

/// A stored request of ann's for bob; `more` is merged into its spec.
fn ask(more: &Value) -> Value {
    let mut spec = json!({
        "targetRef": { "group": "keywright.dev", "kind": "Certificate", "namespace": "shop", "name": "web", "uid": "u-web" },
        "action": "IssueCertificate", "effectDigest": digest(), "effect": EFFECT, "approvalClass": "prod",
        "requestedFor": "bob", "targetEditors": [{ "username": "erik" }],
        "requester": { "username": "ann", "uid": "u-ann", "groups": ["dev", "system:authenticated"], "extra": { "scopes": ["a", "b"] } },
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let metadata =
        json!({ "name": "thing", "namespace": "shop", "uid": "u-thing", "finalizers": [stamp::FINALIZER] });
    object("ApprovalRequest", &json!({ "metadata": metadata, "spec": spec }))
}

#[test]
fn a_request_is_for_the_effect_that_it_shows_under_a_class_that_is_there() {
    let file =
        |more: Value, facts| verdict("ApprovalRequest", "CREATE", &json!({ "object": ask(&more) }), facts);
    let there = || Facts::Class { exists: true, waiting: Some(1) };
    assert_eq!(file(json!({}), there()), "allowed");
    assert_eq!(file(json!({}), Facts::Class { exists: false, waiting: Some(0) }), "request-class");
    assert_eq!(
        file(json!({ "effect": "{\"subject\":\"web\",\"action\":\"IssueCertificate\"}" }), there()),
        "request-effect"
    );
    assert_eq!(file(json!({ "effect": "no JSON" }), there()), "request-effect");
    assert_eq!(file(json!({ "effect": "{\"action\":\"IssueCertificate\"}" }), there()), "request-effect");
    assert_eq!(file(json!({ "action": "Loosen" }), there()), "request-effect");
    assert_eq!(file(json!({ "approvalClass": null }), there()), "record-reads");
    assert_eq!(file(json!({ "requester": { "username": "root" } }), there()), "identity-forged");
}

#[test]
fn who_has_too_many_requests_that_wait_files_no_more_but_the_operator_does() {
    let file = |who: Value, waiting| {
        let more = json!({ "object": ask(&json!({ "requester": who })), "userInfo": who });
        verdict("ApprovalRequest", "CREATE", &more, Facts::Class { exists: true, waiting })
    };
    let ann = || user("ann");
    assert_eq!(file(ann(), Some(0)), "allowed");
    assert_eq!(file(ann(), Some(1)), "allowed");
    assert_eq!(file(ann(), Some(2)), "requests-waiting");
    assert_eq!(file(ann(), None), "unobserved", "trying again may help");
    assert_eq!(file(user(OPERATOR), Some(5000)), "allowed");
    assert_eq!(file(user(OPERATOR), None), "allowed");
}

fn named(username: &str) -> Identity {
    Identity { username: username.to_owned(), ..Identity::default() }
}

/// How a vote by `who` on ann's request is answered; `vote` is merged into its spec, `class` into the class.
struct Voting<'a> {
    who: &'a str,
    vote: Value,
    class: Value,
    ballot: fn(&mut Ballot),
}

impl Voting<'_> {
    fn verdict(&self) -> &'static str {
        let user = json!({ "username": self.who, "groups": ["security"] });
        let mut spec = json!({
            "requestRef": { "name": "thing", "uid": "u-thing" }, "effectDigest": digest(), "verdict": "Approve",
            "approver": user,
        });
        for (field, value) in self.vote.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let uid = spec["requestRef"]["uid"].as_str().unwrap().to_owned();
        let name = vote_name(&uid, self.who);
        let metadata = json!({ "name": name, "namespace": "shop", "finalizers": [stamp::FINALIZER] });
        let vote = object("ApprovalDecision", &json!({ "metadata": metadata, "spec": spec }));
        let mut class = json!({ "groups": [{ "name": "security", "members": ["security"] }] });
        for (field, value) in self.class.as_object().unwrap() {
            class[field] = value.clone();
        }
        let read = |value: Value| serde_json::from_value::<DynamicObject>(value).unwrap();
        let mut ballot = Ballot {
            request: Some(read(ask(&json!({})))),
            class: Some(read(object("ApprovalClass", &json!({ "spec": class })))),
            authors: Authors { creator: Some(named("carl")), editors: vec![named("emil")] },
            may_approve: true,
        };
        (self.ballot)(&mut ballot);
        let more = json!({ "object": vote, "name": name, "userInfo": user });
        verdict("ApprovalDecision", "CREATE", &more, Facts::Ballot(Box::new(ballot)))
    }
}

fn voting(who: &str) -> Voting<'_> {
    Voting { who, vote: json!({}), class: json!({}), ballot: |_| () }
}

#[test]
fn a_vote_counts_or_is_refused_with_the_reason() {
    let other = EffectDigest::of(&json!({ "action": "Other" })).unwrap().to_string();
    let machine = "system:serviceaccount:ci:approver";
    let deny = json!({ "verdict": "Deny" });
    for (voting, wanted) in [
        (voting("dora"), "allowed"),
        (Voting { vote: deny.clone(), ..voting("dora") }, "allowed"),
        (voting("ann"), "vote-own-request"),
        (Voting { vote: deny.clone(), ..voting("ann") }, "allowed"),
        (voting("bob"), "vote-own-benefit"),
        (voting("carl"), "vote-own-target"),
        (voting("emil"), "vote-own-edit"),
        (voting("erik"), "vote-own-edit"),
        (Voting { vote: deny.clone(), ..voting("emil") }, "allowed"),
        (voting(machine), "vote-machine"),
        (Voting { class: json!({ "serviceAccounts": [machine] }), ..voting(machine) }, "allowed"),
        (
            Voting { class: json!({ "groups": [{ "name": "dba", "members": ["dba"] }] }), ..voting("dora") },
            "vote-no-group",
        ),
        (Voting { ballot: |ballot| ballot.may_approve = false, ..voting("dora") }, "vote-not-permitted"),
        (Voting { vote: json!({ "effectDigest": other }), ..voting("dora") }, "vote-other-effect"),
        (Voting { vote: json!({ "effectDigest": "sha256:00" }), ..voting("dora") }, "record-reads"),
        (
            Voting {
                vote: json!({ "requestRef": { "name": "thing", "uid": "an earlier one" } }),
                ..voting("dora")
            },
            "vote-request",
        ),
        (Voting { ballot: |ballot| ballot.request = None, ..voting("dora") }, "vote-request"),
        (Voting { ballot: |ballot| ballot.class = None, ..voting("dora") }, "request-class"),
        (Voting { class: json!({ "proof": "Signature" }), ..voting("dora") }, "vote-unsigned"),
        (
            Voting {
                class: json!({ "proof": "Signature" }),
                vote: json!({ "signature": "x" }),
                ..voting("dora")
            },
            "allowed",
        ),
        (
            Voting {
                class: json!({ "principals": [{ "name": "Ann", "usernames": ["ann", "ann-admin"] }] }),
                ..voting("ann-admin")
            },
            "vote-own-request",
        ),
        (Voting { ballot: ended, ..voting("dora") }, "vote-request"),
        (Voting { ballot: ended, vote: deny, ..voting("ann") }, "vote-request"),
    ] {
        assert_eq!(voting.verdict(), wanted, "{} {} {}", voting.who, voting.vote, voting.class);
    }
}

fn ended(ballot: &mut Ballot) {
    if let Some(request) = &mut ballot.request {
        request.data["status"] = json!({ "phase": "Denied" });
    }
}

#[test]
fn a_vote_under_another_name_is_refused_so_that_nobody_votes_twice() {
    let metadata = json!({ "name": "mine", "namespace": "shop", "finalizers": [stamp::FINALIZER] });
    let spec = json!({
        "requestRef": { "name": "thing", "uid": "u-thing" }, "effectDigest": digest(), "verdict": "Approve",
        "approver": user("dora"),
    });
    let vote = object("ApprovalDecision", &json!({ "metadata": metadata, "spec": spec }));
    let more = json!({ "object": vote, "name": "mine", "userInfo": user("dora") });
    assert_eq!(verdict("ApprovalDecision", "CREATE", &more, Facts::Nothing), "vote-name");
}

/// What is answered under one policy: the refusal's words, or the warnings.
fn under(policy: &Value, operation: &str, more: &Value) -> Result<Vec<String>, String> {
    let request = request("Certificate", operation, more);
    let attempt = Attempt::parse(&request).unwrap();
    let set = PolicySet::new(vec![Arc::new(keywright_policy::Member::read("shop", policy, None))]).unwrap();
    let world = World { policies: Some(Arc::new(set)), ..world(claimants(&[])) };
    match review(&attempt, &world) {
        Review::Allowed { warnings } => Ok(warnings),
        Review::Denied(denial) => Err(denial.to_string()),
    }
}

fn rego(rules: &str) -> Value {
    json!({ "rego": { "source": format!("package keywright\n{rules}") } })
}

#[test]
fn policies_judge_what_is_made_changed_and_deleted() {
    let thing = certificate(&stamps(), "s");
    let create = json!({ "object": thing });
    let delete = json!({ "oldObject": thing });
    let mut edited = thing.clone();
    edited["spec"]["duration"] = json!("24h");
    edited["metadata"]["annotations"][EDITOR_USERNAMES] = json!("ann");
    edited["metadata"]["annotations"][EDITOR_UIDS] = json!("u-ann");
    let update = json!({ "oldObject": thing, "object": edited });

    let no = rego(
        "deny contains {\"message\": \"not here\", \"fix\": \"go\"} if input.object.metadata.namespace == \"shop\"",
    );
    for (operation, more) in [("CREATE", &create), ("UPDATE", &update), ("DELETE", &delete)] {
        let said = under(&no, operation, more).unwrap_err();
        assert_eq!(said, "policy: policy shop, rule deny: not here; go", "{operation}");
    }
    let who = rego(
        "deny contains input.user.username if { input.request == \"CREATE\"; \"dev\" in input.user.groups }",
    );
    assert!(under(&who, "CREATE", &create).unwrap_err().contains("rule deny: ann"));
    assert_eq!(under(&who, "DELETE", &delete), Ok(vec![]));
    let change = rego(
        "deny contains \"no\" if input.object.spec.duration != object.get(input.oldObject.spec, \"duration\", \"\")",
    );
    assert!(under(&change, "UPDATE", &update).is_err());
    assert_eq!(under(&change, "CREATE", &create), Ok(vec![]));

    let mut handled = thing.clone();
    handled["metadata"]["finalizers"] = json!(["x"]);
    let kept = json!({ "oldObject": thing, "object": handled });
    assert_eq!(under(&no, "UPDATE", &kept), Ok(vec![]), "nothing changes that a policy reads");
}

#[test]
fn policies_are_told_the_profile_that_a_certificate_names_by_its_name() {
    let mut thing = certificate(&stamps(), "s");
    let absent = rego("deny contains \"none\" if not input.profile");
    let named = rego("deny contains input.profile if true");
    let exact = rego("deny contains \"web\" if input.profile == {\"name\": \"web\"}");
    assert!(under(&absent, "CREATE", &json!({ "object": thing })).is_err());
    assert_eq!(under(&named, "CREATE", &json!({ "object": thing })), Ok(vec![]));
    thing["spec"]["profile"] = json!("web");
    let create = json!({ "object": thing });
    assert_eq!(under(&absent, "CREATE", &create), Ok(vec![]));
    assert!(under(&exact, "CREATE", &create).unwrap_err().contains("rule deny: web"));
    assert!(under(&exact, "DELETE", &json!({ "oldObject": thing })).is_err());
}

#[test]
fn policies_that_do_not_answer_refuse_and_others_warn() {
    let create = json!({ "object": certificate(&stamps(), "s") });
    let under = |policy: &Value| under(policy, "CREATE", &create);
    assert!(under(&rego("allow if input.absent")).unwrap_err().contains("has no value"));
    assert!(under(&rego("nonsense(")).unwrap_err().contains("line 2"));
    assert!(under(&rego("deny contains 7")).unwrap_err().contains("no answer"));
    assert!(
        under(&rego("deny contains \"x\" if 1 / count([]) > 0"))
            .unwrap_err()
            .contains("function or operator")
    );
    assert_eq!(under(&rego("warn contains \"old\"")), Ok(vec!["policy shop: old".to_owned()]));
    let mut audit = rego("deny contains \"no\"");
    audit["mode"] = json!("Audit");
    assert_eq!(under(&audit), Ok(vec!["policy shop (audit only, rule deny): no".to_owned()]));
    let asks = under(&rego("require_approval contains \"public\"")).unwrap();
    assert_eq!(asks, ["policies want an approval before this is issued: public"]);
    let about = json!({ "appliesTo": { "namespaces": ["other"] }, "rego": { "source": "package keywright\nallow := false" } });
    assert_eq!(under(&about), Ok(vec![]));
}

#[test]
fn while_policies_are_unknown_nothing_that_they_judge_goes_on() {
    let request = request("Certificate", "CREATE", &json!({ "object": certificate(&stamps(), "s") }));
    let attempt = Attempt::parse(&request).unwrap();
    let Review::Denied(denial) = review(&attempt, &World { policies: None, ..world(claimants(&[])) }) else {
        unreachable!("allowed")
    };
    assert_eq!((denial.rule, denial.retry), (Rule::Unobserved, Retry::Later));
}

#[test]
fn a_policy_that_does_not_compile_is_refused_where_it_is_written() {
    let policy = |rules: &str| {
        object(
            "Policy",
            &json!({ "metadata": { "name": "thing", "annotations": stamps() }, "spec": rego(rules) }),
        )
    };
    let made = |rules: &str| {
        let request = request("Policy", "CREATE", &json!({ "object": policy(rules) }));
        match review(&Attempt::parse(&request).unwrap(), &world(Facts::Nothing)) {
            Review::Allowed { .. } => String::new(),
            Review::Denied(denial) => denial.to_string(),
        }
    };
    assert_eq!(made("allow := true"), "");
    assert!(
        made("allow := true\nallow if {")
            .starts_with("policy-compiles: spec.rego.source does not compile: line 3")
    );
    assert!(made("\nallow if http.send({}) == 1").contains("line 3, column "));
    // Stored around the webhook, it can still be labelled, mended and deleted.
    let edit = |old: &Value, new: &Value| {
        verdict("Policy", "UPDATE", &json!({ "oldObject": old, "object": new }), Facts::Nothing)
    };
    let mut labelled = policy("allow if {");
    labelled["metadata"]["labels"] = json!({ "a": "b" });
    assert_eq!(edit(&policy("allow if {"), &labelled), "allowed");
    assert_eq!(edit(&policy("allow if {"), &policy("allow := true")), "allowed");
    assert_eq!(edit(&policy("allow := true"), &policy("allow if {")), "policy-compiles");
}

#[test]
fn a_policy_whose_bundle_cannot_be_asked_is_refused_where_it_is_written() {
    let digest = |hex: &str| format!("sha256:{hex}");
    let nonsense = digest(&"1".repeat(64));
    let policy = |digest: &str| {
        let bundle = json!({ "configMapRef": { "name": "bundles", "key": "shop" }, "digest": digest });
        let metadata = json!({ "name": "thing", "annotations": stamps() });
        object("Policy", &json!({ "metadata": metadata, "spec": { "bundle": bundle } }))
    };
    let made = |digest: &str, facts: Facts| {
        let request = request("Policy", "CREATE", &json!({ "object": policy(digest) }));
        let attempt = Attempt::parse(&request).unwrap();
        assert!(matches!(needs(&attempt), Needs::Bundle(at) if at.config_map_ref.name == "bundles"));
        match review(&attempt, &world(facts)) {
            Review::Allowed { .. } => unreachable!("allowed"),
            Review::Denied(denial) => (denial.code(), denial.to_string()),
        }
    };
    let (code, words) = made(&nonsense, Facts::Unknown("it is away".to_owned()));
    assert!(code == 503 && words.starts_with("unobserved: "), "{words}");
    let (code, words) = made(&nonsense, Facts::Bundle(Found::Nothing("no ConfigMap".to_owned())));
    assert!(code == 503 && words.contains("no ConfigMap; apply the ConfigMap first"), "{words}");
    let (code, words) = made(&digest(&"0".repeat(64)), Facts::Bundle(Found::Bytes(b"nonsense".to_vec())));
    assert!(code == 503 && words.contains("spec.bundle.digest: the bundle in key \"shop\""), "{words}");
    let found = words.split("has digest ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let (code, words) = made(found, Facts::Bundle(Found::Bytes(b"nonsense".to_vec())));
    assert!(code == 403 && words.contains("does not load: it is neither a bundle"), "{words}");
    // Labelled, it is not looked at again.
    let mut labelled = policy(&nonsense);
    labelled["metadata"]["labels"] = json!({ "a": "b" });
    let more = json!({ "oldObject": policy(&nonsense), "object": labelled });
    assert_eq!(verdict("Policy", "UPDATE", &more, Facts::Nothing), "allowed");
}
