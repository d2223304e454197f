//! When a Secret need not be read: only while everything that a glance shows agrees.

use crate::scene::{OTHER, SERVICES, Scene, day, hours, valid};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keywright_controllers_core::certificate::decide::{Glance, untouched};
use keywright_controllers_core::issuer::{Limits, Standing};
use keywright_crds::CertificateStatus;

fn told(scene: &mut Scene) -> &mut CertificateStatus {
    scene.cert.status.as_mut().unwrap()
}

#[test]
fn any_difference_makes_it_worth_a_read() {
    let table: &[(&str, fn(&mut Scene, &mut Glance), bool)] = &[
        ("nothing changed", |_, _| {}, true),
        ("a longer history", |s, _| s.cert.spec.revision_history_limit = Some(9), true),
        ("the Secret has another version", |_, g| g.version = "42".into(), false),
        ("made from something else", |_, g| g.made_from = "00".into(), false),
        ("the leaf's digest is another", |_, g| g.leaf = "00".into(), false),
        ("the leaf's digest is missing", |_, g| g.leaf.clear(), false),
        ("other names wanted", |s, _| s.cert.spec.dns_names = vec!["b.example.com".into()], false),
        ("due", |s, _| s.now = day("2030-03-02"), false),
        ("due earlier", |s, _| s.cert.spec.renew_before = Some("2000h".into()), false),
        ("the issuer is gone", |s, _| s.issuer = Standing::Missing, false),
        ("the issuer is not ready", |s, _| s.issuer = Standing::NotReady { why: "no".into() }, false),
        ("another issuer", |s, _| s.issuer(&OTHER, "other", Limits::default()), false),
        (
            "tighter limits",
            |s, _| {
                s.issuer(&SERVICES, "services", Limits { max_leaf: Some(hours(1)), ..Limits::default() });
            },
            false,
        ),
        ("no status", |s, _| s.cert.status = Some(CertificateStatus::default()), false),
        ("a later end in the status", |s, _| told(s).not_after = Some(Time(day("2040-01-01"))), false),
        ("another begin in the status", |s, _| told(s).not_before = Some(Time(day("2030-01-02"))), false),
        ("another serial in the status", |s, _| told(s).serial_number = Some("ff".into()), false),
        ("another revision in the status", |s, _| told(s).revision = Some(2), false),
        ("a revision below zero", |s, _| told(s).revision = Some(-1), false),
        ("another log index in the status", |s, _| told(s).log_index = None, false),
        ("another issuer in the status", |s, _| told(s).issuer_uid = None, false),
        ("another key in the status", |s, _| told(s).authority_key_id = None, false),
        ("another renewal in the status", |s, _| told(s).renewal_time = Some(Time(day("2040-01-01"))), true),
    ];
    for (what, change, expected) in table {
        let mut scene = Scene::published(|_| {});
        let mut glance = scene.glance();
        change(&mut scene, &mut glance);
        let status = scene.cert.status.clone().unwrap_or_default();
        let leaf = untouched(&valid(&scene.cert), &status, &scene.issuer, Some(&glance), scene.now);
        assert_eq!(leaf.is_some(), *expected, "{what}");
        assert!(leaf.is_none_or(|leaf| leaf.not_after == day("2030-04-01")), "{what}");
    }
    let scene = Scene::published(|_| {});
    let status = scene.cert.status.clone().unwrap_or_default();
    assert!(untouched(&valid(&scene.cert), &status, &scene.issuer, None, scene.now).is_none(), "no glance");
}
