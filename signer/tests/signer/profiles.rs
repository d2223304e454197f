//! Profiles at the signer: what no profile allows is not signed, whoever asks.

use crate::support::{
    self, Bench, CHILD, LEAF, ROOT, child, common_name, leaf, new_key, request_key, root, uid,
};
use keywright_approvals::EffectDigest;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_pki::key::PrivateKey;
use keywright_signer::refusal::{Reason, Refusal};
use keywright_signer_protocol::v1alpha1 as wire;
use serde_json::json;

fn named(name: &str) -> wire::Profile {
    wire::Profile { name: name.into(), ..Default::default() }
}

fn web() -> wire::Profile {
    wire::Profile {
        permitted: Some(wire::Subtrees { dns_domains: vec!["example.com".into()], ..Default::default() }),
        max_leaf_seconds: Some(86_400),
        allowed_usages: vec!["digital signature".into(), "server auth".into()],
        allowed_key_algorithms: vec![wire::KeyAlgorithm::EcdsaP256.into()],
        ..named("web")
    }
}

fn with(profiles: Vec<wire::Profile>) -> wire::EnsureAuthorityRequest {
    let base = root();
    let constraints = wire::Constraints { profiles, ..base.constraints.unwrap() };
    wire::EnsureAuthorityRequest { constraints: Some(constraints), ..base }
}

fn under(profile: &str, uid: &str, key: &PrivateKey) -> wire::IssueRequest {
    wire::IssueRequest { authority_uid: ROOT.into(), profile: profile.into(), ..leaf(uid, key) }
}

async fn bench(profiles: Vec<wire::Profile>) -> Bench {
    let bench = Bench::new();
    bench.ensure(&with(profiles)).await.unwrap();
    bench
}

fn key() -> PrivateKey {
    new_key(KeyAlgorithm::EcdsaP256)
}

fn refused(result: Result<impl Sized, Refusal>) -> (Reason, String) {
    let refusal = result.err().expect("nothing may be signed");
    (refusal.reason, refusal.field)
}

fn outside(field: &str) -> (Reason, String) {
    (Reason::Constraint, field.to_owned())
}

/// Edits one field of a request.
type Edit = fn(&mut wire::IssueRequest);

#[tokio::test]
async fn an_operator_gets_nothing_outside_of_the_profiles_of_a_key_also_after_a_restart() {
    let mut bench = bench(vec![web(), wire::Profile { allow_ca: true, ..named("open") }]).await;
    let table: [(Edit, &str); 8] = [
        (|r| r.profile = String::new(), "profile"),
        (|r| r.profile = "default".into(), "profile"),
        (|r| r.profile = "elsewhere".into(), "profile"),
        (|r| r.duration_seconds += 1, "duration"),
        (|r| r.usages.push("client auth".into()), "usages"),
        (|r| r.is_ca = true, "isCA"),
        (|r| r.sans.as_mut().unwrap().dns_names.push("web.example.org".into()), "names"),
        (|r| r.pkcs10 = support::pkcs10(&new_key(KeyAlgorithm::EcdsaP384)), "privateKey.algorithm"),
    ];
    for _ in 0..2 {
        for (edit, field) in table {
            let mut request = under("web", &uid(1), &key());
            edit(&mut request);
            assert_eq!(refused(bench.issue(&request).await), outside(field));
        }
        bench.close();
        bench.open().unwrap();
    }
    let unreadable = under("No Name", &uid(1), &key());
    assert_eq!(refused(bench.issue(&unreadable).await), (Reason::Malformed, "profile".to_owned()));
    bench.issue(&under("web", LEAF, &key())).await.unwrap();
    let wide = wire::IssueRequest { duration_seconds: 2 * 86_400, ..under("open", &uid(2), &key()) };
    bench.issue(&wide).await.unwrap();
    let entries = bench.published(23).await;
    let intents = entries.iter().filter(|entry| entry["kind"] == "intent");
    let profiles: Vec<_> = intents.map(|entry| entry["profile"].as_str()).collect();
    assert_eq!(profiles, [None, Some("web"), Some("open")], "the root's own certificate comes under none");
}

#[tokio::test]
async fn who_names_none_comes_under_the_default_profile_and_a_key_without_profiles_takes_no_name() {
    let short = wire::Profile { max_leaf_seconds: Some(3600), ..named("default") };
    let with_default = bench(vec![short, named("long")]).await;
    assert_eq!(refused(with_default.issue(&under("", LEAF, &key())).await), outside("duration"));
    let hour = wire::IssueRequest { duration_seconds: 3600, ..under("", LEAF, &key()) };
    with_default.issue(&hour).await.unwrap();
    let entries = with_default.published(6).await;
    assert_eq!(entries.iter().rfind(|entry| entry["kind"] == "intent").unwrap()["profile"], "default");

    let without = bench(vec![]).await;
    assert_eq!(refused(without.issue(&under("default", LEAF, &key())).await), outside("profile"));
    without.issue(&under("", LEAF, &key())).await.unwrap();
    let entries = without.published(6).await;
    assert!(entries.iter().all(|entry| entry.get("profile").is_none()), "entries are as ever");
}

#[tokio::test]
async fn the_keys_own_constraints_hold_whatever_a_profile_allows() {
    let bench = Bench::new();
    bench.ensure(&root()).await.unwrap();
    let mut request = child();
    request.constraints.as_mut().unwrap().profiles = vec![named("any")];
    bench.ensure(&request).await.unwrap();
    let request = |edit: Edit| {
        let mut request = wire::IssueRequest { authority_uid: CHILD.into(), ..under("any", LEAF, &key()) };
        edit(&mut request);
        request
    };
    for (edit, field) in [
        ((|r| r.duration_seconds = 91 * 86_400) as Edit, "duration"),
        (|r| r.usages.push("code signing".into()), "usages"),
        (|r| r.sans.as_mut().unwrap().dns_names = vec!["web.example.org".into()], "names"),
    ] {
        assert_eq!(refused(bench.issue(&request(edit)).await), outside(field));
    }
    bench.issue(&request(|_| {})).await.unwrap();
}

#[tokio::test]
async fn a_key_of_before_gets_its_first_profiles_and_keeps_them() {
    let mut bench = bench(vec![]).await;
    bench.issue(&under("", &uid(1), &key())).await.unwrap();
    bench.close();
    bench.open().unwrap();
    bench.issue(&under("", &uid(2), &key())).await.unwrap();
    bench.ensure(&with(vec![web()])).await.expect("none to some is tighter");
    bench.close();
    bench.open().unwrap();
    assert_eq!(refused(bench.issue(&under("", &uid(3), &key())).await), outside("profile"));
    bench.issue(&under("web", &uid(3), &key())).await.unwrap();
    let loosening = |field: &str| (Reason::Loosening, field.to_owned());
    for (profiles, field) in [
        (vec![], "profiles"),
        (vec![web(), named("more")], "profiles[more]"),
        (vec![wire::Profile { max_leaf_seconds: None, ..web() }], "profiles[web].maxDuration"),
    ] {
        assert_eq!(refused(bench.ensure(&with(profiles)).await), loosening(field));
    }
    let narrower = wire::Profile { max_leaf_seconds: Some(3600), ..web() };
    bench.ensure(&with(vec![narrower])).await.unwrap();
    assert_eq!(refused(bench.issue(&under("web", &uid(4), &key())).await), outside("duration"));
}

#[tokio::test]
async fn a_child_has_no_profiles_of_its_parent() {
    let bench = bench(vec![web()]).await;
    bench.ensure(&child()).await.unwrap();
    let request = wire::IssueRequest { profile: String::new(), ..leaf(LEAF, &key()) };
    bench.issue(&request).await.unwrap();
}

#[tokio::test]
async fn an_authority_under_a_profile_is_held_to_its_names() {
    let sub = wire::Profile { allow_ca: true, allowed_usages: vec![], ..web() };
    let bench = bench(vec![sub, named("any")]).await;
    let request = |profile: &str, n| wire::IssueRequest {
        is_ca: true,
        subject: common_name("Shop authority"),
        ..under(profile, &uid(n), &key())
    };
    assert_eq!(refused(bench.issue(&request("any", 1)).await), outside("isCA"));
    let answer = bench.issue(&request("web", 2)).await.unwrap();
    let certificate = Certificate::from_der(&answer.certificate).unwrap();
    let names = certificate.name_constraints().cloned().unwrap_or_default();
    assert_eq!(names.permitted.dns_domains(), ["example.com"]);
}

#[tokio::test]
async fn what_a_profile_demands_is_demanded_of_the_effect_with_its_name() {
    let class = |any: &str, ca: &str| {
        let classes = wire::ApprovalDemands {
            any_issuance: any.into(),
            ca_certificates: ca.into(),
            ..Default::default()
        };
        Some(classes)
    };
    let guarded = wire::Profile { approvals: class("production", ""), ..named("guarded") };
    let authorities =
        wire::Profile { approvals: class("", "security"), allow_ca: true, ..named("authorities") };
    let bench = bench(vec![guarded, authorities, named("free")]).await;
    let pair = key();
    let request = under("guarded", LEAF, &pair);
    let refusal = bench.issue(&request).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::ApprovalRequired);
    let about = refusal.about.unwrap();
    assert_eq!(about.classes, ["production"]);
    let effect = json!({
        "action": "IssueCertificate", "step": 1, "subject": {}, "sans": {"dnsNames": ["web.example.com"]},
        "certificate": {"uid": LEAF, "namespace": "shop", "name": "web"},
        "publicKeySha256": hex::encode(pair.public_key().spki_sha256()), "durationSeconds": 86_400,
        "usages": ["digital signature", "server auth"], "isCA": false, "policyDigest": "",
        "issuer": {"uid": ROOT, "generation": 0}, "profile": "guarded",
    });
    assert_eq!(about.effect, EffectDigest::of(&effect).unwrap().to_string());
    bench.issue(&under("free", &uid(5), &pair)).await.unwrap();
    bench.issue(&under("authorities", &uid(6), &pair)).await.unwrap();
    let authority = wire::IssueRequest { is_ca: true, ..under("authorities", &uid(7), &pair) };
    let about = bench.issue(&authority).await.err().and_then(|refusal| refusal.about).unwrap();
    assert_eq!(about.classes, ["security"]);
}

#[tokio::test]
async fn a_further_profile_is_a_loosening_that_people_are_shown() {
    let bench = Bench::new();
    let guarded = |profiles| {
        let mut request = with(profiles);
        let demands = wire::ApprovalDemands { loosening: "security".into(), ..Default::default() };
        request.constraints.as_mut().unwrap().approvals = Some(demands);
        request
    };
    bench.ensure(&guarded(vec![web()])).await.unwrap();
    let refusal = bench.ensure(&guarded(vec![web(), named("more")])).await.err().unwrap();
    assert_eq!(refusal.reason, Reason::ApprovalRequired, "{refusal}");
    let about = refusal.about.unwrap();
    let effect: serde_json::Value = serde_json::from_str(&about.canonical).unwrap();
    assert_eq!(effect["constraints"]["profiles"]["more"], json!({}));
    assert_eq!(effect["constraints"]["profiles"]["web"]["maxLeafSeconds"], 86_400);
    let before: serde_json::Value = serde_json::from_str(&about.constraints).unwrap();
    assert!(before["profiles"].get("more").is_none());
    // One of several is taken away without people.
    let fewer = guarded(vec![web()]);
    bench.ensure(&fewer).await.unwrap();
}

#[tokio::test]
async fn a_repeat_gets_its_answer_and_another_profile_is_another_request() {
    let bench = bench(vec![web(), named("open")]).await;
    let pair = key();
    let first = bench.issue(&under("web", LEAF, &pair)).await.unwrap();
    let again = bench.issue(&under("web", LEAF, &pair)).await.unwrap();
    assert!(again.repeated && again.certificate == first.certificate);
    let other = bench.issue(&under("open", LEAF, &pair)).await;
    assert!(
        other.is_err() || other.is_ok_and(|answer| !answer.repeated),
        "the stored answer is for another profile"
    );
    let next = wire::IssueRequest { request_key: request_key(LEAF, 2), ..under("open", LEAF, &pair) };
    bench.issue(&next).await.unwrap();
}
