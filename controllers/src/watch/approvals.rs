//! Follows classes of approval, requests and votes.

use super::{each, everything, follow_kind, lighten, listing, within};
use crate::caches::Caches;
use crate::context::Queues;
use crate::scope::Pens;
use futures::future::join_all;
use futures::join;
use keywright_crds::{ApprovalClass, ApprovalDecision, ApprovalRequest};
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{ObjectRef, store::Writer};
use kube::runtime::watcher::{Event, watcher};
use kube::{Client, ResourceExt};

/// Follows all three until the process ends; resolves never.
pub(super) async fn follow(
    client: &Client,
    caches: &Caches,
    queues: &Queues,
    classes: Pens<ApprovalClass>,
    requests: Pens<ApprovalRequest>,
    votes: Pens<ApprovalDecision>,
) {
    let classes = classes.into_iter().map(|(_, pen)| {
        follow_kind(Api::all(client.clone()), caches, pen, |class: &ApprovalClass| {
            class_changed(class, caches, queues);
        })
    });
    let requests =
        requests.into_iter().map(|(part, pen)| follow_requests(within(client, part), caches, queues, pen));
    let votes = votes.into_iter().map(|(part, pen)| follow_votes(within(client, part), caches, queues, pen));
    join!(join_all(classes), join_all(requests), join_all(votes));
}

/// What waits under a class, and whoever may have become too few.
fn class_changed(class: &ApprovalClass, caches: &Caches, queues: &Queues) {
    let name = class.name_any();
    for request in caches.requests.state().iter().filter(|request| request.spec.approval_class == name) {
        queues.requests.push(ObjectRef::from_obj(request.as_ref()));
        queues.notices.push(ObjectRef::from_obj(request.as_ref()));
    }
}

async fn follow_requests(
    api: Api<ApprovalRequest>,
    caches: &Caches,
    queues: &Queues,
    mut writer: Writer<ApprovalRequest>,
) {
    let events = watcher(api, listing()).modify(lighten);
    each(events, "ApprovalRequest", caches, |event| {
        match &event {
            Event::Apply(request) | Event::InitApply(request) => {
                caches.note(&request.spec.target_ref.uid, request);
            }
            Event::Delete(request) => caches.drop_note(&request.spec.target_ref.uid, request),
            Event::Init | Event::InitDone => {}
        }
        writer.apply_watcher_event(&event);
        let changed = |request: &ApprovalRequest| {
            queues.requests.push(ObjectRef::from_obj(request));
            queues.notices.push(ObjectRef::from_obj(request));
            target_waits(request, queues);
        };
        match &event {
            Event::Apply(request) | Event::Delete(request) => changed(request),
            Event::InitDone => everything(&writer, changed),
            Event::Init | Event::InitApply(_) => {}
        }
    })
    .await;
}

/// The object that a request is about may go on, or has to say what it waits for.
fn target_waits(request: &ApprovalRequest, queues: &Queues) {
    let target = &request.spec.target_ref;
    match target.kind.as_str() {
        "Certificate" => queues.certificates.push(ObjectRef::new(&target.name).within(&target.namespace)),
        "Issuer" => queues.issuers.push(ObjectRef::new(&target.name).within(&target.namespace)),
        "ClusterIssuer" => queues.cluster_issuers.push(ObjectRef::new(&target.name)),
        // Of a kind whose owner watches its requests itself.
        _ => {}
    }
}

async fn follow_votes(
    api: Api<ApprovalDecision>,
    caches: &Caches,
    queues: &Queues,
    mut writer: Writer<ApprovalDecision>,
) {
    let events = watcher(api, listing()).modify(lighten);
    each(events, "ApprovalDecision", caches, |event| {
        match &event {
            Event::Apply(vote) | Event::InitApply(vote) => caches.note(&vote.spec.request_ref.uid, vote),
            Event::Delete(vote) => caches.drop_note(&vote.spec.request_ref.uid, vote),
            Event::Init | Event::InitDone => {}
        }
        writer.apply_watcher_event(&event);
        let changed = |vote: &ApprovalDecision| {
            let namespace = vote.namespace().unwrap_or_default();
            queues.requests.push(ObjectRef::new(&vote.spec.request_ref.name).within(&namespace));
        };
        match &event {
            Event::Apply(vote) | Event::Delete(vote) => changed(vote),
            Event::InitDone => everything(&writer, changed),
            Event::Init | Event::InitApply(_) => {}
        }
    })
    .await;
}
