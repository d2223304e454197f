//! The keys, certificates and tokens that the control plane itself needs, and kubeconfigs. None of them is the
//! product's: those are made by the product.
//!
//! They are test material on a loopback interface, valid for ten years, readable by their owner only.

use crate::Error;
use keywright_ambient::{Entropy, SystemEntropy};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A user of the API server known by a bearer token of its token file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Whoever sits at the terminal, group system:masters.
    Admin,
    /// kube-controller-manager.
    ControllerManager,
}

impl User {
    pub(crate) const ALL: [Self; 2] = [Self::Admin, Self::ControllerManager];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::ControllerManager => "system:kube-controller-manager",
        }
    }

    /// The name of its kubeconfig's file.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::ControllerManager => "kube-controller-manager",
        }
    }

    /// The fourth column of the token file, or nothing.
    fn groups(self) -> &'static str {
        match self {
            Self::Admin => ",system:masters",
            Self::ControllerManager => "",
        }
    }
}

/// The folder of the control plane's keys.
#[derive(Debug, Clone)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// Uses the keys in `folder`, or makes them all when there are none yet.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        let keys = Self { folder: folder.to_path_buf() };
        // Written last: where it exists, all the others do.
        if !keys.tokens().exists() {
            make_private_folder(folder)?;
            keys.make()?;
        }
        Ok(keys)
    }

    /// Certificate of the authority that made the API server's, PEM. It also signs CertificateSigningRequests.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }
    /// The authority's key, PKCS#8 PEM.
    pub fn ca_key(&self) -> PathBuf {
        self.folder.join("ca.key")
    }
    /// The API server's serving certificate, PEM.
    pub fn serving(&self) -> PathBuf {
        self.folder.join("kube-apiserver.crt")
    }
    /// The serving certificate's key, PKCS#8 PEM.
    pub fn serving_key(&self) -> PathBuf {
        self.folder.join("kube-apiserver.key")
    }
    /// The key that signs ServiceAccount tokens, PKCS#8 PEM.
    pub fn service_accounts(&self) -> PathBuf {
        self.folder.join("service-accounts.key")
    }
    /// Its public half, PEM: the API server does not take it from a PKCS#8 private key.
    pub fn service_accounts_public(&self) -> PathBuf {
        self.folder.join("service-accounts.pub")
    }
    /// The token file: `token,user,uid,groups`.
    pub fn tokens(&self) -> PathBuf {
        self.folder.join("tokens.csv")
    }

    /// The bearer token of a user. Errors: `Garbled` when the token file has no such line.
    pub fn token(&self, user: User) -> Result<String, Error> {
        let path = self.tokens();
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        text.lines()
            .filter_map(|line| line.split_once(','))
            .find(|(_, rest)| rest.split(',').next() == Some(user.name()))
            .map(|(token, _)| token.to_owned())
            .ok_or_else(|| Error::Garbled { path, problem: format!("no token for {}", user.name()) })
    }

    fn make(&self) -> Result<(), Error> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(DnType::CommonName, "keywright-test-control-plane");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        for_ten_years(&mut ca);
        let ca_key = KeyPair::generate()?;
        write_private(&self.ca(), ca.self_signed(&ca_key)?.pem().as_bytes())?;
        write_private(&self.ca_key(), ca_key.serialize_pem().as_bytes())?;

        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "127.0.0.1",
            "10.0.0.1",
        ];
        let mut serving = CertificateParams::new(names.map(String::from).to_vec())?;
        serving.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for_ten_years(&mut serving);
        let serving_key = KeyPair::generate()?;
        let signed = serving.signed_by(&serving_key, &Issuer::new(ca, ca_key))?;
        write_private(&self.serving(), signed.pem().as_bytes())?;
        write_private(&self.serving_key(), serving_key.serialize_pem().as_bytes())?;
        let service_accounts = KeyPair::generate()?;
        write_private(&self.service_accounts(), service_accounts.serialize_pem().as_bytes())?;
        write_private(&self.service_accounts_public(), service_accounts.public_key_pem().as_bytes())?;

        let mut tokens = String::new();
        for user in User::ALL {
            let mut random = [0; 32];
            SystemEntropy.fill(&mut random)?;
            let (token, name, groups) = (hex::encode(random), user.name(), user.groups());
            tokens.extend([&token, ",", name, ",", name, groups, "\n"]);
        }
        write_private(&self.tokens(), tokens.as_bytes())
    }
}

/// The years only have to contain all runs; the API server checks none of ours against a policy.
fn for_ten_years(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
}

/// Writes a kubeconfig (in JSON, which is YAML) for one bearer of a token at the API server on `port`.
pub(crate) fn write_kubeconfig(
    path: &Path,
    keys: &Keys,
    port: u16,
    user: &str,
    token: &str,
) -> Result<(), Error> {
    use base64::Engine;
    let ca = fs::read(keys.ca()).map_err(Error::file("read", &keys.ca()))?;
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "keywright", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": base64::engine::general_purpose::STANDARD.encode(ca),
        }}],
        "users": [{ "name": user, "user": { "token": token } }],
        "contexts": [{ "name": "keywright", "context": { "cluster": "keywright", "user": user } }],
        "current-context": "keywright",
    });
    write_private(path, format!("{config:#}\n").as_bytes())
}

/// Makes a folder and its parents, the folder itself with mode 0700.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("make", path))
}

/// Replaces a file in one step, mode 0600, its folder made where needed.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let write = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::in_folder(&folder.path().join("keys")).unwrap();
        let (ca, admin) = (fs::read(keys.ca()).unwrap(), keys.token(User::Admin).unwrap());
        let again = Keys::in_folder(&folder.path().join("keys")).unwrap();
        assert_eq!(fs::read(again.ca()).unwrap(), ca);
        assert_eq!(again.token(User::Admin).unwrap(), admin);
        assert_ne!(again.token(User::ControllerManager).unwrap(), admin);
        let mode = fs::metadata(keys.ca_key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
