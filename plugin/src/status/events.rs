//! Events about an object, as far as they may be read. They expire; the record that counts is the signer's log.

use crate::exit::causes;
use crate::facts::text_if;
use crate::page::{Page, Tone};
use crate::words::distance;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;

/// How many are shown, the latest.
const SHOWN: usize = 10;
/// Where Events about cluster-scoped objects are.
const CLUSTER_NAMESPACE: &str = "default";

/// One Event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventFacts {
    #[serde(serialize_with = "text_if")]
    pub(crate) at: Option<Timestamp>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) reason: String,
    pub(crate) note: String,
}

/// Events, or why there are none to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(crate) enum Events {
    /// The latest, oldest first.
    Read(Vec<EventFacts>),
    /// They could not be read.
    Unread {
        /// Why.
        problem: String,
    },
}

/// Reads those about this object.
pub(crate) async fn read<K: Resource>(client: &Client, about: &K) -> Events {
    let namespace = about.namespace().unwrap_or_else(|| CLUSTER_NAMESPACE.to_owned());
    let uid = about.uid().unwrap_or_default();
    let only = ListParams::default().fields(&format!("regarding.uid={uid}"));
    match Api::<Event>::namespaced(client.clone(), &namespace).list(&only).await {
        Ok(list) => {
            let mut all: Vec<EventFacts> = list.items.into_iter().map(facts).collect();
            all.sort_by_key(|event| event.at);
            let old = all.len().saturating_sub(SHOWN);
            Events::Read(all.split_off(old))
        }
        Err(error) => Events::Unread { problem: causes(&error) },
    }
}

fn facts(event: Event) -> EventFacts {
    let repeated = event.series.as_ref().map(|series| series.last_observed_time.0);
    let first = event.event_time.map(|time| time.0);
    let old_form = event.deprecated_last_timestamp.map(|time| time.0);
    EventFacts {
        at: repeated.or(first).or(old_form),
        kind: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.note.unwrap_or_default(),
    }
}

/// Writes them.
pub(crate) fn write(page: &mut Page, events: &Events, now: Timestamp) {
    match events {
        Events::Read(list) if list.is_empty() => {}
        Events::Read(list) => {
            page.heading("Events");
            for event in list {
                let when = event.at.map_or("unknown".to_owned(), |at| distance(at, now));
                let tone = if event.kind == "Warning" { Tone::Warn } else { Tone::Plain };
                page.row_toned(&when, &format!("{}: {}", event.reason, event.note), tone);
            }
        }
        Events::Unread { problem } => {
            page.heading("Events");
            page.row_toned("not read", problem, Tone::Dim);
        }
    }
}
