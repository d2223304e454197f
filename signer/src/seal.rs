//! Secrets at rest: each sealed with AES-256-GCM under a data key of its own, that key wrapped under the key-encryption
//! key (KEK), both bound to what the secret is for.
//!
//! The binding is the associated data: a blob opens only for the name, purpose, algorithm and constraints it was sealed
//! with, so that it can neither be moved to another key's place nor have its constraints edited beside it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use keywright_ambient::{Entropy, NoEntropy};
use keywright_custody::RootKey;
use keywright_secmem::{Full, GuardedBytes, wiping_stack};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Length of the key-encryption key, in bytes.
pub const KEK_LEN: usize = 32;

/// Why a key-encryption key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// There is no such file.
    #[error(
        "key-encryption key {0}: no such file; make one with `keywright-signer kek create {0}` and keep a copy apart from the state folder, for without it the keys cannot be opened"
    )]
    Missing(PathBuf),
    /// Others may read it.
    #[error(
        "key-encryption key {path}: its mode is {mode:04o}, group and others must have no rights; run `chmod 0600 {path}`"
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 32 bytes.
    #[error(
        "key-encryption key {path}: must be exactly 32 bytes and is {len}; restore the right file, or make one with `keywright-signer kek create` for a new state folder"
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its length.
        len: u64,
    },
    /// It exists already.
    #[error(
        "key-encryption key {0}: exists already and is never overwritten; name another file, or keep using this one"
    )]
    Exists(PathBuf),
    /// The disk refused.
    #[error(
        "key-encryption key {path}: {source}; see that its folder is there and that this user may use it"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No randomness to make one.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// No guarded memory to hold it.
    #[error(transparent)]
    Full(#[from] Full),
}

/// A secret could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Wrong KEK, a damaged blob, or a blob moved from elsewhere.
    #[error(
        "sealed key: does not open; the key-encryption key is another one, or the blob was damaged, moved, or had its constraints edited"
    )]
    Closed,
    /// No randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// No guarded memory to open it in.
    #[error(transparent)]
    Full(#[from] Full),
}

/// A secret at rest.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sealed {
    /// Which KEK wraps the data key: the first 8 bytes of a hash of it.
    #[prost(bytes = "vec", tag = "1")]
    pub kek_id: Vec<u8>,
    /// Nonce and ciphertext of the data key, under the KEK.
    #[prost(bytes = "vec", tag = "2")]
    pub wrapped: Vec<u8>,
    /// Nonce and ciphertext of the secret, under the data key.
    #[prost(bytes = "vec", tag = "3")]
    pub secret: Vec<u8>,
}

/// The key-encryption key.
pub struct Kek(GuardedBytes);

impl Kek {
    /// Reads the file. Errors: missing, readable by others, of another size.
    pub fn read(path: &Path) -> Result<Self, KekError> {
        let io = |source| KekError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => KekError::Missing(path.to_owned()),
            _ => io(error),
        })?;
        let about = file.metadata().map_err(io)?;
        let mode = about.mode() & 0o7777;
        if !keywright_custody::is_private(&about) {
            return Err(KekError::TooOpen { path: path.to_owned(), mode });
        }
        if about.len() != KEK_LEN as u64 {
            return Err(KekError::WrongSize { path: path.to_owned(), len: about.len() });
        }
        Ok(Self(GuardedBytes::read_from(&mut file, KEK_LEN).map_err(io)?))
    }

    /// Makes a new one in a new file, mode 0600, durably. Errors: the file exists, the disk, no randomness.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<(), KekError> {
        let io = |source| KekError::Io { path: path.to_owned(), source };
        let mut key = GuardedBytes::zeroed(KEK_LEN)?;
        entropy.fill(&mut key)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::AlreadyExists => KekError::Exists(path.to_owned()),
                    _ => io(error),
                }
            })?;
        file.write_all(&key).and_then(|()| file.sync_all()).map_err(io)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
    }

    fn mac(&self, label: &[u8], parts: &[&[u8]]) -> hmac::Tag {
        wiping_stack(|| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
            let derived = hmac::sign(&key, label);
            let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()));
            for part in parts {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
            context.sign()
        })
    }

    /// The root key that a custodian unwrapped. Errors: no guarded memory.
    pub fn from_root(root: &RootKey) -> Result<Self, Full> {
        GuardedBytes::copy_of(root.as_bytes()).map(Self)
    }

    /// Which key this is, in 8 bytes that tell nothing of it; what is sealed under it carries the same.
    pub fn id(&self) -> Vec<u8> {
        self.mac(b"keywright kek id v1", &[]).as_ref().iter().take(8).copied().collect()
    }

    /// A code over `parts` that only a holder of this KEK can make; for the ledger's head.
    pub fn authenticate(&self, parts: &[&[u8]]) -> Vec<u8> {
        self.mac(b"keywright ledger head v1", parts).as_ref().to_vec()
    }

    /// Whether `code` is what [`Self::authenticate`] gives for `parts`; takes the same time whichever byte differs.
    pub fn is_authentic(&self, parts: &[&[u8]], code: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.authenticate(parts), code).is_ok()
    }

    /// Seals `secret` for exactly this binding.
    pub fn seal(&self, secret: &[u8], binding: &[u8], entropy: &dyn Entropy) -> Result<Sealed, SealError> {
        let mut data_key = GuardedBytes::zeroed(KEK_LEN)?;
        entropy.fill(&mut data_key)?;
        let wrapped = encrypt(&self.0, &data_key, &[b"data key\0", binding].concat(), entropy)?;
        let secret = encrypt(&data_key, secret, &[b"secret\0", binding].concat(), entropy)?;
        Ok(Sealed { kek_id: self.id(), wrapped, secret })
    }

    /// Wraps the data key of what was sealed for this binding under `to` instead; the secret itself is not opened.
    ///
    /// Errors: `Closed` when it is not sealed under this key, for this binding, unedited.
    pub fn rewrap(
        &self,
        sealed: &Sealed,
        binding: &[u8],
        to: &Self,
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        let aad = [b"data key\0", binding].concat();
        let data_key = decrypt(&self.0, &sealed.wrapped, &aad)?;
        let wrapped = encrypt(&to.0, &data_key, &aad, entropy)?;
        Ok(Sealed { kek_id: to.id(), wrapped, secret: sealed.secret.clone() })
    }

    /// Opens what was sealed for exactly this binding. Errors: `Closed` when anything differs.
    pub fn open(&self, sealed: &Sealed, binding: &[u8]) -> Result<GuardedBytes, SealError> {
        let data_key = decrypt(&self.0, &sealed.wrapped, &[b"data key\0", binding].concat())?;
        decrypt(&data_key, &sealed.secret, &[b"secret\0", binding].concat())
    }
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SealError::Closed)
}

/// Nonce, then ciphertext with its tag.
fn encrypt(key: &[u8], plain: &[u8], aad: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce)?;
    // Encrypted where it is guarded; only then copied to where it is not.
    let mut body = GuardedBytes::copy_of(plain)?;
    let tag = wiping_stack(|| {
        cipher(key)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
            .map_err(|_| SealError::Closed)
    })?;
    Ok([&nonce, &*body, tag.as_ref()].concat())
}

fn decrypt(key: &[u8], sealed: &[u8], aad: &[u8]) -> Result<GuardedBytes, SealError> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Closed)?;
    let mut buffer = GuardedBytes::copy_of(body)?;
    let length = wiping_stack(|| {
        let opened =
            cipher(key)?.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut buffer);
        opened.map(|plain| plain.len()).map_err(|_| SealError::Closed)
    })?;
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::SystemEntropy;
    use std::os::unix::fs::PermissionsExt as _;

    fn kek(dir: &Path) -> Kek {
        let path = dir.join("kek");
        Kek::create(&path, &SystemEntropy).unwrap();
        Kek::read(&path).unwrap()
    }

    #[test]
    fn a_secret_opens_only_for_its_own_binding_and_kek_and_unedited() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kek = kek(one.path());
        let sealed = kek.seal(b"secret", b"name/constraints", &SystemEntropy).unwrap();
        assert_eq!(&*kek.open(&sealed, b"name/constraints").unwrap(), b"secret");
        assert_eq!(kek.open(&sealed, b"other/constraints").err(), Some(SealError::Closed));
        let other = self::kek(two.path());
        assert_eq!(other.open(&sealed, b"name/constraints").err(), Some(SealError::Closed));
        for at in 0..sealed.secret.len() {
            let mut edited = sealed.clone();
            edited.secret[at] ^= 1;
            assert_eq!(kek.open(&edited, b"name/constraints").err(), Some(SealError::Closed));
        }
        let rewrapped = kek.rewrap(&sealed, b"name/constraints", &other, &SystemEntropy).unwrap();
        assert_eq!(&*other.open(&rewrapped, b"name/constraints").unwrap(), b"secret");
        assert_eq!(rewrapped.kek_id, other.id());
        assert_eq!(kek.open(&rewrapped, b"name/constraints").err(), Some(SealError::Closed));
        assert_eq!(other.rewrap(&sealed, b"name/constraints", &kek, &SystemEntropy), Err(SealError::Closed));
        assert_eq!(kek.rewrap(&sealed, b"else", &other, &SystemEntropy), Err(SealError::Closed));
        let empty = Sealed::default();
        assert_eq!(kek.open(&empty, b"name/constraints").err(), Some(SealError::Closed));
    }

    #[test]
    fn a_kek_file_is_refused_unless_private_and_of_the_right_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        assert!(matches!(Kek::read(&path), Err(KekError::Missing(_))));
        Kek::create(&path, &SystemEntropy).unwrap();
        assert!(matches!(Kek::create(&path, &SystemEntropy), Err(KekError::Exists(_))));
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Kek::read(&path), Err(KekError::TooOpen { .. })), "{mode:o}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Kek::read(&path).unwrap();
        std::fs::write(&path, [0; 31]).unwrap();
        let error = Kek::read(&path).map(|_| ()).unwrap_err();
        assert!(matches!(error, KekError::WrongSize { len: 31, .. }), "{error}");
    }
}
