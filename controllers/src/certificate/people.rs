//! What a Certificate does when people have to agree: keeps its key, asks them, brings their approval, wipes the key.

use crate::approval::ask::{Filing, filed, shown_to_policies};
use crate::context::{Context, FIELD_MANAGER};
use crate::error::Error;
use k8s_openapi::api::core::v1::Secret;
use keywright_approvals::{EffectDigest, records};
use keywright_controllers_core::approval::consent::{
    Consent, Waiting, consent, request, request_name, with_creator,
};
use keywright_controllers_core::certificate::approval::{
    diff, effect, holds_key, is_waiting, kept_key as read_kept, pending_name, pending_secret, shown, target,
};
use keywright_controllers_core::certificate::decide::{Blocked, Order, World, leaf_facts};
use keywright_controllers_core::certificate::held::Found;
use keywright_controllers_core::certificate::ready::Outcome;
use keywright_controllers_core::certificate::valid::ValidCertificate;
use keywright_crds::{ApprovalRequest, Certificate};
use keywright_pki::key::PrivateKey;
use keywright_policy::Approval;
use keywright_signer_protocol::v1alpha1::ApprovalUse;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

fn waits(object: &Certificate) -> bool {
    object.status.as_ref().is_some_and(is_waiting)
}

fn secrets(client: &Client, namespace: &str) -> Api<Secret> {
    Api::namespaced(client.clone(), namespace)
}

/// The key that was kept for this order while people decided.
pub(super) async fn kept_key(
    ctx: &Context,
    object: &Certificate,
    cert: &ValidCertificate,
    order: &Order,
) -> Result<Option<PrivateKey>, Error> {
    if !waits(object) {
        return Ok(None);
    }
    let secret = secrets(&ctx.client, &cert.namespace).get_opt(&pending_name(&cert.uid)).await?;
    Ok(read_kept(cert, order, secret.as_ref()))
}

/// The approvals that a request brings.
#[derive(Default)]
pub(super) struct Brought {
    /// As the signer is told of them.
    pub(super) uses: Vec<ApprovalUse>,
    /// As policies are shown them.
    pub(super) approvals: Vec<Approval>,
}

/// The approvals to bring, or what is so while there are none.
pub(super) async fn approvals(
    ctx: &Context,
    object: &Certificate,
    cert: &ValidCertificate,
    order: &Order,
    key: &PrivateKey,
    world: &World,
) -> Result<Result<Brought, Outcome>, Error> {
    let Some(digest) = effect(cert, order, key.public_key(), &ctx.unpublished.policies())
        .digest()
        .ok()
        .filter(|_| waits(object))
    else {
        return Ok(Ok(Brought::default()));
    };
    let told = object.status.as_ref().and_then(|status| status.approval.as_ref());
    let filed = filed(ctx, &target(cert), told, &digest, cert.renew_request.as_deref()).await?;
    match consent(&filed) {
        Consent::Unasked => Ok(Ok(Brought::default())),
        Consent::Given(uses) => {
            let creator = records::creator(&object.metadata).map(|who| who.username);
            let uses = with_creator(uses, creator.as_deref());
            Ok(Ok(Brought { uses, approvals: shown_to_policies(&filed) }))
        }
        Consent::Waiting(on) => Ok(Err(waiting(cert, order, world, on, &digest))),
        Consent::Refused(refused) => {
            let because = Blocked::Approval(refused);
            Ok(Err(Outcome::Blocked { because, secret: cert.secret_name.clone() }))
        }
    }
}

fn waiting(
    cert: &ValidCertificate,
    order: &Order,
    world: &World,
    on: Waiting,
    digest: &EffectDigest,
) -> Outcome {
    let leaf = match &world.found {
        Found::Ours(held) => leaf_facts(cert, held),
        Found::Nothing | Found::Blocked(_) => None,
    };
    Outcome::AwaitingApproval { approval: shown(order, &on.request, &on.class, digest.to_string()), on, leaf }
}

/// Keeps the key, and forms the requests for these classes. `None`: the signer sees another effect, as when it knows
/// another generation of the issuer.
pub(super) async fn ask(
    ctx: &Context,
    object: &Certificate,
    cert: &ValidCertificate,
    order: &Order,
    key: &PrivateKey,
    world: &World,
    (classes, wanted): (&[String], &str),
) -> Result<Option<(Outcome, Filing)>, Error> {
    let effect = effect(cert, order, key.public_key(), &ctx.unpublished.policies());
    let digest = effect.digest().ok().filter(|digest| digest.to_string() == wanted);
    let Some(digest) = digest else { return Ok(None) };
    if !order.keep_key {
        let secret = pending_secret(cert, Some((order, key)))?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let api = secrets(&ctx.client, &cert.namespace);
        api.patch(&secret.name_any(), &params, &Patch::Apply(&secret)).await?;
    }
    let before = match &world.found {
        Found::Ours(held) => held.leaf.as_ref(),
        Found::Nothing | Found::Blocked(_) => None,
    };
    let again = cert.renew_request.as_deref();
    let diff = diff(cert, order, before);
    let form = |class: &String| {
        let name = request_name(&target(cert), &digest, class, again);
        let about = (target(cert), records::named_editors(&object.metadata));
        request(&cert.namespace, &name, about, &effect.to_value(), class, &diff).ok()
    };
    let requests: Vec<ApprovalRequest> = classes.iter().filter_map(form).collect();
    let Some(on) = Waiting::just_asked(&requests) else { return Ok(None) };
    Ok(Some((waiting(cert, order, world, on, &digest), Filing(requests))))
}

/// The signer did not take an approval: the requests show why only when they are looked at anew.
pub(super) fn look_again(ctx: &Context, cert: &ValidCertificate) {
    for request in ctx.caches.requests.state() {
        if request.spec.target_ref.uid == cert.uid {
            ctx.queues.requests.push(ObjectRef::from_obj(request.as_ref()));
        }
    }
}

/// Wipes a kept key that is of no use any more. The Secret stays, empty: nothing of ours may delete Secrets.
pub(super) async fn wipe(ctx: &Context, object: &Certificate) -> Result<(), Error> {
    let Ok(cert) = ValidCertificate::parse(object) else { return Ok(()) };
    if !waits(object) {
        return Ok(());
    }
    let api = secrets(&ctx.client, &cert.namespace);
    let held = api.get_opt(&pending_name(&cert.uid)).await?.is_some_and(|secret| holds_key(&secret));
    if held {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch(&pending_name(&cert.uid), &params, &Patch::Apply(pending_secret(&cert, None)?)).await?;
    }
    Ok(())
}
