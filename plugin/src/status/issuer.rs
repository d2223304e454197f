//! `status issuer NAME` and `status clusterissuer NAME`.

use super::certificate::subject;
use super::events::{self, Events};
use super::parts::{Standing, Verdict, place, write_next};
use crate::connect::Cluster;
use crate::exit::Failure;
use crate::facts::{CertificateFacts, text_if};
use crate::material::{ChainCheck, Material, write_chain};
use crate::page::{Page, Tone};
use crate::words::instant;
use jiff::Timestamp;
use keywright_crds::{AnyIssuer, CertificateProfile, IssuerMember, IssuerStatus, NameSubtrees};
use kube::api::Api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// All that is known of an issuer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    /// Each field of the authority with its value in words.
    wanted: Vec<(&'static str, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(flatten)]
    standing: Standing,
    authority: Option<Authority>,
    events: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The authority's own certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Authority {
    revision: Option<i64>,
    log_index: Option<i64>,
    #[serde(serialize_with = "text_if")]
    renewal_time: Option<Timestamp>,
    chain: Vec<CertificateFacts>,
    chain_check: Option<ChainCheck>,
    problems: Vec<String>,
}

/// Reads everything about it. Errors: only the issuer itself has to be readable.
pub(crate) async fn look<I>(
    api: Api<I>,
    cluster: &Cluster,
    name: &str,
    now: Timestamp,
) -> Result<Report, Failure>
where
    I: AnyIssuer + Clone + DeserializeOwned + Debug,
{
    let kind = I::KIND.name();
    let issuer =
        api.get(name).await.map_err(|error| Failure::of_api(&format!("read {kind} {name:?}"), &error))?;
    let events = events::read(&cluster.client, &issuer).await;
    Ok(report(&issuer, events, now))
}

fn report<I: AnyIssuer>(issuer: &I, events: Events, now: Timestamp) -> Report {
    let meta = issuer.meta();
    let status = issuer.issuer_status().cloned().unwrap_or_default();
    let (wanted, parent) = match issuer.issuer_spec().member() {
        Some(IssuerMember::Authority(spec)) => (wanted(spec), spec.issuer_ref.clone()),
        None => (Vec::new(), None),
    };
    let namespace = meta.namespace.clone();
    let standing = Standing::of(meta.generation, status.observed_generation, &status.conditions);
    let next = advice(&standing, parent.as_ref(), namespace.as_deref());
    Report {
        kind: I::KIND.name(),
        name: meta.name.clone().unwrap_or_default(),
        namespace,
        wanted,
        parent: parent.map(|parent| format!("{} {}", parent.kind.name(), parent.name)),
        standing,
        authority: authority(&status, now),
        events,
        next,
    }
}

fn authority(status: &IssuerStatus, now: Timestamp) -> Option<Authority> {
    let authority = status.authority.as_ref()?;
    let material = authority
        .certificate
        .as_ref()
        .map(|pem| Material::read("status.authority.certificate", pem.as_bytes()))
        .unwrap_or_default();
    Some(Authority {
        revision: authority.revision,
        log_index: authority.log_index,
        renewal_time: authority.renewal_time.as_ref().map(|time| time.0),
        chain_check: ChainCheck::of(&material.certificates, &[], now),
        chain: material.certificates.iter().map(CertificateFacts::of).collect(),
        problems: material.problems,
    })
}

fn wanted(spec: &keywright_crds::AuthoritySpec) -> Vec<(&'static str, String)> {
    let key = spec.private_key.unwrap_or_default();
    let size = key.effective_size().map_or(String::new(), |size| format!(" {size}"));
    let mut rows = vec![
        ("Subject", subject(spec.common_name.as_deref(), spec.subject.as_ref())),
        ("Key", format!("{}{size}", key.algorithm.name())),
        ("Life", spec.duration_text().to_owned()),
    ];
    let path = spec.path_length.map_or("any number of authorities".to_owned(), |length| match length {
        0 => "leaves only".to_owned(),
        1 => "1 authority".to_owned(),
        more => format!("{more} authorities"),
    });
    rows.push(("Below it", path));
    rows.extend(spec.max_leaf_duration.iter().map(|longest| ("Longest leaf", longest.clone())));
    if let Some(allowed) = &spec.allowed {
        let usages: Vec<&str> = allowed.usages.iter().map(|usage| usage.name()).collect();
        let keys: Vec<&str> = allowed.private_key_algorithms.iter().map(|one| one.name()).collect();
        rows.extend((!usages.is_empty()).then(|| ("Usages", usages.join(", "))));
        rows.extend((!keys.is_empty()).then(|| ("Leaf keys", keys.join(", "))));
        rows.extend(allowed.is_ca.then(|| ("isCA", "may be asked for".to_owned())));
    }
    if let Some(constraints) = &spec.name_constraints {
        for (label, trees) in [("Permitted", &constraints.permitted), ("Excluded", &constraints.excluded)] {
            let text = trees.as_ref().map_or(String::new(), subtrees);
            rows.extend((!text.is_empty()).then_some((label, text)));
        }
    }
    rows.extend(spec.profiles.iter().map(|one| ("Profile", profile(one))));
    rows
}

/// A profile on one line: what it narrows, and who has to agree.
fn profile(profile: &CertificateProfile) -> String {
    let mut says: Vec<String> =
        profile.max_duration.iter().map(|longest| format!("at most {longest}")).collect();
    if let Some(allowed) = &profile.allowed {
        let usages: Vec<&str> = allowed.usages.iter().map(|usage| usage.name()).collect();
        let keys: Vec<&str> = allowed.private_key_algorithms.iter().map(|one| one.name()).collect();
        says.extend((!usages.is_empty()).then(|| usages.join(", ")));
        says.extend((!keys.is_empty()).then(|| format!("keys of {}", keys.join(", "))));
        says.extend(allowed.is_ca.then(|| "isCA may be asked for".to_owned()));
    }
    if let Some(constraints) = &profile.name_constraints {
        for (label, trees) in [("permits", &constraints.permitted), ("excludes", &constraints.excluded)] {
            let text = trees.as_ref().map_or(String::new(), subtrees);
            says.extend((!text.is_empty()).then(|| format!("{label} {text}")));
        }
    }
    if let Some(approvals) = &profile.approvals {
        let classes = [
            ("the first certificate of a name", &approvals.first_issuance_of_name),
            ("every certificate", &approvals.any_issuance),
            ("authorities", &approvals.ca_certificates),
        ];
        let asked = classes.into_iter().filter_map(|(what, class)| Some((what, class.as_ref()?)));
        says.extend(asked.map(|(what, class)| format!("{class} agrees to {what}")));
    }
    let narrows = if says.is_empty() { "narrows nothing but isCA".to_owned() } else { says.join("; ") };
    format!("{}: {narrows}", profile.name)
}

fn subtrees(trees: &NameSubtrees) -> String {
    let of = |kind: &str, list: &[String]| (!list.is_empty()).then(|| format!("{kind} {}", list.join(", ")));
    [
        of("DNS", &trees.dns_domains),
        of("IP", &trees.ip_ranges),
        of("e-mail", &trees.email_addresses),
        of("URI", &trees.uri_domains),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join("; ")
}

fn advice(
    standing: &Standing,
    parent: Option<&keywright_crds::IssuerRef>,
    namespace: Option<&str>,
) -> Option<String> {
    let parent_command = parent.map(|parent| match parent.kind {
        keywright_crds::IssuerKind::Issuer => {
            format!("kubectl keywright status issuer {}{}", parent.name, place(namespace))
        }
        keywright_crds::IssuerKind::ClusterIssuer => {
            format!("kubectl keywright status clusterissuer {}", parent.name)
        }
    });
    match standing.verdict() {
        Verdict::Ready => None,
        Verdict::Unseen | Verdict::Outdated => Some(
            "see that the operator runs and leads: kubectl get leases.coordination.k8s.io -A, and its log"
                .to_owned(),
        ),
        Verdict::Underway => Some(match (standing.reason(), parent_command) {
            ("ParentNotFound", _) => "create the parent that spec.authority.issuerRef names".to_owned(),
            ("ParentNotReady", Some(command)) => command,
            ("AwaitingApproval", _) => "people have to agree; the message above says who, and how".to_owned(),
            ("SignerUnavailable", _) => {
                "see that the signer runs and what its log says; it is tried again by itself".to_owned()
            }
            _ => "wait; it goes on by itself".to_owned(),
        }),
        Verdict::Stalled => {
            Some("change what the message above names; nothing is tried before that".to_owned())
        }
    }
}

impl Report {
    /// Whether the object is Ready and its chain holds.
    pub(crate) fn is_fine(&self) -> bool {
        let chain_holds = self.authority.as_ref().is_some_and(|authority| {
            authority.problems.is_empty() && authority.chain_check.as_ref().is_some_and(ChainCheck::is_fine)
        });
        self.standing.verdict() == Verdict::Ready && chain_holds
    }

    /// Writes it for people.
    pub(crate) fn write(&self, page: &mut Page, wide: bool, now: Timestamp) {
        let name = match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        };
        self.standing.write(page, &name, now);

        page.heading("Wanted");
        for (label, value) in &self.wanted {
            page.row(label, value);
        }
        page.row("Parent", self.parent.as_deref().unwrap_or("none: it signs itself"));

        page.heading("Authority");
        match &self.authority {
            None => page.row_toned("", "the signer has not made it yet", Tone::Warn),
            Some(authority) => {
                let number = |n: Option<i64>| n.map_or("unknown".to_owned(), |n| n.to_string());
                let (revision, index) = (number(authority.revision), number(authority.log_index));
                page.row("Revision", &format!("{revision}, log index {index}"));
                if let Some(own) = authority.chain.first() {
                    if wide {
                        own.write(page, now);
                        page.row_if("Renewal", authority.renewal_time.map(|at| instant(at, now)).as_deref());
                    } else {
                        page.row("Serial", &own.serial_number);
                        own.write_life(page, authority.renewal_time, now);
                    }
                }
                write_chain(page, &authority.chain, authority.chain_check.as_ref(), now);
                for problem in &authority.problems {
                    page.row_toned("Problem", problem, Tone::Bad);
                }
            }
        }
        events::write(page, &self.events, now);
        write_next(page, self.next.as_deref());
    }
}
