//! Sends one target what is due of one request.

use super::Parcel;
use crate::context::Context;
use crate::events::{Tell, tell};
use http::HeaderName;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use keywright_approvals::records;
use keywright_controllers_core::notice::endpoint::wipe;
use keywright_controllers_core::notice::{
    Destination, Document, Notice, SIGNATURE, Unusable, Verdict, body, judge, signature,
};
use keywright_crds::{
    ApprovalRequest, Certificate, ClusterIssuer, GROUP, Issuer, NoticeForm, NotifyTarget, SecretEntry,
};
use kube::ResourceExt;
use kube::api::Api;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often a Secret is looked at again that was not good: nothing here may watch Secrets of the operator's namespace.
const ANOTHER_SECRET: Duration = Duration::from_mins(10);

/// What came of one notice.
enum Outcome {
    /// It has it.
    Delivered,
    /// Not before this pause, if one was asked for.
    Again(Option<Duration>),
    /// Not with these Secrets; why.
    Never(String),
}

/// What was read for a target, and the versions it was read in.
struct Found {
    destination: Result<Destination, Unusable>,
    versions: String,
}

/// Sends what is due, in order: what fails keeps back what is behind it, what is refused does not. Returns when to look
/// again if anything is left.
pub(super) async fn send(
    ctx: &Context,
    request: &ApprovalRequest,
    target: &NotifyTarget,
    notices: Vec<Notice<'_>>,
    now: Timestamp,
) -> Option<Duration> {
    let (memory, uid) = (&ctx.notices.memory, request.uid().unwrap_or_default());
    let delivered = memory.delivered(&uid);
    let notices: Vec<_> = notices.into_iter().filter(|notice| !delivered.contains(&notice.mark())).collect();
    if notices.is_empty() {
        return None;
    }
    let key = (request.spec.approval_class.clone(), target.name.clone());
    if let Some(left) = memory.pause(&key, ctx.clock.monotonic()) {
        return Some(left);
    }
    let (found, creator) = match tokio::try_join!(find(ctx, target), creator(ctx, request)) {
        Ok(both) => both,
        Err(error) => {
            tracing::warn!(%error, class = key.0, target = key.1, "what a notice needs cannot be read");
            return Some(memory.failed(&key, None, ctx.clock.monotonic()));
        }
    };
    let mut left = None;
    for notice in notices {
        let mark = notice.mark();
        if memory.is_refused(&uid, &mark, &found.versions) {
            left = Some(ANOTHER_SECRET);
            continue;
        }
        match attempt(ctx, request, &notice, (&found, creator.as_deref()), now).await {
            Outcome::Delivered => {
                ctx.metrics.notice(target.form, "delivered");
                memory.answered(&key);
                memory.deliver(&uid, mark);
            }
            Outcome::Again(pause) => {
                ctx.metrics.notice(target.form, "failed");
                return Some(memory.failed(&key, pause, ctx.clock.monotonic()));
            }
            Outcome::Never(why) => {
                ctx.metrics.notice(target.form, "refused");
                left = Some(ANOTHER_SECRET);
                if memory.refuse(&uid, &mark, &found.versions) {
                    announce(ctx, request, &notice, &why, now).await;
                }
            }
        }
    }
    left
}

/// Reads the Secrets that a target names. Errors: the API server gave no answer.
async fn find(ctx: &Context, target: &NotifyTarget) -> Result<Found, kube::Error> {
    let secrets = Api::<Secret>::namespaced(ctx.client.clone(), &ctx.notices.namespace);
    let get = async |entry: &SecretEntry| match secrets.get_opt(&entry.name).await {
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            Ok(Err(Unusable::Forbidden(entry.name.clone())))
        }
        other => other.map(Ok),
    };
    let mut url = get(&target.url_from).await?;
    let mut hmac = match &target.hmac_key_from {
        Some(entry) if target.form == NoticeForm::Webhook => get(entry).await?,
        Some(_) | None => Ok(None),
    };
    let version = |secret: &Result<Option<Secret>, Unusable>| match secret {
        Ok(Some(secret)) => secret.resource_version().unwrap_or_default(),
        Ok(None) => "none".to_owned(),
        Err(_) => "forbidden".to_owned(),
    };
    let versions = format!("{} {} {:?}", version(&url), version(&hmac), target);
    let destination = match (&url, &hmac) {
        (Ok(url), Ok(hmac)) => Destination::read(target, url.as_ref(), hmac.as_ref()),
        (Err(unusable), _) | (_, Err(unusable)) => Err(unusable.clone()),
    };
    for secret in [&mut url, &mut hmac] {
        if let Ok(Some(secret)) = secret {
            wipe(secret);
        }
    }
    Ok(Found { destination, versions })
}

/// Who made the object that a request is about, as stamped there. In another namespace than the request's nothing is looked
/// up: whoever files a request would choose what the operator fails at.
async fn creator(ctx: &Context, request: &ApprovalRequest) -> Result<Option<String>, kube::Error> {
    let target = &request.spec.target_ref;
    let (client, namespace, name) = (ctx.client.clone(), &target.namespace, &target.name);
    let is_beside = request.namespace().as_ref() == Some(namespace);
    let meta = match (target.group.as_str(), target.kind.as_str()) {
        (GROUP, "Certificate") if is_beside => Api::<Certificate>::namespaced(client, namespace)
            .get_metadata_opt(name)
            .await?
            .map(|found| found.metadata),
        (GROUP, "Issuer") if is_beside => Api::<Issuer>::namespaced(client, namespace)
            .get_metadata_opt(name)
            .await?
            .map(|found| found.metadata),
        (GROUP, "ClusterIssuer") => {
            Api::<ClusterIssuer>::all(client).get_metadata_opt(name).await?.map(|found| found.metadata)
        }
        _ => None,
    };
    let meta = meta.filter(|meta| meta.uid.as_ref() == Some(&target.uid));
    Ok(meta.and_then(|meta| records::creator(&meta)).map(|who| who.username))
}

async fn attempt(
    ctx: &Context,
    request: &ApprovalRequest,
    notice: &Notice<'_>,
    (found, creator): (&Found, Option<&str>),
    now: Timestamp,
) -> Outcome {
    let to = match &found.destination {
        Ok(to) => to,
        Err(unusable) => return Outcome::Never(unusable.to_string()),
    };
    let body = match body(&Document::new(notice, request, creator), notice.target.form) {
        Ok(body) => body,
        Err(error) => return Outcome::Never(format!("it has no JSON form, which is a defect: {error}")),
    };
    let sign = |key: &Zeroizing<Vec<u8>>| (HeaderName::from_static(SIGNATURE), signature(key, now, &body));
    let headers = to.hmac_key.iter().map(sign).collect();
    let parcel = Parcel { to: to.endpoint.clone(), roots: to.roots.clone(), headers, body };
    match ctx.notices.post.post(parcel).await {
        Ok(answer) => match judge(answer.status, answer.retry_after.as_deref(), now) {
            Verdict::Delivered => Outcome::Delivered,
            Verdict::Again { pause } => {
                failed(request, notice, &format!("HTTP status {}", answer.status));
                Outcome::Again(pause)
            }
            Verdict::Refused => Outcome::Never(format!(
                "it answered with HTTP status {}; mend the URL in Secret {:?}",
                answer.status, notice.target.url_from.name
            )),
        },
        Err(error) => {
            failed(request, notice, &error.to_string());
            Outcome::Again(None)
        }
    }
}

fn failed(request: &ApprovalRequest, notice: &Notice<'_>, error: &str) {
    tracing::warn!(
        namespace = request.namespace(),
        name = request.name_any(),
        class = request.spec.approval_class,
        target = notice.target.name,
        event = notice.event.name(),
        error,
        "a notice was not delivered; it is tried again"
    );
}

/// What a person has to mend is told where they look.
async fn announce(ctx: &Context, request: &ApprovalRequest, notice: &Notice<'_>, why: &str, now: Timestamp) {
    let note = format!(
        "Target {:?} of ApprovalClass {:?} is not told of {}: {why}. When that has changed it is tried again.",
        notice.target.name,
        request.spec.approval_class,
        notice.event.name()
    );
    tracing::warn!(
        namespace = request.namespace(),
        name = request.name_any(),
        note,
        "a notice cannot be delivered"
    );
    tell(&ctx.client, request, &ctx.identity, &Tell { warning: true, reason: "NoticeRefused", note }, now)
        .await;
}
