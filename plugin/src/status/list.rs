//! `status KIND` without a name: one line for each object.

use super::parts::{Standing, Verdict};
use crate::cli::Kind;
use crate::connect::Cluster;
use crate::exit::Failure;
use crate::facts::text_if;
use crate::page::{Page, Tone};
use crate::words::distance;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keywright_crds::{AnyIssuer, Certificate, ClusterIssuer, Issuer, IssuerMember};
use kube::api::{Api, ListParams, ObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Objects asked for at once.
const PAGE: u32 = 500;

/// One object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    ready: bool,
    reason: String,
    message: String,
    /// Issuer of a certificate, parent of an authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<String>,
    #[serde(serialize_with = "text_if")]
    not_after: Option<Timestamp>,
    #[serde(serialize_with = "text_if")]
    renewal_time: Option<Timestamp>,
}

impl Row {
    /// Whether it is Ready.
    pub(crate) fn is_fine(&self) -> bool {
        self.ready
    }

    fn new(kind: &'static str, meta: &ObjectMeta, standing: &Standing) -> Self {
        Self {
            kind,
            namespace: meta.namespace.clone(),
            name: meta.name.clone().unwrap_or_default(),
            ready: standing.verdict() == Verdict::Ready,
            reason: match standing.verdict() {
                Verdict::Unseen => "Unseen".to_owned(),
                Verdict::Outdated => "Outdated".to_owned(),
                Verdict::Ready | Verdict::Underway | Verdict::Stalled => standing.reason().to_owned(),
            },
            message: standing.ready().map_or(String::new(), |ready| ready.message.clone()),
            issuer: None,
            serial_number: None,
            not_after: None,
            renewal_time: None,
        }
    }

    fn certificate(certificate: &Certificate) -> Self {
        let status = certificate.status.clone().unwrap_or_default();
        let standing =
            Standing::of(certificate.metadata.generation, status.observed_generation, &status.conditions);
        let issuer = &certificate.spec.issuer_ref;
        Self {
            issuer: Some(format!("{}/{}", issuer.kind.name(), issuer.name)),
            serial_number: status.serial_number,
            not_after: instant(status.not_after.as_ref()),
            renewal_time: instant(status.renewal_time.as_ref()),
            ..Self::new("Certificate", &certificate.metadata, &standing)
        }
    }

    fn issuer<I: AnyIssuer>(issuer: &I) -> Self {
        let status = issuer.issuer_status().cloned().unwrap_or_default();
        let standing = Standing::of(issuer.meta().generation, status.observed_generation, &status.conditions);
        let authority = status.authority.unwrap_or_default();
        let parent = match issuer.issuer_spec().member() {
            Some(IssuerMember::Authority(spec)) => spec.issuer_ref.as_ref(),
            None => None,
        };
        Self {
            issuer: parent.map(|parent| format!("{}/{}", parent.kind.name(), parent.name)),
            serial_number: authority.serial_number,
            not_after: instant(authority.not_after.as_ref()),
            renewal_time: instant(authority.renewal_time.as_ref()),
            ..Self::new(I::KIND.name(), issuer.meta(), &standing)
        }
    }
}

fn instant(time: Option<&Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}

/// Reads all objects of a kind.
pub(crate) async fn look(kind: Kind, cluster: &Cluster, everywhere: bool) -> Result<Vec<Row>, Failure> {
    let client = &cluster.client;
    let place = if everywhere { None } else { Some(cluster.namespace.as_str()) };
    Ok(match kind {
        Kind::Certificate => {
            all(scope(client, place), "certificates").await?.iter().map(Row::certificate).collect()
        }
        Kind::Issuer => {
            all::<Issuer>(scope(client, place), "issuers").await?.iter().map(Row::issuer).collect()
        }
        Kind::Clusterissuer => {
            let api = Api::<ClusterIssuer>::all(client.clone());
            all(api, "cluster issuers").await?.iter().map(Row::issuer).collect()
        }
    })
}

/// One namespace, or all of them.
pub(crate) fn scope<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Reads all objects, page by page.
pub(crate) async fn all<K>(api: Api<K>, plural: &str) -> Result<Vec<K>, Failure>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut params = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page =
            api.list(&params).await.map_err(|error| Failure::of_api(&format!("list {plural}"), &error))?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Writes the table. `place`: the namespace that was looked in, when it was one.
pub(crate) fn write(page: &mut Page, rows: &[Row], place: Option<&str>, wide: bool, now: Timestamp) {
    if rows.is_empty() {
        let place = place.map_or(String::new(), |namespace| format!(" in namespace {namespace}"));
        page.line(&format!("none found{place}"), Tone::Dim);
        return;
    }
    let namespaced = place.is_none() && rows.iter().any(|row| row.namespace.is_some());
    let mut head = vec!["NAME", "READY", "REASON", "EXPIRES", "RENEWAL"];
    if namespaced {
        head.insert(0, "NAMESPACE");
    }
    if wide {
        head.extend(["ISSUER", "SERIAL", "MESSAGE"]);
    }
    let mut table = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let when = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| distance(at, now));
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let mut line = Vec::new();
        if namespaced {
            line.push(text(&row.namespace));
        }
        let ready = if row.ready { "True" } else { "False" };
        line.extend([row.name.clone(), ready.to_owned(), row.reason.clone()]);
        line.extend([when(row.not_after), when(row.renewal_time)]);
        if wide {
            line.extend([text(&row.issuer), text(&row.serial_number), row.message.clone()]);
        }
        table.push(line);
    }
    page.table(&table);
}
