//! Events: what happened, for people who look at an object. The record that counts is the signer's log.
//!
//! At most one for each change of what an object says of itself. The name is made from the object, the reason and the
//! subject of the event, so that a repeat after a crash is refused as a duplicate instead of told twice.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource};

/// The API server's bound for `note`, in bytes.
const MAX_NOTE: usize = 1024;
/// Where Events about cluster-scoped objects go.
const CLUSTER_NAMESPACE: &str = "default";

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// `Warning` when a person should look.
    pub warning: bool,
    /// The reason of the condition that changed.
    pub reason: &'static str,
    /// What is told; also what tells two Events with one reason apart.
    pub note: String,
}

/// Writes the Event. A failure is logged and not an error: nothing depends on Events.
pub async fn tell<K>(client: &Client, about: &K, instance: &str, what: &Tell, now: Timestamp)
where
    K: Resource<DynamicType = ()>,
{
    let reference = about.object_ref(&());
    let namespace = reference.namespace.clone().unwrap_or_else(|| CLUSTER_NAMESPACE.to_owned());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(name(&reference, what)),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(cut(&what.note).to_owned()),
        reason: Some(what.reason.to_owned()),
        regarding: Some(reference),
        reporting_controller: Some("keywright.dev/operator".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if what.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    };
    let written =
        Api::<Event>::namespaced(client.clone(), &namespace).create(&PostParams::default(), &event).await;
    match written {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => tracing::warn!(%error, reason = what.reason, "an Event could not be written"),
    }
}

fn name(about: &ObjectReference, what: &Tell) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let told = format!("{}/{}/{}", text(&about.uid), what.reason, what.note);
    let hash = hex::encode(&digest(&SHA256, told.as_bytes()).as_ref()[..8]);
    let mut object = text(&about.name);
    object.truncate(200);
    format!("{}.{hash}", object.trim_end_matches(['.', '-']))
}

fn cut(note: &str) -> &str {
    if note.len() <= MAX_NOTE {
        return note;
    }
    let end = (0..=MAX_NOTE).rev().find(|&i| note.is_char_boundary(i)).unwrap_or(0);
    &note[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_told_twice_has_the_same_name_and_another_note_another() {
        let about =
            ObjectReference { name: Some("web".into()), uid: Some("u".into()), ..ObjectReference::default() };
        let told = |note: &str| name(&about, &Tell { warning: false, reason: "Issued", note: note.into() });
        assert_eq!(told("a"), told("a"));
        assert_ne!(told("a"), told("b"));
        assert!(told("a").starts_with("web."));
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        assert!(cut(&"ß".repeat(MAX_NOTE)).len() <= MAX_NOTE);
    }
}
