//! The wire between operator and signer: gRPC messages, the mutual TLS both ends use, and the client.
//!
//! The messages are generated from `proto/keywright/signer/v1alpha1/signer.proto`, where each one is described.
//! The connection is TLS 1.3 only; each end must chain to the private root of the installation *and* hold a key that
//! the other end has pinned ([`tls`]). This crate never reads a cluster, never decides and never keeps state.

pub mod client;
pub mod json;
pub mod refusal;
pub mod tls;

pub use client::{ConnectError, SignerClient, Timeouts, connect};
pub use refusal::{refusal_of, status_of};

/// Version `v1alpha1` of the protocol.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::pedantic,
    reason = "generated code; the words are in the .proto"
)]
pub mod v1alpha1 {
    tonic::include_proto!("keywright.signer.v1alpha1");
}
