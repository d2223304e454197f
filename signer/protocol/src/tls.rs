//! Mutual TLS 1.3 with both ends pinned: reading a TLS folder, and the two rustls configurations made from it.
//!
//! A TLS folder holds `ca.crt` (the installation's private root), `tls.crt` and `tls.key` (this end), and `peers.json`:
//!
//! ```json
//! {"peers": [{"name": "keywright-operator", "role": "operator", "spkiSha256": "<64 hex digits>"}]}
//! ```
//!
//! `spkiSha256` is the SHA-256 of the DER of the peer certificate's SubjectPublicKeyInfo. A peer is accepted only when
//! its chain ends in `ca.crt` and its key is pinned: a certificate that the root made for somebody else is not enough.
//! The folder is read again for each new connection, so that certificates, roots and pins rotate without a restart;
//! a half-written folder leaves the last good configuration in force. Sessions are never resumed, so that a pin taken
//! away counts from the next connection on.

mod folder;
mod verify;

pub use folder::{Material, Peer, Peers, Pin, Role, SERVER_NAME, TlsError, TlsFolder};
pub use verify::{client_config, public_server_config, server_config};
