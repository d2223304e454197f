//! `status certificate NAME`.

use super::events::{self, Events};
use super::parts::{Standing, Verdict, place, write_next};
use super::secret::{self, SecretFacts, SecretSeen};
use crate::connect::Cluster;
use crate::exit::{Failure, causes};
use crate::facts::text_if;
use crate::page::{Page, Tone};
use crate::words::instant;
use jiff::Timestamp;
use keywright_crds::{
    AnyIssuer, Certificate, CertificateSpec, ClusterIssuer, Issuer, IssuerKind, RotationPolicy, Subject,
};
use kube::api::Api;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// All that is known of a Certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    kind: &'static str,
    namespace: String,
    name: String,
    uid: String,
    wanted: Wanted,
    #[serde(flatten)]
    standing: Standing,
    issuer: IssuerSeen,
    issued: Issued,
    secret: SecretSeen,
    events: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The spec, with what its absent fields mean.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    secret_name: String,
    issuer: String,
    subject: String,
    names: Vec<String>,
    key: String,
    duration: String,
    renewal: String,
    usages: Vec<String>,
    #[serde(rename = "isCA")]
    is_ca: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
}

/// The issuer that is referred to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "found")]
enum IssuerSeen {
    Missing,
    Unread {
        problem: String,
    },
    Read {
        #[serde(skip)]
        verdict: Verdict,
        reason: String,
        message: String,
        #[serde(rename = "subjectKeyID", skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
}

/// What the status says of the last issuance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    revision: Option<i64>,
    serial_number: Option<String>,
    log_index: Option<i64>,
    #[serde(rename = "authorityKeyID")]
    authority_key_id: Option<String>,
    #[serde(serialize_with = "text_if")]
    renewal_time: Option<Timestamp>,
}

/// Reads everything about it. Errors: only the Certificate itself has to be readable.
pub(crate) async fn look(cluster: &Cluster, name: &str, now: Timestamp) -> Result<Report, Failure> {
    let namespace = cluster.namespace.as_str();
    let certificate =
        Api::<Certificate>::namespaced(cluster.client.clone(), namespace).get(name).await.map_err(
            |error| Failure::of_api(&format!("read certificate {name:?} in namespace {namespace:?}"), &error),
        )?;
    let issuer_name = &certificate.spec.issuer_ref.name;
    let issuer = async {
        match certificate.spec.issuer_ref.kind {
            IssuerKind::Issuer => {
                see(Api::<Issuer>::namespaced(cluster.client.clone(), namespace), issuer_name).await
            }
            IssuerKind::ClusterIssuer => {
                see(Api::<ClusterIssuer>::all(cluster.client.clone()), issuer_name).await
            }
        }
    };
    let (secret, issuer, events) = futures::join!(
        secret::read(&cluster.client, namespace, &certificate.spec.secret_name, now),
        issuer,
        events::read(&cluster.client, &certificate),
    );
    Ok(report(&certificate, secret, issuer, events, now))
}

async fn see<I>(api: Api<I>, name: &str) -> IssuerSeen
where
    I: AnyIssuer + Clone + DeserializeOwned + Debug,
{
    match api.get_opt(name).await {
        Ok(Some(issuer)) => {
            let status = issuer.issuer_status().cloned().unwrap_or_default();
            let standing =
                Standing::of(issuer.meta().generation, status.observed_generation, &status.conditions);
            IssuerSeen::Read {
                verdict: standing.verdict(),
                reason: standing.reason().to_owned(),
                message: standing.ready().map_or(String::new(), |ready| ready.message.clone()),
                key_id: status.authority.and_then(|authority| authority.subject_key_id),
            }
        }
        Ok(None) => IssuerSeen::Missing,
        Err(error) => IssuerSeen::Unread { problem: causes(&error) },
    }
}

fn report(
    certificate: &Certificate,
    secret: SecretSeen,
    issuer: IssuerSeen,
    events: Events,
    now: Timestamp,
) -> Report {
    let status = certificate.status.clone().unwrap_or_default();
    let standing =
        Standing::of(certificate.meta().generation, status.observed_generation, &status.conditions);
    let mut report = Report {
        kind: "Certificate",
        namespace: certificate.namespace().unwrap_or_default(),
        name: certificate.name_any(),
        uid: certificate.uid().unwrap_or_default(),
        wanted: wanted(&certificate.spec),
        standing,
        issuer,
        issued: Issued {
            revision: status.revision,
            serial_number: status.serial_number,
            log_index: status.log_index,
            authority_key_id: status.authority_key_id,
            renewal_time: status.renewal_time.map(|time| time.0),
        },
        secret,
        events,
        next: None,
    };
    report.next = report.advice(certificate.spec.issuer_ref.kind, &certificate.spec.issuer_ref.name, now);
    report
}

fn wanted(spec: &CertificateSpec) -> Wanted {
    let key = spec.private_key.clone().unwrap_or_default();
    let size = key.effective_size().map_or(String::new(), |size| format!(" {size}"));
    let rotation = match key.rotation_policy {
        RotationPolicy::Always => "a new one for each issuance",
        RotationPolicy::Never => "the same one for each issuance",
    };
    let of = |kind: &'static str, list: &[String]| {
        list.iter().map(|name| format!("{kind} {name}")).collect::<Vec<_>>()
    };
    Wanted {
        secret_name: spec.secret_name.clone(),
        issuer: format!("{} {}", spec.issuer_ref.kind.name(), spec.issuer_ref.name),
        subject: subject(spec.common_name.as_deref(), spec.subject.as_ref()),
        names: [
            of("DNS", &spec.dns_names),
            of("IP", &spec.ip_addresses),
            of("e-mail", &spec.email_addresses),
            of("URI", &spec.uris),
        ]
        .concat(),
        key: format!("{}{size}, {rotation}", key.algorithm.name()),
        duration: spec.duration_text().to_owned(),
        renewal: match (&spec.renew_before, spec.renew_before_percentage) {
            (Some(before), _) => format!("{before} before it expires"),
            (None, Some(percent)) => format!("when {percent} % of its life are left"),
            (None, None) => "at two thirds of its life".to_owned(),
        },
        usages: spec.usages.iter().map(|usage| usage.name().to_owned()).collect(),
        is_ca: spec.is_ca,
        profile: spec.profile.clone(),
    }
}

/// The subject of a spec in words, the common name first.
pub(crate) fn subject(common_name: Option<&str>, subject: Option<&Subject>) -> String {
    let none = Subject::default();
    let subject = subject.unwrap_or(&none);
    let lists: [(&str, &[String]); 7] = [
        ("O", &subject.organizations),
        ("OU", &subject.organizational_units),
        ("L", &subject.localities),
        ("ST", &subject.provinces),
        ("STREET", &subject.street_addresses),
        ("postalCode", &subject.postal_codes),
        ("C", &subject.countries),
    ];
    let attributes =
        lists.iter().flat_map(|(kind, values)| values.iter().map(move |value| format!("{kind}={value}")));
    let serial = subject.serial_number.iter().map(|value| format!("serialNumber={value}"));
    common_name
        .iter()
        .map(|name| format!("CN={name}"))
        .chain(attributes)
        .chain(serial)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Report {
    /// Whether the object is Ready and nothing that could be read contradicts it.
    pub(crate) fn is_fine(&self) -> bool {
        self.standing.verdict() == Verdict::Ready && self.contradiction().is_none()
    }

    /// What the Secret shows to be wrong, whatever the status says.
    fn contradiction(&self) -> Option<&'static str> {
        match &self.secret {
            SecretSeen::Missing => Some("the Secret does not exist"),
            SecretSeen::Unread { .. } => None,
            SecretSeen::Read(facts) => self.wrong(facts),
        }
    }

    fn wrong(&self, facts: &SecretFacts) -> Option<&'static str> {
        let serial = facts.chain.first().map(|leaf| &leaf.serial_number);
        if facts.certificate_uid.as_ref().is_some_and(|uid| *uid != self.uid) {
            Some("the Secret is marked for another Certificate")
        } else if !facts.is_fine() {
            Some("what lies in the Secret does not hold together")
        } else if self.issued.serial_number.is_some() && serial != self.issued.serial_number.as_ref() {
            Some("the Secret holds another certificate than the status tells of")
        } else {
            None
        }
    }

    /// What to do next; nothing when all is well.
    fn advice(&self, kind: IssuerKind, issuer: &str, now: Timestamp) -> Option<String> {
        let at = place(Some(&self.namespace));
        let issuer_command = match kind {
            IssuerKind::Issuer => format!("kubectl keywright status issuer {issuer}{at}"),
            IssuerKind::ClusterIssuer => format!("kubectl keywright status clusterissuer {issuer}"),
        };
        match self.standing.verdict() {
            Verdict::Ready => {
                if let Some(wrong) = self.contradiction() {
                    let renew = format!("kubectl keywright renew {}{at} --wait", self.name);
                    return Some(format!("{wrong}; the operator mends it soon, or ask for it with: {renew}"));
                }
                let late = self.issued.renewal_time.is_some_and(|renewal| renewal < now);
                late.then(|| "the renewal is due; it begins as soon as the operator gets to it".to_owned())
            }
            Verdict::Unseen | Verdict::Outdated => Some(
                "see that the operator runs and leads: kubectl get leases.coordination.k8s.io -A, and its log".to_owned(),
            ),
            Verdict::Underway => Some(match (self.standing.reason(), &self.issuer) {
                ("IssuerNotFound", _) | (_, IssuerSeen::Missing) => {
                    format!("create {}, or name another issuer in spec.issuerRef", self.wanted.issuer)
                }
                ("IssuerNotReady", _) => issuer_command,
                ("AwaitingApproval", _) => {
                    format!("people have to agree; see who, and on what: kubectl keywright why {}{at}", self.name)
                }
                ("SignerUnavailable" | "AnswerUnusable", _) => {
                    "see that the signer runs and what its log says; it is tried again by itself".to_owned()
                }
                ("SecretNotWritten", _) => {
                    "see which quota, policy or permission keeps the Secret from being written".to_owned()
                }
                _ => "wait; it goes on by itself".to_owned(),
            }),
            Verdict::Stalled => Some("change what the message above names; nothing is tried before that".to_owned()),
        }
    }

    /// Writes it for people.
    pub(crate) fn write(&self, page: &mut Page, wide: bool, now: Timestamp) {
        self.standing.write(page, &format!("Certificate {}/{}", self.namespace, self.name), now);

        page.heading("Wanted");
        let wanted = &self.wanted;
        page.row("Secret", &wanted.secret_name);
        page.row("Issuer", &wanted.issuer);
        page.row_if("Subject", Some(wanted.subject.as_str()).filter(|text| !text.is_empty()));
        page.rows("Names", &wanted.names);
        page.row("Key", &wanted.key);
        page.row("Life", &format!("{}, renewed {}", wanted.duration, wanted.renewal));
        page.row_if("Profile", wanted.profile.as_deref());
        page.row_if("Usages", Some(wanted.usages.join(", ").as_str()).filter(|text| !text.is_empty()));
        if wanted.is_ca {
            page.row("Authority", "may sign certificates itself");
        }

        page.heading(&format!("Issuer {}", self.wanted.issuer));
        self.write_issuer(page);

        page.heading(&format!("Secret {}", wanted.secret_name));
        let renewal = self.issued.renewal_time;
        match &self.secret {
            SecretSeen::Missing => page.row_toned("", "does not exist", Tone::Bad),
            SecretSeen::Unread { problem } => {
                page.row_toned("not read", problem, Tone::Dim);
                self.write_issued(page, now);
            }
            SecretSeen::Read(facts) => {
                facts.write(page, renewal, now);
                if let Some(wrong) = self.wrong(facts) {
                    page.row_toned("Problem", wrong, Tone::Bad);
                }
                if wide {
                    page.row("Entries", &facts.entries.join(", "));
                    page.row_if("SHA-256", facts.chain.first().map(|leaf| leaf.sha256.as_str()));
                    page.row_if("Issuer key ID", self.issued.authority_key_id.as_deref());
                }
            }
        }
        events::write(page, &self.events, now);
        write_next(page, self.next.as_deref());
    }

    fn write_issuer(&self, page: &mut Page) {
        match &self.issuer {
            IssuerSeen::Missing => page.row_toned("State", "does not exist", Tone::Bad),
            IssuerSeen::Unread { problem } => page.row_toned("not read", problem, Tone::Dim),
            IssuerSeen::Read { verdict, reason, message, key_id } => {
                if *verdict == Verdict::Ready {
                    page.row_toned("State", "Ready", Tone::Good);
                    let other_key = key_id.is_some()
                        && self.issued.authority_key_id.is_some()
                        && *key_id != self.issued.authority_key_id;
                    if other_key {
                        page.row_toned("Key", "another one than signed the last issuance", Tone::Warn);
                    }
                } else {
                    page.row_toned("State", &format!("not Ready: {reason}"), Tone::Bad);
                    page.row_if("", Some(message.as_str()).filter(|text| !text.is_empty()));
                }
            }
        }
    }

    /// What the status says, when the Secret cannot say it itself.
    fn write_issued(&self, page: &mut Page, now: Timestamp) {
        let issued = &self.issued;
        page.row_if("Revision", issued.revision.map(|n| n.to_string()).as_deref());
        page.row_if("Serial", issued.serial_number.as_deref());
        page.row_if("Log index", issued.log_index.map(|n| n.to_string()).as_deref());
        page.row_if("Renewal", issued.renewal_time.map(|at| instant(at, now)).as_deref());
    }
}
