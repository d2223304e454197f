//! What a Certificate, or a child authority, may rely on when it names an issuer.

#![allow(missing_docs, reason = "the fields of a variant are described by the variant")]

use super::profile::Profile;
use super::valid::ValidAuthority;
use crate::conditions;
use jiff::{SignedDuration, Timestamp};
use keywright_crds::{AnyIssuer, duration};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_pki::constraints::NameConstraints;
use keywright_pki::pem;
use keywright_pki::usage::Usages;
use std::sync::Arc;

/// Whether an issuer can sign.
#[derive(Debug, Clone)]
pub enum Standing {
    /// No such object.
    Missing,
    /// Not now; why, for people.
    NotReady { why: String },
    /// Yes.
    Ready(Arc<Authority>),
}

/// An authority that can sign.
#[derive(Debug)]
pub struct Authority {
    /// UID of the issuer object: the authority's name in the signer.
    pub uid: String,
    /// Generation of the issuer object that its status speaks of: what people agree to names it.
    pub generation: u64,
    /// As messages name it, such as `Issuer "services"`.
    pub shown: String,
    /// Subject key identifier, lower-case hexadecimal.
    pub key_id: String,
    /// Its own certificate first, the root last; never empty.
    pub chain: Vec<Certificate>,
    /// What the object says that it signs.
    pub limits: Limits,
    /// Effect of the last approval that was used for it: what was refused before may be allowed since.
    pub agreed: Option<String>,
}

impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid && self.own().der() == other.own().der()
    }
}

impl Eq for Authority {}

/// What an issuer signs, as its spec says.
#[derive(Debug, Default)]
pub struct Limits {
    /// Names.
    pub names: NameConstraints,
    /// Longest life of a leaf, by those above as well.
    pub max_leaf: Option<SignedDuration>,
    /// Usages; `None`: any.
    pub usages: Option<Usages>,
    /// Algorithms of the certified keys; empty: any.
    pub algorithms: Vec<KeyAlgorithm>,
    /// Whether it signs authorities whose key is elsewhere.
    pub allow_ca: bool,
    /// How many authorities may follow.
    pub path_length: Option<u32>,
    /// Narrower sets, one of which each Certificate comes under; empty: it signs without.
    pub profiles: Vec<Profile>,
}

impl Authority {
    /// Its own certificate.
    pub fn own(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The root it leads to.
    pub fn root(&self) -> &Certificate {
        self.chain.last().unwrap_or_else(|| self.own())
    }
}

/// How far the clocks of signer and operator may differ: an authority made a moment ago can look as if made later. The
/// signer judges again, by its own clock.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Whether the issuer that was read as `read` (`None`: there is none) can sign at `now`.
pub fn standing(read: Option<&Result<Arc<Authority>, String>>, now: Timestamp) -> Standing {
    match read {
        None => Standing::Missing,
        Some(Err(why)) => Standing::NotReady { why: why.clone() },
        Some(Ok(authority)) if authority.chain.iter().all(|c| valid(c, now)) => {
            Standing::Ready(Arc::clone(authority))
        }
        Some(Ok(_)) => {
            Standing::NotReady { why: "its certificate, or one above it, is not valid now.".to_owned() }
        }
    }
}

fn valid(certificate: &Certificate, now: Timestamp) -> bool {
    let validity = certificate.validity();
    validity.contains(now.max(validity.not_before())) && validity.not_before().duration_since(now) <= SKEW
}

/// What an issuer object says of its authority, whatever the time. Errors: why it cannot sign, for people.
pub fn read<I: AnyIssuer>(issuer: &I) -> Result<Authority, String> {
    let meta = issuer.meta();
    if meta.deletion_timestamp.is_some() {
        return Err("it is being deleted.".to_owned());
    }
    let status = issuer.issuer_status().ok_or("it has not been looked at yet.")?;
    let ready = conditions::find(&status.conditions, "Ready").ok_or("it has not been looked at yet.")?;
    if ready.status != "True" {
        return Err(format!("{}: {}", ready.reason, ready.message));
    }
    let published = status.authority.as_ref().and_then(|a| a.certificate.as_deref()).unwrap_or_default();
    let chain = pem::read_certificates(published.as_bytes())
        .ok()
        .and_then(|ders| ders.iter().map(|der| Certificate::from_der(der).ok()).collect::<Option<Vec<_>>>())
        .filter(|chain| !chain.is_empty())
        .ok_or("its status holds no certificate that reads.")?;
    let mut limits = ValidAuthority::parse(issuer).map_err(|problem| problem.to_string())?.limits;
    let shown = status.authority.as_ref().and_then(|a| a.max_leaf_duration.as_deref());
    let inherited = shown.and_then(|text| SignedDuration::try_from(duration::parse(text).ok()?).ok());
    limits.max_leaf = limits.max_leaf.into_iter().chain(inherited).min();
    let used = status.approval.as_ref().filter(|approval| approval.used_at.is_some());
    Ok(Authority {
        agreed: used.map(|approval| approval.effect_digest.clone()),
        generation: status.observed_generation.and_then(|g| u64::try_from(g).ok()).unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        shown: format!("{} {:?}", I::KIND.name(), meta.name.as_deref().unwrap_or_default()),
        key_id: chain[0].subject_key_identifier().map(hex::encode).unwrap_or_default(),
        chain,
        limits,
    })
}
