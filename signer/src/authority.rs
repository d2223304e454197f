//! Authorities whose keys are open in this process.
//!
//! ```text
//! AuthorityRow (sealed) -> open -> Authority { key, constraints, newest certificate }  -> judge -> what to sign
//! ```

use crate::algorithm;
use crate::approval::Approved;
use crate::authority_key::{AuthorityKey, FindError, KeyStore};
use crate::constraints::KeyConstraints;
use crate::ids::Uid;
use crate::ledger::{AuthorityRow, KeyState, Purpose};
use crate::parse;
use crate::purpose;
use crate::refusal::{Reason, Refusal};
use crate::seal::{Kek, SealError};
use keywright_ambient::Entropy;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_pki::name::DistinguishedName;
use prost::Message as _;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Longest chain of authorities: more is a loop or a mistake.
const MAX_DEPTH: usize = 16;

/// The newest certificate of an authority.
#[derive(Debug, Clone)]
pub struct Current {
    /// The certificate.
    pub certificate: Certificate,
    /// Step of the request it was made for.
    pub step: u64,
    /// Index of its signature's entry.
    pub log_index: u64,
}

/// An authority, its key open.
#[derive(Clone)]
pub struct Authority {
    /// Its name, for ever.
    pub uid: Uid,
    /// What the key is for.
    pub purpose: Purpose,
    /// What may be done with it.
    pub state: KeyState,
    /// Kind of key.
    pub algorithm: KeyAlgorithm,
    /// Subject.
    pub subject: DistinguishedName,
    /// Parent; none: self-signed.
    pub parent: Option<Uid>,
    /// What it may sign.
    pub constraints: KeyConstraints,
    /// The key.
    pub key: Arc<AuthorityKey>,
    /// Newest certificate; none between making the key and the first signature.
    pub current: Option<Current>,
    row: AuthorityRow,
}

/// Why a stored authority cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The sealed key does not open.
    #[error("authority {uid}: {source}")]
    Seal {
        /// Which.
        uid: Uid,
        /// Why.
        source: SealError,
    },
    /// Its key is not where it should be.
    #[error("authority {uid}: {source}")]
    Key {
        /// Which.
        uid: Uid,
        /// Why.
        source: FindError,
    },
    /// Something else in the row does not hold.
    #[error("authority {uid}: {what}; restore the state folder as a whole from one backup")]
    Row {
        /// Which.
        uid: Uid,
        /// What is wrong.
        what: String,
    },
}

/// All that a sealed key is bound to: it opens only beside exactly these.
pub(crate) fn binding(uid: Uid, row: &AuthorityRow) -> Vec<u8> {
    let mut bytes = b"keywright authority v1\0".to_vec();
    let parts: [Vec<u8>; 7] = [
        uid.0.to_vec(),
        row.purpose.to_be_bytes().to_vec(),
        row.algorithm.to_be_bytes().to_vec(),
        row.subject.encode_to_vec(),
        row.parent.clone(),
        row.constraints.encode_to_vec(),
        row.spki.clone(),
    ];
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

/// What a new authority is made from.
pub struct Birth {
    /// Its name, for ever.
    pub uid: Uid,
    /// What the key is for, for ever.
    pub purpose: Purpose,
    /// Subject as asked for; empty where it signs no certificates.
    pub subject: keywright_signer_protocol::v1alpha1::DistinguishedName,
    /// Parent; none: self-signed.
    pub parent: Option<Uid>,
    /// What it may sign.
    pub constraints: KeyConstraints,
    /// Generation of the issuer object.
    pub generation: u64,
    /// Its fresh key.
    pub key: AuthorityKey,
}

impl Authority {
    /// A new authority, or holder of a key of another purpose, with its key sealed; it has no certificate yet.
    pub fn new(birth: Birth, kek: &Kek, entropy: &dyn Entropy) -> Result<Self, Refusal> {
        let Birth { uid, purpose, subject, parent, constraints, generation, key } = birth;
        let row = AuthorityRow {
            purpose: purpose.into(),
            state: KeyState::Active.into(),
            algorithm: algorithm::to_wire(key.algorithm()).into(),
            parent: parent.map(|uid| uid.0.to_vec()).unwrap_or_default(),
            constraints: constraints.wire().clone(),
            spki: key.public_key().spki_der().to_vec(),
            subject: subject.clone(),
            generation,
            ..AuthorityRow::default()
        };
        let subject = parse::subject(Some(&subject))?;
        let authority = Self {
            uid,
            purpose,
            state: KeyState::Active,
            algorithm: key.algorithm(),
            subject,
            parent,
            constraints,
            key: Arc::new(key),
            current: None,
            row,
        };
        authority.sealed(kek, entropy)
    }

    fn sealed(mut self, kek: &Kek, entropy: &dyn Entropy) -> Result<Self, Refusal> {
        let secret = self
            .key
            .to_secret()
            .map_err(|_| Refusal::internal("the new key could not be encoded; nothing was stored"))?;
        self.row.sealed = kek
            .seal(&secret, &binding(self.uid, &self.row), entropy)
            .map_err(|error| Refusal::unavailable(&error.to_string()))?;
        Ok(self)
    }

    /// The same, made known by this entry of the log; for keys that get no certificate.
    #[must_use]
    pub fn logged_at(mut self, index: u64) -> Self {
        self.row.log_index = index;
        self
    }

    /// The same authority under tighter constraints, sealed anew because the seal is bound to them.
    pub fn tightened(
        &self,
        to: KeyConstraints,
        generation: u64,
        kek: &Kek,
        entropy: &dyn Entropy,
    ) -> Result<Self, Refusal> {
        let mut tighter = self.clone();
        tighter.row.constraints = to.wire().clone();
        tighter.row.generation = generation.max(self.row.generation);
        tighter.constraints = to;
        tighter.sealed(kek, entropy)
    }

    /// The same authority under looser constraints: nobody has the leave to make it but a quorum.
    pub fn loosened(
        &self,
        to: KeyConstraints,
        generation: u64,
        _leave: &Approved,
        kek: &Kek,
        entropy: &dyn Entropy,
    ) -> Result<Self, Refusal> {
        self.tightened(to, generation, kek, entropy)
    }

    /// The same authority, of whose object a newer generation was seen.
    #[must_use]
    pub fn seen_at(&self, generation: u64) -> Self {
        let mut newer = self.clone();
        newer.row.generation = generation;
        newer
    }

    /// The same authority with a newer certificate.
    #[must_use]
    pub fn certified(&self, current: Current) -> Self {
        let mut newer = self.clone();
        newer.row.certificate = current.certificate.der().to_vec();
        newer.row.step = current.step;
        newer.row.log_index = current.log_index;
        newer.current = Some(current);
        newer
    }

    /// Opens a stored authority. Errors: the seal, or a row that does not parse.
    pub fn open(uid: Uid, row: AuthorityRow, kek: &Kek, keys: &KeyStore) -> Result<Self, OpenError> {
        let wrong = |what: &str| OpenError::Row { uid, what: what.to_owned() };
        let secret =
            kek.open(&row.sealed, &binding(uid, &row)).map_err(|source| OpenError::Seal { uid, source })?;
        let key = keys.find(&secret, &row.spki).map_err(|source| OpenError::Key { uid, source })?;
        drop(secret);
        if key.public_key().spki_der() != row.spki {
            return Err(wrong("its key is another one than its public key says"));
        }
        let constraints = KeyConstraints::parse(row.constraints.clone())
            .map_err(|refusal| OpenError::Row { uid, what: refusal.to_string() })?;
        let subject = parse::subject(Some(&row.subject))
            .map_err(|refusal| OpenError::Row { uid, what: refusal.to_string() })?;
        let parent = match row.parent.as_slice() {
            [] => None,
            bytes => Some(Uid(bytes.try_into().map_err(|_| wrong("its parent is no UID"))?)),
        };
        let current = match row.certificate.as_slice() {
            [] => None,
            der => Some(Current {
                certificate: Certificate::from_der(der)
                    .map_err(|_| wrong("its certificate does not parse"))?,
                step: row.step,
                log_index: row.log_index,
            }),
        };
        Ok(Self {
            uid,
            purpose: Purpose::try_from(row.purpose).map_err(|_| wrong("its purpose is unknown"))?,
            state: KeyState::try_from(row.state).map_err(|_| wrong("its state is unknown"))?,
            algorithm: key.algorithm(),
            subject,
            parent,
            constraints,
            key: Arc::new(key),
            current,
            row,
        })
    }

    /// Whether this key may get a new certificate, which for a root it signs itself. Errors: it is disabled, or for another
    /// purpose.
    pub fn may_be_certified(&self) -> Result<(), Refusal> {
        purpose::must_be("requestKey", self.purpose, Purpose::X509Authority)?;
        match self.state {
            KeyState::Active | KeyState::Retiring => Ok(()),
            KeyState::Disabled => {
                let fix = "enable it with `keywright-signer key enable`, or make a new authority";
                Err(Refusal::new(
                    Reason::Forbidden,
                    "requestKey",
                    "the key of this authority is disabled",
                    fix,
                ))
            }
            KeyState::Destroyed => Err(destroyed("requestKey")),
        }
    }

    /// As stored.
    pub fn row(&self) -> &AuthorityRow {
        &self.row
    }

    /// Its certificate if it may sign certificates at all now: right purpose, usable state, certified, not expired.
    ///
    /// `for_child`: whether what is to be signed is another authority.
    pub fn certificate_to_sign_with(&self, for_child: bool, now: i64) -> Result<&Certificate, Refusal> {
        purpose::must_be("authorityUid", self.purpose, Purpose::X509Authority)?;
        // Which: it may be one above the authority that was named.
        let unusable = |what: &str, fix: &str| {
            let rule = format!("the key of authority {} {what}", self.uid);
            Err(Refusal::new(Reason::Forbidden, "authorityUid", rule, fix))
        };
        match self.state {
            KeyState::Retiring if for_child => {
                return unusable("is retiring: it certifies no new authorities", "name another parent");
            }
            KeyState::Active | KeyState::Retiring => {}
            KeyState::Disabled => {
                let fix = "enable it with `keywright-signer key enable`, or name another authority";
                return unusable("is disabled", fix);
            }
            KeyState::Destroyed => return unusable("was destroyed", "name another authority"),
        }
        let Some(current) = &self.current else {
            return Err(Refusal::new(
                Reason::UnknownAuthority,
                "authorityUid",
                "the authority has no certificate yet",
                "ensure it first, then try again",
            ));
        };
        if current.certificate.validity().not_after().as_second() <= now {
            return Err(Refusal::new(
                Reason::AuthorityExpired,
                "authorityUid",
                "the authority's certificate has expired",
                "renew it by ensuring the authority with a new step",
            ));
        }
        Ok(&current.certificate)
    }
}

/// All authorities of this signer.
#[derive(Clone, Default)]
pub struct Keyring {
    open: HashMap<Uid, Arc<Authority>>,
    /// Names of authorities whose keys were destroyed; never used again.
    destroyed: HashSet<Uid>,
}

impl Keyring {
    /// Opens all stored authorities. Errors: the first that does not open.
    pub fn open(rows: Vec<(Uid, AuthorityRow)>, kek: &Kek, keys: &KeyStore) -> Result<Self, OpenError> {
        let (gone, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(_, row)| row.state == i32::from(KeyState::Destroyed));
        let open =
            rows.into_iter().map(|(uid, row)| Ok((uid, Arc::new(Authority::open(uid, row, kek, keys)?))));
        let open = open.collect::<Result<_, OpenError>>()?;
        Ok(Self { open, destroyed: gone.into_iter().map(|(uid, _)| uid).collect() })
    }

    /// Whether the key of this name was destroyed.
    pub fn is_destroyed(&self, uid: &Uid) -> bool {
        self.destroyed.contains(uid)
    }

    /// The authority of this name.
    pub fn get(&self, uid: &Uid) -> Option<&Arc<Authority>> {
        self.open.get(uid)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Algorithms of its keys, each once.
    pub fn algorithms(&self) -> BTreeSet<KeyAlgorithm> {
        self.open.values().map(|one| one.algorithm).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes in a new or changed authority.
    pub fn put(&mut self, authority: Arc<Authority>) {
        self.open.insert(authority.uid, authority);
    }

    /// The authority and those above it, the root last. Errors: `UnknownAuthority`.
    pub fn line(&self, field: &str, uid: Uid) -> Result<Vec<Arc<Authority>>, Refusal> {
        let mut line: Vec<Arc<Authority>> = Vec::new();
        let mut next = Some(uid);
        while let Some(uid) = next {
            if self.is_destroyed(&uid) {
                return Err(destroyed(field));
            }
            let Some(authority) = self.open.get(&uid).filter(|_| line.len() < MAX_DEPTH) else {
                return Err(Refusal::new(
                    Reason::UnknownAuthority,
                    field,
                    "this signer has no such authority",
                    "ensure the authority first, or ask the signer that holds it",
                ));
            };
            next = authority.parent;
            line.push(Arc::clone(authority));
        }
        Ok(line)
    }
}

/// The refusal of everything that needs a destroyed key.
pub fn destroyed(field: &str) -> Refusal {
    let fix = "name another authority; a destroyed one's name is never used again";
    Refusal::new(Reason::Forbidden, field, "the key of this authority was destroyed", fix)
}

/// DER of the certificates of a line of authorities, the first given first. Precondition: each is certified.
pub fn certificates_of(line: &[Arc<Authority>]) -> Vec<Vec<u8>> {
    line.iter()
        .filter_map(|one| one.current.as_ref())
        .map(|current| current.certificate.der().to_vec())
        .collect()
}
