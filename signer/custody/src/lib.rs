//! Where the signer's keys are kept: outside holders of key-encryption keys, and tokens that sign themselves.
//!
//! ```text
//! --kek SPEC -> spec -> Custodian { token (PKCS#11), transit (Vault, OpenBao), passphrase }
//!                          wrap / unwrap a root key <-> envelope in STATE/kek.json
//! --key-store SPEC -> spec -> pkcs11::Token -> TokenKey: made in the token, signs in the token, never leaves it
//! ```
//! The signer's state is sealed under one 32-byte root key. A file holds it as it is; every other custodian holds a
//! key that wraps it, and the wrapped root key lies beside the state. So the custodian is needed at start and for a
//! rotation only, and never on the way of a signature, except by keys that live in a token.
//!
//! Owns the argument syntax, the envelope file and the conversations with tokens and servers. Never sees what the root
//! key seals, never decides what may be signed. Rules: PKCS#11 v2.40 and v3.0 (OASIS), the transit API of Vault and
//! OpenBao, RFC 9106 for Argon2id.

mod custodian;
mod envelope;
mod error;
mod passphrase;
pub mod pkcs11;
mod private;
mod root;
mod secret;
mod spec;
mod transit;

pub use custodian::{Custodian, Keeper};
pub use envelope::{Envelope, Envelopes, Wrapped, path as envelope_path};
pub use error::{CustodyError, Kind, Retry};
pub use private::is_private;
pub use root::{ROOT_LEN, RootKey};
pub use secret::SecretSource;
pub use spec::{KekSpec, KeyStoreSpec, TokenSpec, TransitSpec};
