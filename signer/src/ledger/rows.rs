//! What the ledger's rows hold, as protobuf messages so that later versions can add to them.

use crate::seal::Sealed;
use keywright_signer_protocol::v1alpha1::{Constraints, DistinguishedName};

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum RequestState {
    /// Recorded; whether a signature was made is not known.
    Intent = 1,
    /// Signed; the certificate is stored and may have been handed out.
    Signed = 2,
    /// The certificate counts no longer: another one was made for the same request.
    Superseded = 3,
    /// No certificate came of it: it never left this process.
    Abandoned = 4,
}

/// The newest attempt at one request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RequestRow {
    /// How far it got; unknown values read as `Intent`, which releases nothing.
    #[prost(enumeration = "RequestState", tag = "1")]
    pub state: i32,
    /// SHA-256 of the certified public key (DER SubjectPublicKeyInfo).
    #[prost(bytes = "vec", tag = "2")]
    pub spki: Vec<u8>,
    /// Digest of everything asked for but the key.
    #[prost(bytes = "vec", tag = "3")]
    pub effect: Vec<u8>,
    /// Serial number, big-endian.
    #[prost(bytes = "vec", tag = "4")]
    pub serial: Vec<u8>,
    /// SHA-256 of the signing authority's public key.
    #[prost(bytes = "vec", tag = "5")]
    pub authority_spki: Vec<u8>,
    /// The certificate, DER; empty until signed.
    #[prost(bytes = "vec", tag = "6")]
    pub certificate: Vec<u8>,
    /// Last valid second of the certificate, seconds since the Unix epoch.
    #[prost(int64, tag = "7")]
    pub not_after: i64,
    /// Index of the intent's entry.
    #[prost(uint64, tag = "8")]
    pub intent: u64,
    /// Index of the signature's entry; zero until signed.
    #[prost(uint64, tag = "9")]
    pub log_index: u64,
    /// UID of the authority that signs; empty for a root, which signs itself.
    #[prost(bytes = "vec", tag = "10")]
    pub authority: Vec<u8>,
}

/// What a key is for. A key made for one purpose refuses every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Purpose {
    /// Signs certificates.
    X509Authority = 1,
    /// Signs certificate revocation lists.
    Crl = 2,
    /// Signs OCSP responses.
    Ocsp = 3,
    /// Signs JSON web tokens.
    Jwt = 4,
    /// Signs SSH certificates.
    Ssh = 5,
    /// Unwraps escrowed keys.
    Escrow = 6,
}

/// What may still be done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum KeyState {
    /// Everything it was made for.
    Active = 1,
    /// No new children, leaves still.
    Retiring = 2,
    /// Nothing, until somebody enables it.
    Disabled = 3,
    /// Nothing, for ever; the key bytes are gone.
    Destroyed = 4,
}

/// An authority: its key and all that binds it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AuthorityRow {
    /// What the key is for.
    #[prost(enumeration = "Purpose", tag = "1")]
    pub purpose: i32,
    /// What may be done with it.
    #[prost(enumeration = "KeyState", tag = "2")]
    pub state: i32,
    /// `KeyAlgorithm` of the protocol.
    #[prost(int32, tag = "3")]
    pub algorithm: i32,
    /// Subject, as asked for.
    #[prost(message, required, tag = "4")]
    pub subject: DistinguishedName,
    /// UID of the parent; empty for a root.
    #[prost(bytes = "vec", tag = "5")]
    pub parent: Vec<u8>,
    /// Constraints in force, inherited ones included, normalised.
    #[prost(message, required, tag = "6")]
    pub constraints: Constraints,
    /// The private key.
    #[prost(message, required, tag = "7")]
    pub sealed: Sealed,
    /// Public key, DER SubjectPublicKeyInfo.
    #[prost(bytes = "vec", tag = "8")]
    pub spki: Vec<u8>,
    /// Newest certificate, DER; empty until the first is signed.
    #[prost(bytes = "vec", tag = "9")]
    pub certificate: Vec<u8>,
    /// Step that the newest certificate was made for.
    #[prost(uint64, tag = "10")]
    pub step: u64,
    /// Index of its signature's entry.
    #[prost(uint64, tag = "11")]
    pub log_index: u64,
    /// Highest generation of the issuer object that was seen.
    #[prost(uint64, tag = "30")]
    pub generation: u64,
}

/// That something happened which happens once: an approval was used, a name was certified for the first time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MarkRow {
    /// UID and step of the request that it happened for.
    #[prost(bytes = "vec", tag = "1")]
    pub request: Vec<u8>,
    /// The effect's digest; empty for a name.
    #[prost(bytes = "vec", tag = "2")]
    pub effect: Vec<u8>,
    /// Index of the entry that tells it.
    #[prost(uint64, tag = "3")]
    pub index: u64,
}

/// The fields behind an entry's `names`, kept beside the log; erasing the row breaks no proof.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PlainRow {
    /// 16 random bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub salt: Vec<u8>,
    /// The fields in the order they were committed to.
    #[prost(string, repeated, tag = "2")]
    pub fields: Vec<String>,
}

/// The ledger's head, under a code that only a holder of the key-encryption key can make.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeadRow {
    /// Number of entries.
    #[prost(uint64, tag = "1")]
    pub size: u64,
    /// Root over all entries.
    #[prost(bytes = "vec", tag = "2")]
    pub root: Vec<u8>,
    /// Number of entries that the published checkpoint is known to cover.
    #[prost(uint64, tag = "3")]
    pub published: u64,
    /// Highest fencing token seen.
    #[prost(uint64, tag = "4")]
    pub fencing: u64,
    /// Digest over all authority rows.
    #[prost(bytes = "vec", tag = "5")]
    pub keys: Vec<u8>,
    /// The log's name.
    #[prost(string, tag = "6")]
    pub origin: String,
    /// The log's key.
    #[prost(message, required, tag = "7")]
    pub log_key: Sealed,
    /// The log's public key, Ed25519, 32 bytes.
    #[prost(bytes = "vec", tag = "8")]
    pub log_public: Vec<u8>,
    /// The code over all of the above.
    #[prost(bytes = "vec", tag = "15")]
    pub code: Vec<u8>,
}

/// Everything that one turn made true, as it stands in the journal.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TurnRow {
    /// Index of the first entry.
    #[prost(uint64, tag = "1")]
    pub(super) first: u64,
    /// Encoded entries.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) entries: Vec<Vec<u8>>,
    /// New state of requests.
    #[prost(message, repeated, tag = "3")]
    pub(super) requests: Vec<KeyedRequest>,
    /// New state of authorities.
    #[prost(message, repeated, tag = "4")]
    pub(super) authorities: Vec<KeyedAuthority>,
    /// Fields behind entries.
    #[prost(message, repeated, tag = "5")]
    pub(super) plain: Vec<KeyedPlain>,
    /// What happens once.
    #[prost(message, repeated, tag = "30")]
    pub(super) marks: Vec<KeyedMark>,
    /// The head after the turn.
    #[prost(message, required, tag = "6")]
    pub(super) head: HeadRow,
}

/// A request's row with its key.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyedRequest {
    /// UID and step.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    /// Its row.
    #[prost(message, required, tag = "2")]
    pub(super) row: RequestRow,
}

/// An authority's row with its key.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyedAuthority {
    /// UID.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) uid: Vec<u8>,
    /// Its row.
    #[prost(message, required, tag = "2")]
    pub(super) row: AuthorityRow,
}

/// A mark with its key.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyedMark {
    /// 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    /// Its row.
    #[prost(message, required, tag = "2")]
    pub(super) row: MarkRow,
}

/// Plain fields with the index of their entry.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyedPlain {
    /// Index of the entry.
    #[prost(uint64, tag = "1")]
    pub(super) index: u64,
    /// Its fields.
    #[prost(message, required, tag = "2")]
    pub(super) row: PlainRow,
}
