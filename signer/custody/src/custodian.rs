//! One holder of a key-encryption key, whichever it is.

use crate::envelope::{Envelope, Wrapped};
use crate::error::{CustodyError, Kind};
use crate::passphrase;
use crate::pkcs11::{self, Token};
use crate::root::RootKey;
use crate::secret::SecretSource;
use crate::spec::{KekSpec, TransitSpec};
use crate::transit;
use keywright_ambient::Entropy;
use std::path::Path;

/// What keeps the root key.
#[derive(Debug)]
pub enum Keeper<'a> {
    /// A file that holds the root key itself.
    File(&'a Path),
    /// A custodian that holds a key which wraps it.
    Custodian(Custodian),
}

impl<'a> Keeper<'a> {
    /// The keeper that an argument names. Connects to nothing.
    pub fn of(spec: &'a KekSpec) -> Self {
        match spec {
            KekSpec::File(path) => Self::File(path),
            KekSpec::Token(token, key) => {
                Self::Custodian(Custodian::Token(Box::new(Token::new(token.clone())), key.clone()))
            }
            KekSpec::Transit(spec) => Self::Custodian(Custodian::Transit(Box::new(spec.clone()))),
            KekSpec::Passphrase(source) => Self::Custodian(Custodian::Passphrase(source.clone())),
        }
    }
}

/// A holder of a key that wraps root keys.
#[derive(Debug)]
pub enum Custodian {
    /// An AES key of this label in a token.
    Token(Box<Token>, String),
    /// A transit key.
    Transit(Box<TransitSpec>),
    /// A passphrase; for development only.
    Passphrase(SecretSource),
}

impl Custodian {
    /// Whether this envelope was wrapped by this custodian's key, as far as names tell.
    pub fn fits(&self, wrapped: &Wrapped) -> bool {
        match (self, wrapped) {
            (Self::Token(ours, label), Wrapped::Pkcs11 { token, key, .. }) => {
                ours.label() == token && label == key
            }
            (Self::Transit(spec), Wrapped::Vault { namespace, mount, key, .. }) => {
                (spec.namespace.as_deref().unwrap_or_default(), &spec.mount, &spec.key)
                    == (namespace.as_str(), mount, key)
            }
            (Self::Passphrase(_), Wrapped::Passphrase { .. }) => true,
            (
                Self::Token(..) | Self::Transit(_) | Self::Passphrase(_),
                Wrapped::Pkcs11 { .. } | Wrapped::Vault { .. } | Wrapped::Passphrase { .. },
            ) => false,
        }
    }

    /// Makes the custodian's key. Errors: it exists, or cannot be made from here.
    pub fn create(&self, entropy: &dyn Entropy) -> Result<(), CustodyError> {
        match self {
            Self::Token(token, label) => pkcs11::create_kek(token, label, entropy),
            Self::Transit(spec) => transit::create(spec),
            Self::Passphrase(source) => Err(CustodyError::new(
                Kind::Unsupported,
                source.to_string(),
                "a passphrase is chosen, not made here",
                "write at least six random words to the file, mode 0600",
            )),
        }
    }

    /// Wraps a root key. `root`: its identifier, hexadecimal, which the envelope carries.
    pub fn wrap(&self, key: &RootKey, root: &str, entropy: &dyn Entropy) -> Result<Envelope, CustodyError> {
        let wrapped = match self {
            Self::Token(token, label) => pkcs11::wrap(token, label, key, entropy)?,
            Self::Transit(spec) => transit::wrap(spec, key)?,
            Self::Passphrase(source) => passphrase::wrap(source, key, entropy)?,
        };
        Ok(Envelope { root: root.to_owned(), wrapped })
    }

    /// Unwraps a root key. The caller compares its identifier with the envelope's.
    ///
    /// Errors: `WrongKey` when the envelope is another custodian's, or was edited.
    pub fn unwrap(&self, envelope: &Envelope) -> Result<RootKey, CustodyError> {
        match (self, &envelope.wrapped) {
            (Self::Token(token, label), Wrapped::Pkcs11 { nonce, sealed, .. }) => {
                pkcs11::unwrap(token, label, nonce, sealed)
            }
            (Self::Transit(spec), Wrapped::Vault { ciphertext, .. }) => transit::unwrap(spec, ciphertext),
            (Self::Passphrase(source), Wrapped::Passphrase { memory_kib, passes, salt, sealed }) => {
                passphrase::unwrap(source, (*memory_kib, *passes), salt, sealed)
            }
            (
                Self::Token(..) | Self::Transit(_) | Self::Passphrase(_),
                Wrapped::Pkcs11 { .. } | Wrapped::Vault { .. } | Wrapped::Passphrase { .. },
            ) => Err(CustodyError::new(
                Kind::WrongKey,
                "kek.json",
                format!("the root key is kept by {}", envelope.wrapped.custodian()),
                "name that one, or re-wrap from it with `keywright-signer kek rewrap`",
            )),
        }
    }
}
