//! A root key under a passphrase: for development only, where nothing better is at hand.
//!
//! Argon2id (RFC 9106) with 64 MiB and three passes, its second recommended setting but for one lane instead of four,
//! then AES-256-GCM. A guessed passphrase opens everything to whoever has a copy of the state folder, which is why the
//! other custodians exist.

use crate::envelope::Wrapped;
use crate::error::{CustodyError, Kind};
use crate::root::{ROOT_LEN, RootKey};
use crate::secret::SecretSource;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use keywright_ambient::Entropy;
use keywright_secmem::{Full, GuardedBytes, wiping_stack};
use zeroize::Zeroize as _;

/// Memory that a new envelope costs to open, in KiB.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes of a new envelope.
const PASSES: u32 = 3;
/// Most memory that an envelope found on disk may ask for, in KiB: more is a trap.
const MOST_KIB: u32 = 1024 * 1024;
/// Most passes that an envelope found on disk may ask for.
const MOST_PASSES: u32 = 64;
const SALT_LEN: usize = 16;
const AAD: &[u8] = b"keywright root key under passphrase v1";

fn failed(what: &str, rule: &str) -> CustodyError {
    CustodyError::new(Kind::System, what, rule, "free some memory, or see the signer's log")
}

fn derive(secret: &[u8], salt: &[u8], memory: u32, passes: u32) -> Result<LessSafeKey, CustodyError> {
    let unfit = |_| failed("passphrase", "the parameters of Argon2id do not fit");
    let params = Params::new(memory, passes, 1, Some(ROOT_LEN)).map_err(unfit)?;
    let mut blocks = vec![Block::default(); params.block_count()];
    let full = |full: Full| failed("passphrase", &full.to_string());
    let mut key = GuardedBytes::zeroed(ROOT_LEN).map_err(full)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let result = wiping_stack(|| argon2.hash_password_into_with_memory(secret, salt, &mut key, &mut blocks));
    blocks.iter_mut().for_each(Block::zeroize);
    result.map_err(unfit)?;
    let key = UnboundKey::new(&AES_256_GCM, &key);
    key.map(LessSafeKey::new).map_err(|_| failed("passphrase", "the library takes no key"))
}

/// Wraps the root key. Errors: the passphrase cannot be read, no randomness.
pub(crate) fn wrap(
    source: &SecretSource,
    root: &RootKey,
    entropy: &dyn Entropy,
) -> Result<Wrapped, CustodyError> {
    let secret = source.read()?;
    let mut salt = [0; SALT_LEN];
    let mut nonce = [0; NONCE_LEN];
    entropy
        .fill(&mut salt)
        .and_then(|()| entropy.fill(&mut nonce))
        .map_err(|error| failed("passphrase", &error.to_string()))?;
    let key = derive(secret.as_bytes(), &salt, MEMORY_KIB, PASSES)?;
    let full = |full: Full| failed("passphrase", &full.to_string());
    let mut body = GuardedBytes::copy_of(root.as_bytes()).map_err(full)?;
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(AAD), &mut body)
        .map_err(|_| failed("passphrase", "the library could not encrypt"))?;
    Ok(Wrapped::Passphrase {
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        salt: hex::encode(salt),
        sealed: hex::encode([&nonce[..], &body, tag.as_ref()].concat()),
    })
}

/// Unwraps the root key.
///
/// Errors: `WrongKey` for another passphrase or an edited envelope; the passphrase cannot be read.
pub(crate) fn unwrap(
    source: &SecretSource,
    (memory, passes): (u32, u32),
    salt: &str,
    sealed: &str,
) -> Result<RootKey, CustodyError> {
    let wrong = |rule: &str| {
        CustodyError::new(
            Kind::WrongKey,
            source.to_string(),
            rule,
            "give the passphrase that this state folder was made with, or restore kek.json",
        )
    };
    if memory > MOST_KIB || passes > MOST_PASSES {
        return Err(wrong("kek.json asks for more memory or passes than any signer ever wrote"));
    }
    let secret = source.read()?;
    let edited = |_| wrong("kek.json was edited: it holds no hexadecimal bytes");
    let (salt, sealed) = (hex::decode(salt).map_err(edited)?, hex::decode(sealed).map_err(edited)?);
    let Some((nonce, body)) = sealed.split_first_chunk::<NONCE_LEN>() else {
        return Err(wrong("kek.json was edited: its sealed key is too short"));
    };
    let key = derive(secret.as_bytes(), &salt, memory, passes)?;
    let full = |full: Full| failed("passphrase", &full.to_string());
    let mut body = GuardedBytes::copy_of(body).map_err(full)?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = key
        .open_in_place(nonce, Aad::from(AAD), &mut body)
        .map_err(|_| wrong("does not open the root key: another passphrase, or kek.json was edited"))?;
    RootKey::from_slice(plain).ok_or_else(|| wrong("what it opens is no root key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::SystemEntropy;
    use std::os::unix::fs::PermissionsExt as _;

    fn source(dir: &std::path::Path, text: &str) -> SecretSource {
        let path = dir.join(format!("pw-{}", text.len()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        SecretSource::File(path)
    }

    #[test]
    fn only_the_same_passphrase_opens_and_only_an_unedited_envelope() {
        let dir = tempfile::tempdir().unwrap();
        let (right, other) = (source(dir.path(), "correct horse"), source(dir.path(), "battery"));
        let root = RootKey::generate(&SystemEntropy).unwrap();
        let Wrapped::Passphrase { memory_kib, passes, salt, sealed } =
            wrap(&right, &root, &SystemEntropy).unwrap()
        else {
            panic!("is under a passphrase");
        };
        let costs = (memory_kib, passes);
        let opened = unwrap(&right, costs, &salt, &sealed).unwrap();
        assert_eq!(opened.as_bytes(), root.as_bytes());
        let kind = |result: Result<RootKey, CustodyError>| result.map(|_| ()).unwrap_err().kind;
        assert_eq!(kind(unwrap(&other, costs, &salt, &sealed)), Kind::WrongKey);
        let edited = sealed.replacen(['0', '1', '2', '3', '4', '5'], "6", 1);
        assert_eq!(kind(unwrap(&right, costs, &salt, &edited)), Kind::WrongKey);
        assert_eq!(kind(unwrap(&right, costs, &salt, "00")), Kind::WrongKey);
        assert_eq!(kind(unwrap(&right, costs, "zz", &sealed)), Kind::WrongKey);
        assert_eq!(kind(unwrap(&right, (u32::MAX, 1), &salt, &sealed)), Kind::WrongKey);
    }

    #[test]
    fn the_derivation_is_argon2id_as_others_compute_it() {
        // A vector of the reference implementation's own tests (src/test.c): Argon2id 0x13, t=2, m=2^8, p=1.
        let mut key = [0; 32];
        let params = Params::new(256, 2, 1, Some(32)).unwrap();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"password", b"somesalt", &mut key)
            .unwrap();
        assert_eq!(hex::encode(key), "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
    }
}
