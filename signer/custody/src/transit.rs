//! A root key under a transit key of Vault or OpenBao.
//!
//! The server encrypts and decrypts; its key never comes here. It is asked at start and at a rotation only, so that a
//! server that is down stops neither a running signer nor its signatures. A renewable token is renewed on each visit.
//!
//! The client is the crate vaultrs over rustls with aws-lc. It copies the token and the answer into buffers of its own,
//! which are in guarded memory: a visit has a thread of its own, all of whose allocations are.

use crate::envelope::Wrapped;
use crate::error::{CustodyError, Kind};
use crate::root::RootKey;
use crate::spec::TransitSpec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keywright_secmem::on_keys;
use rustls::crypto::aws_lc_rs;
use std::error::Error;
use std::future::Future;
use std::io;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::{token, transit};
use zeroize::{Zeroize as _, Zeroizing};

/// One visit to the server.
struct Visit<'a> {
    spec: &'a TransitSpec,
    client: VaultClient,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.client.settings.token.zeroize();
        self.client.middle.token.zeroize();
    }
}

/// Runs a conversation to its end on a thread of its own: callers may or may not be inside a runtime.
fn finish<T: Send>(
    spec: &TransitSpec,
    talk: impl Future<Output = Result<T, CustodyError>> + Send,
) -> Result<T, CustodyError> {
    let broken =
        |why: String| CustodyError::new(Kind::System, spec.address.as_str(), why, "see the signer's log");
    std::thread::scope(|scope| {
        // The libraries in between copy the token and the answer: whatever they allocate here is guarded.
        let talking = scope.spawn(|| {
            on_keys(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| broken(error.to_string()))?
                    .block_on(talk)
            })
        });
        talking.join().unwrap_or_else(|_| Err(broken("the client ended by a panic".into())))
    })
}

impl<'a> Visit<'a> {
    /// Prepares the client and renews the token where that is possible.
    async fn begin(spec: &'a TransitSpec) -> Result<Self, CustodyError> {
        // Fails only when a provider is installed already, and there is but this one.
        let _ = aws_lc_rs::default_provider().install_default();
        let secret = spec.token.read()?;
        let ca = spec.ca.iter().map(|path| path.display().to_string()).collect();
        let settings = VaultClientSettingsBuilder::default()
            .address(spec.address.as_str())
            .ca_certs(ca)
            .identity(None)
            .timeout(Some(spec.timeout))
            .token(secret.as_str())
            .verify(true)
            .version(1)
            .namespace(spec.namespace.clone())
            .build()
            .map_err(|error| {
                CustodyError::new(
                    Kind::Argument,
                    "vault",
                    error.to_string(),
                    "write vault:https://HOST:8200;...",
                )
            })?;
        let client = VaultClient::new(settings).map_err(|error| refused(spec, "connect", &error))?;
        let visit = Self { spec, client };
        visit.renew().await;
        Ok(visit)
    }

    /// Renews a renewable token, so that a signer that restarts now and then keeps a short-lived one alive.
    async fn renew(&self) {
        // A token that may not look at itself is fine as long as it may use the key.
        let Ok(about) = token::lookup_self(&self.client).await else { return };
        if about.renewable == Some(true) && about.ttl > 0 {
            match token::renew_self(&self.client, None).await {
                Ok(lease) => tracing::info!(seconds = lease.lease_duration, "vault token renewed"),
                Err(error) => {
                    tracing::warn!(%error, left_seconds = about.ttl, "vault token could not be renewed");
                }
            }
        } else if about.ttl > 0 {
            tracing::warn!(left_seconds = about.ttl, "vault token is not renewable and will expire");
        }
    }

    fn key(&self) -> (&str, &str) {
        (&self.spec.mount, &self.spec.key)
    }
}

/// Why the server was not trusted, where that is what went wrong. Looks into `io::Error`s too, which hide what they carry.
fn distrust(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if let Some(rustls::Error::InvalidCertificate(why)) = one.downcast_ref() {
            return Some(why.to_string());
        }
        let carried = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match carried {
            Some(carried) => Some(carried),
            None => one.source(),
        };
    }
    None
}

/// The reaction to what the server or the network said.
fn refused(spec: &TransitSpec, operation: &str, error: &ClientError) -> CustodyError {
    let TransitSpec { mount, key, .. } = spec;
    let what = format!("transit key {mount}/{key} of {}", spec.address);
    let fail = |kind, rule: String, fix: String| CustodyError::new(kind, what.clone(), rule, fix);
    let (code, said) = match error {
        ClientError::APIError { code, errors } => {
            let said: String = errors.join("; ").chars().filter(|c| !c.is_control()).take(200).collect();
            (*code, said)
        }
        ClientError::FileReadError { source, path } => {
            return fail(
                Kind::Argument,
                format!("{path}: {source}"),
                "name a readable PEM file in ca-file".into(),
            );
        }
        ClientError::ParseCertificateError { path, .. } => {
            return fail(
                Kind::Argument,
                format!("{path} holds no PEM certificates"),
                "name another ca-file".into(),
            );
        }
        ClientError::ResponseEmptyError
        | ClientError::ResponseDataEmptyError
        | ClientError::ResponseWrapError
        | ClientError::JsonParseError { .. } => {
            let fix = "see that the address and the mount are those of a transit engine".to_owned();
            return fail(Kind::Unsupported, format!("{operation}: the answer is not one of this API"), fix);
        }
        other => {
            if let Some(why) = distrust(other) {
                let ca = match &spec.ca {
                    Some(path) => {
                        format!("put the authority of the server's certificate into {}", path.display())
                    }
                    None => "name the authority of the server's certificate in ca-file".to_owned(),
                };
                return fail(
                    Kind::Untrusted,
                    format!("{operation}: the server's certificate is not trusted: {why}"),
                    format!("{ca}, and write the address as the certificate has it"),
                );
            }
            let mut rule = format!("{operation}: the server gave no answer: {other}");
            let mut cause = Error::source(other);
            while let Some(deeper) = cause {
                if deeper.is::<serde_json::Error>() {
                    let fix = "see that the address is that of a Vault or OpenBao server".to_owned();
                    let rule = format!("{operation}: the answer is not one of this API: {deeper}");
                    return fail(Kind::Unsupported, rule, fix);
                }
                rule.push_str(": ");
                rule.push_str(&deeper.to_string());
                cause = deeper.source();
            }
            return fail(
                Kind::Unreachable,
                rule.chars().filter(|c| !c.is_control()).take(400).collect(),
                "see that the server runs and that this host reaches it".into(),
            );
        }
    };
    match code {
        403 => fail(
            Kind::Refused,
            format!("{operation}: permission denied ({said})"),
            format!(
                "put a valid token in {}, with a policy that allows update on {mount}/encrypt/{key} and {mount}/decrypt/{key}, \
                 and see that the key exists: to a token that may not make it, a missing key is a forbidden one",
                spec.token
            ),
        ),
        404 => fail(
            Kind::NotFound,
            format!("{operation}: nothing is there ({said})"),
            format!("see that a transit engine is mounted at {mount} in this namespace, and make the key with `keywright-signer kek create`"),
        ),
        400 if said.contains("not found") || said.contains("no handler") => fail(
            Kind::NotFound,
            format!("{operation}: {said}"),
            "make the key with `keywright-signer kek create`, or name the right one".into(),
        ),
        400 if operation == "decrypt" => fail(
            Kind::WrongKey,
            format!("{operation}: {said}"),
            "the envelope was wrapped by another key or a version below min_decryption_version: name the right key, or restore kek.json".into(),
        ),
        429 | 472 | 473 | 500..=599 => fail(
            Kind::Unreachable,
            format!("{operation}: the server cannot answer now (status {code}: {said})"),
            "unseal it, or wait until it is healthy".into(),
        ),
        _ => fail(
            Kind::Unsupported,
            format!("{operation}: status {code}: {said}"),
            "use a key of type aes256-gcm96 that is not derived".into(),
        ),
    }
}

/// Wraps the root key with the newest version of the transit key.
///
/// Errors: `NotFound` when there is no such key. A server would make it for a token that may create it, and a name that
/// is mistyped would be a key of its own; a token that may not read keys may not make them either, as a rule.
pub(crate) fn wrap(spec: &TransitSpec, root: &RootKey) -> Result<Wrapped, CustodyError> {
    let plain = Zeroizing::new(STANDARD.encode(root.as_bytes()));
    let answer = finish(spec, async {
        let visit = Visit::begin(spec).await?;
        let (mount, key) = visit.key();
        if let Err(error @ ClientError::APIError { code: 404, .. }) =
            transit::key::read(&visit.client, mount, key).await
        {
            return Err(refused(spec, "encrypt", &error));
        }
        let answer = transit::data::encrypt(&visit.client, mount, key, &plain, None).await;
        answer.map_err(|error| refused(spec, "encrypt", &error))
    })?;
    Ok(Wrapped::Vault {
        address: spec.address.to_string(),
        namespace: spec.namespace.clone().unwrap_or_default(),
        mount: spec.mount.clone(),
        key: spec.key.clone(),
        ciphertext: answer.ciphertext,
    })
}

/// Unwraps the root key.
pub(crate) fn unwrap(spec: &TransitSpec, ciphertext: &str) -> Result<RootKey, CustodyError> {
    let mut answer = finish(spec, async {
        let visit = Visit::begin(spec).await?;
        let (mount, key) = visit.key();
        let answer = transit::data::decrypt(&visit.client, mount, key, ciphertext, None).await;
        answer.map_err(|error| refused(spec, "decrypt", &error))
    })?;
    let plain = STANDARD.decode(&answer.plaintext).map(Zeroizing::new);
    answer.plaintext.zeroize();
    plain.ok().and_then(|plain| RootKey::from_slice(&plain)).ok_or_else(|| {
        CustodyError::new(
            Kind::WrongKey,
            format!("transit key {}/{}", spec.mount, spec.key),
            "what it decrypts is no root key",
            "restore kek.json",
        )
    })
}

/// Makes the transit key, not exportable. Errors: there is one, or the token may not.
pub(crate) fn create(spec: &TransitSpec) -> Result<(), CustodyError> {
    finish(spec, async {
        let visit = Visit::begin(spec).await?;
        let (mount, key) = visit.key();
        match transit::key::read(&visit.client, mount, key).await {
            Ok(_) => {
                return Err(CustodyError::new(
                    Kind::Ambiguous,
                    format!("transit key {mount}/{key}"),
                    "exists already",
                    "use it, or name another",
                ));
            }
            Err(ClientError::APIError { code: 404, .. }) => {}
            Err(error) => return Err(refused(spec, "read", &error)),
        }
        transit::key::create(&visit.client, mount, key, None)
            .await
            .map_err(|error| refused(spec, "create", &error))
    })
}
