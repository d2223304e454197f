//! Carries out a plan that acts: asks the signer, writes the Secret. Chooses nothing.

use super::people::{self, Brought};
use super::question::{asker, question};
use super::unpublished::Made;
use crate::approval::ask::Filing;
use crate::context::{Context, FIELD_MANAGER};
use crate::error::Error;
use crate::signer::SignerError;
use crate::trace::{self, Look};
use crate::verdict;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::decide::{Blocked, Order, Plan, World, facts_of, leaf_facts};
use keywright_controllers_core::certificate::held::Found;
use keywright_controllers_core::certificate::ready::Outcome;
use keywright_controllers_core::certificate::secret::{Publication, publication};
use keywright_controllers_core::certificate::valid::ValidCertificate;
use keywright_controllers_core::issuer::Authority;
use keywright_controllers_core::policy::unless_new;
use keywright_controllers_core::wire;
use keywright_crds::Certificate as Object;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_pki::csr;
use keywright_pki::key::{KeyError, PrivateKey};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_signer_protocol::v1alpha1::{ApprovalUse, IssueRequest, Issued, ObjectRef, RequestKey};
use keywright_telemetry::names;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};

/// How far the clocks of signer and operator may be apart. An operator whose clock is past the renewal of what it has
/// just been given would ask for the next one, and so on without end.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

/// What a plan ended in.
pub(super) struct Applied {
    pub(super) outcome: Outcome,
    /// resourceVersion of the Secret that was written.
    pub(super) secret: Option<String>,
    /// Requests for approval to file once the status tells of them.
    pub(super) filing: Option<Filing>,
}

impl Applied {
    fn written(outcome: Outcome, secret: Option<String>) -> Self {
        Self { outcome, secret, filing: None }
    }
}

impl From<Outcome> for Applied {
    fn from(outcome: Outcome) -> Self {
        Self::written(outcome, None)
    }
}

/// A certificate was not made.
enum Unmade {
    Signer(SignerError),
    People(Box<Applied>),
}

/// Carries out a plan. `object`: the Certificate as the cache has it.
pub(super) async fn apply(
    ctx: &Context,
    object: &Object,
    cert: &ValidCertificate,
    plan: Plan,
    world: &mut World,
    traced: &mut Look,
) -> Result<Applied, Error> {
    match plan {
        Plan::Sign { order } => sign(ctx, object, cert, order, world, traced).await,
        Plan::Republish { leaf, publication, because } => {
            tracing::info!(namespace = cert.namespace, name = cert.name, because, "writing the Secret again");
            match write(ctx, &publication, traced).await? {
                Ok(version) => Ok(Applied::written(Outcome::Current { leaf, renewed: false }, version)),
                Err(words) => Ok(Outcome::SecretNotWritten { words, leaf: Some(leaf) }.into()),
            }
        }
        // These leave nothing to do; their outcome is known from the plan.
        Plan::Rest { leaf } => Ok(Outcome::Current { leaf, renewed: false }.into()),
        Plan::Wait { on, leaf } => Ok(Outcome::Waiting { on, issuer: cert.issuer.clone(), leaf }.into()),
        Plan::Stop { because } => Ok(Outcome::Blocked { because, secret: cert.secret_name.clone() }.into()),
    }
}

async fn sign(
    ctx: &Context,
    object: &Object,
    cert: &ValidCertificate,
    order: Order,
    world: &mut World,
    traced: &mut Look,
) -> Result<Applied, Error> {
    let before = match &world.found {
        Found::Ours(held) => leaf_facts(cert, held),
        Found::Nothing | Found::Blocked(_) => None,
    };
    let due = before
        .as_ref()
        .map_or(object.metadata.creation_timestamp.as_ref().map(|at| at.0), |leaf| Some(leaf.renewal));
    let first = before.is_none();
    let made = match ctx.unpublished.take(&cert.uid, order.step, &order.effect) {
        Some(made) => made,
        None => match ask(ctx, object, cert, &order, world, traced).await? {
            Ok(made) => made,
            Err(Unmade::People(applied)) => return Ok(*applied),
            Err(Unmade::Signer(SignerError::Refused(words) | SignerError::Loosening(words))) => {
                ctx.unpublished.refused(&cert.uid, ask_digest(&order), words.clone());
                let because = Blocked::Refused { words };
                return Ok(Outcome::Blocked { because, secret: cert.secret_name.clone() }.into());
            }
            Err(Unmade::Signer(SignerError::StaleStep { newest, words })) => {
                ctx.unpublished.behind(&cert.uid, newest);
                return Err(Error::Behind(words));
            }
            Err(Unmade::Signer(
                SignerError::ApprovalInvalid { words, .. } | SignerError::ApprovalRequired { words, .. },
            )) => {
                people::look_again(ctx, cert);
                return Ok(Outcome::ApprovalNotTaken { words, leaf: before }.into());
            }
            Err(Unmade::Signer(SignerError::PolicyDenied(words))) => {
                let said = object.status.as_ref().map_or(&[][..], |status| &status.conditions);
                let words = unless_new(said, words);
                return Ok(Outcome::PolicyDenied { words, leaf: before }.into());
            }
            // Its owner is told only if it lasts.
            Err(Unmade::Signer(SignerError::PolicyStale(words))) if ctx.backoff.is_clear(&cert.uid) => {
                return Err(Error::PoliciesChange(words));
            }
            Err(Unmade::Signer(SignerError::PolicyStale(words))) => {
                return Ok(Outcome::PoliciesChange { words, leaf: before }.into());
            }
            Err(Unmade::Signer(SignerError::Unavailable(words) | SignerError::KeyLost(words))) => {
                return Ok(Outcome::SignerUnavailable { words, leaf: before }.into());
            }
        },
    };
    if let Some(words) = unusable(&made, cert, &order, world) {
        return Ok(Outcome::AnswerUnusable { words, leaf: before }.into());
    }
    ctx.confirmations.note(&cert.uid, &made.leaf.serial().to_string());
    let issuer = Some(order.authority.uid.clone());
    let leaf = facts_of(cert, &made.leaf, order.step, Some(made.log_index), issuer);
    let secret =
        publication(cert, &order.authority, &made.leaf, &made.key, &leaf, &order.effect, order.over.clone())?;
    traced.set(names::SERIAL, || leaf.serial.clone());
    traced.set(names::LOG_INDEX, || made.log_index);
    match write(ctx, &secret, traced).await {
        Ok(Ok(version)) => {
            tracing::info!(
                namespace = cert.namespace,
                name = cert.name,
                serial = leaf.serial,
                revision = leaf.revision,
                because = ?order.because,
                trace_id = trace::trace_id(&object.metadata),
                "issued"
            );
            if let Some(due) = due {
                ctx.metrics.issued(first, ctx.clock.now().duration_since(due));
            }
            Ok(Applied::written(Outcome::Current { leaf, renewed: true }, version))
        }
        Ok(Err(words)) => {
            ctx.unpublished.keep(&cert.uid, made);
            Ok(Outcome::SecretNotWritten { words, leaf: before }.into())
        }
        Err(error) => {
            ctx.unpublished.keep(&cert.uid, made);
            Err(error)
        }
    }
}

async fn ask(
    ctx: &Context,
    object: &Object,
    cert: &ValidCertificate,
    order: &Order,
    world: &mut World,
    traced: &mut Look,
) -> Result<Result<Made, Unmade>, Error> {
    if let Some(words) = ctx.unpublished.refusal(&cert.uid, &ask_digest(order)) {
        return Ok(Err(Unmade::Signer(SignerError::Refused(words))));
    }
    let kept = match &mut world.found {
        Found::Ours(held) if order.keep_key => held.key.take(),
        Found::Ours(_) | Found::Nothing | Found::Blocked(_) => None,
    };
    let kept = kept.or_else(|| ctx.unpublished.take_key(&cert.uid, order.step, &order.effect));
    let kept = match kept {
        Some(key) => Some(key),
        None => people::kept_key(ctx, object, cert, order).await?,
    };
    let key = match kept {
        Some(key) => key,
        None => generate(cert.algorithm).await?,
    };
    let Brought { uses, approvals } = match people::approvals(ctx, object, cert, order, &key, world).await? {
        Ok(brought) => brought,
        Err(outcome) => return Ok(Err(Unmade::People(Box::new(outcome.into())))),
    };
    let asker = asker(object, cert, approvals);
    let verdict = verdict::ask(ctx, asker, || question(cert, order, key.public_key())).await;
    let answer = if let Some(words) = verdict.denied {
        Err(SignerError::PolicyDenied(words))
    } else {
        let request = IssueRequest {
            policy_digest: verdict.seen,
            policy_facts: Some(verdict::facts(&object.metadata)),
            ..request(ctx, cert, order, &key, uses)?
        };
        put(ctx, cert, order, request, traced).await
    };
    let answer = answer.and_then(|issued| {
        let leaf = Certificate::from_der(&issued.certificate)
            .map_err(|error| SignerError::Unavailable(format!("its answer does not read: {error}")))?;
        Ok((leaf, issued.log_index))
    });
    Ok(match answer {
        Ok((leaf, log_index)) => Ok(Made {
            effect: order.effect.clone(),
            step: order.step,
            key,
            leaf,
            log_index,
            asked: world.now,
        }),
        Err(SignerError::ApprovalRequired { classes, effect, authority, policies, words }) => {
            ctx.unpublished.learn_policies(&policies);
            match people::ask(ctx, object, cert, order, &key, world, (&classes, &effect)).await? {
                Some((outcome, filing)) => {
                    Err(Unmade::People(Box::new(Applied { outcome, secret: None, filing: Some(filing) })))
                }
                None => Err(Unmade::Signer(SignerError::ApprovalRequired {
                    classes,
                    effect,
                    authority,
                    policies,
                    words,
                })),
            }
        }
        Err(error) => {
            if let SignerError::ApprovalInvalid { policies, .. } = &error {
                ctx.unpublished.learn_policies(policies);
            }
            ctx.unpublished.keep_key(&cert.uid, order.step, &order.effect, key);
            Err(Unmade::Signer(error))
        }
    })
}

/// Puts a request to the signer, as a span of the look.
async fn put(
    ctx: &Context,
    cert: &ValidCertificate,
    order: &Order,
    request: IssueRequest,
    traced: &mut Look,
) -> Result<Issued, SignerError> {
    traced.set(names::ISSUER_KIND, || cert.issuer.kind.name().to_owned());
    traced.set(names::ISSUER_NAME, || cert.issuer.name.clone());
    traced.set(names::REQUEST_KEY, || format!("{}/{}", cert.uid, order.step));
    let asking = traced.request("ask the signer");
    let answer = ctx.signer.issue(request, asking.context()).await;
    trace::end(asking, &answer, SignerError::name);
    answer
}

/// RSA keys take up to seconds: they are made where they hold nobody up.
async fn generate(algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyError> {
    match algorithm {
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            match tokio::task::spawn_blocking(move || PrivateKey::generate(algorithm)).await {
                Ok(key) => key,
                Err(ended) => std::panic::resume_unwind(ended.into_panic()),
            }
        }
        KeyAlgorithm::EcdsaP256
        | KeyAlgorithm::EcdsaP384
        | KeyAlgorithm::EcdsaP521
        | KeyAlgorithm::Ed25519
        | KeyAlgorithm::MlDsa44
        | KeyAlgorithm::MlDsa65
        | KeyAlgorithm::MlDsa87 => PrivateKey::generate(algorithm),
    }
}

fn request(
    ctx: &Context,
    cert: &ValidCertificate,
    order: &Order,
    key: &PrivateKey,
    approvals: Vec<ApprovalUse>,
) -> Result<IssueRequest, csr::CsrError> {
    // The signer takes the public key and the proof from it; names and usages are said in words of their own.
    let pkcs10 = csr::build(&DistinguishedName::default(), &SubjectAltNames::default(), key)?;
    Ok(IssueRequest {
        fencing_token: ctx.fencing_token,
        request_key: Some(RequestKey { object_uid: cert.uid.clone(), step: order.step }),
        object: Some(ObjectRef {
            kind: "Certificate".to_owned(),
            namespace: cert.namespace.clone(),
            name: cert.name.clone(),
        }),
        authority_uid: order.authority.uid.clone(),
        pkcs10,
        subject: Some(wire::distinguished_name(&cert.subject)),
        sans: Some(wire::sans(&cert.sans)),
        duration_seconds: order.life.as_secs().unsigned_abs(),
        usages: cert.usages.names().into_iter().map(str::to_owned).collect(),
        is_ca: cert.is_ca,
        profile: cert.profile.clone().unwrap_or_default(),
        approvals,
        ..IssueRequest::default()
    })
}

/// Why the answer must not be stored: publishing it would only ask for the next one.
fn unusable(made: &Made, cert: &ValidCertificate, order: &Order, world: &World) -> Option<String> {
    if made.leaf.public_key() != made.key.public_key() {
        return Some("it is for another key".to_owned());
    }
    if made.leaf.verify_signed_by(order.authority.own().public_key()).is_err() {
        return Some(format!("it is not signed by the key that {} shows", order.authority.shown));
    }
    if made.leaf.validity().not_after() <= world.now {
        return Some("it has expired already; compare the clocks of signer and operator".to_owned());
    }
    let apart = world.now.duration_since(made.leaf.validity().not_before()).abs();
    if made.asked == world.now && apart > CLOCKS_APART {
        return Some(format!(
            "its life begins {} minutes off the operator's clock; compare the clocks of signer and operator",
            apart.as_mins()
        ));
    }
    (!keywright_controllers_core::certificate::decide::certifies(&made.leaf, cert))
        .then(|| "its names, usages or key are not those of the spec".to_owned())
}

/// What is asked of whom: a refusal holds as long as neither changes. An edit of the issuer may give it the profile that it
/// had not.
fn ask_digest(order: &Order) -> String {
    let Authority { agreed, generation, .. } = &*order.authority;
    let agreed = agreed.as_deref().unwrap_or_default();
    format!("{}/{}/{generation}/{agreed}", order.effect, order.authority.own().serial())
}

/// Writes the Secret. The inner error is the API server's refusal, in its words.
async fn write(
    ctx: &Context,
    publication: &Publication,
    traced: &mut Look,
) -> Result<Result<Option<String>, String>, Error> {
    let (namespace, name) = publication.target();
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    // By force only over what was looked at: a Secret that somebody made meanwhile is theirs, and makes this a conflict.
    let params = PatchParams { force: publication.is_over(), ..PatchParams::apply(FIELD_MANAGER) };
    let writing = traced.request("publish Secret");
    let written = secrets.patch(name, &params, &Patch::Apply(publication.secret())).await;
    trace::end(writing, &written, |_| "ApiServer");
    match written {
        Ok(written) => Ok(Ok(written.resource_version())),
        Err(kube::Error::Api(status)) if status.is_forbidden() || status.is_invalid() => {
            Ok(Err(status.message.clone()))
        }
        Err(error) => Err(error.into()),
    }
}
