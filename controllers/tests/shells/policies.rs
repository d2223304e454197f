//! Policies: what their status tells, and whom a change lets go on.

use crate::rig::Rig;
use crate::signer::Mood;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_controllers_core::conditions::find;
use keywright_crds::{Issuer, Policy, PolicyBundle, PolicyBundleKey, PolicySpec, RegoSource};
use keywright_testkit::objects::{NAMESPACE, certificate, issuer};
use keywright_testkit::{Fault, Kind, Verb};
use std::time::Duration;

fn policy(rego: &str) -> Policy {
    let rego = Some(RegoSource { source: rego.into() });
    Policy::new("names", PolicySpec { rego, ..PolicySpec::default() })
}

fn said(rig: &Rig) -> Option<String> {
    let status = rig.cluster.get::<Policy>("", "names")?.status?;
    let ready = find(&status.conditions, "Ready")?;
    Some(format!("{} {} {}", ready.status, ready.reason, status.observed_generation.unwrap_or(-1)))
}

#[tokio::test(start_paused = true)]
async fn a_policy_tells_whether_it_compiles_and_then_nothing() {
    let rig = Rig::with_issuer().await;
    rig.cluster.create(&policy("package keywright\nallow := true"));
    rig.until("told", |rig| said(rig).is_some()).await;
    assert_eq!(said(&rig).unwrap(), "True Compiled 1");
    let digest = rig.cluster.get::<Policy>("", "names").unwrap().status.unwrap().digest;
    assert!(digest.is_some_and(|digest| digest.starts_with("sha256:")));
    rig.assert_quiet(Duration::from_hours(30)).await;

    rig.cluster.edit::<Policy>("", "names", |policy| {
        policy.spec.rego = Some(RegoSource { source: "package keywright\nnonsense".into() });
    });
    rig.until("told again", |rig| said(rig).unwrap() == "False DoesNotCompile 2").await;
    let status = rig.cluster.get::<Policy>("", "names").unwrap().status.unwrap();
    assert!(status.conditions[0].message.contains("line 2"), "{}", status.conditions[0].message);
    rig.assert_quiet(Duration::from_hours(30)).await;
}

fn config_map(bytes: &[u8]) -> ConfigMap {
    let mut config_map = ConfigMap::default();
    config_map.metadata.name = Some("bundles".to_owned());
    config_map.metadata.namespace = Some("keywright-system".to_owned());
    config_map.binary_data = Some([("names".to_owned(), ByteString(bytes.to_vec()))].into());
    config_map
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_a_bundle_follows_its_config_map_and_tells_what_is_wrong_with_it() {
    let rig = Rig::with_issuer().await;
    let bundle = PolicyBundle {
        config_map_ref: PolicyBundleKey { name: "bundles".to_owned(), key: "names".to_owned() },
        digest: format!("sha256:{}", "0".repeat(64)),
    };
    let spec = PolicySpec { bundle: Some(bundle), ..PolicySpec::default() };
    rig.cluster.create(&Policy::new("names", spec));
    rig.until("told", |rig| said(rig).is_some()).await;
    assert_eq!(said(&rig).unwrap(), "False BundleMissing 1");
    rig.assert_quiet(Duration::from_hours(30)).await;

    rig.cluster.create(&config_map(b"nonsense"));
    rig.until("told again", |rig| said(rig).unwrap() == "False BundleDiffers 1").await;
    let words = rig.cluster.get::<Policy>("", "names").unwrap().status.unwrap().conditions[0].message.clone();
    let found = words.split("has digest ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
    rig.cluster.edit::<Policy>("", "names", |policy| {
        policy.spec.bundle.as_mut().unwrap().digest = found;
    });
    rig.until("told why", |rig| said(rig).unwrap() == "False BundleDoesNotLoad 2").await;
    rig.assert_quiet(Duration::from_hours(30)).await;

    rig.cluster.delete::<ConfigMap>("keywright-system", "bundles");
    rig.until("told it is gone", |rig| said(rig).unwrap() == "False BundleMissing 2").await;
    rig.assert_quiet(Duration::from_hours(30)).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_that_could_not_be_written_is_written_later() {
    let rig = Rig::with_issuer().await;
    for fault in [Fault::Refuse(500), Fault::RefuseAfter(500), Fault::BreakAfter] {
        rig.cluster.fail_next(Kind::Policy, Verb::ApplyStatus, 1, fault);
        rig.cluster.create(&policy("package keywright\nallow := true"));
        rig.until("told", |rig| said(rig).is_some()).await;
        rig.cluster.delete::<Policy>("", "names");
        rig.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_denied_is_looked_at_again_when_a_policy_changes_or_goes() {
    let rig = Rig::with_issuer().await;
    rig.cluster.create(&policy("package keywright\nallow := true"));
    rig.settle().await;
    rig.signer.moods([Mood::PolicyDenied, Mood::PolicyDenied]);
    rig.cluster.create(&certificate("web"));
    rig.until("denied", |rig| rig.ready("web") == "False PolicyDenied").await;
    let from = rig.now();
    rig.cluster.edit::<Policy>("", "names", |policy| policy.spec.mode = keywright_crds::PolicyMode::Audit);
    rig.until("asked again", |rig| rig.signer.asked().len() == 2).await;
    rig.cluster.delete::<Policy>("", "names");
    rig.until("issued", |rig| rig.ready("web") == "True Issued").await;
    assert!(rig.now().duration_since(from) < jiff::SignedDuration::from_secs(30), "no poll did it");
    rig.assert_good("web");
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_denies_is_not_asked_of_the_signer_and_is_told_once() {
    let rig = Rig::with_issuer().await;
    let names = "package keywright\ndeny contains \"not ours\" if \"web.example.com\" in input.csr.dnsNames";
    rig.cluster.create(&policy(names));
    rig.settle().await;
    rig.cluster.create(&certificate("web"));
    rig.cluster.create(&certificate("other"));
    rig.until("denied", |rig| rig.ready("web") == "False PolicyDenied").await;
    let words = rig.message("web");
    assert!(words.contains("policy names, rule deny: not ours (decision "), "{words}");
    rig.settle().await;
    rig.assert_good("other");
    let uid = rig.cert("web").metadata.uid;
    let asked = |rig: &Rig| rig.signer.asked();
    assert!(asked(&rig).iter().all(|request| request.request_key.clone().map(|key| key.object_uid) != uid));
    assert!(asked(&rig)[0].policy_digest.starts_with("sha256:"), "it says which policies it saw");
    // Each look is another decision with another id; the words stay.
    rig.assert_quiet(Duration::from_hours(3)).await;

    rig.cluster.delete::<Policy>("", "names");
    rig.until("issued", |rig| rig.ready("web") == "True Issued").await;
    rig.assert_good("web");
    assert_eq!(asked(&rig).last().unwrap().policy_digest, "");
}

#[tokio::test(start_paused = true)]
async fn an_authority_whose_next_certificate_is_denied_signs_on_and_a_new_one_waits_for_the_policy() {
    let rig = Rig::with_issuer().await;
    let certified = |rig: &Rig| {
        let status = rig.cluster.get::<Issuer>(NAMESPACE, "services").unwrap().status.unwrap();
        status.authority.unwrap().serial_number
    };
    let before = certified(&rig);
    rig.cluster
        .create(&policy("package keywright\ndeny contains \"no\" if input.request == \"CertifyAuthority\""));
    rig.settle().await;
    assert_eq!(
        rig.issuer_ready::<Issuer>(NAMESPACE, "services"),
        "True AuthorityReady",
        "what is there stays"
    );
    rig.cluster.create(&issuer("new"));
    rig.until("denied", |rig| rig.issuer_ready::<Issuer>(NAMESPACE, "new") == "False PolicyDenied").await;

    rig.cluster.delete::<Policy>("", "names");
    let ready = |rig: &Rig| rig.issuer_ready::<Issuer>(NAMESPACE, "new") == "True AuthorityReady";
    rig.until("allowed", ready).await;
    assert_eq!(certified(&rig), before);
}
