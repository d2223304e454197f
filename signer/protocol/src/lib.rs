//! The wire between operator and signer: gRPC messages, client and server.
//!
//! Generated from `proto/keywright/signer/v1alpha1/signer.proto`, where each message is described.

/// Version `v1alpha1` of the protocol.
#[expect(missing_docs, clippy::pedantic, reason = "generated code; the words are in the .proto")]
pub mod v1alpha1 {
    tonic::include_proto!("keywright.signer.v1alpha1");
}
