//! The outer ASN.1 of certificates and requests, with the parts that must stay byte for byte kept as they are.
//!
//! Owns only what x509-cert's types cannot do: keep exact bytes, build a TBSCertificate, hold path lengths over 255.
//! Sources: RFC 5280 sections 4.1 and 4.2.1.9, RFC 2986 section 4.

use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Sequence, SliceReader};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

/// `TBSCertificate`, RFC 5280 section 4.1.
#[derive(Debug, Sequence)]
pub(crate) struct TbsCertificate<'a> {
    /// 2 for version 3.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub(crate) version: u8,
    pub(crate) serial_number: UintRef<'a>,
    pub(crate) signature: AlgorithmIdentifierOwned,
    pub(crate) issuer: AnyRef<'a>,
    pub(crate) validity: Validity,
    pub(crate) subject: AnyRef<'a>,
    pub(crate) subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) issuer_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) subject_unique_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) extensions: Option<Vec<Extension>>,
}

/// `Validity`, with the encoding of each time as it is written.
#[derive(Debug, Clone, Copy, Sequence)]
pub(crate) struct Validity {
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

/// `Certificate`, `CertificationRequest`: something, how it is signed, and the signature.
#[derive(Debug, Sequence)]
pub(crate) struct Signed<'a> {
    pub(crate) content: AnyRef<'a>,
    pub(crate) algorithm: AlgorithmIdentifierOwned,
    pub(crate) signature: BitStringRef<'a>,
}

/// `BasicConstraints`, RFC 5280 section 4.2.1.9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Sequence)]
pub(crate) struct BasicConstraints {
    #[asn1(default = "Default::default")]
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u32>,
}

/// `CertificationRequestInfo`, RFC 2986 section 4.1; attributes are carried but never looked at.
#[derive(Debug, Sequence)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) version: u8,
    pub(crate) subject: AnyRef<'a>,
    pub(crate) subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(crate) attributes: Option<der::asn1::SetOfVec<x509_cert::attr::Attribute>>,
}

/// Decodes all of `bytes`, and only if writing the value again gives the same bytes: DER has one form for each value.
pub(crate) fn decode_exact<'a, T>(bytes: &'a [u8]) -> der::Result<T>
where
    T: der::Decode<'a, Error = der::Error> + der::Encode,
{
    let mut reader = SliceReader::new(bytes)?;
    let value = T::decode(&mut reader)?;
    der::Reader::finish(reader)?;
    if value.to_der()? == bytes { Ok(value) } else { Err(der::ErrorKind::Failed.into()) }
}

/// Whether no arc begins with padding (X.690 section 8.19.2), which the reader lets pass: a padded identifier would be
/// unknown here and known to a laxer reader.
pub(crate) fn is_canonical(oid: ObjectIdentifier) -> bool {
    let bytes = oid.as_bytes();
    let ends = [0].into_iter().chain(bytes.iter().copied());
    !ends.zip(bytes).any(|(before, byte)| before < 0x80 && *byte == 0x80)
}
