//! The key of an authority, wherever it lives: one type for the signing path, whatever holds the secret.
//!
//! ```text
//! new authority -> KeyStore::make -> AuthorityKey { Memory | Token } -> to_secret -> sealed in the ledger
//! start         -> opened seal    -> KeyStore::find -> AuthorityKey
//! ```
//! What is sealed for a key in a token is only how to find it. Never decides whether a key may be used: that is the
//! judge's.

use crate::ids::Uid;
use crate::refusal::{Reason, Refusal};
use keywright_ambient::Entropy;
use keywright_custody::pkcs11::{KeyReference, Token, TokenAlgorithm, TokenKey};
use keywright_custody::{CustodyError, KeyStoreSpec, Retry};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::key::{BadSignature, KeyError, PrivateKey, PublicKey};
use keywright_secmem::{GuardedBytes, on_keys, usage, wiping_stack};
use std::sync::Arc;

/// What a sealed reference begins with; PKCS#8 begins with 0x30.
const REFERENCE: &[u8] = b"keywright token key v1\0";

/// The key of an authority. Cannot be copied or printed.
pub enum AuthorityKey {
    /// In this process; sealed at rest.
    Memory(PrivateKey),
    /// In a token, where it signs; boxed, because it carries more than a key.
    Token(Box<TokenKey>, PublicKey),
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The cryptographic library.
    #[error("the library could not sign")]
    Library(#[from] KeyError),
    /// The token.
    #[error(transparent)]
    Token(#[from] CustodyError),
}

impl SignError {
    /// What the asker is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Library(_) => Refusal::internal("the library could not sign"),
            Self::Token(error) => Refusal::new(
                Reason::Unavailable,
                "",
                format!(
                    "the authority's key is in a token, which did not sign: {}: {}",
                    error.what, error.rule
                ),
                match error.retry() {
                    Retry::Backoff => format!("try again; if it stays: {}", error.fix),
                    Retry::OnChange => error.fix.clone(),
                },
            ),
        }
    }
}

/// Why the key of an opened seal cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The seal holds no key.
    #[error("its key does not parse; restore the state folder as a whole from one backup")]
    Malformed,
    /// Its key is in a token, and this signer was started without that one.
    #[error("its key is in PKCS#11 token {0}; start with --key-store pkcs11:... naming that token")]
    OtherToken(String),
    /// The token.
    #[error(transparent)]
    Token(#[from] CustodyError),
}

/// Where keys of new authorities are made, and where those in a token are found again.
#[derive(Debug, Clone)]
pub enum KeyStore {
    /// In this process, sealed at rest.
    Memory,
    /// In this token.
    Token(Arc<Token>),
}

impl KeyStore {
    /// What an argument names; a token is looked for at once. Errors: it is not there, or refuses the PIN.
    pub fn open(spec: &KeyStoreSpec) -> Result<Self, CustodyError> {
        match spec {
            KeyStoreSpec::Memory => Ok(Self::Memory),
            KeyStoreSpec::Token(spec) => {
                let token = Token::new(spec.clone());
                token.connect()?;
                Ok(Self::Token(Arc::new(token)))
            }
        }
    }

    /// Makes a key for a new authority; slow. One in a token is destroyed again unless [`AuthorityKey::keep`] follows.
    ///
    /// Errors: `Constraint` for an algorithm that the token does not have, `Unavailable`.
    pub fn make(
        &self,
        uid: Uid,
        algorithm: KeyAlgorithm,
        entropy: &dyn Entropy,
    ) -> Result<AuthorityKey, Refusal> {
        match self {
            Self::Memory if usage().is_some_and(|memory| memory.is_nearly_full()) => {
                Err(Refusal::unavailable(
                    "guarded memory is nearly full; raise RLIMIT_MEMLOCK, or spread the authorities over several signers",
                ))
            }
            Self::Memory => wiping_stack(|| PrivateKey::generate(algorithm))
                .map(AuthorityKey::Memory)
                .map_err(|_| Refusal::unavailable("the library could not make a key")),
            Self::Token(token) => {
                let Some(algorithm) = in_token(algorithm) else {
                    return Err(Refusal::new(
                        Reason::Constraint,
                        "privateKey.algorithm",
                        format!(
                            "this signer makes keys in PKCS#11 token {}, which has no {}",
                            token.label(),
                            algorithm.name()
                        ),
                        "choose ECDSA, RSA or Ed25519, or ask a signer that keeps keys in memory",
                    ));
                };
                let key = TokenKey::generate(token, algorithm, &format!("keywright {uid}"), entropy);
                key.map_err(SignError::Token)
                    .and_then(|key| AuthorityKey::of_token(key).map_err(SignError::Library))
                    .map_err(|error| match error {
                        SignError::Token(error) if error.what == "privateKey.algorithm" => {
                            Refusal::new(Reason::Constraint, error.what, error.rule, error.fix)
                        }
                        other => other.refusal(),
                    })
            }
        }
    }

    /// The key of an opened seal. Errors: it is none, or its token is not this one, or has lost it.
    pub fn find(&self, secret: &[u8], spki: &[u8]) -> Result<AuthorityKey, FindError> {
        let Some(reference) = secret.strip_prefix(REFERENCE) else {
            return wiping_stack(|| PrivateKey::from_pkcs8_der(secret))
                .map(AuthorityKey::Memory)
                .map_err(|_| FindError::Malformed);
        };
        let reference: KeyReference = serde_json::from_slice(reference).map_err(|_| FindError::Malformed)?;
        match self {
            Self::Token(token) if token.label() == reference.token => {
                let key = TokenKey::open(token, reference, spki)?;
                AuthorityKey::of_token(key).map_err(|_| FindError::Malformed)
            }
            Self::Token(_) | Self::Memory => Err(FindError::OtherToken(reference.token)),
        }
    }
}

/// The algorithm as tokens know it; none for those they do not have.
fn in_token(algorithm: KeyAlgorithm) -> Option<TokenAlgorithm> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => Some(TokenAlgorithm::EcdsaP256),
        KeyAlgorithm::EcdsaP384 => Some(TokenAlgorithm::EcdsaP384),
        KeyAlgorithm::EcdsaP521 => Some(TokenAlgorithm::EcdsaP521),
        KeyAlgorithm::Ed25519 => Some(TokenAlgorithm::Ed25519),
        KeyAlgorithm::Rsa2048 => Some(TokenAlgorithm::Rsa2048),
        KeyAlgorithm::Rsa3072 => Some(TokenAlgorithm::Rsa3072),
        KeyAlgorithm::Rsa4096 => Some(TokenAlgorithm::Rsa4096),
        KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 | KeyAlgorithm::MlDsa87 => None,
    }
}

impl From<PrivateKey> for AuthorityKey {
    fn from(key: PrivateKey) -> Self {
        Self::Memory(key)
    }
}

impl AuthorityKey {
    fn of_token(key: TokenKey) -> Result<Self, KeyError> {
        let public = PublicKey::from_spki_der(key.spki_der())?;
        Ok(Self::Token(Box::new(key), public))
    }

    /// What is sealed at rest: PKCS#8, or how to find the key in its token.
    ///
    /// Errors: the library could not encode it, or guarded memory is full.
    pub fn to_secret(&self) -> Result<GuardedBytes, KeyError> {
        let full = |_| KeyError::Library { operation: "write a key", algorithm: self.algorithm() };
        match self {
            Self::Memory(key) => on_keys(|| GuardedBytes::copy_of(&key.to_pkcs8_der()?).map_err(full)),
            Self::Token(key, _) => {
                let reference = serde_json::to_vec(key.reference());
                let reference = reference.map_err(|_| KeyError::Malformed("reference to a token's key"))?;
                GuardedBytes::copy_of(&[REFERENCE, &reference].concat()).map_err(full)
            }
        }
    }

    /// An authority refers to it from now on: a key in a token stays there.
    pub fn keep(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Token(key, _) => key.keep(),
        }
    }

    /// Where it is, as in the log: `memory`, or `pkcs11:` and the token's label.
    pub fn place(&self) -> String {
        match self {
            Self::Memory(_) => "memory".to_owned(),
            Self::Token(key, _) => format!("pkcs11:{}", key.reference().token),
        }
    }

    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.public_key().algorithm()
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Memory(key) => key.public_key(),
            Self::Token(_, public) => public,
        }
    }

    /// Signs the whole message; the caller verifies the signature. Errors: nothing was signed.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Memory(key) => Ok(wiping_stack(|| key.sign(message))?),
            Self::Token(key, _) => Ok(key.sign(message)?),
        }
    }

    /// Checks a signature that this key made. Errors: it is not of this key and message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match self {
            Self::Memory(key) => key.verify_own(message, signature),
            Self::Token(_, public) => public.verify(message, signature),
        }
    }
}
