//! Signatures that the real `ssh-keygen` makes, and keys as it writes them.

use keywright_approvals::EffectDigest;
use keywright_approvals::sshsig::{BadSshSignature, NAMESPACE, SshPublicKey, SshSignature, approves};
use std::fs;
use std::path::Path;
use std::process::Command;

fn ssh_keygen(folder: &Path, arguments: &[&str]) {
    let ended = Command::new("ssh-keygen").current_dir(folder).args(arguments).output();
    let ended = ended.expect("ssh-keygen: install openssh-client (hack/setup.sh test does)");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// A key of this type and size, and what it signs under a namespace.
fn signed(kind: &[&str], namespace: &str, message: &str) -> (SshPublicKey, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let make = [&["-q", "-N", "", "-C", "alice", "-f", "key", "-t"], kind].concat();
    ssh_keygen(folder.path(), &make);
    fs::write(folder.path().join("message"), message).expect("a file is written");
    ssh_keygen(folder.path(), &["-q", "-Y", "sign", "-n", namespace, "-f", "key", "message"]);
    let read = |name| fs::read_to_string(folder.path().join(name)).expect("what ssh-keygen wrote");
    let key = SshPublicKey::from_line(&read("key.pub")).expect("a key of ssh-keygen");
    (key, read("message.sig"))
}

fn digest(octet: u8) -> EffectDigest {
    EffectDigest::from_octets([octet; 32])
}

#[test]
fn what_ssh_keygen_signs_verifies_for_that_digest_and_no_other() {
    let kinds: [&[&str]; 6] = [
        &["ed25519"],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "2048"],
        &["rsa", "-b", "3072"],
    ];
    for kind in kinds {
        let (key, signature) = signed(kind, NAMESPACE, &digest(7).to_string());
        assert_eq!(approves(&digest(7), &signature).as_ref(), Ok(&key), "{kind:?}");
        assert_eq!(approves(&digest(8), &signature), Err(BadSshSignature::Wrong), "{kind:?}");
    }
}

#[test]
fn a_signature_for_another_purpose_is_none() {
    let (_, signature) = signed(&["ed25519"], "git", &digest(7).to_string());
    assert_eq!(approves(&digest(7), &signature), Err(BadSshSignature::Namespace { found: "git".to_owned() }));
}

#[test]
fn no_octet_of_a_signature_can_be_changed_or_cut() {
    let (key, signature) = signed(&["ecdsa"], NAMESPACE, &digest(7).to_string());
    let body: String = signature.lines().filter(|line| !line.starts_with("-----")).collect();
    let octets = <base64ct::Base64 as base64ct::Encoding>::decode_vec(&body).expect("base64");
    let message = digest(7).to_string();
    for at in 0..octets.len() {
        let mut changed = octets.clone();
        changed[at] ^= 1;
        let accepted = SshSignature::from_octets(&changed)
            .is_ok_and(|sig| sig.key() == &key && sig.verify(NAMESPACE, message.as_bytes()).is_ok());
        assert!(!accepted, "octet {at}");
        assert!(SshSignature::from_octets(&octets[..at]).is_err(), "cut at {at}");
    }
}
