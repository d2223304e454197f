//! Whatever somebody puts under a Secret's name is one of few things, and reading it never fails.

use crate::scene::{MANAGER, Scene, writer};
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::held::{Found, Obstacle, read};
use keywright_controllers_core::certificate::mark;

fn shown(found: &Found) -> String {
    match found {
        Found::Nothing => "nothing".into(),
        Found::Blocked(Obstacle::AnotherType { type_ }) => format!("type {type_:?}"),
        Found::Blocked(Obstacle::NotOurs) => "not ours".into(),
        Found::Blocked(Obstacle::ForeignWriter { manager }) => format!("writer {manager:?}"),
        Found::Ours(held) => format!(
            "ours: leaf {}, key {}, fits {}, revision {}",
            held.leaf.is_some(),
            held.key.is_some(),
            held.key_fits(),
            held.revision()
        ),
    }
}

#[test]
fn a_secret_is_read_for_what_it_is() {
    let table: &[(&str, fn(&mut Scene), &str)] = &[
        ("as published", |_| {}, "ours: leaf true, key true, fits true, revision 1"),
        ("no type", |s| s.secret().type_ = None, "type \"\""),
        ("Opaque", |s| s.secret().type_ = Some("Opaque".into()), "type \"Opaque\""),
        ("no mark", |s| s.secret().metadata.labels = None, "not ours"),
        (
            "no mark and nothing in it",
            |s| {
                s.secret().metadata.labels = None;
                s.secret().data = None;
            },
            "ours: leaf false, key false, fits false, revision 1",
        ),
        ("no entries", |s| s.secret().data = None, "ours: leaf false, key false, fits false, revision 1"),
        (
            "two certificates in the wrong order",
            |s| {
                let entries = s.secret().data.clone().unwrap();
                let both = [entries["ca.crt"].0.clone(), entries["tls.crt"].0.clone()].concat();
                s.put("tls.crt", &both);
            },
            "ours: leaf true, key true, fits false, revision 1",
        ),
        (
            "a key in tls.crt",
            |s| {
                let key = s.secret().data.clone().unwrap()["tls.key"].0.clone();
                s.put("tls.crt", &key);
            },
            "ours: leaf false, key true, fits false, revision 1",
        ),
        (
            "bytes that are no text",
            |s| s.put("tls.key", &[0xff, 0xfe, 0]),
            "ours: leaf true, key false, fits false, revision 1",
        ),
        (
            "a megabyte of dashes",
            |s| s.put("tls.crt", &vec![b'-'; 1 << 20]),
            "ours: leaf false, key true, fits false, revision 1",
        ),
        (
            "a revision that is no number",
            |s| s.annotate(mark::REVISION, "one"),
            "ours: leaf true, key true, fits true, revision 0",
        ),
        (
            "an applying manager",
            |s| {
                s.secret().metadata.managed_fields = Some(vec![writer("flux", "Apply", "ca.crt")]);
            },
            "writer \"flux\"",
        ),
        (
            "an updating program",
            |s| {
                s.secret().metadata.managed_fields = Some(vec![writer("velero-server", "Update", "tls.crt")]);
            },
            "writer \"velero-server\"",
        ),
        (
            "a manager without a name",
            |s| {
                s.secret().metadata.managed_fields = Some(vec![writer("", "Update", "tls.crt")]);
            },
            "writer \"\"",
        ),
        (
            "kubectl edit",
            |s| {
                s.secret().metadata.managed_fields = Some(vec![writer("kubectl-edit", "Update", "tls.crt")]);
            },
            "ours: leaf true, key true, fits true, revision 1",
        ),
        (
            "ourselves, by an update",
            |s| {
                s.secret().metadata.managed_fields = Some(vec![writer(MANAGER, "Update", "tls.crt")]);
            },
            "ours: leaf true, key true, fits true, revision 1",
        ),
        (
            "a manager of an entry that is not ours",
            |s| {
                s.secret().metadata.managed_fields = Some(vec![writer("flux", "Apply", "extra")]);
            },
            "ours: leaf true, key true, fits true, revision 1",
        ),
        (
            "managed fields without fields",
            |s| {
                let mut entry = writer("flux", "Apply", "tls.crt");
                entry.fields_v1 = None;
                s.secret().metadata.managed_fields = Some(vec![entry]);
            },
            "ours: leaf true, key true, fits true, revision 1",
        ),
        (
            "marked for another",
            |s| s.label(mark::CERTIFICATE_UID, "another"),
            "ours: leaf true, key true, fits true, revision 1",
        ),
    ];
    for (what, change, expected) in table {
        let mut scene = Scene::published(|_| {});
        change(&mut scene);
        assert_eq!(shown(&read(scene.secret, MANAGER)), *expected, "{what}");
    }
    assert_eq!(shown(&read(None, MANAGER)), "nothing");
    assert_eq!(shown(&read(Some(Secret::default()), MANAGER)), "type \"\"");
}
