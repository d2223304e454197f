//! Signatures of OpenSSH: armour, wire, and the keys in them.

use keywright_approvals::EffectDigest;
use keywright_approvals::sshsig::{MAX_LEN, NAMESPACE, SshPublicKey, SshSignature, approves, armored};

/// A key that reads is itself again from its octets and from its line.
fn key(key: &SshPublicKey) {
    assert_eq!(SshPublicKey::from_blob(key.blob()).as_ref(), Ok(key));
    assert!(key.fingerprint().starts_with("SHA256:"));
}

/// Bytes as a signature, as its armour, as a key and as a key's line.
pub fn sshsig(bytes: &[u8]) {
    if let Ok(read) = SshPublicKey::from_blob(bytes) {
        key(&read);
        assert_eq!(read.blob(), bytes, "a key has one form");
    }
    if let Ok(signature) = SshSignature::from_octets(bytes) {
        key(signature.key());
        let text = armored(bytes);
        if text.len() <= MAX_LEN {
            assert_eq!(SshSignature::from_armor(&text).as_ref(), Ok(&signature));
        }
        let message = b"a message that no seed is made over";
        assert!(signature.verify(NAMESPACE, message).is_err(), "nobody signed this");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(read) = SshPublicKey::from_line(text) {
        key(&read);
    }
    if let Ok(signature) = SshSignature::from_armor(text) {
        key(signature.key());
        let _ = approves(&EffectDigest::from_octets([7; 32]), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_a_signature_and_so_its_changes_reach_far() {
        let seed = include_bytes!("../seeds/sshsig/signature");
        let signature = SshSignature::from_octets(seed).expect("a signature");
        assert_eq!(signature.verify(NAMESPACE, b"a message"), Ok(()));
    }
}
