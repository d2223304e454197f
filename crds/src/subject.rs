//! The distinguished name of a certificate without its common name.
//!
//! Sources: RFC 5280 appendix A.1 for the upper bounds, X.520 for the attributes; field names as in cert-manager.

#![expect(unreachable_pub, reason = "KubeSchema copies each public struct into a function body")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::shape;

/// X.501 subject attributes; all may hold several values but `serialNumber`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Organization names (O), at most 64 characters each.
    #[schemars(schema_with = "shape::attribute_values_64")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,

    /// Organizational units (OU), at most 64 characters each.
    #[schemars(schema_with = "shape::attribute_values_64")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<String>,

    /// Countries (C): two capital letters of ISO 3166 each, as in DE.
    #[schemars(schema_with = "shape::countries")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,

    /// Localities (L), such as cities, at most 128 characters each.
    #[schemars(schema_with = "shape::attribute_values_128")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub localities: Vec<String>,

    /// States or provinces (ST), at most 128 characters each.
    #[schemars(schema_with = "shape::attribute_values_128")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provinces: Vec<String>,

    /// Street addresses, at most 128 characters each.
    #[schemars(schema_with = "shape::attribute_values_128")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub street_addresses: Vec<String>,

    /// Postal codes, at most 40 characters each.
    #[schemars(schema_with = "shape::attribute_values_40")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub postal_codes: Vec<String>,

    /// The serialNumber attribute of the subject, at most 64 printable ASCII characters. It is a part of the name and
    /// has nothing to do with the serial number of the certificate.
    #[schemars(schema_with = "shape::subject_serial_number")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
}

impl Subject {
    /// Whether no attribute is set, which means the same as an absent subject.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
