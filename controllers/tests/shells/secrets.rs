//! The Secret in other hands: deleted, damaged, taken, shared.

use crate::rig::Rig;
use crate::signer::Mood;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::mark;
use keywright_crds::{Certificate, CertificateStatus};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::{Encoding, PrivateKey};
use keywright_testkit::objects::{NAMESPACE, certificate};
use keywright_testkit::{Kind, Verb, cluster::time};
use kube::api::ObjectMeta;
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

fn put(secret: &mut Secret, entry: &str, text: &[u8]) {
    secret.data.get_or_insert_default().insert(entry.to_owned(), ByteString(text.to_vec()));
}

fn secret(name: &str, type_: &str, entries: &[&str]) -> Secret {
    let data: BTreeMap<_, _> =
        entries.iter().map(|e| ((*e).to_owned(), ByteString(b"mine".to_vec()))).collect();
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some(NAMESPACE.into()),
            ..ObjectMeta::default()
        },
        type_: Some(type_.into()),
        data: Some(data),
        ..Secret::default()
    }
}

#[tokio::test(start_paused = true)]
async fn damage_by_hand_is_mended_by_exactly_one_certificate() {
    let other = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap().to_pem(Encoding::Pkcs8).unwrap();
    let damages: [(&str, Box<dyn Fn(&mut Secret)>); 6] = [
        ("garbage in tls.crt", Box::new(|s| put(s, "tls.crt", b"garbage"))),
        ("empty tls.key", Box::new(|s| put(s, "tls.key", b""))),
        ("another key", Box::new(move |s| put(s, "tls.key", other.as_bytes()))),
        ("no tls.key", Box::new(|s| drop(s.data.as_mut().unwrap().remove("tls.key")))),
        ("no entries", Box::new(|s| s.data = None)),
        (
            "another effect",
            Box::new(|s| {
                s.metadata.annotations.as_mut().unwrap().insert(mark::EFFECT.into(), "00".into());
            }),
        ),
    ];
    for (what, damage) in damages {
        let rig = Rig::with_certificate(|_| {}).await;
        let before = rig.cluster.writes().len();
        rig.cluster.edit(NAMESPACE, "web-tls", damage);
        rig.settle().await;
        rig.assert_good("web");
        assert_eq!(rig.issued("web"), 2, "{what}");
        assert_eq!(rig.cluster.writes().len(), before + 3, "{what}");
        rig.assert_quiet(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_is_made_anew_with_exactly_one_certificate() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.issued("web"), 2);
    let revisions = rig.cert("web").status.unwrap().revisions;
    assert_eq!(revisions.iter().map(|r| r.revision).collect::<Vec<_>>(), [2, 1]);
    rig.assert_quiet(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn what_can_be_put_back_without_a_signature_is_put_back() {
    let damages: [(&str, fn(&mut Secret)); 5] = [
        ("ca.crt", |s| put(s, "ca.crt", b"garbage")),
        ("no ca.crt", |s| drop(s.data.as_mut().unwrap().remove("ca.crt"))),
        ("the publication's digest", |s| {
            s.metadata.annotations.as_mut().unwrap().insert(mark::PUBLICATION.into(), "00".into());
        }),
        ("the leaf's digest", |s| drop(s.metadata.annotations.as_mut().unwrap().remove(mark::LEAF))),
        ("the owner's UID", |s| {
            s.metadata.labels.as_mut().unwrap().insert(mark::CERTIFICATE_UID.into(), "other".into());
        }),
    ];
    for (what, damage) in damages {
        let rig = Rig::with_certificate(|_| {}).await;
        let good = rig.secret("web-tls").unwrap();
        rig.cluster.edit(NAMESPACE, "web-tls", damage);
        rig.settle().await;
        rig.assert_good("web");
        let mended = rig.secret("web-tls").unwrap();
        assert_eq!((&mended.data, &mended.metadata.labels), (&good.data, &good.metadata.labels), "{what}");
        assert_eq!(mended.metadata.annotations, good.metadata.annotations, "{what}");
        assert_eq!(rig.issued("web"), 1, "{what}");
        rig.assert_quiet(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_somebody_wrote_into_the_secret_stops_nothing() {
    for number in ["18446744073709551615", "-1", "many"] {
        let rig = Rig::with_certificate(|_| {}).await;
        rig.cluster.edit::<Secret>(NAMESPACE, "web-tls", |s| {
            s.metadata.annotations.as_mut().unwrap().insert(mark::REVISION.into(), number.into());
            put(s, "tls.crt", b"garbage");
        });
        rig.settle().await;
        assert_eq!(rig.ready("web"), "True Issued", "{number}: {}", rig.message("web"));
        assert_eq!(rig.issued("web"), 2, "{number}");
        rig.assert_quiet(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn labels_and_annotations_of_others_are_left_alone() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.edit::<Secret>(NAMESPACE, "web-tls", |s| {
        s.metadata.annotations.as_mut().unwrap().insert("example.com/theirs".into(), "yes".into());
    });
    rig.settle().await;
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| c.spec.dns_names = vec!["b.example.com".into()]);
    rig.settle().await;
    rig.assert_good("web");
    assert_eq!(rig.secret("web-tls").unwrap().metadata.annotations.unwrap()["example.com/theirs"], "yes");
    assert_eq!(rig.issued("web"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_applies_the_same_entry_is_not_fought() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.cluster.write_as::<Secret>("argocd-controller", "Apply", NAMESPACE, "web-tls", |s| {
        put(s, "tls.crt", b"theirs");
    });
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False ForeignWriter");
    assert!(rig.message("web").contains("argocd-controller"), "{}", rig.message("web"));
    assert_eq!(rig.count(0, Kind::Secret, Verb::Apply), 1, "only the first one, by us");
    assert_eq!(rig.issued("web"), 1);
    rig.assert_quiet(HOUR * 2).await;
    rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
    rig.settle().await;
    rig.assert_good("web");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_not_ours_is_never_touched() {
    for (type_, entries, reason) in [
        ("Opaque", vec!["password"], "False SecretOfAnotherType"),
        ("kubernetes.io/tls", vec!["tls.crt", "tls.key"], "False SecretNotOurs"),
    ] {
        let rig = Rig::with_issuer().await;
        let theirs = secret("web-tls", type_, &entries);
        rig.cluster.create(&theirs);
        rig.cluster.create(&certificate("web"));
        rig.settle().await;
        assert_eq!(rig.ready("web"), reason);
        assert_eq!(rig.secret("web-tls").unwrap().data, theirs.data);
        assert_eq!((rig.count(0, Kind::Secret, Verb::Apply), rig.signer.asked().len()), (0, 0));
        rig.assert_quiet(HOUR).await;
        // Out of the way: found without any watch telling of it.
        rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
        rig.settle().await;
        rig.assert_good("web");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_somebody_makes_while_the_signer_works_stays_theirs() {
    let rig = Rig::with_issuer().await;
    rig.signer.moods([Mood::Slow(Duration::from_secs(5))]);
    rig.cluster.create(&certificate("web"));
    rig.until("asked", |rig| !rig.signer.asked().is_empty()).await;
    let theirs = secret("web-tls", "kubernetes.io/tls", &["tls.crt", "tls.key"]);
    rig.cluster.create(&theirs);
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False SecretNotOurs");
    assert_eq!(rig.secret("web-tls").unwrap().data, theirs.data);
    rig.assert_quiet(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_somebody_takes_while_the_signer_works_stays_theirs() {
    let rig = Rig::with_certificate(|_| {}).await;
    rig.signer.moods([Mood::Slow(Duration::from_secs(5))]);
    rig.cluster.edit::<Certificate>(NAMESPACE, "web", |c| c.spec.dns_names = vec!["b.example.com".into()]);
    rig.until("asked", |rig| rig.signer.asked().len() == 2).await;
    rig.cluster.write_as::<Secret>("argocd-controller", "Apply", NAMESPACE, "web-tls", |s| {
        put(s, "tls.crt", b"theirs");
    });
    rig.settle().await;
    assert_eq!(rig.ready("web"), "False ForeignWriter");
    assert_eq!(rig.entry("web-tls", "tls.crt").unwrap(), b"theirs");
    rig.assert_quiet(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_tls_secret_is_there_to_be_filled() {
    let rig = Rig::with_issuer().await;
    let mut empty = secret("web-tls", "kubernetes.io/tls", &[]);
    put(&mut empty, "tls.crt", b"");
    put(&mut empty, "tls.key", b"");
    rig.cluster.create(&empty);
    rig.cluster.create(&certificate("web"));
    rig.settle().await;
    rig.assert_good("web");
}

#[tokio::test(start_paused = true)]
async fn of_two_certificates_with_one_secret_the_older_has_it_and_the_other_follows_it() {
    for same_second in [false, true] {
        let rig = Rig::with_issuer().await;
        for (name, second) in [("first", 0), ("second", 5)] {
            let mut cert = certificate(name);
            cert.spec.secret_name = "shared".into();
            cert.metadata.creation_timestamp = time(if same_second { 0 } else { second });
            rig.cluster.create(&cert);
        }
        rig.settle().await;
        let states = [rig.ready("first"), rig.ready("second")];
        let winner = if states[0] == "True Issued" { "first" } else { "second" };
        let loser = if winner == "first" { "second" } else { "first" };
        assert!(same_second || winner == "first", "{states:?}");
        assert_eq!(rig.ready(loser), "False DuplicateSecretName");
        assert!(rig.message(loser).contains(winner), "{}", rig.message(loser));
        rig.assert_good(winner);
        assert_eq!((rig.issued(winner), rig.issued(loser)), (1, 0));
        rig.assert_quiet(HOUR).await;
        rig.cluster.delete::<Certificate>(NAMESPACE, winner);
        rig.settle().await;
        rig.assert_good(loser);
        rig.assert_quiet(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn renaming_into_a_used_name_never_breaks_its_user() {
    let rig = Rig::with_issuer().await;
    // The one that renames is the older: age alone would take the Secret from its user.
    let mut old = certificate("old");
    old.metadata.creation_timestamp = time(-100);
    rig.cluster.create(&old);
    rig.cluster.create(&certificate("web"));
    rig.settle().await;
    rig.cluster.edit::<Certificate>(NAMESPACE, "old", |c| c.spec.secret_name = "web-tls".into());
    rig.settle().await;
    assert_eq!(rig.ready("old"), "False DuplicateSecretName");
    rig.assert_good("web");
    assert_eq!((rig.issued("old"), rig.issued("web")), (1, 1));
    rig.cluster.delete::<Secret>(NAMESPACE, "web-tls");
    rig.settle().await;
    let good: Vec<&str> = ["old", "web"].into_iter().filter(|n| rig.ready(n) == "True Issued").collect();
    assert_eq!(good.len(), 1, "once the mark is gone one of them has it: {good:?}");
    rig.assert_quiet(HOUR).await;
    rig.cluster.edit::<Certificate>(NAMESPACE, "old", |c| c.spec.secret_name = "old-tls".into());
    rig.settle().await;
    rig.assert_good("old");
    rig.assert_good("web");
}

#[tokio::test(start_paused = true)]
async fn a_status_that_somebody_edited_is_put_right_once() {
    let edits: [(&str, fn(&mut CertificateStatus)); 6] = [
        ("conditions", |s| s.conditions[0].status = "False".into()),
        ("notAfter", |s| s.not_after = time(400 * 86_400)),
        ("serialNumber", |s| s.serial_number = Some("ff".into())),
        ("revision", |s| s.revision = Some(77)),
        ("secretResourceVersion", |s| s.secret_resource_version = Some("1".into())),
        ("everything", |s| *s = CertificateStatus::default()),
    ];
    for (what, edit) in edits {
        let rig = Rig::with_certificate(|_| {}).await;
        let good = rig.cert("web").status;
        let before = rig.cluster.writes().len();
        rig.cluster.write_as::<Certificate>("somebody", "Update", NAMESPACE, "web", |c| {
            edit(c.status.as_mut().unwrap());
        });
        rig.settle().await;
        rig.assert_good("web");
        let mut now = rig.cert("web").status;
        // A condition that was changed has changed twice.
        for (condition, was) in
            now.iter_mut().flat_map(|s| &mut s.conditions).zip(&good.as_ref().unwrap().conditions)
        {
            condition.last_transition_time = was.last_transition_time.clone();
        }
        assert_eq!(now, good, "{what}");
        assert_eq!(rig.count(before, Kind::Certificate, Verb::ApplyStatus), 1, "{what}");
        assert_eq!(rig.cluster.writes().len(), before + 1, "{what}");
        assert_eq!(rig.issued("web"), 1, "{what}");
        rig.assert_quiet(HOUR).await;
    }
}
