//! Policies at the signer: what they deny is not signed, whoever asks and whatever the asker says.

use crate::support::{Bench, CHILD, LEAF, ROOT, child, leaf, new_key, request_key, root, uid};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_policy::{BundleRef, Found};
use keywright_signer::approval::Gate;
use keywright_signer::policy::Policies;
use keywright_signer::refusal::Reason;
use keywright_signer_cluster::{ObjectFacts, ObjectName, PolicySource, ReadError, StoredPolicy};
use keywright_signer_protocol::v1alpha1 as wire;
use serde_json::{Value, json};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

/// An API server of a test: the policies that it has, and what it knows of every object.
#[derive(Default)]
struct Stored(Mutex<Known>);

#[derive(Default)]
struct Known {
    policies: Vec<StoredPolicy>,
    bundle: Option<Vec<u8>>,
    bundles_read: usize,
    gone: bool,
    silent: bool,
}

impl Stored {
    fn with<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, spec: &Value) {
        self.with(|known| {
            known.policies = vec![StoredPolicy { name: "shop".to_owned(), spec: spec.clone() }];
        });
    }

    fn answer<T: Send + 'static>(
        &self,
        say: impl FnOnce(&Known) -> T,
    ) -> BoxFuture<'static, Result<T, ReadError>> {
        let said = self.with(|known| {
            if known.silent { Err(ReadError::Unavailable("it is away".to_owned())) } else { Ok(say(known)) }
        });
        async move { said }.boxed()
    }
}

impl PolicySource for Stored {
    fn policies(&self) -> BoxFuture<'_, Result<Vec<StoredPolicy>, ReadError>> {
        self.answer(|known| known.policies.clone())
    }

    fn bundle<'a>(&'a self, at: &'a BundleRef) -> BoxFuture<'a, Result<Found, ReadError>> {
        self.with(|known| known.bundles_read += 1);
        let there = self.with(|known| known.bundle.clone());
        let found = Found::in_cluster(at, "keywright-system", there.is_some(), there.as_deref());
        self.answer(|_| found)
    }

    fn object<'a>(
        &'a self,
        _: &'a ObjectName,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<ObjectFacts>, ReadError>> {
        self.answer(|known| {
            (!known.gone).then(|| ObjectFacts {
                labels: [("team".to_owned(), "shop".to_owned())].into(),
                creator: Some(keywright_approvals::Identity {
                    username: "ann".to_owned(),
                    ..keywright_approvals::Identity::default()
                }),
                ..ObjectFacts::default()
            })
        })
    }

    fn issuer<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<ObjectName>, ReadError>> {
        self.answer(|_| {
            Some(ObjectName {
                kind: "ClusterIssuer".to_owned(),
                namespace: String::new(),
                name: "child".to_owned(),
            })
        })
    }
}

fn rego(rules: &str) -> Value {
    json!({ "rego": { "source": format!("package keywright\n{rules}") } })
}

/// Authorities made before there were policies, and a signer that reads those of `stored`.
async fn bench(stored: &Arc<Stored>) -> Bench {
    let mut bench = Bench::with_authorities().await;
    bench.close();
    let policies = Policies::read(None, true).unwrap().and_of(Arc::clone(stored) as Arc<dyn PolicySource>);
    bench.gate = Gate { policies, ..Gate::default() };
    bench.open().unwrap();
    bench
}

/// The reason of the refusal to issue a leaf, and its words; none: it was issued.
async fn refused(bench: &Bench, n: usize) -> Option<(Reason, String)> {
    // Policies are read again when they are two seconds old.
    bench.clock.advance(3);
    let request = leaf(&uid(n), &new_key(KeyAlgorithm::EcdsaP256));
    bench.issue(&request).await.err().map(|refusal| (refusal.reason, refusal.rule))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_denies_is_not_signed_and_an_edit_holds_at_once() {
    let stored = Arc::new(Stored::default());
    let bench = bench(&stored).await;
    assert_eq!(refused(&bench, 1).await, None, "no policies forbid nothing");
    for rules in [
        "deny contains \"no\" if input.request == \"IssueCertificate\"",
        "deny contains \"no\" if count(input.object.spec.dnsNames) > 0",
        "deny contains \"no\" if input.csr.dnsNames == input.object.spec.dnsNames",
        "deny contains \"no\" if input.object.spec.privateKey == {\"algorithm\": \"ECDSA\", \"size\": 256}",
        "deny contains \"no\" if input.object.kind == \"Certificate\"",
        "deny contains \"no\" if input.user.username == \"ann\"",
        "deny contains \"no\" if input.object.metadata.labels.team == \"shop\"",
        "deny contains \"no\" if input.issuer == {\"kind\": \"ClusterIssuer\", \"name\": \"child\"}",
        "deny contains \"no\" if startswith(input.time, \"2030-01-01T\")",
        "deny contains \"no\" if endswith(input.object.spec.duration, \"h\")",
        "allow if input.absent",
        "allow := \"yes\"",
        "deny contains \"no\" if 1 / count([]) > 0",
        "allow if { count([1 | some a in numbers; some b in numbers; some c in numbers; some d in numbers; a + b + c + d > 0]) > 0 }\nnumbers := [1,2,3,4,5,6,7,8,9,10,11,12,13,14]",
        "does not compile",
    ] {
        stored.put(&rego(rules));
        let (reason, words) = refused(&bench, 2).await.unwrap_or_else(|| panic!("issued under {rules}"));
        assert_eq!(reason, Reason::PolicyDenied, "{rules}: {words}");
        assert!(words.contains("policy shop") && words.contains("(decision "), "{words}");
    }
    stored.put(&rego("deny contains \"no\" if input.object.metadata.labels.team == \"other\""));
    assert_eq!(refused(&bench, 3).await, None);
    let mut elsewhere = rego("allow := false");
    elsewhere["appliesTo"] = json!({ "issuers": [{ "kind": "ClusterIssuer", "name": "another" }] });
    stored.put(&elsewhere);
    assert_eq!(refused(&bench, 4).await, None);
    elsewhere["mode"] = json!("Audit");
    elsewhere["appliesTo"] = json!({});
    stored.put(&elsewhere);
    assert_eq!(refused(&bench, 5).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_read_until_it_is_the_one_that_is_named_and_denies_meanwhile() {
    let stored = Arc::new(Stored::default());
    let bench = bench(&stored).await;
    let of = |digest: &str| json!({ "bundle": { "configMapRef": { "name": "bundles", "key": "shop" }, "digest": digest } });
    stored.put(&of(&format!("sha256:{}", "0".repeat(64))));
    let mut n = 0;
    let mut denied = async |says: &str| {
        n += 1;
        let (reason, words) = refused(&bench, n).await.unwrap_or_else(|| panic!("issued without {says}"));
        assert!(reason == Reason::PolicyDenied && words.contains(says), "{words}");
        words
    };
    denied("ConfigMap keywright-system/bundles does not exist").await;
    stored.with(|known| known.bundle = Some(b"nonsense".to_vec()));
    let words = denied("has digest sha256:").await;
    let found = words.split("has digest ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    stored.put(&of(found));
    denied("does not load").await;
    let read = stored.with(|known| known.bundles_read);
    denied("does not load").await;
    assert_eq!(stored.with(|known| known.bundles_read), read, "what was named and read is not read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_out_is_not_signed() {
    let stored = Arc::new(Stored::default());
    let bench = bench(&stored).await;
    stored.with(|known| known.silent = true);
    assert_eq!(refused(&bench, 1).await.unwrap().0, Reason::Unavailable);
    stored.with(|known| known.silent = false);
    stored.put(&rego("allow := true"));
    stored.with(|known| known.gone = true);
    let (reason, words) = refused(&bench, 2).await.unwrap();
    assert_eq!(reason, Reason::PolicyDenied);
    assert!(words.contains("does not exist"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_its_stored_answer_and_other_policies_than_were_seen_are_said() {
    let stored = Arc::new(Stored::default());
    let bench = bench(&stored).await;
    let mut request = leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256));
    bench.issue(&request).await.unwrap();
    stored.put(&rego("allow := false"));
    bench.clock.advance(3);
    bench.issue(&request).await.expect("the stored answer");
    stored.put(&rego("allow := true"));
    bench.clock.advance(3);
    request.request_key = request_key(&uid(9), 1);
    request.policy_digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(bench.issue(&request).await.err().map(|refusal| refusal.reason), Some(Reason::PolicyStale));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asker_who_saw_newer_policies_is_not_told_of_old_ones() {
    let stored = Arc::new(Stored::default());
    let bench = bench(&stored).await;
    let digest = |spec: &Value| {
        let member = Arc::new(keywright_policy::Member::read("shop", spec, None));
        keywright_policy::PolicySet::new(vec![member]).unwrap().digest().to_owned()
    };
    let (old, new) = (rego("allow := true"), rego("allow := true if true"));
    stored.put(&old);
    let mut request = leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256));
    request.policy_digest = digest(&old);
    bench.issue(&request).await.unwrap();
    // Within the time in which its list counts as fresh.
    stored.put(&new);
    request.request_key = request_key(&uid(2), 1);
    request.policy_digest = digest(&new);
    bench.issue(&request).await.unwrap();
    request.request_key = request_key(&uid(3), 1);
    request.policy_digest = digest(&old);
    assert_eq!(bench.issue(&request).await.err().map(|refusal| refusal.reason), Some(Reason::PolicyStale));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_adds_classes_and_its_digest_is_part_of_the_effect() {
    let stored = Arc::new(Stored::default());
    let bench = bench(&stored).await;
    let request = leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256));
    let mut effects = Vec::new();
    for rules in ["require_approval contains \"public\"", "require_approval contains \"public\" if true"] {
        stored.put(&rego(rules));
        bench.clock.advance(3);
        let refusal = bench.issue(&request).await.map(|_| ()).unwrap_err();
        assert_eq!(refusal.reason, Reason::ApprovalRequired);
        let about = refusal.about.unwrap();
        assert_eq!(about.classes, ["public"]);
        assert!(about.policies.starts_with("sha256:"));
        effects.push(about.effect.clone());
    }
    assert_ne!(effects[0], effects[1], "an edited policy is another effect");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_judged_too_and_a_folder_holds_without_an_api_server() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, spec: &Value| {
        let object = json!({ "apiVersion": "keywright.dev/v1alpha1", "kind": "Policy", "metadata": { "name": name }, "spec": spec });
        fs::write(dir.path().join(format!("{name}.yaml")), object.to_string()).unwrap();
    };
    let no = "deny contains \"no\" if { input.request == \"CertifyAuthority\"; input.object.spec.authority.commonName == \"Example root\" }";
    write("one", &rego("allow := true"));
    write("two", &rego(no));
    let mut bench = Bench::with_authorities().await;
    bench.close();
    bench.gate = Gate { policies: Policies::read(Some(dir.path()), false).unwrap(), ..Gate::default() };
    bench.open().unwrap();
    let renewed = |request: wire::EnsureAuthorityRequest, of: &str| wire::EnsureAuthorityRequest {
        request_key: request_key(of, 2),
        ..request
    };
    let refusal = bench.ensure(&renewed(root(), ROOT)).await.map(|_| ()).unwrap_err();
    assert_eq!(refusal.reason, Reason::PolicyDenied);
    bench.ensure(&root()).await.expect("what was signed is shown");
    bench.ensure(&renewed(child(), CHILD)).await.expect("the policy is about the root");

    write("three", &rego("does not compile"));
    assert!(Policies::read(Some(dir.path()), false).is_err());
    let mut named = rego("allow := true");
    named["appliesTo"] = json!({ "issuers": [{ "name": "ca" }] });
    write("three", &named);
    assert!(Policies::read(Some(dir.path()), false).is_err(), "nobody says what the issuer is called");
    assert!(Policies::read(Some(dir.path()), true).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_shown_the_profile_that_the_signer_holds() {
    let stored = Arc::new(Stored::default());
    let bench = bench(&stored).await;
    let mut tighter = child();
    tighter.constraints.as_mut().unwrap().profiles = vec![
        wire::Profile {
            name: "default".into(),
            max_leaf_seconds: Some(90_000),
            allowed_usages: vec!["server auth".into(), "digital signature".into()],
            allowed_key_algorithms: vec![2, 1],
            ..Default::default()
        },
        wire::Profile { name: "other".into(), ..Default::default() },
    ];
    bench.ensure(&tighter).await.unwrap();
    stored.put(&rego(
        "deny contains \"as it is held\" if input.profile == {\"name\": \"default\", \"maxDuration\": \"25h\", \"allowed\": \
         {\"usages\": [\"digital signature\", \"server auth\"], \"privateKeyAlgorithms\": [\"ECDSA\"]}}",
    ));
    let (reason, words) = refused(&bench, 1).await.expect("it is denied");
    assert!(reason == Reason::PolicyDenied && words.contains("as it is held"), "{words}");
    bench.clock.advance(3);
    let other =
        wire::IssueRequest { profile: "other".into(), ..leaf(&uid(2), &new_key(KeyAlgorithm::EcdsaP256)) };
    bench.issue(&other).await.unwrap();
    // An authority's own certificate comes under no profile.
    stored.put(&rego("deny contains \"there is one\" if input.profile"));
    bench.clock.advance(3);
    let renewed = wire::EnsureAuthorityRequest { request_key: request_key(CHILD, 2), ..tighter };
    bench.ensure(&renewed).await.unwrap();
}
