//! Key usages and extended key usages by the names that cert-manager and the Kubernetes CSR API give them.
//!
//! Sources: RFC 5280 sections 4.2.1.3 and 4.2.1.12; Kubernetes certificates/v1 `KeyUsage`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One key usage or extended key usage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUsage {
    /// digitalSignature, the same as `digital signature`.
    #[serde(rename = "signing")]
    Signing,
    /// digitalSignature.
    #[serde(rename = "digital signature")]
    DigitalSignature,
    /// contentCommitment (nonRepudiation).
    #[serde(rename = "content commitment")]
    ContentCommitment,
    /// keyEncipherment.
    #[serde(rename = "key encipherment")]
    KeyEncipherment,
    /// keyAgreement.
    #[serde(rename = "key agreement")]
    KeyAgreement,
    /// dataEncipherment.
    #[serde(rename = "data encipherment")]
    DataEncipherment,
    /// keyCertSign; only with `isCA`.
    #[serde(rename = "cert sign")]
    CertSign,
    /// cRLSign; only with `isCA`.
    #[serde(rename = "crl sign")]
    CrlSign,
    /// encipherOnly.
    #[serde(rename = "encipher only")]
    EncipherOnly,
    /// decipherOnly.
    #[serde(rename = "decipher only")]
    DecipherOnly,
    /// anyExtendedKeyUsage.
    #[serde(rename = "any")]
    Any,
    /// id-kp-serverAuth.
    #[serde(rename = "server auth")]
    ServerAuth,
    /// id-kp-clientAuth.
    #[serde(rename = "client auth")]
    ClientAuth,
    /// id-kp-codeSigning.
    #[serde(rename = "code signing")]
    CodeSigning,
    /// id-kp-emailProtection.
    #[serde(rename = "email protection")]
    EmailProtection,
    /// id-kp-emailProtection, the same as `email protection`.
    #[serde(rename = "s/mime")]
    SMime,
    /// id-kp-ipsecEndSystem.
    #[serde(rename = "ipsec end system")]
    IpsecEndSystem,
    /// id-kp-ipsecTunnel.
    #[serde(rename = "ipsec tunnel")]
    IpsecTunnel,
    /// id-kp-ipsecUser.
    #[serde(rename = "ipsec user")]
    IpsecUser,
    /// id-kp-timeStamping.
    #[serde(rename = "timestamping")]
    Timestamping,
    /// id-kp-OCSPSigning.
    #[serde(rename = "ocsp signing")]
    OcspSigning,
    /// Microsoft server gated crypto, 1.3.6.1.4.1.311.10.3.3.
    #[serde(rename = "microsoft sgc")]
    MicrosoftSgc,
    /// Netscape server gated crypto, 2.16.840.1.113730.4.1.
    #[serde(rename = "netscape sgc")]
    NetscapeSgc,
}

impl KeyUsage {
    /// The name on the wire, as in `usages`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::DigitalSignature => "digital signature",
            Self::ContentCommitment => "content commitment",
            Self::KeyEncipherment => "key encipherment",
            Self::KeyAgreement => "key agreement",
            Self::DataEncipherment => "data encipherment",
            Self::CertSign => "cert sign",
            Self::CrlSign => "crl sign",
            Self::EncipherOnly => "encipher only",
            Self::DecipherOnly => "decipher only",
            Self::Any => "any",
            Self::ServerAuth => "server auth",
            Self::ClientAuth => "client auth",
            Self::CodeSigning => "code signing",
            Self::EmailProtection => "email protection",
            Self::SMime => "s/mime",
            Self::IpsecEndSystem => "ipsec end system",
            Self::IpsecTunnel => "ipsec tunnel",
            Self::IpsecUser => "ipsec user",
            Self::Timestamping => "timestamping",
            Self::OcspSigning => "ocsp signing",
            Self::MicrosoftSgc => "microsoft sgc",
            Self::NetscapeSgc => "netscape sgc",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KeyUsage;
    use schemars::SchemaGenerator;

    #[test]
    fn the_name_of_a_usage_is_its_spelling_on_the_wire() {
        let schema = SchemaGenerator::default().into_root_schema_for::<KeyUsage>();
        let variants =
            schema.get("oneOf").and_then(|variants| variants.as_array()).expect("a list of usages");
        assert_eq!(variants.len(), 23);
        for variant in variants {
            let usage: KeyUsage = serde_json::from_value(variant["const"].clone()).expect("a usage");
            assert_eq!(variant["const"], usage.name());
        }
    }
}
