//! The arguments that name a custodian: `SCHEME:REST`, the rest a list of `name=value` separated by `;`.
//!
//! ```text
//! file:/etc/keywright/kek
//! pkcs11:module=/usr/lib/softhsm/libsofthsm2.so;token=keywright;key=kek;pin-file=/etc/keywright/pin
//! vault:https://vault.example.com:8200;key=keywright;token-file=/etc/keywright/vault-token
//! passphrase-file:/etc/keywright/passphrase          passphrase-env:KEYWRIGHT_PASSPHRASE
//! ```
//! `%3B` and the like stand for characters that the syntax uses. A secret itself is never part of an argument: arguments
//! are seen by every user of the machine.

use crate::error::{CustodyError, Kind};
use crate::secret::SecretSource;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use url::{Host, Url};

/// Where the key-encryption key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KekSpec {
    /// 32 bytes in a file, mode 0600: the root key itself.
    File(PathBuf),
    /// An AES key of this label in a token.
    Token(TokenSpec, String),
    /// A transit key.
    Transit(TransitSpec),
    /// A passphrase; for development only.
    Passphrase(SecretSource),
}

/// Where the keys of new authorities are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStoreSpec {
    /// In this process, sealed at rest.
    Memory,
    /// In a token, for good.
    Token(TokenSpec),
}

/// A PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// The vendor's library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The user PIN.
    pub pin: SecretSource,
    /// Most sessions to open at once, 1 to 64.
    pub sessions: usize,
    /// Files and folders that the library uses while the signer runs; a confined signer lets it reach no others.
    pub paths: Vec<PathBuf>,
    /// TCP ports that it connects to.
    pub ports: Vec<u16>,
}

/// A key of Vault's or OpenBao's transit engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitSpec {
    /// Address of the server, `https`, or `http` on this machine.
    pub address: Url,
    /// Where the engine is mounted.
    pub mount: String,
    /// Name of the key.
    pub key: String,
    /// The token to ask with.
    pub token: SecretSource,
    /// Namespace, where the server has them.
    pub namespace: Option<String>,
    /// PEM file with authorities that the server's certificate may come from, besides the system's.
    pub ca: Option<PathBuf>,
    /// Longest wait for one answer.
    pub timeout: Duration,
}

fn wrong(what: &str, rule: impl Into<String>, fix: impl Into<String>) -> CustodyError {
    CustodyError::new(Kind::Argument, what, rule, fix)
}

/// The fields of one argument, taken one by one; what is left over is refused.
struct Fields {
    what: &'static str,
    fields: BTreeMap<String, String>,
}

impl Fields {
    fn parse(what: &'static str, text: &str) -> Result<Self, CustodyError> {
        let mut fields = BTreeMap::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(wrong(
                    what,
                    "each part must be name=value",
                    "write parts as name=value, separated by ;",
                ));
            };
            if ["pin", "token-value", "passphrase", "secret"].contains(&name) {
                return Err(wrong(
                    &format!("{what} {name}"),
                    "secrets are never arguments: every user of the machine sees those",
                    "replace the secret, and name a file (mode 0600) or an environment variable instead",
                ));
            }
            let value = decode(value).ok_or_else(|| {
                wrong(
                    &format!("{what} {name}"),
                    "%XX must be two hexadecimal digits of UTF-8",
                    "write % as %25",
                )
            })?;
            if fields.insert(name.to_owned(), value).is_some() {
                return Err(wrong(&format!("{what} {name}"), "is given twice", "give it once"));
            }
        }
        Ok(Self { what, fields })
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.fields.remove(name).filter(|value| !value.is_empty())
    }

    fn need(&mut self, name: &str, example: &str) -> Result<String, CustodyError> {
        self.take(name).ok_or_else(|| {
            wrong(&format!("{} {name}", self.what), "is required", format!("add ;{name}={example}"))
        })
    }

    fn secret(&mut self, name: &str) -> Result<SecretSource, CustodyError> {
        let (file, env) = (self.take(&format!("{name}-file")), self.take(&format!("{name}-env")));
        match (file, env) {
            (Some(path), None) => Ok(SecretSource::File(path.into())),
            (None, Some(name)) => Ok(SecretSource::Env(name)),
            (Some(_), Some(_)) | (None, None) => Err(wrong(
                &format!("{} {name}-file", self.what),
                format!("exactly one of {name}-file and {name}-env is required"),
                format!("add ;{name}-file=/path/of/a/private/file"),
            )),
        }
    }

    fn number(&mut self, name: &str, default: u64, most: u64) -> Result<u64, CustodyError> {
        let Some(text) = self.take(name) else { return Ok(default) };
        text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
            wrong(
                &format!("{} {name}", self.what),
                format!("must be a whole number from 1 to {most}"),
                format!("leave it out for {default}"),
            )
        })
    }

    fn list(&mut self, name: &str) -> impl Iterator<Item = String> + use<> {
        let list = self.take(name).unwrap_or_default();
        list.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    fn end(self) -> Result<(), CustodyError> {
        match self.fields.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(wrong(
                &format!("{} {}", self.what, name.chars().take(40).collect::<String>()),
                "is no part of this argument, or is empty",
                "leave it out; docs/custody.md lists the parts",
            )),
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

impl TokenSpec {
    fn take(fields: &mut Fields) -> Result<Self, CustodyError> {
        Ok(Self {
            module: fields.need("module", "/usr/lib/softhsm/libsofthsm2.so")?.into(),
            token: fields.need("token", "LABEL")?,
            pin: fields.secret("pin")?,
            sessions: usize::try_from(fields.number("sessions", 8, 64)?).unwrap_or(8),
            paths: fields.list("paths").map(PathBuf::from).collect(),
            ports: fields
                .list("ports")
                .map(|port| {
                    port.parse().map_err(|_| {
                        wrong("pkcs11 ports", "each must be from 0 to 65535", "write ports=1792,1793")
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    }
}

impl TransitSpec {
    fn parse(text: &str) -> Result<Self, CustodyError> {
        const WHAT: &str = "vault";
        let (address, rest) = text.split_once(';').unwrap_or((text, ""));
        let address: Url = address.parse().map_err(|error| {
            wrong(
                WHAT,
                format!("the address does not parse: {error}"),
                "write vault:https://HOST:8200;key=NAME;token-file=PATH",
            )
        })?;
        if !address.username().is_empty() || address.password().is_some() {
            return Err(wrong(WHAT, "the address must not carry a user or password", "use token-file"));
        }
        let here = match address.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match address.scheme() {
            "https" => {}
            "http" if here => {}
            "http" => {
                return Err(wrong(
                    WHAT,
                    "the root key and the token would cross the network in the clear",
                    "use https; http is for a server on this machine only",
                ));
            }
            _ => {
                return Err(wrong(
                    WHAT,
                    "the address must begin with https://",
                    "write vault:https://HOST:8200",
                ));
            }
        }
        let mut fields = Fields::parse(WHAT, rest)?;
        let name = |fields: &mut Fields, field: &str, value: String| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            if value.chars().all(fits) && !value.split('/').any(|part| part == ".." || part.is_empty()) {
                return Ok(value);
            }
            let what = format!("{} {field}", fields.what);
            Err(wrong(&what, "may hold letters, digits and - _ . / only", "use the name as in Vault's path"))
        };
        let mount = fields.take("mount").unwrap_or_else(|| "transit".into());
        let key = fields.need("key", "NAME")?;
        let spec = Self {
            address,
            mount: name(&mut fields, "mount", mount)?,
            key: name(&mut fields, "key", key)?,
            token: fields.secret("token")?,
            namespace: fields.take("namespace"),
            ca: fields.take("ca-file").map(PathBuf::from),
            timeout: Duration::from_secs(fields.number("timeout-seconds", 10, 300)?),
        };
        fields.end()?;
        Ok(spec)
    }
}

fn path_of(what: &str, text: &str) -> Result<PathBuf, CustodyError> {
    if text.is_empty() {
        return Err(wrong(what, "a path must follow", format!("write {what}:/path/of/a/private/file")));
    }
    Ok(text.into())
}

impl FromStr for KekSpec {
    type Err = CustodyError;

    fn from_str(text: &str) -> Result<Self, CustodyError> {
        match text.split_once(':') {
            Some(("file", path)) => Ok(Self::File(path_of("file", path)?)),
            Some(("passphrase-file", path)) => {
                Ok(Self::Passphrase(SecretSource::File(path_of("passphrase-file", path)?)))
            }
            Some(("passphrase-env", name)) if !name.is_empty() => {
                Ok(Self::Passphrase(SecretSource::Env(name.to_owned())))
            }
            Some(("pkcs11", rest)) => {
                let mut fields = Fields::parse("pkcs11", rest)?;
                let (token, key) = (TokenSpec::take(&mut fields)?, fields.need("key", "LABEL")?);
                fields.end()?;
                Ok(Self::Token(token, key))
            }
            Some(("vault", rest)) => Ok(Self::Transit(TransitSpec::parse(rest)?)),
            Some(_) | None => Err(wrong(
                "--kek",
                "must begin with file:, pkcs11:, vault:, passphrase-file: or passphrase-env:",
                "see docs/custody.md for each",
            )),
        }
    }
}

impl FromStr for KeyStoreSpec {
    type Err = CustodyError;

    fn from_str(text: &str) -> Result<Self, CustodyError> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("pkcs11", rest)) => {
                let mut fields = Fields::parse("pkcs11", rest)?;
                let token = TokenSpec::take(&mut fields)?;
                fields.end()?;
                Ok(Self::Token(token))
            }
            Some(_) | None => {
                Err(wrong("--key-store", "must be memory or begin with pkcs11:", "see docs/custody.md"))
            }
        }
    }
}

impl KeyStoreSpec {
    fn token(&self) -> Option<&TokenSpec> {
        match self {
            Self::Memory => None,
            Self::Token(token) => Some(token),
        }
    }

    /// Folders that the running signer must be let through to, to read and write.
    pub fn folders(&self) -> Vec<PathBuf> {
        let paths = self.token().into_iter().flat_map(|token| &token.paths);
        paths.filter(|path| path.is_dir()).cloned().collect()
    }

    /// Files that the running signer must be able to read: those given, the library, the PIN.
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(token) = self.token() else { return Vec::new() };
        let mut files: Vec<_> = token.paths.iter().filter(|path| !path.is_dir()).cloned().collect();
        files.push(token.module.clone());
        match &token.pin {
            SecretSource::File(path) => files.push(path.clone()),
            SecretSource::Env(_) => {}
        }
        files
    }

    /// TCP ports that the running signer must be able to connect to.
    pub fn ports(&self) -> Vec<u16> {
        self.token().map(|token| token.ports.clone()).unwrap_or_default()
    }
}

impl KekSpec {
    /// As [`FromStr`], but what begins with no scheme is the path of a file.
    pub fn or_path(text: &str) -> Result<Self, CustodyError> {
        const SCHEMES: [&str; 5] = ["file:", "pkcs11:", "vault:", "passphrase-file:", "passphrase-env:"];
        if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return text.parse();
        }
        Ok(Self::File(path_of("file", text)?))
    }

    /// What it is, in one word, as in the log: `file`, `pkcs11`, `vault`, `passphrase`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Token(..) => "pkcs11",
            Self::Transit(_) => "vault",
            Self::Passphrase(_) => "passphrase",
        }
    }
}

impl std::fmt::Display for KekSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Token(token, key) => write!(f, "key {key} in PKCS#11 token {}", token.token),
            Self::Transit(spec) => write!(f, "transit key {}/{} of {}", spec.mount, spec.key, spec.address),
            Self::Passphrase(source) => write!(f, "passphrase in {source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<KekSpec, String> {
        text.parse::<KekSpec>().map_err(|error| error.to_string())
    }

    #[test]
    fn each_custodian_is_named_by_its_scheme() {
        assert_eq!(token("file:/a/b"), Ok(KekSpec::File("/a/b".into())));
        assert_eq!(token("passphrase-env:PW"), Ok(KekSpec::Passphrase(SecretSource::Env("PW".into()))));
        let wanted = TokenSpec {
            module: "/m.so".into(),
            token: "my;token".into(),
            pin: SecretSource::File("/pin".into()),
            sessions: 2,
            paths: Vec::new(),
            ports: Vec::new(),
        };
        assert_eq!(
            token("pkcs11:module=/m.so;token=my%3Btoken;key=kek;pin-file=/pin;sessions=2"),
            Ok(KekSpec::Token(wanted.clone(), "kek".into()))
        );
        assert_eq!(
            "pkcs11:module=/m.so;token=my%3btoken;pin-file=/pin;sessions=2".parse(),
            Ok(KeyStoreSpec::Token(wanted))
        );
        assert_eq!("memory".parse(), Ok(KeyStoreSpec::Memory));
        let Ok(KekSpec::Transit(vault)) = token(
            "vault:https://v.example:8200;key=kw;token-env=T;namespace=a/b;mount=x/transit;timeout-seconds=3",
        ) else {
            panic!("is a transit key");
        };
        assert_eq!((vault.key.as_str(), vault.mount.as_str()), ("kw", "x/transit"));
        assert_eq!((vault.namespace.as_deref(), vault.timeout.as_secs()), (Some("a/b"), 3));
    }

    #[test]
    fn what_is_wrong_is_named_with_rule_and_fix_and_no_secret_is_repeated() {
        for (text, wanted) in [
            ("", "must begin with"),
            ("/a/b", "must begin with"),
            ("hsm:x=y", "must begin with"),
            ("file:", "a path must follow"),
            ("passphrase-env:", "must begin with"),
            ("pkcs11:", "pkcs11 module: is required"),
            ("pkcs11:module=/m;token=t;pin-file=/p", "pkcs11 key: is required"),
            ("pkcs11:module=/m;token=t;key=k", "exactly one of pin-file and pin-env"),
            ("pkcs11:module=/m;token=t;key=k;pin-file=/p;pin-env=P", "exactly one of pin-file and pin-env"),
            ("pkcs11:module=/m;token=t;key=k;pin=hunter2", "secrets are never arguments"),
            ("pkcs11:module=/m;token=t;token=u;key=k;pin-file=/p", "is given twice"),
            ("pkcs11:module=/m;token=%zz;key=k;pin-file=/p", "two hexadecimal digits"),
            ("pkcs11:module=/m;token=t;key=k;pin-file=/p;slot=1", "pkcs11 slot: is no part"),
            ("pkcs11:module=/m;token=t;key=k;pin-file=/p;sessions=0", "from 1 to 64"),
            ("pkcs11:what", "each part must be name=value"),
            ("vault:nowhere", "the address does not parse"),
            ("vault:ftp://v;key=k;token-file=/t", "must begin with https://"),
            ("vault:http://v.example;key=k;token-file=/t", "in the clear"),
            ("vault:https://u:hunter2@v;key=k;token-file=/t", "must not carry a user"),
            ("vault:https://v;token-file=/t", "vault key: is required"),
            ("vault:https://v;key=a/../b;token-file=/t", "vault key: may hold"),
            ("vault:https://v;key=k?x;token-file=/t", "vault key: may hold"),
        ] {
            let error = token(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(token("vault:http://127.0.0.1:8200;key=k;token-file=/t").is_ok());
        assert!(token("vault:http://[::1]:8200;key=k;token-file=/t").is_ok());
    }
}
