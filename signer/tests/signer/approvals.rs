//! Keys that need people's agreement: what is signed with signatures of pinned approvers, and every way to do without.

use crate::support::{self, Bench, CHILD, LEAF, NOW, ROOT, child, leaf, new_key, request_key, root, uid};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::PrivateKey;
use keywright_signer::approval::Gate;
use keywright_signer::approval::pinned::Pinned;
use keywright_signer::refusal::{Reason, Refusal};
use keywright_signer_protocol::v1alpha1 as wire;
use std::fs;
use std::path::Path;
use std::process::Command;

/// UID of the ApprovalRequest.
const ASKED: &str = "7a8fad5b-d9cb-469f-a165-00000000000a";
const FILED: i64 = NOW - 600;

/// People with keys made and used by ssh-keygen, in a folder.
struct People<'a>(&'a Path);

impl People<'_> {
    fn new(dir: &Path, names: &[&str]) -> Self {
        let people = People(Box::leak(dir.to_owned().into_boxed_path()));
        for name in names {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(dir.join(name))
                .status();
            assert!(made.unwrap().success());
        }
        people
    }

    fn public(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    fn sign(&self, name: &str, text: &str) -> String {
        let file = self.0.join(format!("{name}-statement"));
        fs::write(&file, text).unwrap();
        let _ = fs::remove_file(file.with_extension("sig"));
        let made = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "keywright.dev/approval", "-f"])
            .arg(self.0.join(name))
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let signature = self.0.join(format!("{name}-statement.sig"));
        let text = fs::read_to_string(&signature).unwrap();
        fs::remove_file(signature).unwrap();
        text
    }

    /// 2 of security and 1 of dba.
    fn file(&self) -> String {
        serde_json::json!({
            "classes": [
                {"name": "production", "useWithinSeconds": 3600, "groups": [
                    {"name": "security", "approvers": ["alice", "bob", "dave"]},
                    {"name": "dba", "approvers": ["carol", "dave"], "count": 1},
                ]},
                {"name": "weak", "groups": [{"name": "anyone", "approvers": ["bob"], "count": 1}]},
            ],
            "approvers": [
                {"name": "alice", "usernames": ["alice@example.com"], "keys": [self.public("alice")]},
                {"name": "bob", "keys": [self.public("bob"), self.public("bob2")]},
                {"name": "carol", "keys": [self.public("carol")]},
                {"name": "dave", "keys": [self.public("dave")]},
            ],
        })
        .to_string()
    }
}

/// What approvers sign, written here once more.
#[derive(Clone)]
struct Statement {
    request: String,
    effect: String,
    class: String,
    filed: &'static str,
    requester: String,
    creator: String,
    editors: Vec<String>,
}

impl Statement {
    fn of(effect: &str) -> Self {
        Self {
            request: ASKED.into(),
            effect: effect.into(),
            class: "production".into(),
            filed: "2029-12-31T23:50:00Z",
            requester: "system:serviceaccount:keywright-system:keywright-operator".into(),
            creator: "erin".into(),
            editors: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let Self { request, effect, class, filed, requester, creator, editors } = self;
        let editors: Vec<String> = editors.iter().map(|editor| format!("editor: {editor}\n")).collect();
        let editors = editors.concat();
        format!(
            "keywright.dev/approval/v1\nrequest: {request}\neffect: {effect}\nclass: {class}\nfiled: {filed}\n\
             requester: {requester}\ncreator: {creator}\n{editors}"
        )
    }

    fn brought(&self, signatures: Vec<String>) -> wire::ApprovalUse {
        wire::ApprovalUse {
            namespace: "shop".into(),
            name: "web-1".into(),
            uid: self.request.clone(),
            approval_class: self.class.clone(),
            signed: Some(wire::SignedApproval {
                filed: FILED,
                requester: self.requester.clone(),
                requested_for: String::new(),
                target_creator: self.creator.clone(),
                target_editors: self.editors.clone(),
                signatures,
            }),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as the field wants it")]
fn demands(any: &str, ca: &str, first: &str, loosening: &str) -> Option<wire::ApprovalDemands> {
    Some(wire::ApprovalDemands {
        first_issuance_of_name: first.into(),
        any_issuance: any.into(),
        ca_certificates: ca.into(),
        loosening: loosening.into(),
    })
}

fn guarded(demands: Option<wire::ApprovalDemands>) -> wire::EnsureAuthorityRequest {
    let base = root();
    let constraints = wire::Constraints { approvals: demands, ..base.constraints.unwrap() };
    wire::EnsureAuthorityRequest { constraints: Some(constraints), generation: 3, ..base }
}

fn from_root(uid: &str, key: &PrivateKey) -> wire::IssueRequest {
    wire::IssueRequest { authority_uid: ROOT.into(), ..leaf(uid, key) }
}

struct Scene {
    people: People<'static>,
    bench: Bench,
    key: PrivateKey,
}

impl Scene {
    async fn new(demands: Option<wire::ApprovalDemands>) -> Self {
        let mut bench = Bench::new();
        let dir = bench.dir.path().to_owned();
        let people = People::new(&dir, &["alice", "bob", "bob2", "carol", "dave", "mallory"]);
        let people = People(Box::leak(people.0.to_owned().into_boxed_path()));
        bench.gate =
            Gate { pinned: Pinned::parse(&people.file()).unwrap(), records: None, ..Gate::default() };
        bench.close();
        bench.open().unwrap();
        bench.ensure(&guarded(demands)).await.unwrap();
        Self { people, bench, key: new_key(KeyAlgorithm::EcdsaP256) }
    }

    async fn digest(&self, request: &wire::IssueRequest) -> String {
        let refusal = self.bench.issue(request).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::ApprovalRequired, "{refusal}");
        let about = refusal.about.unwrap();
        assert_eq!(about.classes, ["production"]);
        about.effect
    }

    fn signed(&self, statement: &Statement, people: &[&str]) -> Vec<String> {
        people.iter().map(|name| self.people.sign(name, &statement.text())).collect()
    }
}

fn refused(result: Result<impl Sized, Refusal>) -> Refusal {
    result.err().expect("nothing may be signed")
}

fn invalid(result: Result<impl Sized, Refusal>, says: &str) {
    let refusal = refused(result);
    assert_eq!(refusal.reason, Reason::ApprovalInvalid, "{refusal}");
    assert!(refusal.rule.contains(says), "{refusal} says nothing of {says:?}");
}

#[tokio::test]
async fn a_quorum_of_signatures_signs_once_and_a_repeat_gets_the_stored_answer() {
    let mut scene = Scene::new(demands("production", "", "", "")).await;
    let request = from_root(LEAF, &scene.key);
    let digest = scene.digest(&request).await;
    let statement = Statement::of(&digest);
    let signatures = scene.signed(&statement, &["alice", "bob", "carol"]);
    let with = wire::IssueRequest { approvals: vec![statement.brought(signatures)], ..request.clone() };
    let first = scene.bench.issue(&with).await.unwrap();
    let again = scene.bench.issue(&request).await.unwrap();
    assert!(again.repeated && again.certificate == first.certificate, "without the approval, too");
    scene.bench.close();
    scene.bench.open().unwrap();
    // The certificate expires; the same effect is asked for again, with the same approval.
    scene.bench.clock.advance(1200);
    let short = wire::IssueRequest { request_key: request_key(LEAF, 2), ..with.clone() };
    invalid(scene.bench.issue(&short).await, "not enough people");
    let entries = scene.bench.published(7).await;
    let used = entries.iter().find(|entry| entry["kind"] == "approval-used").unwrap();
    assert_eq!((used["request"].as_str(), used["class"].as_str()), (Some(ASKED), Some("production")));
    assert_eq!((used["approvals"].as_u64(), used["effect"].as_str()), (Some(3), Some(digest.as_str())));
    assert_eq!(used["signatures"].as_array().unwrap().len(), 3);
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("alice") && !text.contains("erin"), "no name is in the log");
}

#[tokio::test]
async fn a_used_approval_is_refused_after_the_certificate_expired_and_under_a_new_request_uid() {
    let mut scene = Scene::new(demands("production", "", "", "")).await;
    let request = wire::IssueRequest { duration_seconds: 60, ..from_root(LEAF, &scene.key) };
    let statement = Statement::of(&scene.digest(&request).await);
    let signatures = scene.signed(&statement, &["alice", "bob", "carol"]);
    let with = wire::IssueRequest { approvals: vec![statement.brought(signatures)], ..request.clone() };
    scene.bench.issue(&with).await.unwrap();
    scene.bench.clock.advance(120);
    invalid(scene.bench.issue(&with).await, "used once");
    scene.bench.close();
    scene.bench.open().unwrap();
    invalid(scene.bench.issue(&with).await, "used once");
    let other = Statement { request: uid(77), ..statement };
    let signatures = scene.signed(&other, &["alice", "bob", "carol"]);
    let replay = wire::IssueRequest { approvals: vec![other.brought(signatures)], ..request };
    invalid(scene.bench.issue(&replay).await, "used once");
}

#[tokio::test]
async fn what_an_attacker_with_operator_and_api_server_can_bring_signs_nothing() {
    let scene = Scene::new(demands("production", "", "", "")).await;
    let request = from_root(LEAF, &scene.key);
    let statement = Statement::of(&scene.digest(&request).await);
    let good = scene.signed(&statement, &["alice", "bob", "carol"]);
    let [alice, bob, carol] = good.as_slice() else { panic!("three signatures") };
    let try_with = |brought: wire::ApprovalUse| {
        let request = wire::IssueRequest { approvals: vec![brought], ..request.clone() };
        let scene = &scene;
        async move { scene.bench.issue(&request.clone()).await }
    };
    let of = |signatures: &[&String]| statement.brought(signatures.iter().map(|s| (*s).clone()).collect());
    // A group is missing, whichever.
    invalid(try_with(of(&[alice, bob])).await, "1 of dba");
    invalid(try_with(of(&[alice, carol])).await, "1 of security");
    invalid(try_with(of(&[])).await, "2 of security and 1 of dba");
    // One person twice: the same signature, and another key of the same person.
    invalid(try_with(of(&[bob, bob, carol])).await, "1 of security");
    let bob2 = scene.people.sign("bob2", &statement.text());
    invalid(try_with(of(&[bob, &bob2, carol])).await, "1 of security");
    // One person in two groups fills one seat.
    let dave = scene.people.sign("dave", &statement.text());
    invalid(try_with(of(&[alice, &dave])).await, "still missing");
    // Forged: a key that nobody pinned, rubbish, a signature for another purpose.
    let mallory = scene.people.sign("mallory", &statement.text());
    invalid(try_with(of(&[alice, &mallory, carol])).await, "1 signatures are not");
    invalid(try_with(of(&[alice, &"-----BEGIN SSH SIGNATURE-----".into(), carol])).await, "1 of security");
    // Signed over the digest alone, over another effect, class, request, requester, or a later filing.
    let digest_only = scene.people.sign("bob", &statement.effect);
    invalid(try_with(of(&[alice, &digest_only, carol])).await, "1 of security");
    for changed in [
        Statement { effect: format!("sha256:{}", "0".repeat(64)), ..statement.clone() },
        Statement { class: "weak".into(), ..statement.clone() },
        Statement { request: uid(5), ..statement.clone() },
        Statement { requester: "erin".into(), ..statement.clone() },
        Statement { creator: "nobody".into(), ..statement.clone() },
        Statement { editors: vec!["frank".into()], ..statement.clone() },
        Statement { filed: "2029-12-31T23:59:00Z", ..statement.clone() },
    ] {
        let other = scene.people.sign("bob", &changed.text());
        invalid(try_with(of(&[alice, &other, carol])).await, "1 of security");
    }
    // Facts swapped beside good signatures.
    let mut swapped = of(&[alice, bob, carol]);
    swapped.signed.as_mut().unwrap().requester = "somebody-else".into();
    invalid(try_with(swapped).await, "3 signatures are not");
    let mut later = of(&[alice, bob, carol]);
    later.signed.as_mut().unwrap().filed = NOW + 31;
    invalid(try_with(later).await, "in the future");
    // No signatures at all, records only: this signer reads none.
    invalid(try_with(wire::ApprovalUse { signed: None, ..of(&[]) }).await, "none were brought");
    // An approval of a weaker class instead: the class that has to agree is missing.
    let weak = Statement { class: "weak".into(), ..statement.clone() };
    let brought = weak.brought(scene.signed(&weak, &["bob"]));
    assert_eq!(refused(try_with(brought).await).reason, Reason::ApprovalRequired);
    // After all of that the true quorum still gets its certificate.
    try_with(of(&[alice, bob, carol])).await.unwrap();
}

#[tokio::test]
async fn nobody_approves_what_they_asked_for_made_or_changed() {
    let scene = Scene::new(demands("production", "", "", "")).await;
    let request = from_root(LEAF, &scene.key);
    let effect = scene.digest(&request).await;
    let asked = Statement { requester: "alice@example.com".into(), ..Statement::of(&effect) };
    let made = Statement { creator: "alice".into(), ..Statement::of(&effect) };
    let changed =
        Statement { editors: vec!["frank".into(), "alice@example.com".into()], ..Statement::of(&effect) };
    for statement in [asked, made, changed] {
        let signatures = scene.signed(&statement, &["alice", "bob", "carol"]);
        let with = wire::IssueRequest { approvals: vec![statement.brought(signatures)], ..request.clone() };
        invalid(scene.bench.issue(&with).await, "1 of security");
    }
}

#[tokio::test]
async fn what_somebody_else_changed_is_approved_and_the_editors_are_part_of_what_is_signed() {
    let scene = Scene::new(demands("production", "", "", "")).await;
    let request = from_root(LEAF, &scene.key);
    let effect = scene.digest(&request).await;
    let statement = Statement { editors: vec!["frank".into(), "grace".into()], ..Statement::of(&effect) };
    let good = statement.brought(scene.signed(&statement, &["alice", "bob", "carol"]));
    let mut hidden = good.clone();
    hidden.signed.as_mut().unwrap().target_editors.pop();
    let with = wire::IssueRequest { approvals: vec![hidden], ..request.clone() };
    invalid(scene.bench.issue(&with).await, "3 signatures are not");
    let mut many = good.clone();
    many.signed.as_mut().unwrap().target_editors = vec!["x".into(); 65];
    let with = wire::IssueRequest { approvals: vec![many], ..request.clone() };
    let refusal = refused(scene.bench.issue(&with).await);
    assert_eq!(
        (refusal.reason, refusal.field.as_str()),
        (Reason::Malformed, "approvals.signed.targetEditors")
    );
    scene.bench.issue(&wire::IssueRequest { approvals: vec![good], ..request }).await.unwrap();
}

#[tokio::test]
async fn an_approval_expires_and_holds_for_nothing_but_its_effect() {
    let scene = Scene::new(demands("production", "", "", "")).await;
    let request = from_root(LEAF, &scene.key);
    let statement = Statement::of(&scene.digest(&request).await);
    let brought = statement.brought(scene.signed(&statement, &["alice", "bob", "carol"]));
    let with = wire::IssueRequest { approvals: vec![brought], ..request };
    let mut names = with.clone();
    names.sans.as_mut().unwrap().dns_names = vec!["other.example.com".into()];
    let mut object = with.clone();
    object.object.as_mut().unwrap().name = "other".into();
    for changed in [
        wire::IssueRequest { duration_seconds: 86_401, ..with.clone() },
        wire::IssueRequest { pkcs10: support::pkcs10(&new_key(KeyAlgorithm::EcdsaP256)), ..with.clone() },
        wire::IssueRequest { usages: vec!["client auth".into()], ..with.clone() },
        wire::IssueRequest { is_ca: true, ..with.clone() },
        wire::IssueRequest { request_key: request_key(&uid(9), 1), ..with.clone() },
        names,
        object,
    ] {
        invalid(scene.bench.issue(&changed).await, "3 signatures are not");
    }
    // A newer generation of the issuer is another effect.
    let newer = wire::EnsureAuthorityRequest { generation: 4, ..guarded(demands("production", "", "", "")) };
    scene.bench.ensure(&newer).await.unwrap();
    invalid(scene.bench.issue(&with).await, "3 signatures are not");
    let statement =
        Statement::of(&scene.digest(&wire::IssueRequest { approvals: vec![], ..with.clone() }).await);
    let brought = statement.brought(scene.signed(&statement, &["alice", "bob", "carol"]));
    let with = wire::IssueRequest { approvals: vec![brought], ..with };
    scene.bench.clock.advance(3001);
    invalid(scene.bench.issue(&with).await, "expired");
    scene.bench.clock.advance(-2);
    scene.bench.issue(&with).await.unwrap();
}

#[tokio::test]
async fn demands_hold_below_and_a_child_is_certified_only_with_agreement() {
    let scene = Scene::new(demands("", "production", "", "")).await;
    scene.bench.issue(&from_root(LEAF, &scene.key)).await.unwrap();
    let request = wire::EnsureAuthorityRequest {
        object: Some(wire::ObjectRef { kind: "Issuer".into(), namespace: "shop".into(), name: "ca".into() }),
        ..child()
    };
    let refusal = refused(scene.bench.ensure(&request).await);
    assert_eq!(refusal.reason, Reason::ApprovalRequired);
    let statement = Statement::of(&refusal.about.unwrap().effect);
    let brought = statement.brought(scene.signed(&statement, &["alice", "bob", "carol"]));
    let with = wire::EnsureAuthorityRequest { approvals: vec![brought], ..request.clone() };
    let mut longer = with.clone();
    longer.duration_seconds += 1;
    invalid(scene.bench.ensure(&longer).await, "3 signatures are not");
    assert!(scene.bench.ensure(&with).await.unwrap().created);
    let renewed = wire::EnsureAuthorityRequest { request_key: request_key(CHILD, 2), ..with };
    invalid(scene.bench.ensure(&renewed).await, "3 signatures are not");
    // The root's own renewal is a certificate of an authority as well.
    let renewal = wire::EnsureAuthorityRequest {
        request_key: request_key(ROOT, 2),
        ..guarded(demands("", "production", "", ""))
    };
    assert_eq!(refused(scene.bench.ensure(&renewal).await).reason, Reason::ApprovalRequired);
    let foreign = wire::IssueRequest { is_ca: true, ..from_root(&uid(3), &scene.key) };
    assert_eq!(refused(scene.bench.issue(&foreign).await).reason, Reason::ApprovalRequired);
}

#[tokio::test]
async fn a_name_asks_once() {
    let scene = Scene::new(demands("", "", "production", "")).await;
    let request = from_root(LEAF, &scene.key);
    let statement = Statement::of(&scene.digest(&request).await);
    let brought = statement.brought(scene.signed(&statement, &["alice", "bob", "carol"]));
    scene.bench.issue(&wire::IssueRequest { approvals: vec![brought], ..request.clone() }).await.unwrap();
    let renewal = wire::IssueRequest { request_key: request_key(LEAF, 2), ..request.clone() };
    scene.bench.issue(&renewal).await.unwrap();
    let mut other = wire::IssueRequest { request_key: request_key(&uid(8), 1), ..request };
    other.sans.as_mut().unwrap().dns_names.push("new.example.com".into());
    assert_eq!(refused(scene.bench.issue(&other).await).reason, Reason::ApprovalRequired);
}

#[tokio::test]
async fn constraints_become_looser_only_with_agreement_and_never_where_no_class_was_named() {
    let all = || demands("production", "", "", "production");
    let scene = Scene::new(all()).await;
    let mut looser = guarded(demands("", "", "", "production"));
    looser.generation = 4;
    let refusal = refused(scene.bench.ensure(&looser).await);
    assert_eq!(refusal.reason, Reason::ApprovalRequired, "{refusal}");
    let statement = Statement::of(&refusal.about.unwrap().effect);
    let brought = statement.brought(scene.signed(&statement, &["alice", "bob", "carol"]));
    looser.approvals = vec![brought];
    let mut more = looser.clone();
    more.constraints.as_mut().unwrap().path_length = None;
    invalid(scene.bench.ensure(&more).await, "3 signatures are not");
    scene.bench.ensure(&looser).await.unwrap();
    scene.bench.issue(&from_root(LEAF, &scene.key)).await.unwrap();
    // Tightened again, the same approval loosens nothing a second time.
    let mut tighter = guarded(all());
    tighter.generation = 5;
    scene.bench.ensure(&tighter).await.unwrap();
    invalid(scene.bench.ensure(&looser).await, "used once");

    let scene = Scene::new(demands("production", "", "", "")).await;
    let removed = guarded(None);
    assert_eq!(refused(scene.bench.ensure(&removed).await).reason, Reason::Loosening);
    // Nobody gives a key a class of their own that may loosen it.
    let opened = guarded(demands("production", "", "", "weak"));
    assert_eq!(refused(scene.bench.ensure(&opened).await).field, "approvals.loosening");
    let replaced = guarded(demands("weak", "", "", ""));
    assert_eq!(refused(scene.bench.ensure(&replaced).await).reason, Reason::Loosening);
    // Added later it holds at once.
    let added = guarded(demands("production", "production", "production", ""));
    scene.bench.ensure(&added).await.unwrap();
}

#[tokio::test]
async fn a_class_that_is_not_pinned_is_refused_where_the_api_server_is_not_read() {
    let scene = Scene::new(demands("elsewhere", "", "", "")).await;
    let request = from_root(LEAF, &scene.key);
    let refusal = refused(scene.bench.issue(&request).await);
    assert_eq!(refusal.about.unwrap().classes, ["elsewhere"]);
    let statement = Statement { class: "elsewhere".into(), ..Statement::of("") };
    let with = wire::IssueRequest { approvals: vec![statement.brought(vec![])], ..request };
    invalid(scene.bench.issue(&with).await, "no access to the API server");
}

#[test]
fn a_file_of_approvers_that_could_mean_two_things_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let people = People::new(dir.path(), &["alice", "bob", "bob2", "carol", "dave"]);
    let good: serde_json::Value = serde_json::from_str(&people.file()).unwrap();
    Pinned::parse(&good.to_string()).unwrap();
    let table: [(&str, &str, serde_json::Value); 8] = [
        ("/classes/0/name", "named as an ApprovalClass", "No".into()),
        ("/classes/1/name", "listed twice", "production".into()),
        ("/classes/0/useWithinSeconds", "60 to", 59.into()),
        ("/classes/0/groups", "at least one group", serde_json::json!([])),
        ("/classes/0/groups/1/count", "has 2 approvers", 3.into()),
        ("/classes/0/groups/1/approvers", "not among approvers", serde_json::json!(["eve"])),
        ("/approvers/1/keys", "listed twice", serde_json::json!([people.public("alice")])),
        ("/approvers/1/name", "two approvers", "alice@example.com".into()),
    ];
    for (at, says, value) in table {
        let mut bad = good.clone();
        *bad.pointer_mut(at).unwrap() = value;
        let problem = Pinned::parse(&bad.to_string()).unwrap_err();
        assert!(problem.contains(says), "{at}: {problem}");
    }
    assert!(Pinned::parse("{}").is_err());
    assert!(Pinned::parse(r#"{"classes": [], "approvers": [], "extra": 1}"#).is_err());
}

#[tokio::test]
async fn who_agreed_to_a_name_under_one_profile_did_not_agree_to_it_under_another() {
    let scene = Scene::new(None).await;
    let first = |name: &str| wire::Profile {
        name: name.into(),
        approvals: demands("", "", "production", ""),
        ..Default::default()
    };
    let mut request = guarded(None);
    let free = wire::Profile { name: "free".into(), ..Default::default() };
    request.constraints.as_mut().unwrap().profiles = vec![first("shop"), first("bank"), free];
    scene.bench.ensure(&request).await.unwrap();
    let under = |profile: &str, step| wire::IssueRequest {
        profile: profile.into(),
        request_key: request_key(LEAF, step),
        ..from_root(LEAF, &scene.key)
    };
    scene.bench.issue(&under("free", 1)).await.unwrap();
    let request = under("shop", 2);
    let statement = Statement::of(&scene.digest(&request).await);
    let signatures = scene.signed(&statement, &["alice", "bob", "carol"]);
    let brought = vec![statement.brought(signatures)];
    let elsewhere = wire::IssueRequest { approvals: brought.clone(), ..under("bank", 2) };
    assert_eq!(refused(scene.bench.issue(&elsewhere).await).reason, Reason::ApprovalInvalid);
    scene.bench.issue(&wire::IssueRequest { approvals: brought, ..request }).await.unwrap();
    scene.bench.issue(&under("shop", 3)).await.expect("a name that was agreed to under this profile");
    scene.digest(&under("bank", 4)).await;
}
