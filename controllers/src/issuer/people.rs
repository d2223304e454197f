//! What an issuer does when people have to agree: asks them, and brings their approval.

use crate::approval::ask::{Filing, filed, namespace_of, shown_to_policies};
use crate::context::Context;
use crate::error::Error;
use crate::signer::Told;
use keywright_approvals::{EffectDigest, records};
use keywright_controllers_core::approval::consent::{
    Consent, Waiting, consent, request, request_name, with_creator,
};
use keywright_controllers_core::issuer::Standing;
use keywright_controllers_core::issuer::approval::{Asked, is_loosening, shown, stands, target};
use keywright_controllers_core::issuer::ready::Outcome;
use keywright_controllers_core::issuer::valid::ValidAuthority;
use keywright_crds::{AnyIssuer, ObjectApproval};
use keywright_policy::Approval;
use keywright_signer_protocol::v1alpha1::EnsureAuthorityRequest;
use serde_json::Value;

/// What people were asked and said so far.
pub(super) struct Asking {
    /// As the status tells it.
    pub(super) approval: ObjectApproval,
    /// Whether constraints would become looser.
    pub(super) loosening: bool,
    /// What it comes to.
    pub(super) consent: Consent,
    /// Approvals that are given, as policies are shown them.
    pub(super) approvals: Vec<Approval>,
}

/// Number of the certificate that people were asked about and did not allow yet.
pub(super) fn asked<I: AnyIssuer>(issuer: &I) -> Option<u64> {
    let approval = issuer.issuer_status()?.approval.as_ref().filter(|approval| approval.used_at.is_none())?;
    u64::try_from(approval.revision).ok()
}

/// The constraints of a loosening that was used under the certificate of now.
pub(super) fn loosened<I: AnyIssuer>(ctx: &Context, issuer: &I) -> Option<Value> {
    let status = issuer.issuer_status()?;
    let used = status.approval.as_ref().filter(|approval| approval.used_at.is_some())?;
    if Some(used.revision) != status.authority.as_ref()?.revision {
        return None;
    }
    let filed = ctx.caches.filed(&target(issuer), &used.effect_digest.parse().ok()?, None);
    let effect: Value = serde_json::from_str(&filed.first()?.request.spec.effect).ok()?;
    is_loosening(&effect).then(|| effect["constraints"].clone())
}

/// What was asked for this very request to the signer. `None`: nothing, or something that is not wanted any more.
pub(super) async fn asking<I: AnyIssuer>(
    ctx: &Context,
    issuer: &I,
    authority: &ValidAuthority,
    ensure: &EnsureAuthorityRequest,
    parent: Option<&Standing>,
) -> Result<Option<Asking>, Error> {
    let status = issuer.issuer_status();
    let told = status.and_then(|status| status.approval.clone()).filter(|told| told.used_at.is_none());
    let Some((told, digest)) = told.and_then(|told| {
        let digest: EffectDigest = told.effect_digest.parse().ok()?;
        Some((told, digest))
    }) else {
        return Ok(None);
    };
    let target = target(issuer);
    let filed = filed(ctx, &target, Some(&told), &digest, None).await?;
    let effect = filed.first().and_then(|one| serde_json::from_str::<Value>(&one.request.spec.effect).ok());
    let seen = status.and_then(|status| status.observed_generation);
    let Some(effect) = effect.filter(|effect| stands(effect, authority, ensure, parent, seen)) else {
        return Ok(None);
    };
    let consent = match consent(&filed) {
        Consent::Given(uses) => {
            let creator = records::creator(issuer.meta()).map(|who| who.username);
            Consent::Given(with_creator(uses, creator.as_deref()))
        }
        other @ (Consent::Unasked | Consent::Waiting(_) | Consent::Refused(_)) => other,
    };
    let approvals = match consent {
        Consent::Given(_) => shown_to_policies(&filed),
        Consent::Unasked | Consent::Waiting(_) | Consent::Refused(_) => Vec::new(),
    };
    Ok(Some(Asking { approval: told, loosening: is_loosening(&effect), consent, approvals }))
}

/// Forms the requests that the signer's refusal asks for. `None`: its effect cannot be told, so nobody can be asked.
pub(super) fn ask<I: AnyIssuer>(
    ctx: &Context,
    issuer: &I,
    ensure: &EnsureAuthorityRequest,
    classes: &[String],
    digest: &str,
    told: Option<&Told>,
) -> Option<(Outcome, Filing)> {
    let told = told?;
    let asked = Asked::read(classes, digest, &told.effect, &told.constraints)?;
    let target = target(issuer);
    let namespace = namespace_of(ctx, &target);
    let diff = asked.diff(&format!("{} {:?}", I::KIND.name(), target.name));
    let form = |class: &String| {
        let name = request_name(&target, &asked.digest, class, None);
        let about = (target.clone(), records::named_editors(issuer.meta()));
        request(&namespace, &name, about, &asked.effect, class, &diff).ok()
    };
    let requests = classes.iter().map(form).collect::<Option<Vec<_>>>()?;
    let step = ensure.request_key.as_ref().map_or(0, |key| key.step);
    let on = Waiting::just_asked(&requests)?;
    let approval = shown(&on.request, &on.class, &asked.digest, step);
    Some((Outcome::AwaitingApproval { on, approval, authority: None }, Filing(requests)))
}
