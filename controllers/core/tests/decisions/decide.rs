//! The next step of a Certificate when nothing has to be signed: each arm of the plan, each obstacle.

use crate::scene::{SERVICES, Scene, day, hours, rival, writer};
use keywright_controllers_core::certificate::decide::{Blocked, Plan, Waiting};
use keywright_controllers_core::certificate::held::Obstacle;
use keywright_controllers_core::certificate::mark;
use keywright_controllers_core::issuer::{Limits, Standing};
use keywright_crds::{CertificatePrivateKey, DeletionPolicy, IssuerKind, KeyEncoding, RotationPolicy};

/// A plan in a few words.
pub(crate) fn shown(plan: &Plan) -> String {
    match plan {
        Plan::Rest { leaf } => format!("Rest revision {}", leaf.revision),
        Plan::Wait { on: Waiting::IssuerMissing, leaf } => format!("Wait IssuerMissing {}", leaf.is_some()),
        Plan::Wait { on: Waiting::IssuerNotReady { why }, leaf } => format!("Wait {why} {}", leaf.is_some()),
        Plan::Stop { because: Blocked::Spec(problem) } => format!("Stop {}", problem.field),
        Plan::Stop { because: Blocked::Limits(problem) } => format!("Stop limits {}", problem.field),
        Plan::Stop { because: Blocked::Rival { name } } => format!("Stop rival {name}"),
        Plan::Stop { because: Blocked::Refused { words } } => format!("Stop refused {words}"),
        Plan::Stop { because: Blocked::Approval(refused) } => format!("Stop {}", refused.words().0),
        Plan::Stop { because: Blocked::Secret(Obstacle::AnotherType { type_ }) } => {
            format!("Stop type {type_}")
        }
        Plan::Stop { because: Blocked::Secret(Obstacle::NotOurs) } => "Stop not ours".into(),
        Plan::Stop { because: Blocked::Secret(Obstacle::ForeignWriter { manager }) } => {
            format!("Stop writer {manager}")
        }
        Plan::Sign { order } => format!(
            "Sign {:?} step {} keep {} over {}",
            order.because,
            order.step,
            order.keep_key,
            order.over.as_deref().unwrap_or("nothing")
        ),
        Plan::Republish { because, .. } => format!("Republish {because}"),
    }
}

pub(crate) fn table(rows: &[(&str, fn(&mut Scene), &str)]) {
    for (what, change, expected) in rows {
        let mut scene = Scene::published(|_| {});
        change(&mut scene);
        assert_eq!(shown(&scene.decide()), *expected, "{what}");
        assert_eq!(shown(&scene.decide()), *expected, "{what}, looked at again");
    }
}

pub(crate) fn key(scene: &mut Scene) -> &mut CertificatePrivateKey {
    scene.cert.spec.private_key.get_or_insert_default()
}

#[test]
fn what_is_as_wanted_rests() {
    table(&[
        ("nothing changed", |_| {}, "Rest revision 1"),
        ("the day before it is due", |s| s.now = day("2030-02-24"), "Rest revision 1"),
        ("the clock went back", |s| s.now = day("2029-06-01"), "Rest revision 1"),
        (
            "names in another order and twice",
            |s| {
                s.cert.spec.dns_names = vec!["web.example.com".into(), "web.example.com".into()];
            },
            "Rest revision 1",
        ),
        (
            "names in another case",
            |s| s.cert.spec.dns_names = vec!["WEB.example.com".into()],
            "Rest revision 1",
        ),
        ("the default written out", |s| s.cert.spec.duration = Some("2160h".into()), "Rest revision 1"),
        ("a longer history", |s| s.cert.spec.revision_history_limit = Some(9), "Rest revision 1"),
        ("another time to renew", |s| s.cert.spec.renew_before = Some("1h".into()), "Rest revision 1"),
        ("another rotation policy", |s| key(s).rotation_policy = RotationPolicy::Never, "Rest revision 1"),
        ("a younger rival", |s| s.rivals = vec![rival("b", false)], "Rest revision 1"),
        ("an older rival, but the Secret is ours", |s| s.rivals = vec![rival("b", true)], "Rest revision 1"),
        ("a foreign annotation", |s| s.annotate("example.com/a", "b"), "Rest revision 1"),
        ("a foreign entry", |s| s.put("extra", b"x"), "Rest revision 1"),
        (
            "the issuer cannot sign now",
            |s| s.issuer = Standing::NotReady { why: "no".into() },
            "Rest revision 1",
        ),
        ("the issuer is gone", |s| s.issuer = Standing::Missing, "Rest revision 1"),
    ]);
}

#[test]
fn the_secret_is_written_again_when_only_its_form_changed() {
    const FORM: &str = "Republish what the Secret is made from changed";
    const ENTRY: &str = "Republish an entry of the Secret was changed";
    const MARK: &str = "Republish a mark of the Secret was changed";
    table(&[
        ("encoding", |s| key(s).encoding = KeyEncoding::Pkcs1, FORM),
        ("owner", |s| s.cert.spec.deletion_policy = DeletionPolicy::Delete, FORM),
        ("the publication's digest", |s| s.annotate(mark::PUBLICATION, "00"), FORM),
        ("ca.crt", |s| s.put("ca.crt", b"x"), ENTRY),
        ("the leaf's digest", |s| s.annotate(mark::LEAF, "00"), MARK),
        ("the owner's UID", |s| s.label(mark::CERTIFICATE_UID, "another"), MARK),
        (
            "an authority renewed with its key",
            |s| {
                let mut renewed = crate::scene::authority(&SERVICES, "services", Limits::default());
                renewed.chain.pop();
                s.issuer = Standing::Ready(std::sync::Arc::new(renewed));
            },
            FORM,
        ),
    ]);
}

#[test]
fn an_issuer_that_cannot_sign_is_waited_for_only_when_it_is_needed() {
    table(&[
        (
            "missing, no Secret",
            |s| (s.issuer, s.secret) = (Standing::Missing, None),
            "Wait IssuerMissing false",
        ),
        (
            "not ready, due",
            |s| {
                s.issuer = Standing::NotReady { why: "no".into() };
                s.now = day("2030-03-02");
            },
            "Wait no true",
        ),
        (
            "missing, other names wanted",
            |s| {
                s.issuer = Standing::Missing;
                s.cert.spec.dns_names = vec!["b.example.com".into()];
            },
            "Wait IssuerMissing true",
        ),
        (
            "missing, another one than the certificate is from",
            |s| {
                s.issuer = Standing::Missing;
                s.cert.spec.issuer_ref.name = "elsewhere".into();
            },
            "Wait IssuerMissing true",
        ),
        (
            "not ready, of another kind than the certificate is from",
            |s| {
                s.issuer = Standing::NotReady { why: "no".into() };
                s.cert.spec.issuer_ref.kind = IssuerKind::ClusterIssuer;
            },
            "Wait no true",
        ),
        (
            "missing, damaged",
            |s| {
                s.issuer = Standing::Missing;
                s.put("tls.crt", b"x");
            },
            "Wait IssuerMissing false",
        ),
    ]);
}

#[test]
fn what_only_a_person_can_mend_stops() {
    table(&[
        ("another type", |s| s.secret().type_ = Some("Opaque".into()), "Stop type Opaque"),
        ("no mark", |s| s.secret().metadata.labels = None, "Stop not ours"),
        (
            "an applying manager",
            |s| {
                s.secret()
                    .metadata
                    .managed_fields
                    .as_mut()
                    .unwrap()
                    .push(writer("argocd", "Apply", "tls.key"));
            },
            "Stop writer argocd",
        ),
        (
            "kubectl apply --server-side",
            |s| {
                s.secret()
                    .metadata
                    .managed_fields
                    .as_mut()
                    .unwrap()
                    .push(writer("kubectl", "Apply", "tls.key"));
            },
            "Stop writer kubectl",
        ),
        (
            "an older rival and no Secret",
            |s| {
                s.rivals = vec![rival("b", true)];
                s.secret = None;
            },
            "Stop rival b",
        ),
        (
            "the Secret is marked for a rival",
            |s| {
                s.rivals = vec![rival("a", true), rival("b", false)];
                s.label(mark::CERTIFICATE_UID, &rival("b", false).uid);
            },
            "Stop rival b",
        ),
        (
            "outside the limits",
            |s| {
                s.cert.spec.duration = Some("48h".into());
                s.issuer(&SERVICES, "services", Limits { max_leaf: Some(hours(24)), ..Limits::default() });
            },
            "Stop limits duration",
        ),
    ]);
}

#[test]
fn a_hand_that_slipped_is_no_foreign_writer() {
    table(&[
        (
            "kubectl edit",
            |s| {
                s.secret().metadata.managed_fields.as_mut().unwrap().push(writer(
                    "kubectl-edit",
                    "Update",
                    "tls.crt",
                ));
            },
            "Rest revision 1",
        ),
        (
            "another entry",
            |s| {
                s.secret()
                    .metadata
                    .managed_fields
                    .as_mut()
                    .unwrap()
                    .push(writer("reloader", "Update", "extra"));
            },
            "Rest revision 1",
        ),
    ]);
}
