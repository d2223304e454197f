//! Distinguished names: the attributes that specs can ask for, with the bounds of RFC 5280 appendix A.1.
//!
//! Written as UTF8String, but PrintableString for country and serialNumber, one attribute in each RDN, in the order
//! country, province, locality, street, postal code, organization, unit, common name, serial number. Shown as RFC 4514
//! demands: the last attribute first.

use super::NameError;
use crate::asn1::is_canonical;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::asn1::{Any, Ia5StringRef, PrintableString, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{Decode, Encode, Tag, Tagged};
use std::fmt;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

/// A subject or issuer name. The fields are open; [`Self::validate`] says whether they hold what they may.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct DistinguishedName {
    /// CN, at most 64 characters.
    pub common_name: Option<String>,
    /// O, each at most 64 characters.
    pub organizations: Vec<String>,
    /// OU, each at most 64 characters.
    pub organizational_units: Vec<String>,
    /// C, each exactly two letters (ISO 3166).
    pub countries: Vec<String>,
    /// L, each at most 128 characters.
    pub localities: Vec<String>,
    /// ST, each at most 128 characters.
    pub provinces: Vec<String>,
    /// STREET, each at most 128 characters.
    pub street_addresses: Vec<String>,
    /// postalCode, each at most 40 characters.
    pub postal_codes: Vec<String>,
    /// serialNumber, at most 64 characters of PrintableString.
    pub serial_number: Option<String>,
}

/// One attribute type: where it is in a spec, in DER and in text.
struct Attribute {
    field: &'static str,
    oid: ObjectIdentifier,
    short: &'static str,
    longest: usize,
}

const COUNTRY: Attribute =
    Attribute { field: "subject.countries", oid: rfc4519::COUNTRY_NAME, short: "C", longest: 2 };
const PROVINCE: Attribute =
    Attribute { field: "subject.provinces", oid: rfc4519::ST, short: "ST", longest: 128 };
const LOCALITY: Attribute =
    Attribute { field: "subject.localities", oid: rfc4519::L, short: "L", longest: 128 };
const STREET: Attribute =
    Attribute { field: "subject.streetAddresses", oid: rfc4519::STREET, short: "STREET", longest: 128 };
const POSTAL_CODE: Attribute =
    Attribute { field: "subject.postalCodes", oid: rfc4519::POSTAL_CODE, short: "postalCode", longest: 40 };
const ORGANIZATION: Attribute =
    Attribute { field: "subject.organizations", oid: rfc4519::O, short: "O", longest: 64 };
const UNIT: Attribute =
    Attribute { field: "subject.organizationalUnits", oid: rfc4519::OU, short: "OU", longest: 64 };
const COMMON_NAME: Attribute = Attribute { field: "commonName", oid: rfc4519::CN, short: "CN", longest: 64 };
const SERIAL_NUMBER: Attribute = Attribute {
    field: "subject.serialNumber",
    oid: rfc4519::SERIAL_NUMBER,
    short: "serialNumber",
    longest: 64,
};

/// The most attributes of one type that a name may have.
const MOST_VALUES: usize = 32;

impl DistinguishedName {
    /// Only a common name. Errors: as [`Self::validate`].
    pub fn with_common_name(common_name: &str) -> Result<Self, NameError> {
        let name = Self { common_name: Some(common_name.to_owned()), ..Self::default() };
        name.validate()?;
        Ok(name)
    }

    /// Checks the length and character rules of every attribute.
    ///
    /// Errors: [`NameError`] with the field as in a spec: `commonName`, `subject.countries[0]` ...
    pub fn validate(&self) -> Result<(), NameError> {
        for (attribute, values) in self.attributes() {
            if values.len() > MOST_VALUES {
                let error = NameError::new("the list", "has more than 32 values", "give fewer");
                return Err(error.at(attribute.field));
            }
            for (index, value) in values.iter().enumerate() {
                check(&attribute, value).map_err(|error| {
                    let single = attribute.oid == COMMON_NAME.oid || attribute.oid == SERIAL_NUMBER.oid;
                    if single {
                        error.at(attribute.field)
                    } else {
                        error.at(format!("{}[{index}]", attribute.field))
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Whether there is no attribute.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// DER of the X.501 Name. Errors: as [`Self::validate`].
    pub fn to_der(&self) -> Result<Vec<u8>, NameError> {
        self.validate()?;
        self.encode()
            .map_err(|_| NameError::new("the name", "cannot be written as DER", "shorten it").at("subject"))
    }

    /// Reads an X.501 Name.
    ///
    /// Errors: malformed, or an attribute that this type has no field for, has twice where it may have one, or that
    /// breaks its bounds.
    pub fn from_der(der: &[u8]) -> Result<Self, NameError> {
        let (name, unsupported) = Self::from_der_lossy(der)?;
        if unsupported > 0 {
            return Err(NameError::new(
                "the name",
                "has attributes that are not supported",
                "use those of a subject",
            )
            .at("subject"));
        }
        Ok(name)
    }

    /// The same, but attributes without a field of ours are only counted.
    pub(crate) fn from_der_lossy(der: &[u8]) -> Result<(Self, usize), NameError> {
        let parsed = Name::from_der(der).ok().and_then(|parsed| Self::from_name_lossy(&parsed));
        parsed.ok_or_else(|| {
            NameError::new("the name", "is no DER Name", "give a DER X.501 Name").at("subject")
        })
    }

    /// The same of a name that was read as ASN.1; none when it is not sound.
    pub(crate) fn from_name_lossy(parsed: &Name) -> Option<(Self, usize)> {
        // A relative name without attributes (RFC 5280 appendix A.1: SIZE (1..MAX)) would be seen by nobody.
        let is_sound =
            parsed.iter_rdn().all(|rdn| !rdn.is_empty()) && parsed.iter().all(|one| is_canonical(one.oid));
        if !is_sound {
            return None;
        }
        let mut name = Self::default();
        let mut unsupported = 0;
        for attribute in parsed.iter() {
            if !name.take(attribute) {
                unsupported += 1;
            }
        }
        Some((name, unsupported))
    }

    /// Whether a DER Name holds what name constraints would judge but [`Self::from_der_lossy`] leaves out: a common
    /// name that is not the only one or not text, or an emailAddress.
    pub(crate) fn has_judged_attributes(der: &[u8]) -> bool {
        let Ok(parsed) = Name::from_der(der) else { return true };
        let common_names: Vec<_> = parsed.iter().filter(|attribute| attribute.oid == rfc4519::CN).collect();
        let is_plain = |value: &Any| text(value).is_some_and(|value| check(&COMMON_NAME, &value).is_ok());
        let judged = common_names.len() > 1 || common_names.iter().any(|one| !is_plain(&one.value));
        judged || parsed.iter().any(|attribute| attribute.oid == const_oid::db::rfc3280::EMAIL_ADDRESS)
    }

    fn take(&mut self, attribute: &AttributeTypeAndValue) -> bool {
        let Some(value) = text(&attribute.value) else { return false };
        let known = Self::types().into_iter().find(|known| known.oid == attribute.oid);
        if known.is_none_or(|known| check(&known, &value).is_err()) {
            return false;
        }
        let list = match attribute.oid {
            rfc4519::CN => return set_once(&mut self.common_name, value),
            rfc4519::SERIAL_NUMBER => return set_once(&mut self.serial_number, value),
            rfc4519::O => &mut self.organizations,
            rfc4519::OU => &mut self.organizational_units,
            rfc4519::COUNTRY_NAME => &mut self.countries,
            rfc4519::L => &mut self.localities,
            rfc4519::ST => &mut self.provinces,
            rfc4519::STREET => &mut self.street_addresses,
            rfc4519::POSTAL_CODE => &mut self.postal_codes,
            _ => return false,
        };
        let room = list.len() < MOST_VALUES;
        if room {
            list.push(value);
        }
        room
    }

    const fn types() -> [Attribute; 9] {
        [COUNTRY, PROVINCE, LOCALITY, STREET, POSTAL_CODE, ORGANIZATION, UNIT, COMMON_NAME, SERIAL_NUMBER]
    }

    /// All attributes in the order of the encoding.
    fn attributes(&self) -> [(Attribute, Vec<&str>); 9] {
        fn all(values: &[String]) -> Vec<&str> {
            values.iter().map(String::as_str).collect()
        }
        [
            (COUNTRY, all(&self.countries)),
            (PROVINCE, all(&self.provinces)),
            (LOCALITY, all(&self.localities)),
            (STREET, all(&self.street_addresses)),
            (POSTAL_CODE, all(&self.postal_codes)),
            (ORGANIZATION, all(&self.organizations)),
            (UNIT, all(&self.organizational_units)),
            (COMMON_NAME, self.common_name.as_deref().into_iter().collect()),
            (SERIAL_NUMBER, self.serial_number.as_deref().into_iter().collect()),
        ]
    }

    fn encode(&self) -> der::Result<Vec<u8>> {
        let mut rdns = Vec::new();
        for (attribute, values) in self.attributes() {
            for value in values {
                let value = if attribute.oid == COUNTRY.oid || attribute.oid == SERIAL_NUMBER.oid {
                    Any::from(&PrintableString::new(value)?)
                } else {
                    Any::from(Utf8StringRef::new(value)?)
                };
                let set = SetOfVec::from_iter([AttributeTypeAndValue { oid: attribute.oid, value }])?;
                rdns.push(RelativeDistinguishedName::from(set));
            }
        }
        RdnSequence::from(rdns).to_der()
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (attribute, values) in self.attributes().iter().rev() {
            for value in values.iter().rev() {
                write!(f, "{separator}{}=", attribute.short)?;
                escape(f, value)?;
                separator = ",";
            }
        }
        Ok(())
    }
}

/// RFC 4514 section 2.4.
fn escape(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let last = value.chars().count().saturating_sub(1);
    for (at, char) in value.chars().enumerate() {
        let edge = (at == 0 && (char == '#' || char == ' ')) || (at == last && char == ' ');
        if edge || matches!(char, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{char}")?;
    }
    Ok(())
}

fn check(attribute: &Attribute, value: &str) -> Result<(), NameError> {
    let error = |rule, fix| Err(NameError::new(value, rule, fix));
    if value.trim().is_empty() {
        return error("is empty", "give it a value or leave the field out");
    }
    if value.chars().any(char::is_control) {
        return error("has a control character", "remove it");
    }
    if attribute.oid == COUNTRY.oid {
        let two_letters = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
        return if two_letters {
            Ok(())
        } else {
            error("is no country code", "give two letters such as DE (ISO 3166)")
        };
    }
    if attribute.oid == SERIAL_NUMBER.oid && PrintableStringRef::new(value).is_err() {
        return error(
            "has a character outside of PrintableString",
            "use letters, digits, spaces and '()+,-./:=? only",
        );
    }
    if value.chars().count() > attribute.longest {
        return error(
            "is longer than RFC 5280 allows (CN, O, OU, serialNumber 64, postalCode 40, others 128)",
            "shorten it",
        );
    }
    Ok(())
}

fn set_once(slot: &mut Option<String>, value: String) -> bool {
    let first = slot.is_none();
    if first {
        *slot = Some(value);
    }
    first
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.to_string()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.to_string()),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok().map(|text| text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> DistinguishedName {
        let one = |text: &str| vec![text.to_owned()];
        DistinguishedName {
            common_name: Some("Web \"1\", Berlin".to_owned()),
            organizations: vec!["Example".to_owned(), "Other + Co".to_owned()],
            organizational_units: one(" spaces "),
            countries: one("DE"),
            localities: one("München"),
            provinces: one("Bayern"),
            street_addresses: one("#1 Road"),
            postal_codes: one("80331"),
            serial_number: Some("A-1".to_owned()),
        }
    }

    #[test]
    fn every_attribute_reads_back_from_der() {
        let name = full();
        assert_eq!(DistinguishedName::from_der(&name.to_der().unwrap()).unwrap(), name);
        let empty = DistinguishedName::default();
        assert_eq!(empty.to_der().unwrap(), [0x30, 0]);
        assert_eq!(DistinguishedName::from_der(&[0x30, 0]).unwrap(), empty);
    }

    #[test]
    fn country_and_serial_number_are_printable_and_the_others_utf8() {
        let der = full().to_der().unwrap();
        let find = |bytes: &[u8]| der.windows(bytes.len()).any(|window| window == bytes);
        assert!(find(b"\x06\x03\x55\x04\x06\x13\x02DE"));
        assert!(find(b"\x06\x03\x55\x04\x05\x13\x03A-1"));
        assert!(find(b"\x06\x03\x55\x04\x08\x0c\x06Bayern"));
    }

    #[test]
    fn text_is_rfc_4514() {
        assert_eq!(
            full().to_string(),
            "serialNumber=A-1,CN=Web \\\"1\\\"\\, Berlin,OU=\\ spaces\\ ,O=Other \\+ Co,O=Example,postalCode=80331,\
             STREET=\\#1 Road,L=München,ST=Bayern,C=DE"
        );
    }

    #[test]
    fn bounds_are_those_of_rfc_5280() {
        let set = |edit: fn(&mut DistinguishedName, String), value: String| {
            let mut name = DistinguishedName::default();
            edit(&mut name, value);
            name.to_der().map_err(|error| error.field)
        };
        let common_name = |name: &mut DistinguishedName, value| name.common_name = Some(value);
        let country = |name: &mut DistinguishedName, value| name.countries = vec!["DE".to_owned(), value];
        let locality = |name: &mut DistinguishedName, value| name.localities = vec![value];
        let serial = |name: &mut DistinguishedName, value| name.serial_number = Some(value);
        assert!(set(common_name, "ä".repeat(64)).is_ok());
        assert_eq!(set(common_name, "ä".repeat(65)), Err("commonName".to_owned()));
        assert_eq!(set(common_name, " ".to_owned()), Err("commonName".to_owned()));
        assert_eq!(set(common_name, "a\0b".to_owned()), Err("commonName".to_owned()));
        assert_eq!(set(country, "DEU".to_owned()), Err("subject.countries[1]".to_owned()));
        assert_eq!(set(country, "D1".to_owned()), Err("subject.countries[1]".to_owned()));
        assert!(set(locality, "a".repeat(128)).is_ok());
        assert_eq!(set(locality, "a".repeat(129)), Err("subject.localities[0]".to_owned()));
        assert_eq!(set(serial, "a_b".to_owned()), Err("subject.serialNumber".to_owned()));
    }

    #[test]
    fn an_unknown_attribute_is_refused_or_counted() {
        // DC=example
        let der = b"\x30\x19\x31\x17\x30\x15\x06\x0a\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19\x16\x07example";
        assert!(DistinguishedName::from_der(der).is_err());
        assert_eq!(DistinguishedName::from_der_lossy(der).unwrap(), (DistinguishedName::default(), 1));
    }
}
