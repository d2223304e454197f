//! Judges who are not ours: openssl on what a Secret holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What openssl says of a TLS Secret.
#[derive(Debug)]
pub(crate) struct Opinion {
    /// Of the leaf, hexadecimal.
    pub(crate) serial: String,
    /// `-text` of the leaf.
    pub(crate) text: String,
    /// How many certificates `tls.crt` holds.
    pub(crate) chain: usize,
}

/// Checks what must hold for every TLS Secret: the chain leads to `ca.crt`, and the key is the certificate's.
pub(crate) fn judge(entries: &BTreeMap<String, Vec<u8>>) -> Opinion {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in entries {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let verified = openssl(folder.path(), "verify -x509_strict -CAfile ca.crt -untrusted tls.crt tls.crt");
    assert!(verified.contains("tls.crt: OK"), "{verified}");
    let of_leaf = openssl(folder.path(), "x509 -in tls.crt -noout -pubkey");
    let of_key = openssl(folder.path(), "pkey -in tls.key -pubout");
    assert_eq!(of_leaf, of_key, "tls.key is not the key of tls.crt");
    let serial = openssl(folder.path(), "x509 -in tls.crt -noout -serial");
    let text = openssl(folder.path(), "x509 -in tls.crt -noout -text");
    Opinion { serial: serial.trim().replace("serial=", ""), text, chain: certificates(&entries["tls.crt"]) }
}

/// How many certificates a PEM file holds.
pub(crate) fn certificates(pem: &[u8]) -> usize {
    String::from_utf8_lossy(pem).matches("-----BEGIN CERTIFICATE-----").count()
}

/// Runs openssl in a folder; panics with its words when it fails.
pub(crate) fn openssl(folder: &Path, args: &str) -> String {
    let output = Command::new("openssl").args(args.split(' ')).current_dir(folder).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {args}: {out}{err}");
    out.into_owned()
}
