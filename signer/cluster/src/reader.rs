//! Reading, with the signer's own credentials: each answer is the API server's newest, nothing is kept.

use crate::{Found, ReadError, Records, Target, Wanted};
use futures::FutureExt as _;
use futures::executor::block_on;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use keywright_approvals::{Authors, Identity, Vote, records};
use keywright_crds::{ApprovalClass, ApprovalDecision, ApprovalRequest, TargetRef};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one reading may take in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Objects in one page.
const PAGE: u32 = 500;

/// Where the API server is and with which credentials it is asked, read from a kubeconfig before the process is confined.
pub struct Access {
    config: Config,
    address: SocketAddr,
}

/// The API server, as the signer may see it.
#[derive(Clone)]
pub struct Reader {
    pub(crate) client: Client,
    /// Keywright's own, where the bundles of policies lie.
    pub(crate) namespace: String,
}

fn unavailable(error: impl std::fmt::Display) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

impl Access {
    /// Reads a kubeconfig file and what it names. Errors: it cannot be used, or it names its server other than by address:
    /// a confined signer asks no name server.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let file = Kubeconfig::read_from(path).map_err(unavailable)?;
        let options = KubeConfigOptions::default();
        let config = block_on(Config::from_custom_kubeconfig(file, &options)).map_err(unavailable)?;
        Self::of(config, &path.display().to_string())
    }

    /// As a pod is told: the address in KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, root and token of the mounted
    /// ServiceAccount. Errors: this is no pod, nothing is mounted, or the address is a name.
    pub fn in_pod() -> Result<Self, ReadError> {
        Self::of(Config::incluster_env().map_err(unavailable)?, "KUBERNETES_SERVICE_HOST")
    }

    fn of(config: Config, source: &str) -> Result<Self, ReadError> {
        let url = &config.cluster_url;
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let ip = host.parse().map_err(|_| {
            unavailable(format!(
                "{source}: server {host:?} must be an IP address, as a confined signer resolves no names; set \
                 tls-server-name where its certificate has a name only"
            ))
        })?;
        let port = url.port_u16().unwrap_or(443);
        Ok(Self { config, address: SocketAddr::new(ip, port) })
    }

    /// The one address that has to be reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of the token, where it is in a file: kubelets bring a new one under the same name.
    pub fn token_folder(&self) -> Option<PathBuf> {
        Some(Path::new(self.config.auth_info.token_file.as_ref()?).parent()?.to_owned())
    }

    /// Ready to ask. Within a runtime; opens no connection yet. `namespace`: Keywright's own.
    pub fn reader(self, namespace: String) -> Result<Reader, ReadError> {
        Ok(Reader { client: Client::try_from(self.config).map_err(unavailable)?, namespace })
    }
}

impl Reader {
    /// The request and the instant at which the API server answered.
    async fn request(&self, wanted: &Wanted) -> Result<(ApprovalRequest, Timestamp), ReadError> {
        let Wanted { namespace, name, uid } = wanted;
        let missing =
            || ReadError::Missing { namespace: namespace.clone(), name: name.clone(), uid: uid.clone() };
        let path = format!("/apis/keywright.dev/v1alpha1/namespaces/{namespace}/approvalrequests/{name}");
        let get = http::Request::get(path).body(kube::client::Body::empty()).map_err(unavailable)?;
        let response = self.client.send(get).await.map_err(unavailable)?;
        if response.status() == http::StatusCode::NOT_FOUND {
            return Err(missing());
        }
        if !response.status().is_success() {
            return Err(unavailable(format!("reading the request: {}", response.status())));
        }
        let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        let at = date.and_then(server_time).ok_or_else(|| unavailable("it does not say its time (Date)"))?;
        let body = response.into_body().collect_bytes().await.map_err(unavailable)?;
        let object: ApprovalRequest = serde_json::from_slice(&body).map_err(|error| {
            let object = format!("ApprovalRequest {name}");
            ReadError::Malformed(records::Malformed { object, problem: error.to_string() })
        })?;
        if object.uid().as_deref() != Some(uid) {
            return Err(missing());
        }
        Ok((object, at))
    }

    /// All votes in the namespace for this request, each with its signature.
    async fn votes(&self, namespace: &str, uid: &str) -> Result<Vec<(Vote, Option<String>)>, ReadError> {
        let api: Api<ApprovalDecision> = Api::namespaced(self.client.clone(), namespace);
        let mut votes = Vec::new();
        // Without a resource version: the newest, from a quorum.
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&params).await.map_err(unavailable)?;
            let signed = |object: &ApprovalDecision| {
                Some((records::vote(object, uid)?, object.spec.signature.clone()))
            };
            votes.extend(page.items.iter().filter_map(signed));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(votes),
            }
        }
    }

    /// Whether somebody holds verb `approve` on a class now.
    async fn may_approve(&self, who: &Identity, class: &str) -> Result<bool, ReadError> {
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(who.username.clone()),
                uid: some(&who.uid),
                groups: Some(who.groups.iter().cloned().collect()),
                extra: Some(who.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some("keywright.dev".into()),
                    resource: Some("approvalclasses".into()),
                    name: Some(class.to_owned()),
                    verb: Some("approve".into()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = api.create(&PostParams::default(), &review).await.map_err(unavailable)?;
        Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
    }

    /// Who made and who changed the target, as stamped; none: the target is gone or another.
    async fn authors(&self, target: &TargetRef) -> Result<Option<Authors>, ReadError> {
        if target.group != "keywright.dev" {
            return Ok(Some(Authors::default()));
        }
        let kind = GroupVersionKind::gvk("keywright.dev", "v1alpha1", &target.kind);
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = if target.namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &target.namespace, &resource)
        };
        if !records::can_exist(target) {
            return Ok(None);
        }
        let object = api.get_metadata_opt(&target.name).await.map_err(unavailable)?;
        let meant = object.filter(|object| object.uid().as_deref() == Some(&target.uid));
        Ok(meant.map(|object| records::authors(&object.metadata)))
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, ReadError> {
        // The request before the votes: what is read of them is never older than it.
        let (object, server_time) = self.request(wanted).await?;
        let class_name = object.spec.approval_class.clone();
        let classes: Api<ApprovalClass> = Api::all(self.client.clone());
        let class = classes.get_opt(&class_name).await.map_err(unavailable)?;
        let class = class.map(|class| records::class(&class_name, &class.spec)).transpose()?;
        let filed_under = object.status.as_ref().and_then(|status| status.filed_under.as_ref());
        let filed_under = filed_under.map(|spec| records::class(&class_name, spec)).transpose()?;
        let authors = self.authors(&object.spec.target_ref).await?;
        let (mut votes, mut signatures) = (Vec::new(), BTreeMap::new());
        for (mut vote, signature) in self.votes(&wanted.namespace, &wanted.uid).await? {
            vote.may_approve = self.may_approve(&vote.approver, &class_name).await?;
            signatures.extend(signature.map(|signature| (vote.name.clone(), signature)));
            votes.push(vote);
        }
        Ok(Found {
            target: target(&object.spec.target_ref),
            target_is_gone: authors.is_none(),
            deleted: object.metadata.deletion_timestamp.as_ref().map(|at| at.0),
            signatures,
            request: records::request(&object, authors.unwrap_or_default())?,
            class_name,
            class,
            filed_under,
            votes,
            recorded: records::recorded(&object),
            server_time,
        })
    }
}

impl Records for Reader {
    fn read<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Found, ReadError>> {
        async move {
            tokio::time::timeout(PATIENCE, self.find(wanted))
                .await
                .unwrap_or_else(|_| Err(unavailable("it did not answer in time")))
        }
        .boxed()
    }
}

fn target(named: &TargetRef) -> Target {
    let TargetRef { group, kind, namespace, name, uid } = named;
    Target {
        kind: if group == "keywright.dev" { kind.clone() } else { format!("{kind}.{group}") },
        namespace: namespace.clone(),
        name: name.clone(),
        uid: uid.clone(),
    }
}

/// An instant of an HTTP header (RFC 9110 section 5.6.7, IMF-fixdate).
fn server_time(text: &str) -> Option<Timestamp> {
    jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text)
        .and_then(|parsed| parsed.to_datetime())
        .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|at| at.timestamp())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_servers_time_is_read_to_the_second() {
        let read = server_time("Tue, 01 Jan 2030 00:00:00 GMT").map(Timestamp::as_second);
        assert_eq!(read, Some(1_893_456_000));
        assert_eq!(server_time("yesterday"), None);
    }
}
