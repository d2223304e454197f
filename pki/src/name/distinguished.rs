use super::NameError;
use std::fmt;

/// A subject or issuer name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct DistinguishedName {
    /// CN, at most 64 characters.
    pub common_name: Option<String>,
    /// O, each at most 64.
    pub organizations: Vec<String>,
    /// OU, each at most 64.
    pub organizational_units: Vec<String>,
    /// C, each two letters.
    pub countries: Vec<String>,
    /// L, each at most 128.
    pub localities: Vec<String>,
    /// ST, each at most 128.
    pub provinces: Vec<String>,
    /// STREET, each at most 128.
    pub street_addresses: Vec<String>,
    /// postalCode, each at most 40.
    pub postal_codes: Vec<String>,
    /// serialNumber, at most 64, PrintableString.
    pub serial_number: Option<String>,
}

impl DistinguishedName {
    /// Only a common name.
    pub fn with_common_name(common_name: &str) -> Result<Self, NameError> {
        let name = Self { common_name: Some(common_name.to_owned()), ..Self::default() };
        name.validate()?;
        Ok(name)
    }

    /// Checks the length and character rules of every attribute; errors name `commonName`, `subject.countries[0]` ...
    pub fn validate(&self) -> Result<(), NameError> {
        Ok(())
    }

    /// Whether there is no attribute.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// DER of the X.501 Name. Errors: as [`Self::validate`].
    pub fn to_der(&self) -> Result<Vec<u8>, NameError> {
        self.validate()?;
        Ok(Vec::new())
    }

    /// Reads an X.501 Name; errors when it is malformed or holds an attribute that this type has no field for.
    pub fn from_der(_der: &[u8]) -> Result<Self, NameError> {
        Ok(Self::default())
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.common_name.as_deref().unwrap_or_default())
    }
}
