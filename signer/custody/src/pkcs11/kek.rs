//! An AES-256 key in a token that wraps root keys with AES-GCM.

use super::token::{Fault, Lease, Token};
use crate::envelope::Wrapped;
use crate::error::{CustodyError, Kind};
use crate::root::RootKey;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use keywright_ambient::Entropy;
use keywright_secmem::on_keys;
use zeroize::Zeroizing;

const NONCE_LEN: usize = 12;
const AAD: &[u8] = b"keywright root key under PKCS#11 v1";
const TAG_BITS: u64 = 128;

fn template(label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
    ]
}

/// The key of this label. Errors: none, several, or one that could be read out of the token.
fn find(token: &Token, session: &Session, label: &str) -> Result<ObjectHandle, Fault> {
    let found = session.find_objects(&template(label))?;
    let key = match found[..] {
        [key] => key,
        [] => {
            let fix = "make it with `keywright-signer kek create`, or name the right one in key=";
            return Err(token
                .error(Kind::NotFound, format!("holds no AES key with the label {label}"), fix)
                .into());
        }
        _ => {
            let rule = format!("holds {} AES keys with the label {label}", found.len());
            return Err(token.error(Kind::Ambiguous, rule, "give each key a label of its own").into());
        }
    };
    let about = session.get_attributes(key, &[AttributeType::Sensitive, AttributeType::Extractable])?;
    if about != [Attribute::Sensitive(true), Attribute::Extractable(false)] {
        let rule = format!("its key {label} is not both sensitive and non-extractable");
        let fix = "make one with `keywright-signer kek create`, which is, and re-wrap";
        return Err(token.error(Kind::Unsupported, rule, fix).into());
    }
    Ok(key)
}

/// Makes the key in the token, where it stays. Errors: there is one of this label.
pub(crate) fn create(token: &Token, label: &str, entropy: &dyn Entropy) -> Result<(), CustodyError> {
    let mut id = [0; 16];
    entropy.fill(&mut id).map_err(|error| token.error(Kind::System, error.to_string(), "try again"))?;
    token.with("make the key", |session, _| {
        if !session.find_objects(&template(label))?.is_empty() {
            let rule = format!("holds a key with the label {label} already");
            return Err(token.error(Kind::Ambiguous, rule, "use it, or name another in key=").into());
        }
        let mut attributes = template(label);
        attributes.extend([
            Attribute::Id(id.to_vec()),
            Attribute::ValueLen(32.into()),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
        ]);
        session.generate_key(&Mechanism::AesKeyGen, &attributes)?;
        Ok(())
    })
}

/// Wraps the root key in the token.
pub(crate) fn wrap(
    token: &Token,
    label: &str,
    root: &RootKey,
    entropy: &dyn Entropy,
) -> Result<Wrapped, CustodyError> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce).map_err(|error| token.error(Kind::System, error.to_string(), "try again"))?;
    let sealed = token.with("wrap the root key", |session, _: &Lease<'_>| {
        let key = find(token, session, label)?;
        let mut iv = nonce;
        let parameters = GcmParams::new(&mut iv, AAD, TAG_BITS.into())?;
        Ok(session.encrypt(&Mechanism::AesGcm(parameters), key, root.as_bytes())?)
    })?;
    Ok(Wrapped::Pkcs11 {
        token: token.label().to_owned(),
        key: label.to_owned(),
        nonce: hex::encode(nonce),
        sealed: hex::encode(sealed),
    })
}

/// Unwraps the root key in the token. Errors: `WrongKey` when the token's key is another one.
pub(crate) fn unwrap(token: &Token, label: &str, nonce: &str, sealed: &str) -> Result<RootKey, CustodyError> {
    let wrong = |rule: String| {
        let fix = "name the token and key that wrapped it, or restore kek.json";
        token.error(Kind::WrongKey, rule, fix)
    };
    let edited =
        || wrong("kek.json was edited: nonce or sealed key are not as this signer wrote them".into());
    let nonce: [u8; NONCE_LEN] =
        hex::decode(nonce).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(edited)?;
    let sealed = hex::decode(sealed).map_err(|_| edited())?;
    token.with("unwrap the root key", |session, _: &Lease<'_>| {
        let key = find(token, session, label)?;
        let mut iv = nonce;
        let parameters = GcmParams::new(&mut iv, AAD, TAG_BITS.into())?;
        let plain = match on_keys(|| session.decrypt(&Mechanism::AesGcm(parameters), key, &sealed)) {
            Ok(plain) => Zeroizing::new(plain),
            Err(Error::Pkcs11(
                RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::GeneralError
                | RvError::FunctionFailed,
                _,
            )) => return Err(wrong(format!("its key {label} does not open the root key")).into()),
            Err(error) => return Err(error.into()),
        };
        RootKey::from_slice(&plain)
            .ok_or_else(|| wrong(format!("what its key {label} opens is no root key")).into())
    })
}
