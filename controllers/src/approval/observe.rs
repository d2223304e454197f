//! Gathers what a look at a request may see. Reads only; a SubjectAccessReview is a question.

use crate::context::Context;
use crate::error::Error;
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use keywright_approvals::{Authors, Identity, Vote, records};
use keywright_controllers_core::approval::request::{Target, World};
use keywright_crds::{
    AnyIssuer, ApprovalRequest, Certificate, ClusterIssuer, Issuer, ObjectApproval, TargetRef,
};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use std::collections::HashMap;

/// The world around `request`, from the caches; who may vote is asked now.
pub(super) async fn observe(
    ctx: &Context,
    request: &ApprovalRequest,
    now: Timestamp,
) -> Result<World, Error> {
    let class = &request.spec.approval_class;
    let (authors, target) = cached(ctx, &request.spec.target_ref);
    Ok(World {
        now,
        class: ctx.caches.classes.get(&ObjectRef::new(class)).map(|class| class.spec.clone()),
        votes: votes(ctx, request, class).await?,
        authors,
        target,
    })
}

async fn votes(ctx: &Context, request: &ApprovalRequest, class: &str) -> Result<Vec<Vote>, Error> {
    let uid = request.uid().unwrap_or_default();
    let mut asked: HashMap<String, bool> = HashMap::new();
    let mut votes = Vec::new();
    for object in ctx.caches.votes_for(&uid) {
        let Some(mut vote) = records::vote(&object, &uid) else { continue };
        let username = vote.approver.username.clone();
        vote.may_approve = match asked.get(&username) {
            Some(may) => *may,
            None => may_approve(&ctx.client, &vote.approver, class).await?,
        };
        asked.insert(username, vote.may_approve);
        votes.push(vote);
    }
    Ok(votes)
}

/// Whether somebody holds verb `approve` on a class now.
async fn may_approve(client: &Client, who: &Identity, class: &str) -> Result<bool, Error> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(who.username.clone()),
            uid: some(&who.uid),
            groups: Some(who.groups.iter().cloned().collect()),
            extra: Some(who.extra.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(keywright_crds::GROUP.to_owned()),
                resource: Some("approvalclasses".to_owned()),
                name: Some(class.to_owned()),
                verb: Some("approve".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
}

/// Who made and who changed a target, and what it wants.
pub(super) type Known = (Authors, Target);

fn gone() -> Known {
    (Authors::default(), Target::Gone)
}

fn known(meta: &ObjectMeta, uid: &str, wants: Option<ObjectApproval>) -> Known {
    if meta.uid.as_deref() != Some(uid) || meta.deletion_timestamp.is_some() {
        return gone();
    }
    (records::authors(meta), Target::Wants(wants))
}

fn of_certificate(object: Option<&Certificate>, uid: &str) -> Known {
    object.map_or_else(gone, |cert| {
        known(&cert.metadata, uid, cert.status.as_ref().and_then(|status| status.approval.clone()))
    })
}

fn of_issuer<I: AnyIssuer>(object: Option<&I>, uid: &str) -> Known {
    object.map_or_else(gone, |issuer| {
        known(issuer.meta(), uid, issuer.issuer_status().and_then(|status| status.approval.clone()))
    })
}

fn cached(ctx: &Context, target: &TargetRef) -> Known {
    match ours(target) {
        None => (Authors::default(), Target::Foreign),
        Some(Ours::Issuer) => {
            let place = ObjectRef::new(&target.name).within(&target.namespace);
            of_issuer(ctx.caches.issuers.get(&place).as_deref(), &target.uid)
        }
        Some(Ours::ClusterIssuer) => {
            of_issuer(ctx.caches.cluster_issuers.get(&ObjectRef::new(&target.name)).as_deref(), &target.uid)
        }
        Some(Ours::Certificate) => {
            let place = ObjectRef::new(&target.name).within(&target.namespace);
            of_certificate(ctx.caches.certificates.get(&place).as_deref(), &target.uid)
        }
    }
}

/// Who made and changed the target and what it wants, read from the API server itself.
pub(super) async fn target_now(ctx: &Context, request: &ApprovalRequest) -> Result<Known, Error> {
    let target = &request.spec.target_ref;
    match ours(target) {
        // No object can have that name: there is nothing to ask for.
        Some(_) if !records::can_exist(target) => Ok(gone()),
        None => Ok((Authors::default(), Target::Foreign)),
        Some(Ours::Issuer) => {
            let api = Api::<Issuer>::namespaced(ctx.client.clone(), &target.namespace);
            Ok(of_issuer(api.get_opt(&target.name).await?.as_ref(), &target.uid))
        }
        Some(Ours::ClusterIssuer) => {
            let api = Api::<ClusterIssuer>::all(ctx.client.clone());
            Ok(of_issuer(api.get_opt(&target.name).await?.as_ref(), &target.uid))
        }
        Some(Ours::Certificate) => {
            let api = Api::<Certificate>::namespaced(ctx.client.clone(), &target.namespace);
            let object = api.get_opt(&target.name).await?;
            Ok(of_certificate(object.as_ref(), &target.uid))
        }
    }
}

/// Kinds whose effects this operator asks approval for.
enum Ours {
    Certificate,
    Issuer,
    ClusterIssuer,
}

fn ours(target: &TargetRef) -> Option<Ours> {
    match (target.group.as_str(), target.kind.as_str()) {
        (keywright_crds::GROUP, "Certificate") => Some(Ours::Certificate),
        (keywright_crds::GROUP, "Issuer") => Some(Ours::Issuer),
        (keywright_crds::GROUP, "ClusterIssuer") => Some(Ours::ClusterIssuer),
        _ => None,
    }
}
