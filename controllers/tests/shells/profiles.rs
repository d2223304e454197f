//! Certificates under profiles of their issuer.

use crate::approvals::{approve, asked, class, requests, stamp};
use crate::rig::{HOME, Rig};
use keywright_crds::{
    Algorithm, AllowedLeaves, ApprovalRequest, AuthorityApprovals, Certificate, CertificateProfile, Issuer,
    KeyUsage, Policy, PolicySpec, ProfileApprovals, RegoSource,
};
use keywright_testkit::objects::{NAMESPACE, certificate, issuer};
use kube::ResourceExt;
use std::time::Duration;

fn profile(name: &str) -> CertificateProfile {
    CertificateProfile { name: name.into(), ..CertificateProfile::default() }
}

fn short(name: &str) -> CertificateProfile {
    CertificateProfile { max_duration: Some("12h".into()), ..profile(name) }
}

/// Issuer `services` with these profiles, and Certificate `web` that names one.
async fn rig(profiles: Vec<CertificateProfile>, named: Option<&str>) -> Rig {
    let rig = Rig::with_issuer().await;
    class(&rig);
    let mut made = issuer("profiled");
    let authority = made.spec.authority.as_mut().unwrap();
    authority.profiles = profiles;
    authority.approvals =
        Some(AuthorityApprovals { loosening: Some("production".into()), ..AuthorityApprovals::default() });
    rig.cluster.create(&made);
    let mut web = certificate("web");
    web.spec.issuer_ref.name = "profiled".into();
    web.spec.profile = named.map(str::to_owned);
    rig.cluster.create(&web);
    rig.settle().await;
    rig
}

fn edit(rig: &Rig, change: impl Fn(&mut Vec<CertificateProfile>)) {
    rig.cluster.edit::<Issuer>(NAMESPACE, "profiled", |issuer| {
        change(&mut issuer.spec.authority.as_mut().unwrap().profiles);
    });
}

fn name(rig: &Rig, named: Option<&str>) {
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |web| web.spec.profile = named.map(str::to_owned));
}

/// Hours that the certificate in the Secret lives.
fn hours(rig: &Rig) -> i64 {
    rig.leaf("web-tls").unwrap().validity().duration().as_hours()
}

/// Which profile each request to the signer named.
fn named(rig: &Rig) -> Vec<String> {
    rig.signer.asked().into_iter().map(|request| request.profile).collect()
}

#[tokio::test(start_paused = true)]
async fn a_profile_narrows_and_another_one_is_another_certificate() {
    let rig = rig(vec![profile("default"), short("short")], Some("short")).await;
    rig.assert_good("web");
    assert_eq!((hours(&rig), named(&rig)), (12, vec!["short".to_owned()]));
    name(&rig, None);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!((hours(&rig), rig.issued("web")), (2160, 2), "issued anew, once");
    assert_eq!(named(&rig), ["short", ""], "who names none names none to the signer either");
    rig.assert_quiet(Duration::from_hours(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_is_not_there_or_is_missing_never_reaches_the_signer() {
    for (profiles, named, words) in [
        (vec![], Some("web"), "has no profiles"),
        (vec![profile("web"), profile("short")], Some("other"), "name one of web, short"),
        (vec![profile("web")], None, "it is required"),
    ] {
        let rig = rig(profiles, named).await;
        assert_eq!(rig.ready("web"), "False OutsideConstraints", "{words}");
        let message = rig.message("web");
        assert!(message.starts_with("spec.profile: ") && message.contains(words), "{message}");
        assert!(message.contains("Issuer \"profiled\""), "{message}");
        assert_eq!(rig.signer.asked().len(), 0, "{words}");
        assert!(rig.secret("web-tls").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_profile_does_not_allow_names_the_profile() {
    let narrow = CertificateProfile {
        allowed: Some(AllowedLeaves { usages: vec![KeyUsage::ClientAuth], ..AllowedLeaves::default() }),
        ..profile("clients")
    };
    let rig = rig(vec![narrow], Some("clients")).await;
    assert_eq!(rig.ready("web"), "False OutsideConstraints");
    let message = rig.message("web");
    assert!(message.starts_with("spec.usages: "), "{message}");
    assert!(message.contains("profile \"clients\" of Issuer \"profiled\""), "{message}");
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |web| web.spec.usages = vec![KeyUsage::ClientAuth]);
    rig.settle().await;
    rig.assert_good("web");
}

/// The signer's tests hold the same words against the same profile.
#[tokio::test(start_paused = true)]
async fn policies_are_shown_the_profile_as_the_signer_shows_it() {
    let shown = CertificateProfile {
        description: Some("for people".into()),
        max_duration: Some("25h".into()),
        allowed: Some(AllowedLeaves {
            usages: vec![KeyUsage::ServerAuth, KeyUsage::DigitalSignature],
            private_key_algorithms: vec![Algorithm::Ecdsa],
            is_ca: false,
        }),
        ..profile("default")
    };
    let rig = rig(vec![shown, profile("other")], Some("other")).await;
    rig.assert_good("web");
    let source = r#"package keywright
deny contains "as it is held" if input.profile == {"name": "default", "maxDuration": "25h", "allowed":
    {"usages": ["digital signature", "server auth"], "privateKeyAlgorithms": ["ECDSA"]}}
"#;
    let rego = Some(RegoSource { source: source.into() });
    rig.cluster.create(&Policy::new("names", PolicySpec { rego, ..PolicySpec::default() }));
    rig.settle().await;
    rig.assert_good("web");
    name(&rig, None);
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False PolicyDenied");
    assert!(rig.message("web").contains("as it is held"), "{}", rig.message("web"));
    assert_eq!(named(&rig), ["other"], "what policies deny is not asked for");
}

#[tokio::test(start_paused = true)]
async fn first_profiles_leave_what_was_issued_alone_and_bind_what_comes() {
    let rig = rig(vec![], None).await;
    rig.assert_good("web");
    edit(&rig, |profiles| profiles.push(profile("default")));
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 1, "it is what it would be under the default profile");
    edit(&rig, |profiles| profiles[0] = short("default"));
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!((hours(&rig), rig.issued("web")), (12, 2));
}

#[tokio::test(start_paused = true)]
async fn a_further_profile_waits_for_people_and_its_certificates_with_it() {
    let rig = rig(vec![profile("default")], None).await;
    rig.assert_good("web");
    let uid = rig.cluster.get::<Issuer>(NAMESPACE, "profiled").unwrap().uid().unwrap();
    edit(&rig, |profiles| profiles.push(profile("batch")));
    let request = asked(&rig).await;
    let diff = request.spec.diff.clone().unwrap();
    assert!(diff.contains("+ profiles.batch: as the authority"), "{diff}");
    assert_eq!(rig.signer.profiles(&uid), ["default"]);
    name(&rig, Some("batch"));
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False Refused", "the signer has no such profile yet");
    approve(&rig, &request);
    rig.settle().await;
    assert_eq!(rig.signer.profiles(&uid), ["default", "batch"]);
    rig.assert_good("web");
    assert_eq!(named(&rig).last().map(String::as_str), Some("batch"));
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_needs_people_is_part_of_what_they_agree_to() {
    let guarded = CertificateProfile {
        approvals: Some(ProfileApprovals {
            any_issuance: Some("production".into()),
            ..ProfileApprovals::default()
        }),
        ..profile("guarded")
    };
    let rig = rig(vec![guarded, profile("default")], Some("guarded")).await;
    let request = asked(&rig).await;
    assert_eq!(rig.ready("web"), "Unknown AwaitingApproval");
    let effect: serde_json::Value = serde_json::from_str(&request.spec.effect).unwrap();
    assert_eq!(effect["profile"], "guarded");
    assert!(request.spec.diff.as_deref().unwrap().contains("  profile: guarded"));
    // Another profile is another effect, and this one needs nobody.
    name(&rig, Some("default"));
    rig.settle().await;
    rig.assert_good("web");
    name(&rig, Some("guarded"));
    rig.settle().await;
    stamp(&rig);
    rig.settle().await;
    let open = |request: &ApprovalRequest| request.spec.effect_digest != effect_of(&rig);
    let request = requests(&rig).into_iter().find(|request| !open(request)).unwrap();
    assert_ne!(request.namespace().as_deref(), Some(HOME));
    approve(&rig, &request);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(named(&rig).last().map(String::as_str), Some("guarded"));
}

/// The effect that Certificate `web` waits for.
fn effect_of(rig: &Rig) -> String {
    let web = rig.cluster.get::<Certificate>(NAMESPACE, "web").unwrap();
    web.status.and_then(|status| status.approval).map(|approval| approval.effect_digest).unwrap_or_default()
}
