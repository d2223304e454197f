//! What a change of a spec asks for: a certificate, another form of the Secret, or nothing.

use crate::rig::Rig;
use k8s_openapi::api::core::v1::Secret;
use keywright_crds::{
    AdditionalOutputFormat, Algorithm, Certificate, CertificatePrivateKey, DeletionPolicy, Issuer,
    IssuerKind, KeyEncoding, KeyUsage, OutputFormat, RotationPolicy, SecretTemplate, Subject,
};
use keywright_pki::key::PrivateKey;
use keywright_testkit::objects::{NAMESPACE, certificate, issuer, reference};
use keywright_testkit::{Kind, Verb};
use std::time::Duration;

type Change = fn(&mut Certificate);

fn key(cert: &mut Certificate) -> &mut CertificatePrivateKey {
    cert.spec.private_key.get_or_insert_default()
}

#[tokio::test(start_paused = true)]
async fn a_change_of_what_is_certified_makes_exactly_one_new_certificate() {
    let changes: [(&str, Change); 11] = [
        ("dnsNames", |c| c.spec.dns_names.push("www.example.com".into())),
        ("ipAddresses", |c| c.spec.ip_addresses.push("192.0.2.1".into())),
        ("uris", |c| c.spec.uris.push("spiffe://example.com/web".into())),
        ("emailAddresses", |c| c.spec.email_addresses.push("web@example.com".into())),
        ("commonName", |c| c.spec.common_name = Some("web".into())),
        ("subject", |c| {
            c.spec.subject = Some(Subject { organizations: vec!["Shop".into()], ..Subject::default() });
        }),
        ("duration", |c| c.spec.duration = Some("720h".into())),
        ("usages", |c| c.spec.usages = vec![KeyUsage::DigitalSignature, KeyUsage::ServerAuth]),
        ("key algorithm", |c| key(c).algorithm = Algorithm::Ed25519),
        ("key size", |c| key(c).size = Some(384)),
        ("issuerRef", |c| c.spec.issuer_ref = reference(IssuerKind::ClusterIssuer, "root")),
    ];
    for (what, change) in changes {
        let rig = Rig::with_certificate(|_| {}).await;
        let before = rig.cluster.writes().len();
        rig.cluster.edit(NAMESPACE, "web", change);
        rig.settle().await;
        rig.assert_good("web");
        assert_eq!(rig.issued("web"), 2, "{what}");
        assert_eq!(rig.cluster.writes().len(), before + 3, "{what}: {:?}", rig.cluster.writes());
        rig.assert_quiet(Duration::from_hours(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_form_writes_the_secret_again_and_signs_nothing() {
    let changes: [(&str, Change, fn(&Rig)); 6] = [
        (
            "labels",
            |c| {
                c.spec.secret_template = Some(SecretTemplate {
                    labels: [("team".to_owned(), "shop".to_owned())].into(),
                    annotations: [("note".to_owned(), "hello".to_owned())].into(),
                });
            },
            |rig| {
                let metadata = rig.secret("web-tls").unwrap().metadata;
                assert_eq!(metadata.labels.unwrap()["team"], "shop");
                assert_eq!(metadata.annotations.unwrap()["note"], "hello");
            },
        ),
        (
            "CombinedPEM",
            |c| {
                c.spec.additional_output_formats =
                    vec![AdditionalOutputFormat { type_: OutputFormat::CombinedPem }];
            },
            |rig| {
                let combined = rig.entry("web-tls", "tls-combined.pem").unwrap();
                let parts =
                    [rig.entry("web-tls", "tls.key").unwrap(), rig.entry("web-tls", "tls.crt").unwrap()];
                assert_eq!(combined, parts.concat());
            },
        ),
        (
            "DER",
            |c| c.spec.additional_output_formats = vec![AdditionalOutputFormat { type_: OutputFormat::Der }],
            |rig| {
                let key = PrivateKey::from_pkcs8_der(&rig.entry("web-tls", "key.der").unwrap()).unwrap();
                assert_eq!(key.public_key(), rig.leaf("web-tls").unwrap().public_key());
            },
        ),
        (
            "encoding",
            |c| key(c).encoding = KeyEncoding::Pkcs1,
            |rig| {
                let text = String::from_utf8(rig.entry("web-tls", "tls.key").unwrap()).unwrap();
                assert!(
                    text.starts_with("-----BEGIN EC PRIVATE KEY-----"),
                    "{}",
                    text.lines().next().unwrap()
                );
            },
        ),
        (
            "deletionPolicy",
            |c| c.spec.deletion_policy = DeletionPolicy::Delete,
            |rig| {
                let owners = rig.secret("web-tls").unwrap().metadata.owner_references.unwrap();
                assert_eq!(owners.len(), 1);
                assert_eq!(Some(&owners[0].uid), rig.cert("web").metadata.uid.as_ref());
            },
        ),
        (
            "nothing",
            |c| c.spec.secret_template = Some(SecretTemplate::default()),
            |rig| assert_eq!(rig.ready("web"), "True Issued"),
        ),
    ];
    for (what, change, look) in changes {
        let rig = Rig::with_certificate(|_| {}).await;
        rig.cluster.edit(NAMESPACE, "web", change);
        rig.settle().await;
        rig.assert_good("web");
        look(&rig);
        assert_eq!(rig.issued("web"), 1, "{what}");
        assert_eq!(rig.count(0, Kind::Event, Verb::Create), 3, "{what}: two issuers and one certificate");
        rig.assert_quiet(Duration::from_hours(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_form_no_longer_asks_for_leaves_the_secret() {
    let rig = Rig::with_certificate(|c| {
        c.spec.deletion_policy = DeletionPolicy::Delete;
        c.spec.additional_output_formats = vec![AdditionalOutputFormat { type_: OutputFormat::Der }];
        c.spec.secret_template = Some(SecretTemplate {
            labels: [("team".to_owned(), "shop".to_owned())].into(),
            ..SecretTemplate::default()
        });
    })
    .await;
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| {
        c.spec.deletion_policy = DeletionPolicy::Retain;
        c.spec.additional_output_formats.clear();
        c.spec.secret_template = None;
    });
    rig.settle().await;
    rig.assert_good("web");
    let secret = rig.secret("web-tls").unwrap();
    assert!(!secret.data.unwrap().contains_key("key.der"));
    assert_eq!(secret.metadata.owner_references.unwrap_or_default(), []);
    assert!(!secret.metadata.labels.unwrap().contains_key("team"));
    assert_eq!(rig.issued("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn another_secret_name_is_another_certificate_and_the_old_secret_stays() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| c.spec.secret_name = "other".into());
    rig.settle().await;
    rig.assert_good("web");
    assert!(rig.secret("web-tls").is_some());
    assert_eq!(rig.issued("web"), 2);
    rig.assert_quiet(Duration::from_hours(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_rotation_policy_keeps_the_key_or_changes_it() {
    for (policy, kept) in [(RotationPolicy::Never, true), (RotationPolicy::Always, false)] {
        let rig = Rig::with_certificate(|c| key(c).rotation_policy = policy).await;
        let before = rig.leaf("web-tls").unwrap();
        rig.cluster
            .edit::<Certificate>(NAMESPACE, "web", |c| c.spec.dns_names = vec!["b.example.com".into()]);
        rig.settle().await;
        rig.assert_good("web");
        let after = rig.leaf("web-tls").unwrap();
        assert_ne!(before.serial(), after.serial());
        assert_eq!(before.public_key() == after.public_key(), kept, "{policy:?}");
        // A key of another kind than is wanted now cannot be kept.
        rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| key(c).algorithm = Algorithm::Ed25519);
        rig.settle().await;
        rig.assert_good("web");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_a_person_asks_for_happens_once() {
    let rig = Rig::with_certificate(|_| {}).await;
    for n in 1..=2 {
        rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| {
            c.metadata
                .annotations
                .get_or_insert_default()
                .insert("keywright.dev/renew".into(), n.to_string());
        });
        rig.settle().await;
        rig.assert_good("web");
        assert_eq!(rig.issued("web"), 1 + n);
        rig.assert_quiet(Duration::from_hours(1)).await;
    }
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| c.metadata.annotations = None);
    rig.settle().await;
    assert_eq!(rig.issued("web"), 3, "taking the request back asks for nothing");
    rig.assert_quiet(Duration::from_hours(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_makes_no_sense_is_told_once_and_costs_nothing_until_it_changes() {
    let rig = Rig::with_certificate(|_| {}).await;
    let secret: Secret = rig.secret("web-tls").unwrap();
    let before = rig.cluster.writes().len();
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| c.spec.dns_names = vec!["not a name".into()]);
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False InvalidSpec");
    assert!(rig.message("web").starts_with("spec.dnsNames[0]"), "{}", rig.message("web"));
    assert_eq!(rig.cluster.writes().len(), before + 2, "one status, one Event");
    assert_eq!(rig.secret("web-tls").unwrap(), secret, "what is there keeps working");
    rig.assert_quiet(Duration::from_hours(30)).await;
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| c.spec.dns_names = vec!["web.example.com".into()]);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 1, "the old names again: the old certificate fits");
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_does_not_sign_never_reaches_the_signer() {
    let rig = Rig::with_issuer().await;
    let mut strict = issuer("strict");
    strict.spec.authority.as_mut().unwrap().max_leaf_duration = Some("24h".into());
    rig.cluster.create(&strict);
    let mut web = certificate("web");
    web.spec.issuer_ref = reference(IssuerKind::Issuer, "strict");
    web.spec.duration = Some("48h".into());
    rig.cluster.create(&web);
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False OutsideConstraints");
    assert!(rig.message("web").starts_with("spec.duration"), "{}", rig.message("web"));
    assert_eq!(rig.signer.asked().len(), 0);
    assert!(rig.secret("web-tls").is_none());
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| c.spec.duration = None);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.leaf("web-tls").unwrap().validity().duration().as_hours(), 24);
    // Tightened later: the certificate in use stays, and its owner is told.
    rig.cluster.edit::<Issuer>(NAMESPACE, "strict", |i| {
        i.spec.authority.as_mut().unwrap().max_leaf_duration = Some("12h".into());
    });
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.leaf("web-tls").unwrap().validity().duration().as_hours(), 12);
    assert_eq!(rig.issued("web"), 2);
}
