//! Follows the cluster: fills the caches and asks for looks. Reads only.

mod approvals;
mod policies;

use crate::caches::{Caches, Writers};
use crate::context::Queues;
use crate::scope::Part;
use futures::future::{BoxFuture, join_all};
use futures::{Stream, StreamExt, join, pin_mut};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::mark;
use keywright_crds::{AnyIssuer, Certificate, ClusterIssuer, Issuer, IssuerKind, IssuerRef};
use kube::api::{Api, ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{ObjectRef, store::Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

/// Objects of one page of a list.
const PAGE: u32 = 100;

/// Follows all kinds until the process ends; resolves never.
pub fn follow(
    client: Client,
    caches: Arc<Caches>,
    queues: Arc<Queues>,
    writers: Writers,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Writers {
            scope,
            own,
            certificates,
            issuers,
            cluster_issuers,
            classes,
            requests,
            votes,
            policies,
        } = writers;
        let certificates = certificates
            .into_iter()
            .map(|(part, pen)| follow_certificates(within(&client, part), &caches, &queues, pen));
        let issuers = issuers.into_iter().map(|(part, pen)| {
            follow_kind(within(&client, part), &caches, pen, |issuer: &Issuer| {
                issuer_changed(issuer, &caches, &queues);
            })
        });
        let cluster_issuers = cluster_issuers.into_iter().map(|(_, pen)| {
            follow_kind(Api::all(client.clone()), &caches, pen, |issuer: &ClusterIssuer| {
                issuer_changed(issuer, &caches, &queues);
            })
        });
        let secrets = scope.parts().into_iter().map(|part| follow_secrets(&client, part, &caches, &queues));
        let approvals = approvals::follow(&client, &caches, &queues, classes, requests, votes);
        let policies = policies::follow(&client, &own, &caches, &queues, policies);
        join!(
            join_all(certificates),
            join_all(issuers),
            join_all(cluster_issuers),
            join_all(secrets),
            approvals,
            policies
        );
    })
}

/// What one watch of a kind sees.
fn within<K>(client: &Client, part: Part) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match part {
        None => Api::all(client.clone()),
        Some(namespace) => Api::namespaced(client.clone(), &namespace),
    }
}

async fn follow_certificates(
    api: Api<Certificate>,
    caches: &Caches,
    queues: &Queues,
    mut writer: Writer<Certificate>,
) {
    let events = watcher(api, listing()).modify(lighten_certificate);
    each(events, "Certificate", caches, |event| {
        match &event {
            Event::Apply(cert) | Event::InitApply(cert) => caches.claim(cert),
            Event::Delete(cert) => caches.unclaim(cert),
            Event::Init | Event::InitDone => {}
        }
        writer.apply_watcher_event(&event);
        match &event {
            Event::Apply(cert) => {
                queues.certificates.push(ObjectRef::from_obj(cert));
                requests_about(cert, asked(cert), caches, queues);
            }
            // Whoever stood behind it for the same Secret may go on.
            Event::Delete(cert) => {
                claimants_of(cert, caches, queues);
                requests_about(cert, asked(cert), caches, queues);
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

/// Whether people were asked about it.
fn asked(cert: &Certificate) -> bool {
    cert.status.as_ref().is_some_and(|status| status.approval.is_some())
}

/// What an object wants may be another effect, or be done.
fn requests_about<K: Resource>(object: &K, asked: bool, caches: &Caches, queues: &Queues) {
    if asked {
        for (namespace, name) in caches.about(object.meta().uid.as_deref().unwrap_or_default()) {
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

async fn follow_kind<K>(api: Api<K>, caches: &Caches, mut writer: Writer<K>, changed: impl Fn(&K))
where
    K: Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let events = watcher(api, listing()).modify(lighten);
    let kind = K::kind(&());
    each(events, &kind, caches, |event| {
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
    let asked = issuer.issuer_status().is_some_and(|status| status.approval.is_some());
    requests_about(issuer, asked, caches, queues);
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

/// Metadata of our own Secrets only: a cluster may hold any number of others.
async fn follow_secrets(client: &Client, part: Part, caches: &Caches, queues: &Queues) {
    let config = listing().labels(mark::CERTIFICATE_UID);
    let seen = part.clone();
    let events = watcher(within::<PartialObjectMeta<Secret>>(client, part), config).modify(lighten);
    each(events, "Secret", caches, |event| match &event {
        Event::Init => caches.forget_secrets(seen.as_deref()),
        Event::InitApply(secret) => caches.glimpse(secret),
        // A Secret that changed or went while nobody watched is in no event; those that did not are seen at a glance.
        Event::InitDone => {
            for cert in caches.certificates.state() {
                if seen.is_none() || seen == cert.metadata.namespace {
                    queues.certificates.push(ObjectRef::from_obj(cert.as_ref()));
                }
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
    caches: &Caches,
    mut handle: impl FnMut(Event<K>),
) {
    let events = events.default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => handle(event),
            Err(error) => {
                caches.broke(kind);
                tracing::warn!(%error, kind, "the watch broke; it is taken up again");
            }
        }
    }
}

/// How a kind is listed: in pages of few objects, because a page is in memory as it came and as it was read, beside all
/// that the caches hold already.
fn listing() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// Drops what no decision looks at and what makes up most of an object in memory: who owns which field, and what others
/// noted.
fn lighten<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    keep_annotations(meta, |name| name.starts_with("keywright.dev/"));
}

/// Of most Certificates nobody has to agree to anything, and who asked for them stays in the API server for whoever asks.
fn lighten_certificate(cert: &mut Certificate) {
    lighten(cert);
    if cert.status.as_ref().is_none_or(|status| status.approval.is_none()) {
        keep_annotations(&mut cert.metadata, |name| !name.starts_with("keywright.dev/requester-"));
    }
}

fn keep_annotations(meta: &mut ObjectMeta, keep: impl Fn(&str) -> bool) {
    if let Some(mut annotations) = meta.annotations.take() {
        annotations.retain(|name, _| keep(name));
        // An empty map keeps room for eleven.
        meta.annotations = (!annotations.is_empty()).then_some(annotations);
    }
}

/// Resolves when the first full list of every kind has arrived that is needed to issue: what is told of policies waits for
/// nobody, and nobody for it.
pub async fn filled(caches: &Caches) -> bool {
    let all: [std::pin::Pin<Box<dyn Future<Output = bool> + Send + '_>>; 6] = [
        Box::pin(async { caches.certificates.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.issuers.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.cluster_issuers.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.classes.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.requests.wait_until_ready().await.is_ok() }),
        Box::pin(async { caches.votes.wait_until_ready().await.is_ok() }),
    ];
    join_all(all).await.into_iter().all(|ready| ready)
}
