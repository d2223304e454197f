//! Detached signatures of OpenSSH (PROTOCOL.sshsig), as `ssh-keygen -Y sign -n keywright.dev/approval` makes them.
//!
//! Readers are total: any bytes give a value or an error, in time linear in their number.
//!
//! ```text
//! armor   -----BEGIN SSH SIGNATURE----- and base64
//! wire    the strings of RFC 4251 section 5
//! key     ssh-ed25519, ecdsa-sha2-*, ssh-rsa, sk-ssh-ed25519, sk-ecdsa-sha2-nistp256
//! verify  the signed statement, and the check
//! ```

mod armor;
mod key;
mod verify;
mod wire;

pub use armor::{MAX_LEN, armored};
pub use key::{BadKey, SshPublicKey};
pub use verify::{BadSshSignature, SshSignature, approves};

/// The namespace of approvals: a signature made for another purpose is none of ours. Only approvals are signed, so a
/// signature never has to be asked what its maker meant.
pub const NAMESPACE: &str = "keywright.dev/approval";
