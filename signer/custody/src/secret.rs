//! PINs, tokens and passphrases: read from a private file or an environment variable, never from an argument.

use crate::error::{CustodyError, Kind};
use crate::private::is_private;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use zeroize::{Zeroize as _, Zeroizing};

/// Longest secret, in bytes: more is the wrong file.
const LONGEST: usize = 4096;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file that only its owner may read.
    File(PathBuf),
    /// In this environment variable. Whoever may read `/proc/PID/environ` sees it for as long as the process lives.
    Env(String),
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl SecretSource {
    /// The secret without a newline at its end.
    ///
    /// Errors: `Secret` when it is missing, empty, longer than 4 KiB, no UTF-8, or readable by group or others.
    pub fn read(&self) -> Result<Zeroizing<String>, CustodyError> {
        let wrong = |rule: String, fix: &str| CustodyError::new(Kind::Secret, self.to_string(), rule, fix);
        let mut bytes = match self {
            Self::File(path) => {
                let mut file =
                    OpenOptions::new().read(true).open(path).map_err(|error| match error.kind() {
                        ErrorKind::NotFound => {
                            wrong("no such file".into(), "write the secret there, mode 0600")
                        }
                        _ => wrong(error.to_string(), "let the signer's user read it"),
                    })?;
                let about = file
                    .metadata()
                    .map_err(|error| wrong(error.to_string(), "see that its file system is mounted"))?;
                let mode = about.mode() & 0o7777;
                if !is_private(&about) {
                    return Err(wrong(
                        format!("its mode is {mode:04o}, group and others must have no rights"),
                        "run chmod 0600 on it, and replace the secret if others may have read it",
                    ));
                }
                if about.len() > LONGEST as u64 {
                    return Err(wrong(format!("is longer than {LONGEST} bytes"), "name the right file"));
                }
                let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
                file.by_ref()
                    .take(LONGEST as u64)
                    .read_to_end(&mut bytes)
                    .map_err(|error| wrong(error.to_string(), "let the signer's user read it"))?;
                bytes
            }
            Self::Env(name) => {
                let Some(value) = std::env::var_os(name) else {
                    return Err(wrong("is not set".into(), "set it for this process only"));
                };
                Zeroizing::new(value.into_vec())
            }
        };
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(wrong("is empty".into(), "write the secret there"));
        }
        String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
            error.into_bytes().zeroize();
            wrong("is no UTF-8 text".into(), "write the secret there as text")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_file_must_be_private_and_short_and_hold_something() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        let source = SecretSource::File(path.clone());
        assert!(source.read().unwrap_err().to_string().contains("no such file"));
        for (content, mode, wanted) in [
            (&b"1234\n"[..], 0o600, Ok("1234")),
            (b"1234\r\n", 0o400, Ok("1234")),
            (b" 12 34 ", 0o600, Ok(" 12 34 ")),
            (b"1234", 0o640, Err("its mode is 0640")),
            (b"1234", 0o604, Err("its mode is 0604")),
            (b"\n", 0o600, Err("is empty")),
            (b"\xff\xfe", 0o600, Err("no UTF-8")),
            (&[b'x'; 5000], 0o600, Err("longer than")),
        ] {
            let _ = fs::remove_file(&path);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match (source.read(), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.as_str(), wanted),
                (Err(found), Err(wanted)) => {
                    assert!(found.to_string().contains(wanted), "{found}");
                    assert_eq!(found.kind, Kind::Secret);
                }
                (found, wanted) => panic!("{:?} instead of {wanted:?}", found.map(|_| ())),
            }
        }
        let unset = SecretSource::Env("KEYWRIGHT_NO_SUCH_VARIABLE".into());
        assert!(unset.read().unwrap_err().to_string().contains("is not set"));
    }
}
