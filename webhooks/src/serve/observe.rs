//! Gathers the facts that a review needs. Reads only: certificates by a watch, for every new one asks; what votes are
//! about, and bundles of policies, from the API server at that moment, for they are few and what they say must be of now.

use super::claims::Claims;
use super::policies::found;
use super::waiting::Waiting;
use crate::kind::Kind;
use crate::review::{Ballot, Facts, Needs};
use crate::stamp;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_approvals::{Authors, Identity, records};
use keywright_crds::{GROUP, VERSION};
use kube::api::{Api, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Error};
use serde_json::Value;

/// Where facts come from.
#[derive(Clone)]
pub struct Sources {
    /// The API server.
    pub client: Client,
    /// The suite's own namespace.
    pub namespace: String,
    /// Which Certificates name which Secret.
    pub claims: Claims,
    /// How many requests of each requester wait.
    pub waiting: Waiting,
}

impl Sources {
    /// The facts; what cannot be had is said to be so.
    pub async fn observe(&self, needs: Needs, who: &Identity) -> Facts {
        match needs {
            Needs::Nothing => Facts::Nothing,
            Needs::Claimants { namespace, secret } => match self.claims.of(&namespace, &secret) {
                Some(names) => Facts::Claimants(names),
                None => Facts::Unknown("the list of Certificates has not been read yet".to_owned()),
            },
            Needs::Class { name, namespace } => match self.get(Kind::ApprovalClass, "", &name).await {
                Ok(class) => Facts::Class {
                    exists: class.is_some(),
                    waiting: self.waiting.of(&namespace, &who.username),
                },
                Err(error) => unknown(&error),
            },
            Needs::Bundle(at) => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
                match api.get_opt(&at.config_map_ref.name).await {
                    Ok(config_map) => Facts::Bundle(found(&self.namespace, config_map.as_ref(), &at)),
                    Err(error) => unknown(&error),
                }
            }
            Needs::Ballot { namespace, request } => match self.ballot(&namespace, &request, who).await {
                Ok(ballot) => Facts::Ballot(Box::new(ballot)),
                Err(error) => unknown(&error),
            },
        }
    }

    async fn ballot(&self, namespace: &str, request: &str, who: &Identity) -> Result<Ballot, Error> {
        let request = self.get(Kind::ApprovalRequest, namespace, request).await?;
        let spec = request.as_ref().and_then(|request| request.data.get("spec"));
        let Some(name) = spec.and_then(|spec| spec.get("approvalClass")).and_then(Value::as_str) else {
            return Ok(Ballot { request, class: None, authors: Authors::default(), may_approve: false });
        };
        let target = spec.and_then(|spec| spec.get("targetRef"));
        let (class, authors, may_approve) = tokio::try_join!(
            self.get(Kind::ApprovalClass, "", name),
            self.authors(target),
            self.may_approve(name, who),
        )?;
        Ok(Ballot { request, class, authors, may_approve })
    }

    /// Who made and who changed the target: known of our own kinds, and only of the very object that is meant.
    async fn authors(&self, target: Option<&Value>) -> Result<Authors, Error> {
        let text = |field: &str| {
            target.and_then(|target| target.get(field)).and_then(Value::as_str).unwrap_or_default()
        };
        let kind: Kind = match text("kind").parse() {
            Ok(kind) if text("group") == GROUP => kind,
            Ok(_) | Err(_) => return Ok(Authors::default()),
        };
        let object = self.get(kind, text("namespace"), text("name")).await?;
        let meant = object.filter(|object| object.metadata.uid.as_deref() == Some(text("uid")));
        Ok(meant.map_or_else(Authors::default, |object| Authors {
            creator: stamp::stamped(&object, kind),
            ..records::authors(&object.metadata)
        }))
    }

    async fn may_approve(&self, class: &str, who: &Identity) -> Result<bool, Error> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(who.username.clone()),
                uid: Some(who.uid.clone()).filter(|uid| !uid.is_empty()),
                groups: Some(who.groups.iter().cloned().collect()),
                extra: Some(who.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GROUP.to_owned()),
                    resource: Some(Kind::ApprovalClass.plural().to_owned()),
                    name: Some(class.to_owned()),
                    verb: Some("approve".to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<DynamicObject>, Error> {
        let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind.name());
        let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
        let api: Api<DynamicObject> = if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        };
        api.get_opt(name).await
    }
}

fn unknown(error: &Error) -> Facts {
    Facts::Unknown(error.to_string())
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("claims", &self.claims).finish_non_exhaustive()
    }
}
