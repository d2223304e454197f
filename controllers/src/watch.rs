//! Follows the cluster: fills the caches and asks for looks. Reads only.

use crate::caches::{Caches, Writers};
use crate::context::Queues;
use futures::{Stream, StreamExt, join, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::mark;
use keywright_crds::{
    AnyIssuer, ApprovalClass, ApprovalDecision, ApprovalRequest, Certificate, ClusterIssuer, Issuer,
    IssuerKind, IssuerRef,
};
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{ObjectRef, store::Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

/// Follows all kinds until the process ends; resolves never.
pub async fn follow(client: Client, caches: Arc<Caches>, queues: Arc<Queues>, writers: Writers) {
    let Writers { certificates, issuers, cluster_issuers, classes, requests, votes } = writers;
    join!(
        follow_certificates(&client, &caches, &queues, certificates),
        follow_kind(&client, issuers, |issuer: &Issuer| issuer_changed(issuer, &caches, &queues)),
        follow_kind(&client, cluster_issuers, |issuer: &ClusterIssuer| issuer_changed(
            issuer, &caches, &queues
        )),
        follow_kind(&client, classes, |class: &ApprovalClass| class_changed(class, &caches, &queues)),
        follow_requests(&client, &caches, &queues, requests),
        follow_votes(&client, &caches, &queues, votes),
        follow_secrets(&client, &caches, &queues),
    );
}

async fn follow_certificates(
    client: &Client,
    caches: &Caches,
    queues: &Queues,
    mut writer: Writer<Certificate>,
) {
    let events = watcher(Api::<Certificate>::all(client.clone()), watcher::Config::default()).modify(lighten);
    each(events, "Certificate", |event| {
        match &event {
            Event::Apply(cert) | Event::InitApply(cert) => caches.claim(cert),
            Event::Delete(cert) => caches.unclaim(cert),
            Event::Init | Event::InitDone => {}
        }
        writer.apply_watcher_event(&event);
        match &event {
            Event::Apply(cert) => {
                queues.certificates.push(ObjectRef::from_obj(cert));
                requests_about(cert, caches, queues);
            }
            // Whoever stood behind it for the same Secret may go on.
            Event::Delete(cert) => {
                claimants_of(cert, caches, queues);
                requests_about(cert, caches, queues);
            }
            // Objects of a list are in the store only when it is complete.
            Event::InitDone => {
                everything(&writer, |cert| queues.certificates.push(ObjectRef::from_obj(cert)));
            }
            Event::Init | Event::InitApply(_) => {}
        }
    })
    .await;
}

/// What it wants may be another effect, or be done.
fn requests_about(cert: &Certificate, caches: &Caches, queues: &Queues) {
    if cert.status.as_ref().is_some_and(|status| status.approval.is_some()) {
        for (namespace, name) in caches.about(&cert.uid().unwrap_or_default()) {
            queues.requests.push(ObjectRef::new(&name).within(&namespace));
        }
    }
}

fn claimants_of(cert: &Certificate, caches: &Caches, queues: &Queues) {
    let namespace = cert.namespace().unwrap_or_default();
    for name in caches.claimants(&namespace, &cert.spec.secret_name) {
        queues.certificates.push(ObjectRef::new(&name).within(&namespace));
    }
}

async fn follow_kind<K>(client: &Client, mut writer: Writer<K>, changed: impl Fn(&K))
where
    K: Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).modify(lighten);
    let kind = K::kind(&());
    each(events, &kind, |event| {
        writer.apply_watcher_event(&event);
        match &event {
            Event::Apply(object) | Event::Delete(object) => changed(object),
            Event::InitDone => everything(&writer, &changed),
            Event::Init | Event::InitApply(_) => {}
        }
    })
    .await;
}

fn everything<K>(writer: &Writer<K>, look: impl Fn(&K))
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    for object in writer.as_reader().state() {
        look(&object);
    }
}

/// An issuer came, changed or went: itself, its children and its certificates are looked at.
fn issuer_changed<I: AnyIssuer>(issuer: &I, caches: &Caches, queues: &Queues) {
    let meta = issuer.meta();
    let name = meta.name.as_deref().unwrap_or_default();
    let namespace = meta.namespace.as_deref();
    match I::KIND {
        IssuerKind::Issuer => queues.issuers.push(ObjectRef::new(name).within(namespace.unwrap_or_default())),
        IssuerKind::ClusterIssuer => queues.cluster_issuers.push(ObjectRef::new(name)),
    }
    let names_it = |reference: &IssuerRef, within: Option<&str>| {
        reference.kind == I::KIND && reference.name == name && (namespace.is_none() || namespace == within)
    };
    for cert in caches.certificates.state() {
        if names_it(&cert.spec.issuer_ref, cert.metadata.namespace.as_deref()) {
            queues.certificates.push(ObjectRef::from_obj(cert.as_ref()));
        }
    }
    for child in caches.issuers.state() {
        if parent(child.as_ref()).is_some_and(|p| names_it(p, child.metadata.namespace.as_deref())) {
            queues.issuers.push(ObjectRef::from_obj(child.as_ref()));
        }
    }
    for child in caches.cluster_issuers.state() {
        if parent(child.as_ref()).is_some_and(|p| names_it(p, None)) {
            queues.cluster_issuers.push(ObjectRef::from_obj(child.as_ref()));
        }
    }
}

fn parent<I: AnyIssuer>(issuer: &I) -> Option<&IssuerRef> {
    issuer.issuer_spec().authority.as_ref()?.issuer_ref.as_ref()
}

/// What waits under a class, and whoever may have become too few.
fn class_changed(class: &ApprovalClass, caches: &Caches, queues: &Queues) {
    let name = class.name_any();
    for request in caches.requests.state().iter().filter(|request| request.spec.approval_class == name) {
        queues.requests.push(ObjectRef::from_obj(request.as_ref()));
    }
}

async fn follow_requests(
    client: &Client,
    caches: &Caches,
    queues: &Queues,
    mut writer: Writer<ApprovalRequest>,
) {
    let events =
        watcher(Api::<ApprovalRequest>::all(client.clone()), watcher::Config::default()).modify(lighten);
    each(events, "ApprovalRequest", |event| {
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
    if target.kind == "Certificate" {
        queues.certificates.push(ObjectRef::new(&target.name).within(&target.namespace));
    }
}

async fn follow_votes(
    client: &Client,
    caches: &Caches,
    queues: &Queues,
    mut writer: Writer<ApprovalDecision>,
) {
    let events =
        watcher(Api::<ApprovalDecision>::all(client.clone()), watcher::Config::default()).modify(lighten);
    each(events, "ApprovalDecision", |event| {
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

/// Metadata of our own Secrets only: a cluster may hold any number of others.
async fn follow_secrets(client: &Client, caches: &Caches, queues: &Queues) {
    let config = watcher::Config::default().labels(mark::CERTIFICATE_UID);
    let events = watcher(Api::<PartialObjectMeta<Secret>>::all(client.clone()), config).modify(lighten);
    each(events, "Secret", |event| match &event {
        Event::Init => caches.forget_secrets(),
        Event::InitApply(secret) => caches.glimpse(secret),
        // A Secret that changed or went while nobody watched is in no event; those that did not are seen at a glance.
        Event::InitDone => {
            for cert in caches.certificates.state() {
                queues.certificates.push(ObjectRef::from_obj(cert.as_ref()));
            }
        }
        Event::Apply(secret) => {
            caches.glimpse(secret);
            secret_changed(secret, caches, queues);
        }
        Event::Delete(secret) => {
            caches.lose(secret);
            secret_changed(secret, caches, queues);
        }
    })
    .await;
}

fn secret_changed(secret: &PartialObjectMeta<Secret>, caches: &Caches, queues: &Queues) {
    let namespace = secret.namespace().unwrap_or_default();
    for name in caches.claimants(&namespace, &secret.name_any()) {
        queues.certificates.push(ObjectRef::new(&name).within(&namespace));
    }
}

/// Handles each event; on errors says so and lets the watcher try again, later each time.
async fn each<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    kind: &str,
    mut handle: impl FnMut(Event<K>),
) {
    let events = events.default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => handle(event),
            Err(error) => tracing::warn!(%error, kind, "the watch broke; it is taken up again"),
        }
    }
}

/// Drops what no decision looks at and what makes up most of an object in memory.
fn lighten<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Resolves when the first full list of every kind has arrived.
pub async fn filled(caches: &Caches) -> bool {
    let all: [std::pin::Pin<Box<dyn Future<Output = bool> + Send + '_>>; 6] = [
        Box::pin(async { caches.certificates.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.issuers.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.cluster_issuers.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.classes.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.requests.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.votes.wait_until_ready().await.is_ok() }),
    ];
    futures::future::join_all(all).await.into_iter().all(|ready| ready)
}
